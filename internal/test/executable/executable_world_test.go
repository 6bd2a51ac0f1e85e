package executable_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"createkey/events"
	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/lambdalocal"
	"createkey/internal/test/sandbox"
)

// execRequest is a request as its sender writes it.
type execRequest struct {
	CustomerID   string            `json:"customerId,omitempty"`
	Name         string            `json:"name,omitempty"`
	Description  string            `json:"description,omitempty"`
	Enabled      bool              `json:"enabled,omitempty"`
	Value        string            `json:"value,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	UsagePlanIDs []string          `json:"usagePlanIds,omitempty"`
}

// execMessage is a message that carries a request.
type execMessage struct {
	id      string
	request execRequest
}

// execForm is the form in which messages are delivered.
type execForm int

const (
	execSQS execForm = iota
	execDirect
	execEventBridge
)

// payload is what the function is invoked with. Only SQS carries several.
func (f execForm) payload(messages []execMessage) []byte {
	type object = map[string]any
	switch first := messages[0]; f {
	case execDirect:
		return execJSON(first.request)
	case execEventBridge:
		return execJSON(object{"id": first.id, "source": "com.example.signup", "detail-type": "API Key Requested", "detail": first.request})
	default:
		var records []object
		for _, m := range messages {
			records = append(records, object{"eventSource": "aws:sqs", "messageId": m.id, "body": string(execJSON(m.request))})
		}
		return execJSON(object{"Records": records})
	}
}

func execJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps, lists and strings can always be marshalled
	}
	return text
}

// execFault is something that befalls an AWS call: the process is killed by
// SIGKILL, the call is never answered, or it is answered with an error.
type execFault struct {
	name   string
	after  bool // once the call has taken effect
	kill   bool
	hang   bool
	final  bool // the SDK does not try again
	answer func(w *execWorld, c awslocal.Call) error
	only   []string // the operations that it can befall; nil: every one
}

func (f execFault) befalls(operation string) bool {
	return f.only == nil || slices.Contains(f.only, operation)
}

// execAnswer answers with each service's own error.
func execAnswer(apiGateway, secretsManager error) func(*execWorld, awslocal.Call) error {
	return func(_ *execWorld, c awslocal.Call) error {
		if c.Service == "apigateway" {
			return apiGateway
		}
		return secretsManager // EventBridge's are like these
	}
}

// quotingError is the answer of a service that repeats what it was sent.
func (w *execWorld) quotingError(awslocal.Call) error {
	return &awslocal.Error{Status: 500, Code: "InternalFailure", Message: "Could not process " + strings.Join(w.values(), " ")}
}

// execWorld is a number of functions of one executable and the AWS that they
// share. Use execStart.
type execWorld struct {
	t     *testing.T
	aws   awslocal.Server
	boxes []*sandbox.Sandbox
	bus   bool // outcomes are told to one

	// mu is held while a process is killed and the state is checked, so that
	// nobody who waits for the process goes on before that is done.
	mu       sync.Mutex
	choose   func(c awslocal.Call, after bool) *execFault // nil: no fault
	lag      func() time.Duration                         // of a read; nil: none
	called   []string                                     // the operations of calls that have arrived
	struck   int
	told     []string     // what is broken is told at the first kill that shows it
	answered bytes.Buffer // every answer of the functions
	read     []int        // of each box, how much of its output was looked at
}

// execBus tells the outcomes to a bus.
const execBus = "OUTCOME_BUS=outcomes"

// execStart starts functions over one AWS, where nothing exists but the usage
// plan. When the test ends, all that they have written and answered is checked.
func execStart(t *testing.T, executable string, functions int, env ...string) *execWorld {
	t.Helper()
	w := &execWorld{t: t, read: make([]int, functions)}
	w.aws.Before = func(ctx context.Context, c awslocal.Call) error { return w.strike(ctx, c, false) }
	w.aws.After = func(ctx context.Context, c awslocal.Call) error { return w.strike(ctx, c, true) }
	w.aws.Lag = func(awslocal.Call) time.Duration {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.lag == nil {
			return 0
		}
		return w.lag()
	}
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: events.UsagePlanID})
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: events.MarketplacePlanID, ProductCode: events.ProductCode})
	env = append([]string{
		"CREATE_KEY_RATE=1000000",   // the pace plays no part here
		"AWS_MAX_ATTEMPTS=2",        // a retry of the SDK's own there is, and soon over
		"AWS_NEW_RETRIES_2026=true", // its back-off starts at 50 ms
	}, env...)
	w.bus = slices.Contains(env, execBus)
	for range functions {
		box, err := sandbox.Start("127.0.0.1", executable, &w.aws, env...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = box.Close() })
		w.boxes = append(w.boxes, box)
	}
	t.Cleanup(w.checkOutput) // before the boxes are closed
	return w
}

// strikeAt lets a fault befall the next call of an operation, or every one.
func (w *execWorld) strikeAt(operation string, fault execFault, lasting bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.struck = 0
	w.choose = func(c awslocal.Call, after bool) *execFault {
		if c.Operation != operation || after != fault.after || w.struck > 0 && !lasting {
			return nil
		}
		return &fault
	}
}

// strikeNoMore ends the faults, and the lag, and returns how many there were.
func (w *execWorld) strikeNoMore() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.choose, w.lag = nil, nil
	return w.struck
}

// takeCalled returns the operations called since it was called last.
func (w *execWorld) takeCalled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	called := w.called
	w.called = nil
	return called
}

// strike is the hook of the AWS.
func (w *execWorld) strike(ctx context.Context, c awslocal.Call, after bool) error {
	w.mu.Lock()
	if !after {
		w.called = append(w.called, c.Operation)
		execSeen.paths.LoadOrStore(execKind{c.Service, c.Operation, c.Method, c.Tagged}, c.Path)
	}
	var fault *execFault
	if w.choose != nil {
		fault = w.choose(c, after)
	}
	if fault == nil {
		w.mu.Unlock()
		return nil
	}
	w.struck++
	if fault.kill {
		w.caller(ctx).Function.Kill()
		for _, b := range w.broken() {
			if !slices.Contains(w.told, b) {
				w.told = append(w.told, b)
				w.t.Errorf("when killed at %s: %s", c.Operation, b)
			}
		}
	}
	w.mu.Unlock()

	switch {
	case fault.kill:
		return awslocal.ErrConnectionLost
	case fault.hang:
		<-ctx.Done() // the client has hung up
		return awslocal.ErrConnectionLost
	default:
		return fault.answer(w, c)
	}
}

// caller is the box that a call comes from: each has an endpoint of its own.
func (w *execWorld) caller(ctx context.Context) *sandbox.Sandbox {
	endpoint := "http://" + ctx.Value(http.LocalAddrContextKey).(net.Addr).String()
	return w.boxes[slices.IndexFunc(w.boxes, func(b *sandbox.Sandbox) bool { return b.Endpoint == endpoint })]
}

// execKilled is the outcome of every message of a delivery whose process was
// killed. The others are those of the log.
const execKilled = "killed"

func execDone(outcome string) bool { return outcome == "created" || outcome == "existing" }

// deliver delivers messages to a box and returns their outcomes. It checks that
// the answer and the log agree, that a message which is said to be done is done,
// and that none is rejected: whatever befell a call, it was not its fault.
func (w *execWorld) deliver(box int, form execForm, messages ...execMessage) []string {
	w.t.Helper()
	response, lines := w.invoke(box, form.payload(messages))
	outcomes := make([]string, len(messages))
	if response.FunctionError != "" && bytes.Contains(response.Payload, []byte("Runtime exited with error: signal: killed")) {
		for i := range outcomes {
			outcomes[i] = execKilled
		}
		return outcomes
	}
	if len(lines) != len(messages) {
		w.t.Errorf("%d log lines for %d messages", len(lines), len(messages))
	}
	var again []string
	for i, m := range messages {
		id := m.id
		if form == execDirect {
			id = response.RequestID
		}
		outcomes[i] = execOutcome(lines, id)
		if execDone(outcomes[i]) {
			w.wantDone(m.request)
			w.wantTold(id)
		} else {
			again = append(again, m.id)
		}
		if outcomes[i] == "rejected" {
			w.t.Errorf("%s was rejected", m.id)
		}
	}
	switch {
	case form != execSQS && response.FunctionError != "":
		if errorType := execErrorType(response); errorType != "RetryableError" || again == nil {
			w.t.Errorf("answered with %s; the log says %s", errorType, outcomes[0])
		}
	case form != execSQS:
		var document struct{ ID, SecretName, Status string }
		if json.Unmarshal(response.Payload, &document) != nil || document.ID == "" || document.SecretName == "" || document.Status != outcomes[0] {
			w.t.Errorf("the answer is not the output document of a key that is %s", outcomes[0])
		}
	case response.FunctionError != "":
		w.t.Errorf("the batch was answered with %s", execErrorType(response))
	default:
		if failures := execFailures(response); !slices.Equal(failures, again) {
			w.t.Errorf("batchItemFailures name %v, the log %v", failures, again)
		}
	}
	return outcomes
}

// deliverUntilDone delivers a message until it is done.
func (w *execWorld) deliverUntilDone(form execForm, m execMessage) {
	w.t.Helper()
	const most = 3 // no fault is left: one would do
	for range most {
		if execDone(w.deliver(0, form, m)[0]) {
			return
		}
	}
	w.t.Errorf("%s is not done after %d deliveries", m.id, most)
}

// invoke invokes a box's function, and returns its answer and the log lines that
// it wrote meanwhile.
func (w *execWorld) invoke(box int, payload []byte) (lambdalocal.Response, []sandbox.Line) {
	w.t.Helper()
	response, err := w.boxes[box].Function.Invoke(w.t.Context(), payload)
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered.Write(response.Payload)
	output := w.boxes[box].Output()
	fresh := output[w.read[box]:]
	w.read[box] = len(output)
	var lines []sandbox.Line
	for text := range bytes.Lines(fresh) {
		var line sandbox.Line
		if json.Unmarshal(text, &line) == nil { // else checkOutput tells
			lines = append(lines, line)
		}
	}
	return response, lines
}

// execOutcome is the outcome of the one line of a message.
func execOutcome(lines []sandbox.Line, id string) string {
	outcome := "not logged"
	for _, line := range lines {
		if line.MessageID == id {
			if outcome != "not logged" {
				return "logged twice"
			}
			outcome = line.Outcome
		}
	}
	return outcome
}

// execErrorType is the type of a function error. Its message stays unprinted.
func execErrorType(r lambdalocal.Response) string {
	var answer struct{ ErrorType string }
	if json.Unmarshal(r.Payload, &answer) != nil {
		return "an error that is not JSON"
	}
	return answer.ErrorType
}

// execFailures are the messages that a queue is told to deliver again.
func execFailures(r lambdalocal.Response) []string {
	var answer struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Payload))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&answer) != nil || answer.Failures == nil {
		return []string{"(no list)"}
	}
	var ids []string
	for _, f := range answer.Failures {
		ids = append(ids, f.ID)
	}
	return ids
}

// values are the key values that exist anywhere in the AWS.
func (w *execWorld) values() []string {
	var values []string
	for _, key := range w.aws.KeysEver() {
		values = append(values, string(key.Value))
	}
	for _, secret := range w.aws.Secrets() {
		for _, version := range secret.Versions {
			if record, err := apikey.ParseRecord(string(version.String)); err == nil {
				values = append(values, record.Value.Reveal())
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}
