package executable_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"createkey/events"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/sandbox"
)

var (
	execSeed   = flag.Uint64("executable.seed", 0, "seed of the crowd of TestExecutable; 0: a new one each time")
	execRecord = flag.String("executable.record", "", "folder to record in what the tests of the template need of TestExecutable")
)

// TestExecutable holds the executable that ships to the contract's promises: in
// a local Lambda, over real sockets, against a local AWS that fails in every way
// it can. The promises are checked on the state of that AWS, never on what the
// executable says of itself; what it says is then checked against the state.
func TestExecutable(t *testing.T) {
	executable, err := sandbox.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if *execRecord != "" {
		t.Cleanup(func() { execWriteRecord(t, *execRecord) })
	}
	for _, promise := range []struct {
		name string
		test func(t *testing.T, executable string)
	}{
		{"MakesTheCallsThatAreFaultedBelow", execCallsMade},
		{"MakesExactlyOneKey_WhateverBefallsACall", execFaultSweep},
		{"MakesExactlyOneKey_ForEightEnvironmentsAtOnce", execCrowd},
		{"AnswersABatchBeforeItsTimeIsUp_WhenAWSHangs", execHangingBatch},
		{"StopsTheStart_NamingEveryBadVariableAndNoValue", execBadSettings},
		{"ConnectsToAWSBeforeItsFirstMessage", execConnects},
		{"MakesOfEachSampleWhatItStates", execSamples},
	} {
		t.Run(promise.name, func(t *testing.T) {
			t.Parallel() // the time goes into waiting
			promise.test(t, executable)
		})
	}
}

// execRequests are what the tests send. The first one is the fault sweep's.
var execRequests = []execRequest{
	{CustomerID: "cust-1", Name: "Gold", Description: "Gold plan, yearly", Enabled: true,
		Tags: map[string]string{"team": "billing"}, UsagePlanIDs: []string{events.UsagePlanID}},
	{CustomerID: "cust-2", Name: "Gold", Enabled: true, UsagePlanIDs: []string{events.UsagePlanID}},
	{CustomerID: "cust-2", Name: "Silver", Enabled: true},
	{CustomerID: "cust-3", Name: "Own", Value: "ChosenByTheSender0123456789"},
	{CustomerID: "cust-4", Name: "Own", Value: "AlsoChosenByTheSender0123456789", UsagePlanIDs: []string{events.UsagePlanID}},
	{CustomerID: "cust-5", Tags: map[string]string{"a": "1", "b": "2"}},
	{Name: "Nobodys", Enabled: true},
	{CustomerID: "cust-6", Name: "Disabled"},
}

type execOperation struct {
	name    string
	form    execForm
	prepare func(w *execWorld, m execMessage)
	calls   []string
}

// execOperations are the ways through the algorithm, with every call that each
// makes in an environment that was just started.
var execOperations = []execOperation{
	{
		name:    "creation",
		form:    execSQS,
		prepare: func(*execWorld, execMessage) {},
		calls:   []string{"GetUsagePlan", "CreateSecret", "CreateApiKey", "CreateUsagePlanKey", "PutSecretValue", "PutEvents"},
	},
	{
		name: "repeat",
		form: execDirect,
		prepare: func(w *execWorld, m execMessage) {
			w.deliver(0, execDirect, m)
			w.boxes[0].Function.Kill()
		},
		calls: []string{"GetUsagePlan", "CreateSecret", "GetSecretValue", "GetApiKey", "PutEvents"},
	},
	{
		name: "recovery",
		form: execEventBridge,
		// The environment before was killed on the brink of finishing the record.
		prepare: func(w *execWorld, m execMessage) {
			w.strikeAt("PutSecretValue", execFault{kill: true}, false)
			w.deliver(0, execEventBridge, m)
			w.strikeNoMore()
		},
		calls: []string{"GetUsagePlan", "CreateSecret", "GetSecretValue", "CreateApiKey", "GetApiKeys", "GetApiKey",
			"CreateUsagePlanKey", "GetUsagePlanKey", "PutSecretValue", "PutEvents"},
	},
}

