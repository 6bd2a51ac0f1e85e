package executable_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"createkey/events"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
	"createkey/internal/test/sandbox"
)

// A world is a function with the shipped executable and the AWS that it calls. Use start.
type world struct {
	t   *testing.T
	aws awslocal.Server
	box *sandbox.Sandbox
	bus bool // outcome events are on

	// mu is held while a process is killed and the state is checked, so that nobody who waits
	// for the process continues before that is done.
	mu       sync.Mutex
	choose   func(c awslocal.Call, after bool) *fault // nil: no fault
	called   []string                                 // the operations of calls that have arrived
	struck   int
	told     []string     // broken promises that were reported at an earlier kill
	answered bytes.Buffer // every answer of the function
	read     int          // bytes of its output that were read
}

// withBus turns outcome events on.
const withBus = "OUTCOME_BUS=outcomes"

// withLetters has rejected messages set aside.
const withLetters = "DEAD_LETTER_QUEUE_URL=https://sqs.us-east-1.amazonaws.com/123456789012/letters"

// costCentre is the key of the deployment's tag, which every key has.
const costCentre = "CostCentre"

// start starts a function on an AWS that has nothing but the usage plan. When the test ends, all
// output and all answers are checked.
func start(t *testing.T, executable string, env ...string) *world {
	t.Helper()
	w := &world{t: t}
	w.aws.Before = func(ctx context.Context, c awslocal.Call) error { return w.strike(ctx, c, false) }
	w.aws.After = func(ctx context.Context, c awslocal.Call) error { return w.strike(ctx, c, true) }
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: events.UsagePlanID})
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: events.MarketplacePlanID, ProductCode: events.ProductCode})
	env = append([]string{
		"CREATE_KEY_RATE=1000000",             // high enough that the pace has no effect
		"AWS_MAX_ATTEMPTS=2",                  // one retry of the SDK, to be quick
		"AWS_NEW_RETRIES_2026=true",           // its back-off starts at 50 ms
		"RESOURCE_TAGS=" + costCentre + "=42", // a secret made with tags takes a permission of its own
	}, env...)
	w.bus = slices.Contains(env, withBus)
	box, err := sandbox.Start("127.0.0.1", executable, &w.aws, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	w.box = box
	t.Cleanup(w.checkOutput) // before the box is closed
	return w
}

// broken returns the broken ones of the promises that hold at every moment. Only the
// executable acts here.
func (w *world) broken() []string {
	broken := append(promise.Check(&w.aws), promise.Untouched(&w.aws)...)
	for _, c := range w.aws.Calls() {
		switch c.Operation {
		case "GetUsagePlan", "GetUsagePlans", "CreateSecret", "GetSecretValue", "CreateApiKey", "GetApiKeys", "GetApiKey",
			"CreateUsagePlanKey", "GetUsagePlanKey", "PutSecretValue", "PutEvents", "SendMessageBatch":
		default:
			broken = append(broken, c.Service+" "+c.Operation+" was called, which could change or delete something")
		}
	}
	return broken
}

// recordFaults returns why a key is not its secret's only one, or not completely described
// there.
func (w *world) recordFaults(key awslocal.Key) []string {
	_, faults := promise.Settled(&w.aws, key.Tags["createkey:secret"])
	return faults
}

// wantDone checks that a request has its key, as requested and recorded.
func (w *world) wantDone(r request) {
	w.t.Helper()
	keys := w.aws.Keys()
	i := slices.IndexFunc(keys, func(key awslocal.Key) bool { return w.answers(key, r) })
	if i < 0 {
		w.t.Errorf("promise 3: customer %q has no key as asked for by name %q", r.CustomerID, r.Name)
		return
	}
	for _, fault := range w.recordFaults(keys[i]) {
		w.t.Error(fault)
	}
}

// wantTold checks that the bus, if any, has accepted the event of a message that is reported
// as done.
func (w *world) wantTold(messageID string) {
	w.t.Helper()
	if w.bus && !slices.ContainsFunc(w.aws.Events(), func(e awslocal.Event) bool {
		return e.Bus == "outcomes" && e.DetailType == "API Key Ready" && strings.Contains(e.Detail, `"messageId":"`+messageID+`"`)
	}) {
		w.t.Errorf("%s is done, and no event says so", messageID)
	}
}

// wantSettled checks all promises on the state once every request is done, and that nothing else
// exists.
func (w *world) wantSettled(requests ...request) {
	w.t.Helper()
	for _, r := range requests {
		w.wantDone(r)
	}
	for _, b := range w.broken() {
		w.t.Error(b)
	}
	if keys, secrets := len(w.aws.Keys()), len(w.aws.Secrets()); keys != len(requests) || secrets != len(requests) {
		w.t.Errorf("promise 3: %d requests made %d keys and %d secrets", len(requests), keys, secrets)
	}
}

// answers reports whether a key is what a request asks for.
func (w *world) answers(key awslocal.Key, r request) bool {
	tags := maps.Clone(key.Tags)
	maps.DeleteFunc(tags, func(name, _ string) bool { return strings.HasPrefix(name, "createkey:") || name == costCentre })
	return key.CustomerID == r.CustomerID && key.Name == r.Name && key.Description == r.Description &&
		key.Enabled == r.Enabled && maps.Equal(tags, r.Tags) && len(key.Tags) == len(tags)+3 && key.Tags[costCentre] == "42" &&
		slices.Equal(w.aws.UsagePlanKeys(key.ID), r.UsagePlanIDs) &&
		(r.Value == "" || r.Value == string(key.Value))
}
