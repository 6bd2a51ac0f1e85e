package main

import (
	"context"
	"errors"
	"flag"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

const fakeValue = "fake-value-zyxwvutsrqponmlk"

func another() apikey.Value {
	value, err := apikey.GenerateValue(apikey.Random)
	if err != nil {
		panic(err)
	}
	return value
}

// healthy makes an account with one of everything that is in order, two hours ago and now.
func (p *place) healthy() {
	p.t.Helper()
	p.customer("lives")
	p.customer("rotated")
	p.customer("ended")
	p.customer("returned")
	p.tell("API Key Requested", `{"customerId":"asleep","name":"Gold"}`) // not enabled
	for _, step := range []struct{ got, want string }{
		{p.rotate("rotated"), "rotated"}, {p.rotate("rotated"), "rotated"}, // its first key is disabled
		{p.end("ended"), "ended"}, {p.end("returned"), "ended"}, {p.signUp("returned"), "created"},
		{p.end("never-signed-up"), "ended"},
	} {
		if step.got != step.want {
			p.t.Fatalf("%s, want %s", step.got, step.want)
		}
	}
	p.addSecret(prefix+"fenced/Gold", apikey.Record{Value: another()}.Encode().Reveal())
	if got := p.end("fenced"); got != "ended" {
		p.t.Fatalf("fencing: %s", got)
	}
	byHand := p.made(apigateway.CreateApiKeyInput{Name: aws.String("Gold"), Enabled: true}, gold)
	if printed, err := p.adopt("id,customerId,name\n"+byHand+",by-hand,Gold\n", true); err != nil {
		p.t.Fatal(printed, err)
	}
	p.made(apigateway.CreateApiKeyInput{Name: aws.String("nobody's"), Enabled: true})
	p.made(apigateway.CreateApiKeyInput{Name: aws.String("Gold"), Enabled: true, Tags: map[string]string{apikey.TagSecret: "other-stack/c/Gold", apikey.TagRequest: "v1:x"}})
	p.addSecret("somebody-elses", "text")
	time.Sleep(2 * time.Hour)
	p.addSecret(prefix+"half-made/Gold", apikey.Record{Value: another()}.Encode().Reveal())
	p.customer("new")
}

const thousands = "eight thousand keys"

// faults plant one fault each, and return the finding that the audit should report.
var faults = map[string]func(p *place, c string) string{
	"a key that is gone": func(p *place, c string) string {
		name, key := p.customer(c)
		p.deleteKey(key)
		return "key-gone " + key + " " + name
	},
	"a key that is disabled": func(p *place, c string) string {
		name, key := p.customer(c)
		p.enable(key, "false")
		return "key-disabled " + key + " " + name
	},
	"a key that is enabled though it ended": func(p *place, c string) string {
		name, key := p.customer(c)
		p.end(c)
		p.enable(key, "true")
		return "key-enabled " + key + " " + name
	},
	"a key that is enabled though its successor ended": func(p *place, c string) string {
		name, key := p.customer(c)
		p.rotate(c)
		p.end(c)
		p.enable(key, "true")
		return "key-enabled " + key + " " + name
	},
	"a key in no plan": func(p *place, c string) string {
		name, key := p.customer(c)
		must[*apigateway.DeleteUsagePlanKeyOutput](p)(p.keys.DeleteUsagePlanKey(p.t.Context(), &apigateway.DeleteUsagePlanKeyInput{UsagePlanId: aws.String(gold), KeyId: &key}))
		return "no-usage-plan " + key + " " + name
	},
	"a pending record": func(p *place, c string) string {
		p.addSecret(prefix+c+"/Gold", apikey.Record{Value: another()}.Encode().Reveal())
		return "record-pending " + prefix + c + "/Gold"
	},
	"a rotation that was not finished": func(p *place, c string) string {
		name, key := p.customer(c)
		r := p.recorded(name)
		r.StepNumber, r.Next = r.Step()+1, &apikey.Next{Value: another(), Time: time.Now()}
		must[*secretsmanager.PutSecretValueOutput](p)(p.secrets.PutSecretValue(p.t.Context(), &secretsmanager.PutSecretValueInput{
			SecretId: &name, SecretString: aws.String(r.Encode().Reveal()), ClientRequestToken: aws.String(apikey.StepToken(name, r.StepNumber))}))
		return "record-pending " + key + " " + name
	},
	"a key without a record": func(p *place, c string) string {
		name, key := p.customer(c)
		p.deleteSecret(name, 0)
		return "no-record " + key + " " + name
	},
	"a key without a record whose name is hashed": func(p *place, c string) string {
		customer := c + strings.Repeat("x", 300)
		name, key := p.customer(customer)
		p.deleteSecret(name, 0)
		return "no-record " + key + " " + name
	},
	"a secret that is going to be deleted": func(p *place, c string) string {
		name, key := p.customer(c)
		p.deleteSecret(name, 7)
		return "secret-scheduled " + key + " " + name
	},
	"a stray": func(p *place, c string) string {
		name, _ := p.customer(c)
		key := p.made(apigateway.CreateApiKeyInput{Enabled: true, Tags: map[string]string{apikey.TagSecret: name}})
		return "another-record " + key + " " + name
	},
	"a record that was copied": func(p *place, c string) string {
		name, key := p.customer(c)
		p.addSecret(prefix+"copy-of-"+c+"/Gold", *p.text(name))
		return "another-record " + key + " " + prefix + "copy-of-" + c + "/Gold"
	},
	"a foreign secret": func(p *place, c string) string {
		p.addSecret(prefix+c+"/Gold", `{"value":"`+fakeValue+`"}`)
		return "record-foreign " + prefix + c + "/Gold"
	},
	"a secret without a value": func(p *place, c string) string {
		p.addSecret(prefix+c+"/Gold", "")
		return "record-foreign " + prefix + c + "/Gold"
	},
	"a record of a later version": func(p *place, c string) string {
		p.addSecret(prefix+c+"/Gold", `{"format":"createkey/2","value":"`+fakeValue+`"}`)
		return "record-newer " + prefix + c + "/Gold"
	},
	thousands: func(p *place, _ string) string {
		for range manyKeys {
			p.aws.AddKey(awslocal.Key{})
		}
		return "quota"
	},
}

func TestAuditOfAHealthyAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.healthy()
		before := p.aws.SecretsEver()
		p.aws.ResetCalls()
		if findings := p.audit(); findings != nil {
			t.Errorf("found %q, want nothing", findings)
		}
		for _, c := range p.aws.Calls() {
			if c.Service == "apigateway" && c.Method != http.MethodGet || strings.HasPrefix(c.Operation, "Create") || strings.HasPrefix(c.Operation, "Put") || strings.Contains(c.Query, "includeValue=true") {
				t.Errorf("an audit called %s (%s)", c.Operation, c.Query)
			}
		}
		if after := p.aws.SecretsEver(); len(after) != len(before) {
			t.Error("an audit made secrets")
		}
		p.silent()
	})
}

