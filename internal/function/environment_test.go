package function

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
	"createkey/internal/test/promise"
)

// Explicit values of senders. No test prints them.
const (
	explicitValue = "3xpl1c1t-f4k3-v4lu3-0001"
	otherValue    = "4n0th3r-f4k3-v4lu3-00002"
)

// An environment is one execution environment of the function, with the real SDK clients on
// the embedded AWS, in virtual time. Whatever a test is about, all output (log lines,
// answers, errors) is checked: each line has exactly the documented members, and nothing
// holds part of a value.
type environment struct {
	*testing.T
	aws      *awslocal.Server
	cfg      aws.Config
	settings Settings
	handler  *Handler      // made at the first invocation
	timeout  time.Duration // the function's
	output   bytes.Buffer  // what the function wrote since the last call of lines
	seen     int           // events of the bus that were looked at
}

func inEnvironment(t *testing.T, test func(e *environment)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &environment{
			T: t, aws: &awslocal.Server{}, timeout: 30 * time.Second,
			settings: Settings{SecretPrefix: "test/", CreateKeyRate: 1e6},
		}
		e.cfg = e.aws.Config()
		test(e)
		if e.output.Len() > 0 {
			e.lines() // checks the rest of the output
		}
	})
}

// invoke invokes the function as Lambda does. It returns either an answer, or the type and
// the text of an error.
func (e *environment) invoke(payload string) (answer, errorType, errorText string) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), e.timeout)
	defer cancel()
	return e.invokeWithin(lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: "invocation-1"}), payload)
}

func (e *environment) invokeWithin(ctx context.Context, payload string) (answer, errorType, errorText string) {
	e.Helper()
	if e.handler == nil {
		e.handler = New(e.cfg, e.settings, NewLogger(&e.output, ""))
	}
	out, err := e.handler.Invoke(ctx, []byte(payload))
	if err != nil {
		if out != nil {
			e.Error("got both an answer and an error")
		}
		// As aws-lambda-go names it in errorType.
		errorType, errorText = reflect.TypeOf(err).Elem().Name(), err.Error()
		if e.leaks(fmt.Sprintf("%v %+v %#v", err, err, err)) {
			e.Fatal("the error holds a part of a value (not shown)")
		}
	}
	if e.leaks(string(out)) {
		e.Fatal("the answer holds a part of a value (not shown)")
	}
	return string(out), errorType, errorText
}

// A line is one log line.
type line struct {
	Timestamp  time.Time
	Level      string
	MessageID  string
	Outcome    string
	CustomerID string
	KeyID      string
	SecretName string
	DurationMs int64
	Reason     string
	Code       string
	Calls      []tracedCall
}

// lines returns the log lines since the last call, by message id.
func (e *environment) lines() map[string]line {
	e.Helper()
	text := e.output.String()
	e.output.Reset()
	if e.leaks(text) {
		e.Fatal("the output holds a part of a value (not shown)")
	}
	lines := map[string]line{}
	for text := range strings.Lines(text) {
		var l line
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			e.Fatalf("a line of the output is not JSON: %s", text)
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			e.Fatalf("a log line has a member of the wrong type: %v", err)
		}
		want := []string{"customerId", "durationMs", "keyId", "level", "messageId", "outcome", "reason", "secretName", "timestamp"}
		if l.Code != "" {
			want = append(want, "code")
		}
		if e.settings.Debug && len(l.Calls) > 0 {
			want = append(want, "calls")
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, want) {
			e.Errorf("a log line has the members %q, want %q", got, want)
		}
		done := slices.Contains([]string{"created", "existing", "ended", "rotated"}, l.Outcome)
		switch {
		case !done && l.Outcome != "rejected" && l.Outcome != "retried":
			e.Errorf("outcome %q is none of the six", l.Outcome)
		case done != (l.Reason == "") && !strings.HasPrefix(l.Reason, "the key is in no usage plan: "):
			e.Errorf("%s: reason %q, want one exactly if the message is not done", l.Outcome, l.Reason)
		case done != (l.Level == "INFO") || !done != (l.Level == "WARN"):
			e.Errorf("%s: level %s, want INFO if the message is done, else WARN", l.Outcome, l.Level)
		case l.Timestamp.IsZero():
			e.Error("a log line has no timestamp")
		}
		if _, again := lines[l.MessageID]; again {
			e.Errorf("message %q has more than one log line", l.MessageID)
		}
		lines[l.MessageID] = l
	}
	return lines
}

