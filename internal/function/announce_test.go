package function

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"createkey/events/schema"
	"createkey/internal/test/awslocal"
)

// withBus runs a test in an environment that sends outcome events to a bus.
func withBus(t *testing.T, test func(e *environment)) {
	t.Helper()
	inEnvironment(t, func(e *environment) {
		e.settings.OutcomeBus = "outcomes"
		test(e)
		e.events()
	})
}

// events returns the events that the bus has taken since the last call, each as its
// detail-type and messageId. It checks what must hold for every event.
func (e *environment) events() string {
	e.Helper()
	var told []string
	taken := e.aws.Events()
	for _, event := range taken[e.seen:] {
		if event.Bus != e.settings.OutcomeBus || event.Source != "createkey" {
			e.Errorf("an event went to bus %s with source %s, want %s, createkey", event.Bus, event.Source, e.settings.OutcomeBus)
		}
		if e.leaks(event.Detail) {
			e.Error("an event holds a part of a value (not shown)")
		}
		var detail map[string]any
		if err := json.Unmarshal([]byte(event.Detail), &detail); err != nil {
			e.Fatal(err)
		}
		if err := promised()[event.DetailType].Validate(detail); err != nil {
			e.Errorf("an event %q does not match its schema: %v", event.DetailType, err)
		}
		told = append(told, fmt.Sprint(event.DetailType, " ", detail["messageId"]))
	}
	e.seen = len(taken)
	return strings.Join(told, ", ")
}

// promised returns the schemas of the outcome events, by detail-type.
var promised = sync.OnceValue(func() map[string]*jsonschema.Schema {
	schemas := map[string]*jsonschema.Schema{}
	compiler := jsonschema.NewCompiler()
	for _, s := range schema.Schemas {
		text, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.JSON()))
		if err == nil {
			err = compiler.AddResource(s.File, text)
		}
		if err != nil {
			panic(err) // an embedded schema is invalid
		}
		schemas[s.DetailType] = compiler.MustCompile(s.File)
	}
	return schemas
})

func (e *environment) wantEvents(want string) {
	e.Helper()
	if got := e.events(); got != want {
		e.Errorf("the bus has taken %q, want %q", got, want)
	}
}

// refuse makes the bus refuse a message's event n times, with an error that is not retried
// within the call.
func (e *environment) refuse(messageID string, times int) {
	e.aws.RefuseEvent = func(event awslocal.Event) *awslocal.Error {
		if times == 0 || !strings.Contains(event.Detail, `"messageId":"`+messageID+`"`) {
			return nil
		}
		times--
		return &awslocal.Error{Code: "NotAuthorizedForSourceException", Message: "not here"}
	}
}

func TestReadyEventIsTheDirectAnswerAndTheMessagesID(t *testing.T) {
	withBus(t, func(e *environment) {
		for i, status := range []string{"created", "existing"} {
			answer, _, _ := e.invoke(`{"customerId":"acme","name":"<a>","enabled":true,"description":"d","value":"` + explicitValue + `"}`)
			event := e.aws.Events()[i]
			var want, got map[string]any
			if err := json.Unmarshal([]byte(answer), &want); err != nil {
				e.Fatal(err)
			}
			want["messageId"] = "invocation-1"
			if err := json.Unmarshal([]byte(event.Detail), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) || got["status"] != status {
				e.Errorf("the detail is %s, want %v", event.Detail, want)
			}
			e.wantLog("invocation-1 " + status)
			if event.DetailType != "API Key Ready" || !strings.Contains(event.Detail, `"name":"<a>"`) {
				e.Errorf("the event is %s, %s, want API Key Ready with an unescaped name", event.DetailType, event.Detail)
			}
		}
	})
}

