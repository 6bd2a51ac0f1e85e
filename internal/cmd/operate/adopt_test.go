package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

const byHandSecret = prefix + "acme/Gold"

// byHand makes a key as a person does: another name, its own tag and description, the
// deployment's plan; long ago.
func (p *place) byHand() (id string) {
	id = p.made(apigateway.CreateApiKeyInput{
		Name: aws.String("Acme's key"), Description: aws.String("Made for Acme"), Enabled: true, Tags: map[string]string{"cost": "42", "team": "billing"},
		StageKeys: []types.StageKey{{RestApiId: aws.String("a1b2c3d4e5"), StageName: aws.String("prod")}},
	}, gold)
	time.Sleep(time.Hour)
	return id
}

func file(id string) string { return "id,customerId,name\n" + id + ",acme,Gold\n" }

// asItIs is a request that describes the key of byHand.
const asItIs = `{"customerId":"acme","name":"Gold","enabled":true,"description":"Made for Acme","tags":{"cost":"42"},
	"stageKeys":[{"restApiId":"a1b2c3d4e5","stageName":"prod"}]}`

// kept checks the promises on the whole history; an operator made the key and wrote the
// record's first step.
func (p *place) kept(id string) {
	p.t.Helper()
	for _, fault := range promise.Check(p.aws, id, apikey.StepToken(byHandSecret, 1)) {
		p.t.Error(fault)
	}
	p.silent()
}

func TestAdoptedKeyIsAsGoodAsOneThatWasMade(t *testing.T) {
	type step struct{ detailType, detail, want string }
	const identity = `{"customerId":"acme","name":"Gold"}`
	signUp, end := step{"API Key Requested", asItIs, "existing"}, step{"API Key End Requested", identity, "ended"}
	rotation := step{"API Key Rotation Requested", identity, "rotated"}
	again, back := signUp, signUp
	again.want, back.want = "ended", "created"
	other := step{"API Key Requested", `{"customerId":"acme","name":"Gold","enabled":true}`, "differs in customerId, description, name, stageKeys, tags"}
	for name, test := range map[string]struct {
		steps   []step
		enabled int // keys in the end
	}{
		"sign-up":                     {[]step{signUp, signUp}, 1},
		"another content":             {[]step{other}, 1},
		"end":                         {[]step{end, end}, 0},
		"sign-up, end":                {[]step{signUp, end}, 0},
		"rotation":                    {[]step{rotation, signUp}, 2},
		"rotation, rotation, sign-up": {[]step{rotation, rotation, signUp}, 2},
		"rotation, end":               {[]step{rotation, end}, 0},
		"end, return":                 {[]step{end, back}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				id := p.byHand()
				if printed, err := p.adopt(file(id), true); err != nil || !strings.Contains(printed, "1 adopted, 0 adopted before, 0 refused") {
					t.Fatal(printed, err)
				}
				for _, fault := range promise.Describes(p.aws, byHandSecret) {
					t.Error(fault)
				}
				for i, s := range test.steps {
					if got := p.tell(s.detailType, s.detail); !strings.Contains(got, s.want) {
						t.Errorf("step %d: %s is %q, want %q", i, s.detailType, got, s.want)
					}
				}
				enabled := 0
				for _, k := range p.aws.Keys() {
					if k.Enabled {
						enabled++
					}
				}
				if enabled != test.enabled {
					t.Errorf("%d keys are enabled, want %d", enabled, test.enabled)
				}
				time.Sleep(2 * time.Hour)
				if findings := p.audit(); findings != nil {
					t.Errorf("an audit found %q, want nothing", findings)
				}
				p.kept(id)
			})
		})
	}
}

