package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/failure"
	"createkey/internal/provision"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

const (
	prefix = "test/"

	// Explicit values of senders. No test prints them.
	explicit = "3xpl1c1t-f4k3-v4lu3-0001"
	another  = "4n0th3r-f4k3-v4lu3-00002"
)

// A world is an account on the embedded AWS, in virtual time, and a Provisioner that calls it
// with the real SDK clients. In every test the oracle checks the account, and no error may hold
// part of a value.
type world struct {
	*testing.T
	ctx context.Context
	aws *awslocal.Server
	p   *provision.Provisioner
	cfg aws.Config // for the Provisioner's clients and the operator's

	result provision.Result // of the last delivery

	mu     sync.Mutex
	hooks  []*hook
	lag    map[string]time.Duration // by operation: how stale its reads are
	calls  []string                 // of the Provisioner, every attempt, in order
	byHand []string                 // secret versions that were not made by the Provisioner
}

// inWorld runs a test in its own world.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, ctx: t.Context(), lag: map[string]time.Duration{}}
		w.aws = &awslocal.Server{
			Before: w.before,
			After:  w.after,
			Lag:    func(c awslocal.Call) time.Duration { w.mu.Lock(); defer w.mu.Unlock(); return w.lag[c.Operation] },
		}
		w.cfg = w.aws.Config()
		w.newEnvironment()
		test(w)
		w.check()
	})
}

// newEnvironment is a cold start: it empties all caches.
func (w *world) newEnvironment() { w.p = w.anotherEnvironment() }

func (w *world) anotherEnvironment() *provision.Provisioner {
	return provision.New(apigateway.NewFromConfig(w.cfg), secretsmanager.NewFromConfig(w.cfg))
}

// A moment is before or after a call takes effect.
type moment string

const (
	before moment = "before"
	after  moment = "after"
	always        = 1 << 30
)

// A hook acts at the Provisioner's next calls of an operation; its error becomes the answer.
type hook struct {
	at        moment
	operation string
	times     int
	do        func() error
}

func (w *world) on(at moment, operation string, times int, do func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hooks = append(w.hooks, &hook{at, operation, times, do})
}

func (w *world) fail(at moment, operation string, times int, err error) {
	w.on(at, operation, times, func() error { return err })
}

// heal ends all faults.
func (w *world) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hooks, w.lag = nil, map[string]time.Duration{}
}

func (w *world) before(ctx context.Context, c awslocal.Call) error {
	if ctx.Value(operator{}) == nil {
		w.mu.Lock()
		w.calls = append(w.calls, c.Operation)
		w.mu.Unlock()
	}
	return w.runHook(ctx, before, c)
}

func (w *world) after(ctx context.Context, c awslocal.Call) error {
	if c.Operation == "CreateApiKey" && c.Code == "" {
		w.check()
	}
	return w.runHook(ctx, after, c)
}

func (w *world) runHook(ctx context.Context, at moment, c awslocal.Call) error {
	if ctx.Value(operator{}) != nil {
		return nil
	}
	w.mu.Lock()
	var due *hook
	for _, h := range w.hooks {
		if h.at == at && h.operation == c.Operation && h.times > 0 {
			due = h
			due.times--
			break
		}
	}
	w.mu.Unlock()
	if due == nil {
		return nil
	}
	return due.do()
}

// operator marks the calls of a person: no hook sees them.
type operator struct{}

func (w *world) operate(do func(ctx context.Context, keys *apigateway.Client, secrets *secretsmanager.Client) error) {
	w.Helper()
	ctx := context.WithValue(w.ctx, operator{}, true)
	if err := do(ctx, apigateway.NewFromConfig(w.aws.Config()), secretsmanager.NewFromConfig(w.aws.Config())); err != nil {
		w.Fatalf("an operator's call failed: %v", err)
	}
}

func (w *world) operatorEnablesKey(id string, enabled bool) {
	w.operate(func(ctx context.Context, keys *apigateway.Client, _ *secretsmanager.Client) error {
		_, err := keys.UpdateApiKey(ctx, &apigateway.UpdateApiKeyInput{ApiKey: &id, PatchOperations: []types.PatchOperation{
			{Op: types.OpReplace, Path: aws.String("/enabled"), Value: aws.String(strconv.FormatBool(enabled))},
		}})
		return err
	})
}

// operatorMovesKey moves a key from one plan to another; either may be empty.
func (w *world) operatorMovesKey(id, from, to string) {
	w.operate(func(ctx context.Context, keys *apigateway.Client, _ *secretsmanager.Client) error {
		var err error
		if from != "" {
			_, err = keys.DeleteUsagePlanKey(ctx, &apigateway.DeleteUsagePlanKeyInput{UsagePlanId: &from, KeyId: &id})
		}
		if err != nil || to == "" {
			return err
		}
		_, err = keys.CreateUsagePlanKey(ctx, &apigateway.CreateUsagePlanKeyInput{UsagePlanId: &to, KeyId: &id, KeyType: aws.String("API_KEY")})
		return err
	})
}