// execFaults are what may befall a call.
var execFaults = []execFault{
	{name: "killed before its effect", kill: true, final: true},
	{name: "killed after its effect", kill: true, final: true, after: true},
	{name: "hangs before its effect", hang: true, final: true},
	{name: "hangs after its effect", hang: true, final: true, after: true},
	{name: "connection cut before its effect", answer: execAnswer(awslocal.ErrConnectionLost, awslocal.ErrConnectionLost)},
	{name: "connection cut after its effect", answer: execAnswer(awslocal.ErrConnectionLost, awslocal.ErrConnectionLost), after: true},
	{name: "429", answer: execAnswer(awslocal.TooManyRequests, awslocal.Throttling)},
	{name: "500 before its effect", answer: execAnswer(awslocal.InternalFailure, awslocal.InternalServiceError)},
	{name: "500 after its effect", answer: execAnswer(awslocal.InternalFailure, awslocal.InternalServiceError), after: true},
	{name: "the quota of keys", answer: execAnswer(awslocal.LimitExceeded, nil), only: []string{"CreateApiKey"}},
	{name: "503", answer: execAnswer(awslocal.ServiceUnavailable, awslocal.ServiceUnavailable)},
	{name: "AccessDenied", answer: execAnswer(awslocal.AccessDenied, awslocal.AccessDenied), final: true},
	{name: "500 that quotes the value", answer: (*execWorld).quotingError, after: true, only: []string{"CreateApiKey", "PutSecretValue"}},
}

// execCallsMade keeps the table of operations complete.
func execCallsMade(t *testing.T, executable string) {
	for _, op := range execOperations {
		t.Run(op.name, func(t *testing.T) {
			w := execStart(t, executable, 1, execBus)
			m := execMessage{"message-1", execRequests[0]}
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

// execKind is a kind of call, as far as permissions are concerned.
type execKind struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Method    string `json:"method"`
	Tagged    bool   `json:"tagged"`
}

// execSeen is what TestExecutable has seen of the executable.
var execSeen struct {
	paths  sync.Map // of a call of each execKind
	mu     sync.Mutex
	output bytes.Buffer // guarded by mu
}

// execWriteRecord writes calls.json, a call of each kind that was made of AWS,
// against which the function's role is held, and output.log, all that was
// written, against which the metric filters are. The output was checked: it
// holds no value.
func execWriteRecord(t *testing.T, folder string) {
	type call struct {
		execKind
		Path string `json:"path"`
	}
	var calls []call
	execSeen.paths.Range(func(kind, path any) bool {
		calls = append(calls, call{kind.(execKind), path.(string)})
		return true
	})
	slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.Service+a.Operation, b.Service+b.Operation) })
	err := errors.Join(
		os.MkdirAll(folder, 0o750),
		os.WriteFile(filepath.Join(folder, "calls.json"), execJSON(calls), 0o600),
		os.WriteFile(filepath.Join(folder, "output.log"), execSeen.output.Bytes(), 0o600),
	)
	if err != nil {
		t.Error(err)
	}
}

// execFaultSweep lets every fault befall every call, once and for as long as
// that delivery lasts, which is longer than the SDK's retries. After it the
// message is delivered again until it is done.
func execFaultSweep(t *testing.T, executable string) {
	var hanging, others []execCase
	for _, op := range execOperations {
		for _, call := range op.calls {
			for _, fault := range execFaults {
				switch c := (execCase{op, call, fault, false}); {
				case !fault.befalls(call):
				case fault.hang:
					hanging = append(hanging, c)
				case fault.final:
					others = append(others, c)
				default:
					others = append(others, c, execCase{op, call, fault, true})
				}
			}
		}
	}
	var sweeps sync.WaitGroup
	sweeps.Go(func() { execAtOnce(t, executable, 18, hanging) }) // they only wait
	sweeps.Go(func() { execAtOnce(t, executable, 12, others) })
	sweeps.Wait()
}

// execAtOnce runs so many cases at once. t.Parallel would run no more of them
// than there are processors, and most of the time goes into waiting.
func execAtOnce(t *testing.T, executable string, atOnce int, cases []execCase) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, c := range cases {
		group.Go(func() error {
			t.Run(c.name(), func(t *testing.T) { c.test(t, executable) })
			return nil
		})
	}
	_ = group.Wait() // no case returns an error
}

// execCase is one fault at one call.
type execCase struct {
	op      execOperation
	call    string
	fault   execFault
	lasting bool
}

func (c execCase) name() string {
	name := c.op.name + "/" + c.call + "/" + c.fault.name
	if c.lasting {
		name += " throughout the delivery"
	}
	return name
}

func (c execCase) test(t *testing.T, executable string) {
	w := execStart(t, executable, 1, execBus)
	if c.fault.hang {
		w.boxes[0].Function.Timeout = execShortTimeout
	}
	m := execMessage{"message-1", execRequests[0]}
	c.op.prepare(w, m)

	w.strikeAt(c.call, c.fault, c.lasting)
	outcome := w.deliver(0, c.op.form, m)[0]
	if w.strikeNoMore() == 0 {
		t.Error("the fault was never met")
	}
	if killed := outcome == execKilled; killed != c.fault.kill {
		t.Errorf("outcome under the fault: %s", outcome)
	}

	w.deliverUntilDone(c.op.form, m)
	if outcome := w.deliver(0, c.op.form, m)[0]; outcome != "existing" {
		t.Errorf("a repeat in the end is %s, want existing", outcome)
	}
	w.wantSettled(m.request)
}

