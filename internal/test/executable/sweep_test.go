package executable_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

type operation struct {
	name    string
	form    form
	prepare func(w *world, m message)
	calls   []string
}

// operations are the paths through the algorithm, with every call that each makes in a new
// environment.
var operations = []operation{
	{
		name:    "creation",
		form:    viaSQS,
		prepare: func(*world, message) {},
		calls:   []string{"GetUsagePlan", "CreateSecret", "CreateApiKey", "CreateUsagePlanKey", "PutSecretValue", "PutEvents"},
	},
	{
		name: "repeat",
		form: directly,
		prepare: func(w *world, m message) {
			w.deliver(directly, m)
			w.box.Function.Kill()
		},
		calls: []string{"GetUsagePlan", "CreateSecret", "GetSecretValue", "GetApiKey", "GetUsagePlans", "PutEvents"},
	},
	{
		name: "recovery",
		form: viaEventBridge,
		// The previous environment was killed just before it finished the record.
		prepare: func(w *world, m message) {
			w.strikeAt("PutSecretValue", fault{kill: true})
			w.deliver(viaEventBridge, m)
			w.strikeNoMore()
		},
		calls: []string{"GetUsagePlan", "CreateSecret", "GetSecretValue", "CreateApiKey", "GetApiKeys", "GetApiKey",
			"CreateUsagePlanKey", "GetUsagePlanKey", "PutSecretValue", "PutEvents"},
	},
}

// testCallsMade keeps the table of operations complete.
func testCallsMade(t *testing.T, executable string) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			w := start(t, executable, withBus)
			m := message{"message-1", requests[0]}
			op.prepare(w, m)
			w.takeCalled() // of the preparation
			w.deliverUntilDone(op.form, m)
			if calls := w.takeCalled(); !slices.Equal(calls, op.calls) {
				t.Errorf("calls made: %v\n       want: %v", calls, op.calls)
			}
			w.wantSettled(m.request)
		})
	}
}

// sweepFaults are the faults that hit a call. Error answers are covered by the scenarios of
// internal/provision and the explorer; only here does a process end, or a call never return.
var sweepFaults = []fault{
	{name: "killed before its effect", kill: true},
	{name: "killed after its effect", kill: true, after: true},
	{name: "hangs before its effect", hang: true},
	{name: "hangs after its effect", hang: true, after: true},
}

// testFaultSweep makes every fault hit every call. Then the message is delivered again until
// it is done.
func testFaultSweep(t *testing.T, executable string) {
	var hanging, killed []sweepCase
	for _, op := range operations {
		for _, call := range op.calls {
			for _, f := range sweepFaults {
				if c := (sweepCase{op, call, f}); f.hang {
					hanging = append(hanging, c)
				} else {
					killed = append(killed, c)
				}
			}
		}
	}
	var sweeps sync.WaitGroup
	sweeps.Go(func() { atOnce(t, executable, 18, hanging) }) // they only wait, so more at once
	sweeps.Go(func() { atOnce(t, executable, 12, killed) })
	sweeps.Wait()
}

// atOnce runs up to most cases concurrently. t.Parallel would run only as many as there are
// processors, although most of the time is waiting.
func atOnce(t *testing.T, executable string, most int, cases []sweepCase) {
	var group errgroup.Group
	group.SetLimit(most)
	for _, c := range cases {
		group.Go(func() error {
			t.Run(c.name(), func(t *testing.T) { c.test(t, executable) })
			return nil
		})
	}
	_ = group.Wait() // no case returns an error
}

// A sweepCase is one fault at one call.
type sweepCase struct {
	op    operation
	call  string
	fault fault
}

func (c sweepCase) name() string { return c.op.name + "/" + c.call + "/" + c.fault.name }

func (c sweepCase) test(t *testing.T, executable string) {
	w := start(t, executable, withBus)
	if c.fault.hang {
		w.box.Function.Timeout = shortTimeout
	}
	m := message{"message-1", requests[0]}
	c.op.prepare(w, m)

	w.strikeAt(c.call, c.fault)
	outcome := w.deliver(c.op.form, m)[0]
	if w.strikeNoMore() == 0 {
		t.Error("the fault never hit a call")
	}
	if (outcome == killed) != c.fault.kill {
		t.Errorf("unexpected outcome under the fault: %s", outcome)
	}

	w.deliverUntilDone(c.op.form, m)
	if outcome := w.deliver(c.op.form, m)[0]; outcome != "existing" {
		t.Errorf("a repeat in the end is %s, want existing", outcome)
	}
	w.wantSettled(m.request)
}

// shortTimeout is the function's timeout where a call hangs. It leaves a busy machine enough
// time to start the message, for which the pace needs a second, and a second to answer.
const shortTimeout = 5 * time.Second