// What createkey adds to a request is no part of the request; a row can say what its
// sender leaves out.
func TestWhichRequestIsExisting(t *testing.T) {
	key := apigateway.CreateApiKeyInput{CustomerId: aws.String("acme"), Name: aws.String("Gold"), Enabled: true, Description: aws.String("d"), Tags: map[string]string{"cost": "42"}}
	for name, test := range map[string]struct {
		plans                 []string
		header, cells, detail string
	}{
		"the default plan":        {[]string{gold}, "", "", `"description":"d","tags":{"cost":"42"}`},
		"another plan":            {[]string{silver}, "", "", `"description":"d","tags":{"cost":"42"},"usagePlanIds":["silver"]`},
		"two plans":               {[]string{gold, silver}, "", "", `"description":"d","tags":{"cost":"42"},"usagePlanIds":["silver","gold"]`},
		"no plan":                 {nil, ",usagePlanIds", ",", `"description":"d","tags":{"cost":"42"}`},
		"the plan of the product": {[]string{"market"}, "", "", `"description":"d","tags":{"cost":"42"}`},
		"plans by the row":        {[]string{gold}, ",usagePlanIds", ",gold", `"description":"d","tags":{"cost":"42"},"usagePlanIds":["gold"]`},
		"nothing but identity":    {[]string{silver}, ",usagePlanIds,description,tags.cost", ",,,", ``},
		"some":                    {[]string{silver}, ",usagePlanIds,description,tags.cost", ",,d,42", `"description":"d","tags":{"cost":"42"}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				p.aws.AddUsagePlan(awslocal.UsagePlan{ID: "market", ProductCode: "Gold"})
				id := p.made(key, test.plans...)
				if printed, err := p.adopt("id,customerId,name"+test.header+"\n"+id+",acme,Gold"+test.cells+"\n", true); err != nil {
					t.Fatal(printed, err)
				}
				detail := `{"customerId":"acme","name":"Gold","enabled":true`
				if test.detail != "" {
					detail += "," + test.detail
				}
				if got := p.tell("API Key Requested", detail+"}"); got != "existing" {
					t.Errorf("the request is %q, want existing", got)
				}
				p.kept(id)
			})
		})
	}
}

// For a customer of an AWS Marketplace agreement, Marketplace's messages are existing, and
// the end of that agreement alone disables the key.
func TestAdoptedForAnAgreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		const product, account = "prod-code-1", "111122223333"
		p.aws.AddUsagePlan(awslocal.UsagePlan{ID: "market", ProductCode: product})
		id := p.made(apigateway.CreateApiKeyInput{Name: aws.String("by hand"), Description: aws.String("d"), Enabled: true}, "market")
		if printed, err := p.adopt("id,customerId,name,description,agreementId\n"+id+","+account+","+product+",,agmt-1\n", true); err != nil {
			t.Fatal(printed, err)
		}
		for i, step := range []struct{ detailType, agreement, want string }{
			{"License Updated - Manufacturer", "agmt-1", "existing"},
			{"License Deprovisioned - Manufacturer", "agmt-0", "existing"},
			{"License Deprovisioned - Manufacturer", "agmt-1", "ended"},
		} {
			got := p.tellFrom("aws.agreement-marketplace", step.detailType, `{"catalog":"AWSMarketplace","agreement":{"id":"`+step.agreement+
				`"},"product":{"code":"`+product+`","id":"p"},"license":{"arn":"arn:aws:license-manager::1:license:l"},"acceptor":{"accountId":"`+account+`"},"offer":{"id":"o"}}`)
			if got != step.want {
				t.Errorf("step %d: %s of %s is %q, want %q", i, step.detailType, step.agreement, got, step.want)
			}
		}
		if key := p.aws.Keys()[0]; key.ID != id || key.Enabled {
			t.Error("the key is enabled, want it disabled")
		}
	})
}

func TestDryRunWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		id := p.byHand()
		p.aws.ResetCalls()
		printed, err := p.adopt(file(id), false)
		want := "keys.csv:2: key " + id + ": createkey/acme/Gold; existing: a request with customerId, name, enabled: true, description, stageKeys, tags\n" +
			"keys.csv: 1 to be adopted, 0 adopted before, 0 refused.\nDry run: nothing was written. CONFIRM=yes adopts what is not refused.\n"
		if printed != want || err != nil {
			t.Errorf("printed\n%s, want\n%s (%v)", printed, want, err)
		}
		for _, c := range p.aws.Calls() {
			if !strings.HasPrefix(c.Operation, "Get") && !strings.HasPrefix(c.Operation, "List") {
				t.Errorf("a dry run called %s", c.Operation)
			}
		}
		p.silent()
	})
}

