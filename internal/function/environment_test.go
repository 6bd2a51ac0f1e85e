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

// Values that a sender might give. No test prints them.
const (
	explicitValue = "3xpl1c1t-f4k3-v4lu3-0001"
	otherValue    = "4n0th3r-f4k3-v4lu3-00002"
)

// An environment is one of the function's, with the real SDK clients over the
// embedded AWS, in virtual time. Whatever a test is about, everything that comes
// out of it (log lines, answers, errors) is checked: each line has exactly the
// members that are documented, and nothing holds a part of any value.
type environment struct {
	*testing.T
	aws      *awslocal.Server
	cfg      aws.Config
	settings Settings
	handler  *Handler      // made at the first invocation
	timeout  time.Duration // the function's
	output   bytes.Buffer  // what the function wrote since the last look at it
	seen     int           // events of the bus
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
			e.lines() // what nobody looked at is checked all the same
		}
	})
}

// invoke invokes the function as Lambda does. What it answers is either an answer
// or the type and the text of an error.
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
			e.Error("there is an answer beside an error")
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

// A line is a log line.
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

// lines returns what the function wrote since the last call, by message.
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
			e.Fatalf("a line of the output is no JSON: %s", text)
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
			e.Errorf("the outcome %q is none of the six", l.Outcome)
		case done != (l.Reason == "") && !strings.HasPrefix(l.Reason, "the key is in no usage plan: "):
			e.Errorf("%s: the reason is %q", l.Outcome, l.Reason)
		case done != (l.Level == "INFO") || !done != (l.Level == "WARN"):
			e.Errorf("%s: the level is %s", l.Outcome, l.Level)
		case l.Timestamp.IsZero():
			e.Error("there is no timestamp")
		}
		if _, again := lines[l.MessageID]; again {
			e.Errorf("there is more than one line for message %q", l.MessageID)
		}
		lines[l.MessageID] = l
	}
	return lines
}

// wantLog compares the log lines since the last look, each as its message id and
// outcome, and a part of its reason: "m0 created", "m1 rejected: name: must".
func (e *environment) wantLog(want ...string) map[string]line {
	e.Helper()
	lines := e.lines()
	if len(lines) != len(want) {
		e.Errorf("there are %d log lines, want %d", len(lines), len(want))
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

// keys returns the names of all keys, in the order in which they were made.
func (e *environment) keys() string {
	var names []string
	for _, k := range e.aws.Keys() {
		names = append(names, k.Name)
	}
	return strings.Join(names, " ")
}

// calls returns the operations called since the last look.
func (e *environment) calls() string {
	var calls []string
	for _, c := range e.aws.Calls() {
		calls = append(calls, c.Operation)
	}
	e.aws.ResetCalls()
	return strings.Join(calls, " ")
}

// leaks reports whether a text holds a part of any value that there is or was.
func (e *environment) leaks(text string) bool {
	return promise.Leaks(e.aws, []byte(text), explicitValue, otherValue)
}

// through sends the calls to AWS through a function.
func (e *environment) through(roundTrip func(next http.RoundTripper, r *http.Request) (*http.Response, error)) {
	next := e.aws.Transport()
	e.cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return roundTrip(next, r)
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sqsBatch is a batch of a standard queue; its messages are m0, m1 …
func sqsBatch(bodies ...string) string {
	return payload.SQS(payload.QueueARN, payload.Messages("m", bodies...)...)
}

// sqsFrom is a batch of a queue. groups has a letter for each message: its group.
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

// named is a request for a key of that name.
func named(name string) string { return `{"customerId":"acme","name":"` + name + `"}` }

// planned is a request for a key in usage plan plan1.
func planned(name string) string {
	return `{"customerId":"acme","name":"` + name + `","usagePlanIds":["plan1"]}`
}

// faulty is a request that is rejected, though its identity is plain.
func faulty(name string) string {
	return `{"customerId":"acme","name":"` + name + `","tags":{"aws:x":""},"value":"` + explicitValue + `"}`
}

// long skips what takes seconds under the race detector, with which -short goes.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long under the race detector: without -short")
	}
}