func TestRejectedEventTellsWhatIsKnown(t *testing.T) {
	tests := map[string]struct{ payload, want string }{
		"all":            {sqsBatch(faulty("a")), `{"messageId":"m0","customerId":"acme","name":"a","secretName":"test/acme/a","reasons":["tags.\"aws:x\": a tag's key must not begin with aws:, which is reserved"]}`},
		"not the name":   {sqsBatch(`{"customerId":"acme","name":7,"x":0}`), `{"messageId":"m0","customerId":"acme","reasons":["name: must be a string, not a number: put it in quotes","x: unknown member: take it out, or use one of customerId, description, enabled, generateDistinctId, name, stageKeys, tags, usagePlanIds, value"]}`},
		"no document":    {sqsBatch(`{`), `{"messageId":"m0","reasons":["body: is not valid JSON (line 1, column 1): it ends too early, and was perhaps cut short: an API Gateway that sends to SQS cuts it at each & unless its mapping template has $util.urlEncode($input.body)"]}`},
		"the payload":    {`{"Records":[]}`, `{"messageId":"invocation-1","reasons":["Records: must be a list of SQS or SNS records, not empty"]}`},
		"unsubscription": {sqsBatch(notification("subscribe-fail", "")), `{"messageId":"m0","customerId":"cust","name":"prod","reasons":["action: \"subscribe-fail\" of AWS Marketplace makes no key and ends none: nothing was bought"]}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			withBus(t, func(e *environment) {
				e.invoke(test.payload)
				if taken := e.aws.Events(); len(taken) != 1 || taken[0].DetailType != "API Key Rejected" || strings.TrimSpace(taken[0].Detail) != test.want {
					e.Errorf("the bus has taken %+v, want %s", taken, test.want)
				}
			})
		})
	}
}

// A message that will come again has no final outcome, so no event announces it.
func TestOutcomesOfABatchAreToldInOneCallAndRetriesAreNot(t *testing.T) {
	withBus(t, func(e *environment) {
		e.aws.Before = func(_ context.Context, c awslocal.Call) error {
			if c.Resource == "test/acme/denied" {
				return awslocal.AccessDenied
			}
			return nil
		}
		e.invoke(sqsBatch(named("a"), faulty("b"), named("denied"), named("c"), named("a")))
		e.wantEvents("API Key Ready m0, API Key Rejected m1, API Key Ready m3, API Key Ready m4")
		if n := strings.Count(e.calls(), "PutEvents"); n != 1 {
			e.Errorf("%d PutEvents, want 1", n)
		}
		e.wantLog("m0 created", "m1 rejected", "m2 retried", "m3 created", "m4 existing")

		e.invoke(sqsBatch(named("denied")))
		e.wantEvents("")
		if calls := e.calls(); strings.Contains(calls, "PutEvents") {
			e.Error("a batch without final outcomes called PutEvents")
		}
	})
}

func TestWithoutABusNoEventIsSent(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.invoke(sqsBatch(named("a"), faulty("b")))
		if calls := e.calls(); strings.Contains(calls, "PutEvents") || e.handler.events != nil {
			e.Errorf("calls were %s, want no PutEvents", calls)
		}
	})
}

func TestMessageIsDoneOnlyWhenTheBusTookItsEvent(t *testing.T) {
	withBus(t, func(e *environment) {
		e.refuse("m1", 1)
		batch := sqsBatch(named("a"), named("b"), faulty("c"))
		e.wantAnswer(batch, failures("m1", "m2"))
		if l := e.wantLog("m0 created", "m1 retried: PutEvents: NotAuthorizedForSourceException: not here", "m2 rejected")["m1"]; l.KeyID == "" || l.Code != "" {
			e.Errorf("the line is %+v, want the key's id and no code", l)
		}
		e.wantEvents("API Key Ready m0, API Key Rejected m2")

		e.invoke(batch)
		e.wantLog("m0 existing", "m1 existing", "m2 rejected")
		e.wantEvents("API Key Ready m0, API Key Ready m1, API Key Rejected m2")
		if n := len(e.aws.Keys()); n != 2 {
			e.Errorf("there are %d keys, want one for each", n)
		}
	})
}

// An entry that PutEvents refuses temporarily, in an answer with status 200, is sent again,
// alone and within the call's time: AWS documents ThrottlingException and InternalFailure
// as retryable (API_PutEventsResultEntry).
func TestEventsThatTheBusThrottledAreSentAgain(t *testing.T) {
	for _, code := range []string{"ThrottlingException", "InternalFailure"} {
		t.Run(code, func(t *testing.T) {
			withBus(t, func(e *environment) {
				refusals := 3
				e.aws.RefuseEvent = func(event awslocal.Event) *awslocal.Error {
					if strings.Contains(event.Detail, `"m1"`) && refusals > 0 {
						refusals--
						return &awslocal.Error{Code: code, Message: "slow down"}
					}
					return nil
				}
				start := time.Now()
				e.wantAnswer(sqsBatch(named("a"), named("b"), faulty("c")), failures("m2"))
				if took, want := time.Since(start).Truncate(time.Millisecond), 700*time.Millisecond; took != want { // 100, 200 and 400 ms
					e.Errorf("took %v, want %v", took, want)
				}
				e.wantLog("m0 created", "m1 created", "m2 rejected")
				e.wantEvents("API Key Ready m0, API Key Rejected m2, API Key Ready m1")
				if n := strings.Count(e.calls(), "PutEvents"); n != 4 {
					e.Errorf("%d PutEvents, want 4", n)
				}
			})
		})
	}
}

func TestThrottledEventsAreGivenUpInTime(t *testing.T) {
	withBus(t, func(e *environment) {
		e.aws.RefuseEvent = func(awslocal.Event) *awslocal.Error {
			return &awslocal.Error{Code: "ThrottlingException", Message: "slow down"}
		}
		start := time.Now()
		e.wantAnswer(sqsBatch(named("a")), failures("m0"))
		if took := time.Since(start); took > e.timeout-answerReserve {
			e.Errorf("answered after %v, want %v before the end", took, answerReserve)
		}
		e.wantLog("m0 retried: PutEvents: ThrottlingException: slow down")
	})
}

func TestRejectionStaysWhenItsEventIsRefused(t *testing.T) {
	withBus(t, func(e *environment) {
		e.refuse("invocation-1", 2)
		_, kind, text := e.invoke(`{"bogus":1}`)
		e.wantError(kind, text, "RejectedError", "bogus: unknown member: take it out, or use one of customerId, description, enabled, generateDistinctId, name, stageKeys, tags, usagePlanIds, value; event: was not sent: PutEvents: NotAuthorizedForSourceException: not here")
		_, kind, text = e.invoke(`[]`)
		e.wantError(kind, text, "RejectedError", "not empty; event: was not sent: PutEvents: NotAuthorizedForSourceException: not here")
		_, kind, text = e.invoke(`[]`)
		e.wantError(kind, text, "RejectedError", "not empty")
		e.wantEvents("API Key Rejected invocation-1")
		e.output.Reset() // or three lines would have one invocation's id
	})
}

func TestFailedPutEventsMakesItsMessagesRetryable(t *testing.T) {
	for name, test := range map[string]struct {
		fault  error
		reason string
	}{
		"denied":          {awslocal.AccessDenied, "PutEvents: AccessDeniedException"},
		"down":            {awslocal.ServiceUnavailable, "PutEvents: ServiceUnavailableException"},
		"connection lost": {awslocal.ErrConnectionLost, "PutEvents: the call failed"},
	} {
		t.Run(name, func(t *testing.T) {
			withBus(t, func(e *environment) {
				e.aws.After = func(_ context.Context, c awslocal.Call) error {
					if c.Operation == "PutEvents" {
						return test.fault
					}
					return nil
				}
				_, kind, text := e.invoke(named("a"))
				e.wantError(kind, text, "RetryableError", test.reason)
				e.wantLog("invocation-1 retried: " + test.reason)
				e.aws.After = nil
				e.invoke(named("a"))
				e.wantLog("invocation-1 existing")
				if e.keys() != "a" {
					e.Errorf("got keys %s, want one", e.keys())
				}
			})
		})
	}
}

// After a failure in a FIFO queue's group, the rest of the group is delivered again with it.
func TestEventThatIsNotTakenFailsTheRestOfItsGroup(t *testing.T) {
	withBus(t, func(e *environment) {
		e.refuse("m0", 1)
		payload := sqsFrom(fifoARN, "ABAB", named("a0"), named("b0"), named("a1"), named("b1"))
		e.wantAnswer(payload, failures("m0", "m2"))
		e.wantLog("m0 retried: PutEvents", "m1 created", "m2 retried: not done: an earlier message of its group is to come again", "m3 created")
		e.events()
		e.invoke(payload)
		e.wantLog("m0 existing", "m1 existing", "m2 existing", "m3 existing")
		e.wantEvents("API Key Ready m0, API Key Ready m1, API Key Ready m2, API Key Ready m3")
	})
}

func TestBatchIsAnsweredInTimeThoughTheBusHangs(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		30 * time.Second: 29 * time.Second,
		3 * time.Second:  2400 * time.Millisecond,
	} {
		withBus(t, func(e *environment) {
			e.timeout = timeout
			e.hang("PutEvents")
			start := time.Now()
			answer, _, _ := e.invoke(batchOf(12))
			if took := time.Since(start); took != want {
				e.Errorf("answered after %v, want %v", took, want)
			}
			if n := strings.Count(answer, "itemIdentifier"); n != 12 {
				e.Errorf("%d messages are to be delivered again, want all 12", n)
			}
			for id, l := range e.lines() {
				if l.Outcome != "retried" || l.Reason != "PutEvents: no answer in time" {
					e.Errorf("message %s: %s: %q, want retried: no answer in time", id, l.Outcome, l.Reason)
				}
			}
		})
	}
}

// When a call hangs, enough time is kept to send the other messages' events.
func TestTimeIsKeptBackForEvents(t *testing.T) {
	withBus(t, func(e *environment) {
		e.aws.Before = func(ctx context.Context, c awslocal.Call) error {
			switch {
			case c.Resource == "test/acme/key1":
				<-ctx.Done()
				return ctx.Err()
			case c.Operation == "PutEvents":
				<-time.After(1900 * time.Millisecond)
			}
			return nil
		}
		e.invoke(batchOf(2))
		e.wantLog("m0 created", "m1 retried: CreateSecret: no answer in time")
		e.wantEvents("API Key Ready m0")
	})
}

func TestMoreEventsThanOneCallTakesAreSentInSeveral(t *testing.T) {
	long(t)
	withBus(t, func(e *environment) {
		e.invoke(batchOf(25))
		if n := strings.Count(e.calls(), "PutEvents"); n != 3 || len(e.aws.Events()) != 25 {
			e.Errorf("%d events in %d calls, want 25 in 3", len(e.aws.Events()), n)
		}
		e.lines()
	})
	withBus(t, func(e *environment) {
		var bodies []string
		for i := range 10 {
			bodies = append(bodies, fmt.Sprintf(`{"name":"%d","description":%q}`, i, strings.Repeat("<", 63_000)))
		}
		e.invoke(sqsBatch(bodies...))
		if n := strings.Count(e.calls(), "PutEvents"); n != 3 || len(e.aws.Events()) != 10 {
			e.Errorf("%d events in %d calls, want 10 in 3", len(e.aws.Events()), n)
		}
		e.lines()
	})
}

// However many faults a message has, its reasons fit into a log line and an event.
func TestReasonsAreBounded(t *testing.T) {
	withBus(t, func(e *environment) {
		e.invoke(sqsBatch(
			`{"customerId":"c","name":"n","usagePlanIds":[`+strings.TrimSuffix(strings.Repeat("1,", 30_000), ",")+`]}`,
			`{"customerId":"`+strings.Repeat("\\u0001", 10_000)+`","enabled":0}`,
			"name: 1\ncustomerId: \""+strings.Repeat("\\0", 30_000)+"\"",
		))
		for id, l := range e.wantLog("m0 rejected: usagePlanIds[0]: must be a string, not a number", "m1 rejected: enabled", "m2 rejected: name") {
			if len(l.Reason) > 20_000 || id == "m0" && !strings.HasSuffix(l.Reason, " more: they are left out here") {
				e.Errorf("%s: the reason has %d characters, want at most 20000 and a note on what is left out", id, len(l.Reason))
			}
		}
		e.wantEvents("API Key Rejected m0, API Key Rejected m1, API Key Rejected m2")
		for _, event := range e.aws.Events() {
			if len(event.Detail) > 255<<10 {
				e.Errorf("an event has %d bytes, want at most 255 KiB", len(event.Detail))
			}
		}
	})
}

func TestDebugListsPutEvents(t *testing.T) {
	withBus(t, func(e *environment) {
		e.settings.Debug = true
		e.invoke(sqsBatch(named("a"), faulty("b")))
		lines := e.wantLog("m0 created", "m1 rejected")
		for id, want := range map[string]string{
			"m0": "[{CreateSecret 0 false} {CreateApiKey 0 false} {PutSecretValue 0 false} {PutEvents 0 false}]",
			"m1": "[{PutEvents 0 false}]",
		} {
			if got := fmt.Sprint(lines[id].Calls); got != want {
				e.Errorf("%s: the calls are %s, want %s", id, got, want)
			}
		}
	})
}

func TestPanicInPutEventsFailsItsMessagesAlone(t *testing.T) {
	withBus(t, func(e *environment) {
		e.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), `"Entries":`) && strings.Contains(string(body), `\"messageId\":\"m11\"`) {
				panic("cannot send " + string(body))
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			return next.RoundTrip(r)
		})
		e.wantAnswer(batchOf(12), failures("m10", "m11"))
		if l := e.lines()["m10"]; !strings.HasPrefix(l.Reason, "PutEvents: internal error: panic in createkey/internal/function.TestPanicInPutEvents") {
			e.Errorf("the reason is %q, want the panic's place in this test", l.Reason)
		}
	})
}