// After a stop before or after any call, with messages for the key in between, the same
// command finishes the work.
func TestAdoptStoppedAtEachCall(t *testing.T) {
	once := func(o *aws.Config) { o.RetryMaxAttempts = 1 }
	for _, message := range []struct{ detailType, detail, want string }{
		{}, {"API Key Requested", asItIs, "existing"}, {"API Key End Requested", `{"customerId":"acme","name":"Gold"}`, "ended"},
		{"API Key Rotation Requested", `{"customerId":"acme","name":"Gold"}`, "rotated"},
	} {
		for _, behind := range []bool{false, true} {
			stopped := true
			for call := 1; stopped; call++ {
				synctest.Test(t, func(t *testing.T) {
					p := newPlace(t)
					id := p.byHand()
					n := 0
					stop := func(_ context.Context, c awslocal.Call) error {
						if n++; n == call {
							return errors.New("stopped")
						}
						return nil
					}
					if behind {
						p.aws.After = stop
					} else {
						p.aws.Before = stop
					}
					_, err := p.adopt(file(id), true, once)
					stopped = err != nil
					p.aws.Before, p.aws.After = nil, nil
					recorded := len(p.aws.Secrets()) > 0
					if recorded && message.detailType != "" { // a message now finds the key, with or without tags
						if got := p.tell(message.detailType, message.detail); got != message.want {
							t.Errorf("stopped at call %d: %s is %q, want %q", call, message.detailType, got, message.want)
						}
					}
					if printed, err := p.adopt(file(id), true); err != nil {
						t.Errorf("stopped at call %d: %s%v", call, printed, err)
					}
					for _, k := range p.aws.Keys() {
						if k.Tags[apikey.TagSecret] != byHandSecret {
							t.Errorf("stopped at call %d: key %s has no tag", call, k.ID)
						}
					}
					p.aws.ResetCalls()
					if printed, err := p.adopt(file(id), true); err != nil || !strings.Contains(printed, " 1 adopted before") {
						t.Errorf("repeated: printed %s(%v), want 1 adopted before", printed, err)
					}
					if slices.ContainsFunc(p.aws.Calls(), func(c awslocal.Call) bool {
						return c.Method != http.MethodGet && c.Service == "apigateway" || c.Operation == "CreateSecret"
					}) {
						t.Error("a repeat made a call that writes")
					}
					p.kept(id)
				})
			}
		}
	}
}

// A message that comes between reading the records and adopting takes the name.
func TestAdoptBehindAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		id := p.byHand()
		told := false
		p.aws.Before = func(_ context.Context, c awslocal.Call) error {
			if c.Operation == "CreateSecret" && !told {
				told = true
				if got := p.tell("API Key Requested", asItIs); got != "created" {
					t.Errorf("the message is %q, want created", got)
				}
			}
			return nil
		}
		printed, err := p.adopt(file(id), true)
		if !errors.Is(err, errNeedsAction) || !strings.Contains(printed, "secret createkey/acme/Gold exists already, and records key ") {
			t.Errorf("printed %s(%v), want the row refused: the secret exists", printed, err)
		}
		if k := p.aws.Keys()[0]; k.ID != id || k.Tags[apikey.TagSecret] != "" {
			t.Error("the key was changed")
		}
		p.kept(id)
	})
}