// Each fault alone in an otherwise healthy account, whether or not API Gateway's list
// shows tags.
func TestAuditFindsEachFaultAndNothingElse(t *testing.T) {
	for name, plant := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				p.customer("lives")
				want := plant(p, "x")
				time.Sleep(2 * time.Hour)
				for _, listed := range []bool{true, false} {
					p.aws.ListTags = listed
					if name == thousands && !listed { // the tags of each would be read
						continue
					}
					if findings := p.audit(); !slices.Equal(findings, []string{want}) {
						t.Errorf("tags listed: %t: found %q, want %q alone", listed, findings, want)
					}
				}
				p.silent()
			})
		})
	}
}

// Only a list with tags shows that the key that a record names bears another's tag.
func TestAuditFindsATagThatWasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.aws.ListTags = true
		name, key := p.customer("x")
		other, _ := p.customer("y")
		must[*apigateway.TagResourceOutput](p)(p.keys.TagResource(t.Context(), &apigateway.TagResourceInput{
			ResourceArn: aws.String("arn:aws:apigateway:us-east-1::/apikeys/" + key), Tags: map[string]string{apikey.TagSecret: other}}))
		if findings, want := p.audit(), "another-record "+key+" "+name; !slices.Equal(findings, []string{want}) {
			t.Errorf("found %q, want %q", findings, want)
		}
	})
}

// All faults at once in an otherwise healthy account.
func TestAuditFindsAllFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		var want []string
		for i, name := range slices.Sorted(maps.Keys(faults)) {
			if name == thousands { // reading the tags of each takes more than an hour
				continue
			}
			want = append(want, faults[name](p, "faulty-"+strconv.Itoa(i)))
		}
		p.healthy()
		findings := p.audit()
		slices.Sort(findings)
		slices.Sort(want)
		if !slices.Equal(findings, want) {
			t.Errorf("found\n%q, want\n%q", findings, want)
		}
		p.silent()
	})
}