// answeredBus answers every PutEvents alike.
type answeredBus struct{ out eventbridge.PutEventsOutput }

func (b answeredBus) PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	return &b.out, nil
}

// An answer that does not say of each event that it was taken takes none.
func TestAnswerOfTheBusThatDoesNotAddUpTakesNoEvent(t *testing.T) {
	taken := types.PutEventsResultEntry{EventId: aws.String("e")}
	for name, test := range map[string]struct {
		out  eventbridge.PutEventsOutput
		want string
	}{
		"one is missing":          {eventbridge.PutEventsOutput{Entries: []types.PutEventsResultEntry{taken}}, "the answer does not say of every event what became of it"},
		"one failed, and is none": {eventbridge.PutEventsOutput{FailedEntryCount: 1, Entries: []types.PutEventsResultEntry{taken, taken}}, "the answer does not say which events were refused"},
	} {
		t.Run(name, func(t *testing.T) {
			h := Handler{events: answeredBus{test.out}}
			for _, fault := range h.put(t.Context(), make([]types.PutEventsRequestEntry, 2), []int{0, 1}) {
				if fault != (entryFault{text: test.want}) {
					t.Errorf("got %+v, want %q", fault, test.want)
				}
			}
		})
	}
}

// The bus's message is bounded like every other reason: CloudWatch would cut a log line
// that is too long, and lose its outcome.
func TestReasonOfTheBusIsBounded(t *testing.T) {
	withBus(t, func(e *environment) {
		e.aws.RefuseEvent = func(awslocal.Event) *awslocal.Error {
			return &awslocal.Error{Code: "InternalFailure", Message: strings.Repeat("m", 100<<10)}
		}
		e.invoke(sqsBatch(named("a")))
		if got := e.output.Len(); got > 20<<10 {
			e.Errorf("the log line has %d bytes, want at most 20 KiB", got)
		}
		if l := e.lines()["m0"]; l.Outcome != "retried" || !strings.HasPrefix(l.Reason, "PutEvents: InternalFailure") {
			e.Errorf("got %s: %.60q, want retried: PutEvents: InternalFailure", l.Outcome, l.Reason)
		}
	})
}