func (w *world) operatorUntagsKey(id string, tags ...string) {
	arn := "arn:aws:apigateway:" + awslocal.Region + "::/apikeys/" + id
	w.operate(func(ctx context.Context, keys *apigateway.Client, _ *secretsmanager.Client) error {
		_, err := keys.UntagResource(ctx, &apigateway.UntagResourceInput{ResourceArn: &arn, TagKeys: tags})
		return err
	})
}

func (w *world) operatorDeletesKey(id string) {
	w.operate(func(ctx context.Context, keys *apigateway.Client, _ *secretsmanager.Client) error {
		_, err := keys.DeleteApiKey(ctx, &apigateway.DeleteApiKeyInput{ApiKey: &id})
		return err
	})
}

func (w *world) operatorDeletesPlan(id string) {
	w.operate(func(ctx context.Context, keys *apigateway.Client, _ *secretsmanager.Client) error {
		_, err := keys.DeleteUsagePlan(ctx, &apigateway.DeleteUsagePlanInput{UsagePlanId: &id})
		return err
	})
}

func (w *world) operatorDeletesSecret(name string, recoverable bool) {
	in := &secretsmanager.DeleteSecretInput{SecretId: &name}
	if !recoverable {
		in.ForceDeleteWithoutRecovery = aws.Bool(true)
	}
	w.operate(func(ctx context.Context, _ *apigateway.Client, secrets *secretsmanager.Client) error {
		_, err := secrets.DeleteSecret(ctx, in)
		return err
	})
}

func (w *world) operatorRestoresSecret(name string) {
	w.operate(func(ctx context.Context, _ *apigateway.Client, secrets *secretsmanager.Client) error {
		_, err := secrets.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &name})
		return err
	})
}

// somebodyMakesSecret makes a foreign secret.
func (w *world) somebodyMakesSecret(in secretsmanager.CreateSecretInput) {
	w.operate(func(ctx context.Context, _ *apigateway.Client, secrets *secretsmanager.Client) error {
		out, err := secrets.CreateSecret(ctx, &in)
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.byHand = append(w.byHand, aws.ToString(out.VersionId))
		}
		return err
	})
}

// request returns the request of one identity, with changes.
func request(changes ...func(*apikey.Request)) apikey.Request {
	r := apikey.Request{CustomerID: "acme", Name: "Dev Key", Enabled: true}
	for _, change := range changes {
		change(&r)
	}
	return r
}

func withValue(text string) func(*apikey.Request) {
	return func(r *apikey.Request) { r.Value = apikey.NewValue(text) }
}

func withDescription(text string) func(*apikey.Request) {
	return func(r *apikey.Request) { r.Description = text }
}

func withTags(tags map[string]string) func(*apikey.Request) {
	return func(r *apikey.Request) { r.Tags = tags }
}

func withPlans(ids ...string) func(*apikey.Request) {
	return func(r *apikey.Request) { r.UsagePlanIDs = ids }
}

// secretName returns the name of a request's secret.
func secretName(r apikey.Request) string {
	name, err := apikey.SecretName(prefix, r.CustomerID, r.Name, "")
	if err != nil {
		panic(err)
	}
	return name
}

// provision delivers a request, and returns the outcome: "created", "existing",
// "rejected: …", "retried: …" or "retried (code): …".
func (w *world) provision(r apikey.Request) string {
	w.Helper()
	return w.provisionWithin(w.ctx, r)
}

func (w *world) provisionWithin(ctx context.Context, r apikey.Request) string {
	w.Helper()
	return w.provisionBy(ctx, w.p, r)
}

// provisionBy provisions with p, which stands for one environment.
func (w *world) provisionBy(ctx context.Context, p *provision.Provisioner, r apikey.Request) string {
	w.Helper()
	name := secretName(r)
	result, err := p.Provision(ctx, r, name)
	w.result = result
	if w.leaks(fmt.Sprintf("%v %+v %#v %+v", err, err, err, result)) {
		w.Error("an error or a result holds a part of a value (not shown)")
		return "not shown: it holds a part of a value"
	}
	var rejected *failure.RejectedError
	var retried *failure.RetryableError
	switch {
	case errors.As(err, &rejected):
		return "rejected: " + rejected.Error()
	case errors.As(err, &retried) && retried.Code != "":
		return "retried (" + retried.Code + "): " + retried.Error()
	case errors.As(err, &retried):
		return "retried: " + retried.Error()
	case err != nil:
		w.Errorf("Provision returned a %T, which is neither class of failure", err)
	}
	return string(result.Status)
}

// interrupted delivers a request to a process that dies at a call.
func (w *world) interrupted(at moment, operation string, r apikey.Request) {
	w.Helper()
	ctx, kill := context.WithCancel(w.ctx)
	defer kill()
	died := false
	w.on(at, operation, 1, func() error {
		died = true
		kill()
		return awslocal.ErrConnectionLost
	})
	if w.provisionWithin(ctx, r); !died {
		w.Fatalf("the process never called %s", operation)
	}
	w.forgetCalls()
}