// execShortTimeout is the function's where a call hangs. It leaves a busy
// machine time enough to start the message, for which the pace wants a second,
// and a second to answer.
const execShortTimeout = 5 * time.Second

// execCrowd gives the same requests, each of them twice and in an order of its
// own, to eight environments that are killed and failed at random, while reads
// lag behind.
func execCrowd(t *testing.T, executable string) {
	const (
		environments = 8
		mostFaults   = 100
		batchSize    = 4
		mostRounds   = 300
		longestLag   = 20 * time.Millisecond
	)
	seed := *execSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the seed: go test -run TestExecutable -executable.seed=%d (the scheduling is the machine's own)", seed)

	w := execStart(t, executable, environments, "LOG_LEVEL=DEBUG", execBus)
	var messages []execMessage
	for i, r := range execRequests {
		messages = append(messages, execMessage{fmt.Sprintf("message-%d", i), r}, execMessage{fmt.Sprintf("message-%d-again", i), r})
	}

	random := rand.New(rand.NewPCG(seed, 0)) // guarded by w.mu
	struck := map[string]int{}
	w.lag = func() time.Duration { return time.Duration(random.Int64N(int64(longestLag))) }
	w.choose = func(c awslocal.Call, after bool) *execFault {
		fault := execFaults[random.IntN(len(execFaults))]
		if random.IntN(4) > 0 || fault.after != after || fault.hang || !fault.befalls(c.Operation) || w.struck == mostFaults {
			return nil
		}
		struck[fault.name]++
		return &fault
	}
	var workers sync.WaitGroup
	for box := range environments {
		workers.Go(func() {
			order := rand.New(rand.NewPCG(seed, uint64(box)+1))
			pending := slices.Clone(messages)
			order.Shuffle(len(pending), func(i, j int) { pending[i], pending[j] = pending[j], pending[i] })
			for round := 0; len(pending) > 0; round++ {
				if round == mostRounds {
					t.Errorf("environment %d: %d messages are not done after %d rounds", box, len(pending), round)
					return
				}
				batch := pending[:min(batchSize, len(pending))]
				pending = pending[len(batch):]
				for i, outcome := range w.deliver(box, execSQS, batch...) {
					if !execDone(outcome) {
						pending = append(pending, batch[i])
					}
				}
			}
		})
	}
	workers.Wait()
	met := w.strikeNoMore()
	t.Logf("faults met: %v", struck)
	if met < mostFaults/2 {
		t.Errorf("only %d faults were met", met)
	}
	for box := range environments {
		for i, outcome := range w.deliver(box, execSQS, messages...) {
			if outcome != "existing" {
				t.Errorf("environment %d: in the end %s is %s, want existing", box, messages[i].id, outcome)
			}
		}
	}
	w.wantSettled(execRequests...)
}

// execHangingBatch sends a whole batch to an AWS that answers nothing at all.
func execHangingBatch(t *testing.T, executable string) {
	w := execStart(t, executable, 1, execBus)
	w.boxes[0].Function.Timeout = execShortTimeout
	w.choose = func(awslocal.Call, bool) *execFault { return &execFault{hang: true} }
	var messages []execMessage
	for i, r := range execRequests {
		messages = append(messages, execMessage{fmt.Sprintf("message-%d", i), r})
	}
	for i, outcome := range w.deliver(0, execSQS, messages...) {
		if outcome != "retried" {
			t.Errorf("%s was %s, want retried", messages[i].id, outcome)
		}
	}
	w.strikeNoMore()
	w.deliver(0, execSQS, messages...)
	w.wantSettled(execRequests...)
}

// execConnects starts the executable with AWS behind TLS, as AWS is.
func execConnects(t *testing.T, executable string) {
	aws := &awslocal.Server{}
	box, err := sandbox.StartTLS(executable, t.TempDir(), aws, "OUTCOME_BUS=bus")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	var connecting []awslocal.Call
	box.Function.Initialised = func(int) { connecting = aws.Calls() }
	response, err := box.Function.Invoke(t.Context(), execSQS.payload([]execMessage{{"m", execRequests[2]}}))
	if err != nil {
		t.Fatal(err)
	}
	if string(response.Payload) != `{"batchItemFailures":[]}` {
		t.Error("the message failed over TLS")
	}
	if len(connecting) != 3 {
		t.Errorf("%d requests came before the first message, want one to each of 3 services", len(connecting))
	}
	for _, c := range connecting {
		if c.Operation != "" {
			t.Errorf("the start called %s", c.Operation)
		}
	}
}

// execBadSettings starts the executable with every variable bad at once.
func execBadSettings(t *testing.T, executable string) {
	const bad = "bad!" // legal in none of them
	names := []string{"SECRET_PREFIX", "KMS_KEY_ID", "USAGE_PLAN_ID", "OUTCOME_BUS", "CREATE_KEY_RATE", "LOG_LEVEL"}
	var env []string
	for _, name := range names {
		env = append(env, name+"="+bad)
	}
	names, env = append(names, "AWS_REGION"), append(env, "AWS_REGION=") // the SDK's are told with ours
	box, err := sandbox.Start("127.0.0.1", executable, &awslocal.Server{}, env...)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	response, err := box.Function.Invoke(t.Context(), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if response.FunctionError == "" {
		t.Error("the function started")
	}
	output := string(box.Output())
	if lines := strings.Count(output, "\n"); lines != 1 || !strings.HasSuffix(output, "\n") {
		t.Errorf("%d lines were written, want 1", lines)
	}
	var line map[string]string
	if err := json.Unmarshal([]byte(output), &line); err != nil {
		t.Fatal("the line is not an object of strings")
	}
	if members := slices.Sorted(maps.Keys(line)); !slices.Equal(members, []string{"level", "reason", "timestamp"}) {
		t.Errorf("members of the line: %v", members)
	}
	if line["level"] != "ERROR" {
		t.Errorf("level is %s, want ERROR", line["level"])
	}
	for _, name := range names {
		if !strings.Contains(line["reason"], name+": ") {
			t.Errorf("the reason does not name %s", name)
		}
	}
	if strings.Contains(output, bad) || strings.Contains(string(response.Payload), bad) {
		t.Error("the output or the answer holds a variable's value")
	}
	if calls := len(box.AWS.Calls()); calls > 0 {
		t.Errorf("%d AWS calls were made", calls)
	}
}

// execSamples plays every file of events/ to an account where nothing was made.
func execSamples(t *testing.T, executable string) {
	for _, sample := range events.Samples {
		t.Run(sample.File, func(t *testing.T) {
			w := execStart(t, executable, 1)
			response, lines := w.invoke(0, sample.Payload())
			ids, isQueue := execMessageIDs(t, sample.Payload())
			if ids == nil && len(lines) == 1 {
				ids = []string{lines[0].MessageID} // the only one
			}
			var outcomes, again []string
			created := 0
			for _, id := range ids {
				outcome := execOutcome(lines, id)
				outcomes = append(outcomes, outcome)
				if execDone(outcome) {
					created++
				} else {
					again = append(again, id)
				}
			}
			if !slices.Equal(outcomes, sample.Outcomes) || len(lines) != len(outcomes) {
				t.Errorf("outcomes %v in %d lines, want %v", outcomes, len(lines), sample.Outcomes)
			}
			if response.FunctionError != "" {
				t.Errorf("the function failed: %s", execErrorType(response))
			} else if failures := execFailures(response); isQueue && !slices.Equal(failures, again) {
				t.Errorf("batchItemFailures name %v, want %v", failures, again)
			}
			if keys := len(w.aws.Keys()); keys != created {
				t.Errorf("%d keys exist, want %d", keys, created)
			}
			for _, key := range w.aws.Keys() {
				if fault := w.recordFault(key); fault != "" {
					t.Error(fault)
				}
			}
			for _, b := range w.broken() {
				t.Error(b)
			}
		})
	}
}

// execMessageIDs returns the ids of a payload's SQS or SNS records, if it has
// any, and whether a queue's answer is wanted.
func execMessageIDs(t *testing.T, payload []byte) (ids []string, isQueue bool) {
	t.Helper()
	type record struct {
		MessageID string `json:"messageId"`
		SNS       struct{ MessageID string }
	}
	var batch struct{ Records []record }
	if json.Unmarshal(payload, &batch.Records) != nil { // not a pipe's list
		if err := json.Unmarshal(payload, &batch); err != nil {
			t.Fatal("the sample is not JSON")
		}
	}
	for _, r := range batch.Records {
		ids = append(ids, r.MessageID+r.SNS.MessageID)
		isQueue = r.MessageID != ""
	}
	return ids, isQueue
}