func TestAdoptRefuses(t *testing.T) {
	tagged := func(tag, text string) func(*place, string) {
		return func(p *place, id string) {
			must[*apigateway.TagResourceOutput](p)(p.keys.TagResource(p.t.Context(), &apigateway.TagResourceInput{
				ResourceArn: aws.String("arn:aws:apigateway:us-east-1::/apikeys/" + id), Tags: map[string]string{tag: text}}))
		}
	}
	secret := func(text string) func(*place, string) {
		return func(p *place, _ string) { p.addSecret(byHandSecret, text) }
	}
	pending := apikey.Record{Value: apikey.NewValue(fakeValue)}
	for name, test := range map[string]struct {
		prepare          func(p *place, id string)
		header, row, why string
	}{
		"no id":                     {nil, "", ",acme,Gold", "id: must be given"},
		"a value for an id":         {nil, "", fakeValue + ",acme,Gold", "id: must be the id of an API key: letters and digits, 10 as a rule; this has 27 characters"},
		"no identity":               {nil, "", "ID,,", "customerId: customerId or name must be given"},
		"no such key":               {nil, "", "nosuchkey1,acme,Gold", "id: there is no such key"},
		"too few cells":             {nil, "", "ID,acme", "row: has 2 cells, and the header 3"},
		"not UTF-8":                 {nil, "", "ID,acme,\xff", "name: must be UTF-8"},
		"a key twice":               {nil, "", "ID,acme,Gold\nID,acme,Silver", "keys.csv:3: id: this key is on line 2, too"},
		"an identity twice":         {nil, "", "ID,acme,Gold\nother,acme,Gold", "keys.csv:3: name: this customerId and name are on line 2, too"},
		"another customer":          {nil, "", "ID,bob,Gold", "customerId: the key has another one"},
		"another description":       {nil, ",description", "ID,acme,Gold,other", "description: differs from the key's"},
		"other plans":               {nil, ",usagePlanIds", "ID,acme,Gold,gold;silver", "usagePlanIds: differ from those that the key is in: gold"},
		"every agreement":           {nil, ",agreementId", "ID,acme,Gold,*", "agreementId: must be the id of an AWS Marketplace agreement"},
		"another tag":               {nil, ",tags.cost", "ID,acme,Gold,43", "tags.cost: the key has no such tag with this text"},
		"the tag of another record": {tagged(apikey.TagSecret, "createkey/bob/Gold"), "", "ID,acme,Gold", "id: the key bears the tag createkey:secret of another secret, createkey/bob/Gold"},
		"the tag of another stack":  {tagged(apikey.TagSecret, "other/acme/Gold"), "", "ID,acme,Gold", "id: the key bears the tag createkey:secret of another secret, other/acme/Gold"},
		"an unknown digest":         {tagged(apikey.TagRequest, "v1:0"), "", "ID,acme,Gold", "id: the key bears the tag \"createkey:req"},
		"a reserved tag": {func(p *place, id string) {
			k := p.aws.Keys()[0]
			k.Tags = map[string]string{"aws:cloudformation:stack-name": "s"}
			p.aws.AddKey(k)
		}, "", "ID,acme,Gold", "id: the key bears a tag that begins with aws:"},
		"a foreign secret":      {secret("text"), "", "ID,acme,Gold", "name: secret createkey/acme/Gold exists already, and is none of createkey's records"},
		"a pending record":      {secret(pending.Encode().Reveal()), "", "ID,acme,Gold", "exists already, and its record is pending"},
		"an ended record":       {func(p *place, _ string) { p.end("acme") }, "", "ID,acme,Gold", "exists already, and its record has ended"},
		"a customer with a key": {func(p *place, _ string) { p.signUp("acme") }, "", "ID,acme,Gold", "exists already, and records key "},
		"adopted for another": {func(p *place, id string) {
			if printed, err := p.adopt("id,customerId,name\n"+id+",acme,Silver\n", true); err != nil {
				p.t.Fatal(printed, err)
			}
		}, "", "ID,acme,Gold", "id: secret createkey/acme/Silver records the key already"},
		"a secret that is to be deleted": {func(p *place, _ string) { p.customer("acme"); p.deleteSecret(byHandSecret, 7) }, "", "ID,acme,Gold", "exists already, scheduled for deletion"},
		"a value that may not be read": {func(p *place, _ string) {
			p.aws.Before = func(_ context.Context, c awslocal.Call) error {
				if c.Operation == "GetApiKey" {
					return awslocal.AccessDenied
				}
				return nil
			}
		}, "", "ID,acme,Gold", "id: your permissions do not reach its value"},
		"a value for a name": {nil, "", "ID,acme,NAME", "name: quotes the key's value"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				id := p.made(apigateway.CreateApiKeyInput{CustomerId: aws.String("acme"), Enabled: true, Tags: map[string]string{"cost": "42"}, Value: aws.String(fakeValue + "-by-hand")}, gold)
				if test.prepare != nil {
					test.prepare(p, id)
				}
				secrets, keys := len(p.aws.Secrets()), p.aws.Keys()
				row := strings.NewReplacer("ID", id, "NAME", fakeValue+"-by-hand").Replace(test.row)
				printed, err := p.adopt("id,customerId,name"+test.header+"\n"+row+"\n", !strings.Contains(test.row, "\n"))
				if !errors.Is(err, errNeedsAction) || !strings.Contains(printed, test.why) {
					t.Errorf("printed %s(%v), want %s", printed, err, test.why)
				}
				if len(p.aws.Secrets()) != secrets || !slices.EqualFunc(p.aws.Keys(), keys, func(a, b awslocal.Key) bool { return len(a.Tags) == len(b.Tags) }) {
					t.Error("a refused adoption wrote something")
				}
				p.silent()
			})
		})
	}
}

func TestBadFiles(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no keys": "id,customerId,name\n", "no id": "customerId,name\n", "an unknown column": "id,customerId,name,value\n",
		"a repeated column": "id,customerId,name,id\n", "a tag without a key": "id,customerId,name,tags.\n", "bad CSV": "id,customerId,name\na,b,c\n\"a,b,c\n",
	} {
		if rows, err := readRows([]byte(text)); err == nil {
			t.Errorf("%s: got %d rows, want an error", name, len(rows))
		}
	}
}

// A key whose record was deleted is adopted with the digest of the request that made it.
func TestAdoptAfterAnAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		name, id := p.customer("acme")
		p.deleteSecret(name, 0)
		time.Sleep(time.Hour)
		if findings := p.audit(); !slices.Equal(findings, []string{"no-record " + id + " " + name}) {
			t.Errorf("found %q, want no-record alone", findings)
		}
		if printed, err := p.adopt(file(id), true); err != nil {
			t.Fatal(printed, err)
		}
		if findings := p.audit(); findings != nil {
			t.Errorf("found %q, want nothing", findings)
		}
		if got := p.signUp("acme"); got != "existing" {
			t.Errorf("the request that made the key is %q, want existing", got)
		}
	})
}