// The function keeps working during an audit, between its lists.
func TestAuditOfAnAccountAtWork(t *testing.T) {
	for name, work := range map[string]func(p *place){
		"sign-up":  func(p *place) { p.signUp("new") },
		"rotation": func(p *place) { p.rotate("x") },
		"end":      func(p *place) { p.end("x") },
		"issuing again": func(p *place) {
			p.deleteKey(p.recorded(prefix + "x/Gold").Key.ID)
			p.deleteSecret(prefix+"x/Gold", 0)
			p.signUp("x")
		},
	} {
		for _, at := range []string{"ListSecrets", "GetUsagePlanKeys"} {
			t.Run(name+" before "+at, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPlace(t)
					p.customer("x")
					p.customer("y")
					time.Sleep(2 * time.Hour)
					worked := false
					p.aws.Before = func(_ context.Context, c awslocal.Call) error {
						if c.Operation == at && !worked {
							worked = true
							work(p)
						}
						return nil
					}
					if findings := p.audit(); findings != nil || !worked {
						t.Errorf("found %q, want nothing; the function worked meanwhile: %t", findings, worked)
					}
				})
			})
		}
	}
}

// A failed call ends the audit, and no partial report is printed.
func TestAuditThatCannotLook(t *testing.T) {
	for _, operation := range []string{"GetApiKeys", "ListSecrets", "GetSecretValue", "GetUsagePlans", "GetUsagePlanKeys", "GetApiKey"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t)
			p.customer("x")
			p.made(apigateway.CreateApiKeyInput{})
			p.aws.Before = func(_ context.Context, c awslocal.Call) error {
				if c.Operation == operation {
					return awslocal.AccessDenied
				}
				return nil
			}
			err := auditCommand(t.Context(), newAccount(p.aws.Config()), prefix, report{out: &p.printed}, nil)
			if err == nil || errors.Is(err, errNeedsAction) || !strings.HasPrefix(err.Error(), operation) || p.printed.Len() > 0 {
				t.Errorf("%s is denied: error %v, want one that begins with the operation, and no report", operation, err)
			}
		})
	}
}

var size = flag.Int("operate.keys", 600, "the keys of TestManyKeys: 10000 for a full account")

// How long a large account takes at two calls a second, and how much memory.
func TestManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		created := time.Now()
		for i := range *size {
			customer := "customer-" + string([]byte{byte('a' + i/17576), byte('a' + i/676%26), byte('a' + i/26%26), byte('a' + i%26)})
			name := prefix + customer + "/Gold"
			key := p.aws.AddKey(awslocal.Key{CustomerID: customer, Name: "Gold", Enabled: true, Created: created, Tags: map[string]string{apikey.TagSecret: name}})
			p.addSecret(name, apikey.Record{Value: apikey.NewValue(string(key.Value)), Key: apikey.Key{
				ID: key.ID, Name: "Gold", CustomerID: customer, Enabled: true, CreatedDate: created, Tags: key.Tags, UsagePlanIDs: []string{gold},
			}}.Encode().Reveal())
			must[*apigateway.CreateUsagePlanKeyOutput](p)(p.keys.CreateUsagePlanKey(t.Context(), &apigateway.CreateUsagePlanKeyInput{
				UsagePlanId: aws.String(gold), KeyId: aws.String(key.ID), KeyType: aws.String("API_KEY")}))
		}
		time.Sleep(time.Hour)
		p.aws.ResetCalls()
		start := time.Now()
		w, findings, err := audit(t.Context(), newAccount(p.aws.Config()), prefix, nil)
		took := time.Since(start)
		if err != nil || len(w.keys) != *size || len(w.secrets) != *size || (len(findings) > 0) != (*size >= manyKeys) {
			t.Fatalf("%d keys, %d secrets, %d findings, %v", len(w.keys), len(w.secrets), len(findings), err)
		}
		var last time.Time
		calls := map[string]int{}
		for _, c := range p.aws.Calls() {
			calls[c.Operation]++
			if c.Service != "apigateway" {
				continue
			}
			if !last.IsZero() && c.At.Sub(last) < time.Second/2-time.Millisecond {
				t.Fatalf("%s came %v after another call, want at least half a second", c.Operation, c.At.Sub(last))
			}
			last = c.At
		}
		p.aws.ResetCalls()
		with := heap()
		runtime.KeepAlive(w) // w can be collected from here on
		t.Logf("%d keys: %v at API Gateway's pace, %v, %d kB held", *size, took, calls, (with-heap())/1000)
		if took > time.Minute {
			t.Errorf("took %v, want at most a minute", took)
		}
	})
}

// heap returns the bytes that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees what the first one left in pools
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