// wantLog compares the log lines since the last call, each given as its message id, its
// outcome and part of its reason: "m0 created", "m1 rejected: name: must".
func (e *environment) wantLog(want ...string) map[string]line {
	e.Helper()
	lines := e.lines()
	if len(lines) != len(want) {
		e.Errorf("got %d log lines, want %d", len(lines), len(want))
	}
	for _, w := range want {
		head, reason, _ := strings.Cut(w, ": ")
		id, outcome, _ := strings.Cut(head, " ")
		if l := lines[id]; l.Outcome != outcome || !strings.Contains(l.Reason, reason) {
			e.Errorf("message %s: %q: %q, want %q: %q", id, l.Outcome, l.Reason, outcome, reason)
		}
	}
	return lines
}

func (e *environment) wantError(gotType, gotText, wantType, wantText string) {
	e.Helper()
	if gotType != wantType || !strings.Contains(gotText, wantText) {
		e.Errorf("the error is %s: %q, want %s: %q", gotType, gotText, wantType, wantText)
	}
}

// keys returns the names of all keys, oldest first.
func (e *environment) keys() string {
	var names []string
	for _, k := range e.aws.Keys() {
		names = append(names, k.Name)
	}
	return strings.Join(names, " ")
}

// calls returns the operations called since the last call.
func (e *environment) calls() string {
	var calls []string
	for _, c := range e.aws.Calls() {
		calls = append(calls, c.Operation)
	}
	e.aws.ResetCalls()
	return strings.Join(calls, " ")
}

// leaks reports whether a text holds part of any value that exists or existed.
func (e *environment) leaks(text string) bool {
	return promise.Leaks(e.aws, []byte(text), explicitValue, otherValue)
}

// through routes the calls to AWS through a function.
func (e *environment) through(roundTrip func(next http.RoundTripper, r *http.Request) (*http.Response, error)) {
	next := e.aws.Transport()
	e.cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return roundTrip(next, r)
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sqsBatch returns a batch of a standard queue, whose messages have the ids m0, m1 …
func sqsBatch(bodies ...string) string {
	return payload.SQS(payload.QueueARN, payload.Messages("m", bodies...)...)
}

// sqsFrom returns a batch of a queue. groups has a letter for each message: its group.
func sqsFrom(queueARN, groups string, bodies ...string) string {
	return asJSON(map[string]any{"Records": sqsRecords(queueARN, groups, bodies...)})
}

func sqsRecords(queueARN, groups string, bodies ...string) []payload.Record {
	messages := payload.Messages("m", bodies...)
	for i, group := range groups {
		messages[i].Group = string(group)
	}
	return payload.Records(queueARN, messages...)
}

func sns(messages ...string) string { return payload.SNS(payload.Messages("n", messages...)...) }

func eventBridge(id, detail string) string { return payload.EventBridge(id, detail) }

func asJSON(v any) string { return payload.JSON(v) }

// named returns a request for a key of that name.
func named(name string) string { return `{"customerId":"acme","name":"` + name + `"}` }

// planned returns a request for a key in usage plan plan1.
func planned(name string) string {
	return `{"customerId":"acme","name":"` + name + `","usagePlanIds":["plan1"]}`
}

// faulty returns a request that is rejected although its identity is valid.
func faulty(name string) string {
	return `{"customerId":"acme","name":"` + name + `","tags":{"aws:x":""},"value":"` + explicitValue + `"}`
}

// long skips a test that takes seconds under the race detector, which make test runs with
// -short.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long under the race detector: run without -short")
	}
}
