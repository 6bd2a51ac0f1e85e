package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/function"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

const (
	prefix = "createkey/"
	gold   = "gold" // the deployment's default plan
	silver = "silver"
)

// place is an account with a deployment: the shipped handler, an operator's own calls, and
// the operator's tool. It lives in virtual time.
type place struct {
	t       *testing.T
	aws     *awslocal.Server
	handler *function.Handler
	keys    *apigateway.Client     // not paced
	secrets *secretsmanager.Client // likewise
	events  int
	printed bytes.Buffer // all that the tool printed
}

func newPlace(t *testing.T) *place {
	t.Helper()
	server := &awslocal.Server{}
	server.AddUsagePlan(awslocal.UsagePlan{ID: gold})
	server.AddUsagePlan(awslocal.UsagePlan{ID: silver})
	return &place{
		t: t, aws: server, keys: apigateway.NewFromConfig(server.Config()), secrets: secretsmanager.NewFromConfig(server.Config()),
		handler: function.New(server.Config(), deployment(), slog.New(slog.DiscardHandler)),
	}
}

func deployment() function.Settings {
	s, err := settings(func(name string) string {
		return map[string]string{"SECRET_PREFIX": prefix, "USAGE_PLAN_ID": gold, "RESOURCE_TAGS": "team=billing"}[name]
	})
	if err != nil {
		panic(err)
	}
	return s
}

// must unwraps the result of a call that the test itself makes.
func must[T any](p *place) func(T, error) T {
	return func(out T, err error) T {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
		return out
	}
}

// tell sends an event to the function, a second after the previous one, and returns its
// outcome.
func (p *place) tell(detailType, detail string) string {
	p.t.Helper()
	return p.tellFrom("onboarding", detailType, detail)
}

func (p *place) tellFrom(source, detailType, detail string) string {
	p.t.Helper()
	p.events++
	time.Sleep(time.Second)
	payload := fmt.Sprintf(`{"version":"0","id":"event-%d","source":%q,"detail-type":%q,"time":%q,"detail":%s}`,
		p.events, source, detailType, time.Now().UTC().Format(time.RFC3339), detail)
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	answer, err := p.handler.Invoke(ctx, []byte(payload))
	if err != nil {
		return err.Error()
	}
	var out struct{ Status string }
	if err := json.Unmarshal(answer, &out); err != nil {
		p.t.Fatal(err)
	}
	return out.Status
}

func (p *place) signUp(customer string) string {
	p.t.Helper()
	return p.tell("API Key Requested", `{"customerId":"`+customer+`","name":"Gold","enabled":true}`)
}

func (p *place) end(customer string) string {
	p.t.Helper()
	return p.tell("API Key End Requested", `{"customerId":"`+customer+`","name":"Gold"}`)
}

func (p *place) rotate(customer string) string {
	p.t.Helper()
	return p.tell("API Key Rotation Requested", `{"customerId":"`+customer+`","name":"Gold"}`)
}

// customer signs a customer up, and returns the secret's name and the key's id.
func (p *place) customer(customer string) (name, keyID string) {
	p.t.Helper()
	if got := p.signUp(customer); got != "created" {
		p.t.Fatalf("signing up: %s", got)
	}
	name = prefix + customer + "/Gold"
	return name, p.recorded(name).Key.ID
}

func (p *place) text(name string) *string {
	p.t.Helper()
	return must[*secretsmanager.GetSecretValueOutput](p)(p.secrets.GetSecretValue(p.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name})).SecretString
}

func (p *place) recorded(name string) apikey.Record {
	p.t.Helper()
	return must[apikey.Record](p)(apikey.ParseRecord(*p.text(name)))
}

func (p *place) addSecret(name, text string) {
	p.t.Helper()
	in := &secretsmanager.CreateSecretInput{Name: &name}
	if text != "" {
		in.SecretString = &text
	}
	must[*secretsmanager.CreateSecretOutput](p)(p.secrets.CreateSecret(p.t.Context(), in))
}

func (p *place) deleteSecret(name string, days int64) {
	p.t.Helper()
	in := &secretsmanager.DeleteSecretInput{SecretId: &name, RecoveryWindowInDays: aws.Int64(days)}
	if days == 0 {
		in.RecoveryWindowInDays, in.ForceDeleteWithoutRecovery = nil, aws.Bool(true)
	}
	must[*secretsmanager.DeleteSecretOutput](p)(p.secrets.DeleteSecret(p.t.Context(), in))
}

func (p *place) deleteKey(id string) {
	p.t.Helper()
	must[*apigateway.DeleteApiKeyOutput](p)(p.keys.DeleteApiKey(p.t.Context(), &apigateway.DeleteApiKeyInput{ApiKey: &id}))
}

func (p *place) enable(id string, enabled string) {
	p.t.Helper()
	must[*apigateway.UpdateApiKeyOutput](p)(p.keys.UpdateApiKey(p.t.Context(), &apigateway.UpdateApiKeyInput{ApiKey: &id, PatchOperations: []types.PatchOperation{
		{Op: types.OpReplace, Path: aws.String("/enabled"), Value: &enabled}}}))
}

// made makes a key as a person does in the console.
func (p *place) made(in apigateway.CreateApiKeyInput, plans ...string) string {
	p.t.Helper()
	out := must[*apigateway.CreateApiKeyOutput](p)(p.keys.CreateApiKey(p.t.Context(), &in))
	for _, plan := range plans {
		must[*apigateway.CreateUsagePlanKeyOutput](p)(p.keys.CreateUsagePlanKey(p.t.Context(), &apigateway.CreateUsagePlanKeyInput{
			UsagePlanId: &plan, KeyId: out.Id, KeyType: aws.String("API_KEY")}))
	}
	return *out.Id
}

// audit runs the tool, and returns its findings as "kind key secret".
func (p *place) audit() (findings []string) {
	p.t.Helper()
	var out bytes.Buffer
	err := auditCommand(p.t.Context(), newAccount(p.aws.Config()), prefix, report{out: &out, json: true}, nil)
	p.printed.Write(out.Bytes())
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		var f findingLine
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			p.t.Fatal(err)
		}
		findings = append(findings, strings.Join(strings.Fields(f.Finding+" "+f.KeyID+" "+f.SecretName), " "))
	}
	if needsAction := errors.Is(err, errNeedsAction); needsAction != (len(findings) > 0) || err != nil && !needsAction {
		p.t.Errorf("%d findings, but error %v", len(findings), err)
	}
	return findings
}

// adopt runs the tool on a file with this text.
func (p *place) adopt(csv string, confirmed bool, options ...func(*aws.Config)) (printed string, err error) {
	p.t.Helper()
	cfg := p.aws.Config()
	for _, option := range options {
		option(&cfg)
	}
	rows, err := readRows([]byte(csv))
	if err != nil {
		p.t.Fatal(err)
	}
	var out bytes.Buffer
	a := &adopter{account: newAccount(cfg), settings: deployment(), confirmed: confirmed, file: "keys.csv", out: &out, faults: &out}
	err = a.run(p.t.Context(), rows)
	p.printed.Write(out.Bytes())
	return out.String(), err
}

// silent fails a test whose tool printed part of any value.
func (p *place) silent() {
	p.t.Helper()
	if promise.Leaks(p.aws, p.printed.Bytes()) {
		p.t.Error("the tool printed part of a value (not shown)")
	}
}