// finished delivers a request that must succeed, and returns its key.
func (w *world) finished(r apikey.Request) awslocal.Key {
	w.Helper()
	w.wantOutcome(w.provision(r), "created")
	w.forgetCalls()
	return w.key(r)
}

func (w *world) forgetCalls() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
}

// wantOutcome checks the kind of the outcome, and that its reason contains a text.
func (w *world) wantOutcome(got, want string) {
	w.Helper()
	gotKind, reason, _ := strings.Cut(got, ": ")
	wantKind, fragment, _ := strings.Cut(want, ": ")
	if gotKind != wantKind || !strings.Contains(reason, fragment) {
		w.Errorf("outcome is %q, want %q", got, want)
	}
}

func (w *world) wantCalls(want string) {
	w.Helper()
	w.mu.Lock()
	got := strings.Join(w.calls, " ")
	w.mu.Unlock()
	if got != want {
		w.Errorf("calls were\n%q, want\n%q", got, want)
	}
}

// keysOf returns the existing keys of a request.
func (w *world) keysOf(r apikey.Request) []awslocal.Key {
	var ours []awslocal.Key
	for _, k := range w.aws.Keys() {
		if k.Tags[apikey.TagSecret] == apikey.SecretTag(secretName(r)) {
			ours = append(ours, k)
		}
	}
	return ours
}

func (w *world) key(r apikey.Request) awslocal.Key {
	w.Helper()
	keys := w.keysOf(r)
	if len(keys) != 1 {
		w.Fatalf("promise 3 (exactly one key): %d exist", len(keys))
	}
	return keys[0]
}

func (w *world) secret(r apikey.Request) (awslocal.Secret, bool) {
	for _, s := range w.aws.Secrets() {
		if s.Name == secretName(r) {
			return s, true
		}
	}
	return awslocal.Secret{}, false
}

// state describes a request's key and secret: "1 key, finished".
func (w *world) state(r apikey.Request) string {
	keys := map[int]string{0: "no key", 1: "1 key"}[len(w.keysOf(r))]
	s, ok := w.secret(r)
	if !ok {
		return keys + ", no secret"
	}
	switch record, err := apikey.ParseRecord(string(s.Current().String)); {
	case err != nil:
		return keys + ", foreign"
	case !s.DeletionDate.IsZero():
		return keys + ", scheduled for deletion"
	case record.Finished():
		return keys + ", finished"
	}
	return keys + ", pending"
}

// all is the whole state of the account, for comparison; it must not be printed.
func (w *world) all() any {
	plans := map[string][]string{}
	for _, k := range w.aws.Keys() {
		plans[k.ID] = w.aws.UsagePlanKeys(k.ID)
	}
	return []any{w.aws.Keys(), w.aws.Secrets(), plans}
}

// wantComplete checks promise 3, and that the one key matches the request.
func (w *world) wantComplete(r apikey.Request, plans ...string) {
	w.Helper()
	key, faults := promise.Settled(w.aws, secretName(r))
	for _, fault := range faults {
		w.Error(fault)
	}
	want := awslocal.Key{
		ID: key.ID, Name: r.Name, CustomerID: r.CustomerID, Description: r.Description, Enabled: r.Enabled,
		Tags: r.AllTags(secretName(r)), Created: key.Created, LastUpdated: key.Created,
	}
	for _, s := range r.StageKeys {
		want.StageKeys = append(want.StageKeys, s.String())
	}
	value := key.Value
	if key.Value = ""; !reflect.DeepEqual(key, want) {
		w.Errorf("API Gateway has the key\n%+v, want\n%+v", key, want)
	}
	if got := w.aws.UsagePlanKeys(key.ID); !slices.Equal(got, plans) {
		w.Errorf("the key is attached to the plans %q, want %q", got, plans)
	}
	if !r.Value.IsZero() && r.Value.Reveal() != string(value) {
		w.Error("the key's value differs from the one that the request gives")
	}
	if s, _ := w.secret(r); s.Current().ID != apikey.StepToken(secretName(r), 2) {
		w.Error("the record was not put under the token that the secret's name gives")
	}
}

// check checks the promises that hold at every moment.
func (w *world) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fault := range promise.Check(w.aws, w.byHand...) {
		w.Error(fault)
	}
}

// leaks reports whether a text holds part of any value that exists or existed.
func (w *world) leaks(text string) bool { return promise.Leaks(w.aws, []byte(text), explicit, another) }

// through routes the Provisioner's calls through a function, in a new environment.
func (w *world) through(roundTrip func(next http.RoundTripper, r *http.Request) (*http.Response, error)) {
	next := w.aws.Transport()
	w.cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return roundTrip(next, r)
	})}
	w.newEnvironment()
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
