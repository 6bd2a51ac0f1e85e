package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

const fifoARN = "arn:aws:sqs:us-east-1:123456789012:requests.fifo"

func TestBatchAnswersExactlyTheMessagesToDeliverAgain(t *testing.T) {
	const none = `{"batchItemFailures":[]}`
	tests := map[string]struct {
		payload string
		want    string
		log     []string
		keys    string
	}{
		"all done: an empty list, not null": {
			sqsBatch(named("a"), named("b")), none, []string{"m0 created", "m1 created"}, "a b",
		},
		"a rejected message leaves its neighbours alone": {
			sqsBatch(named("a"), faulty("b"), named("c")),
			`{"batchItemFailures":[{"itemIdentifier":"m1"}]}`,
			[]string{"m0 created", "m1 rejected: tags.", "m2 created"}, "a c",
		},
		"so does one that is no document": {
			sqsBatch("{", named("b"), "", "\xef\xbb\xbf{}"),
			`{"batchItemFailures":[{"itemIdentifier":"m0"},{"itemIdentifier":"m2"},{"itemIdentifier":"m3"}]}`,
			[]string{"m0 rejected: body: is not valid JSON", "m1 created", "m2 rejected: body: is empty", "m3 rejected: byte-order mark"}, "b",
		},
		"the list of a pipe is a batch": {
			asJSON(sqsRecords("", "", named("a"), faulty("b"))),
			`{"batchItemFailures":[{"itemIdentifier":"m1"}]}`,
			[]string{"m0 created", "m1 rejected"}, "a",
		},
		"what EventBridge and SNS sent through the queue": {
			sqsBatch(eventBridge("e1", named("a")), asJSON(map[string]string{"Type": "Notification", "MessageId": "n1", "TopicArn": "t", "Message": named("b")})),
			none, []string{"m0 created", "m1 created"}, "a b",
		},
		"a bare body without any identity is rejected with advice": {
			sqsBatch(`{"enabled":true}`), `{"batchItemFailures":[{"itemIdentifier":"m0"}]}`,
			[]string{"m0 rejected: customerId: customerId or name must be given"}, "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inEnvironment(t, func(e *environment) {
				if answer, kind, text := e.invoke(test.payload); answer != test.want || kind != "" {
					e.Errorf("answered %s %s %s, want %s", answer, kind, text, test.want)
				}
				e.wantLog(test.log...)
				if keys := strings.Fields(e.keys()); strings.Join(slices.Sorted(slices.Values(keys)), " ") != test.keys {
					e.Errorf("there are keys %q, want %q", keys, test.keys)
				}
			})
		})
	}
}

func TestRetriedMessageIsDeliveredAgain(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.settings.UsagePlanID = "made-later"
		e.wantAnswer(sqsBatch(named("a")), failures("m0"))
		e.wantLog("m0 retried: GetUsagePlan: the deployment's default usage plan made-later does not exist")
		e.aws.AddUsagePlan(awslocal.UsagePlan{ID: "made-later"})
		e.invoke(sqsBatch(named("a")))
		e.wantLog("m0 created")
	})
}

// On a FIFO queue, and only there, a message that is to be redelivered fails the rest of its
// group, in order. A rejected message does not: it moves to the dead-letter queue, and must
// not take its good neighbours along. A later message's own rejection stays a rejection.
func TestMessageGroups(t *testing.T) {
	// m1 and m3 share an identity, so that they are not handled in parallel.
	bodies := []string{named("a0"), faulty("a1"), named("b0"), named("a1"), planned("b1"), faulty("b2"), named("b3"), named("a2")}
	const groups = "AABABBBA"
	deny := func(_ context.Context, c awslocal.Call) error {
		if c.Operation == "GetUsagePlan" {
			return awslocal.AccessDenied
		}
		return nil
	}
	inEnvironment(t, func(e *environment) {
		e.aws.Before = deny
		answer, _, _ := e.invoke(sqsFrom(fifoARN, groups, bodies...))
		want := `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m4"},{"itemIdentifier":"m5"},{"itemIdentifier":"m6"}]}`
		if answer != want {
			e.Errorf("a FIFO queue is answered %s, want %s", answer, want)
		}
		e.wantLog("m0 created", "m1 rejected", "m2 created", "m3 created", "m4 retried: GetUsagePlan: AccessDeniedException", "m5 rejected",
			"m6 retried: not started: an earlier message of its group is to come again", "m7 created")
	})
	inEnvironment(t, func(e *environment) {
		e.aws.Before = deny
		answer, _, _ := e.invoke(sqsFrom("arn:aws:sqs:us-east-1:123456789012:requests", groups, bodies...))
		want := `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m4"},{"itemIdentifier":"m5"}]}`
		if answer != want {
			e.Errorf("a standard queue with message groups is answered %s, want %s", answer, want)
		}
		e.wantLog("m0 created", "m1 rejected", "m2 created", "m3 created", "m4 retried", "m5 rejected", "m6 created", "m7 created")
	})
}

func TestMessagesAreHandledInOrder(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		delays := map[string]time.Duration{"test/acme/a": 3 * time.Second, "test/acme/b": 2 * time.Second, "test/acme/c": time.Second}
		e.aws.Before = func(_ context.Context, c awslocal.Call) error { <-time.After(delays[c.Resource]); return nil }
		e.invoke(sqsBatch(named("a"), named("b"), named("c")))
		if got, want := e.keys(), "a b c"; got != want {
			e.Errorf("the keys were made in the order %s, want %s", got, want)
		}
	})
}

// Otherwise five deliveries of [bad, good, good] would make no key, and the queue would move
// all three to the dead-letter queue.
func TestRejectedMessageOfAFIFOQueueLeavesOthersAlone(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		answer, _, _ := e.invoke(sqsFrom(fifoARN, "GGG", faulty("bad"), named("good"), named("better")))
		if want := `{"batchItemFailures":[{"itemIdentifier":"m0"}]}`; answer != want {
			e.Errorf("answered %s, want %s", answer, want)
		}
		e.wantLog("m0 rejected", "m1 created", "m2 created")
	})
}

// Messages about one key are handled one after the other: in parallel, they would only get
// a Conflict.
func TestMessagesOfOneIdentityMakeOneKeyWithoutAConflict(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.invoke(sqsBatch(named("a"), `{"name":"a","customerId":"acme"}`, named("a")))
		e.wantLog("m0 created", "m1 existing", "m2 existing")
		if e.keys() != "a" {
			e.Errorf("got keys %s, want a alone", e.keys())
		}
		want := "CreateSecret CreateApiKey PutSecretValue" + strings.Repeat(" CreateSecret GetSecretValue GetApiKey", 2)
		if got := e.calls(); got != want {
			e.Errorf("calls were %q, want %q", got, want)
		}
	})
}

// wantDocument checks the answer of a direct invocation: the output of `aws apigateway
// create-api-key` without value, plus createkey's own members.
func (e *environment) wantDocument(answer string, key awslocal.Key, secretName, status string) {
	e.Helper()
	arn := ""
	for _, s := range e.aws.Secrets() {
		if s.Name == secretName {
			arn = s.ARN
		}
	}
	want := `{"id":"` + key.ID + `","name":"` + key.Name + `","customerId":"acme","enabled":false,` +
		`"createdDate":"2000-01-01T00:00:00Z","lastUpdatedDate":"2000-01-01T00:00:00Z",` +
		`"stageKeys":[],"tags":{"createkey:request":"` + key.Tags[apikey.TagRequest] + `","createkey:secret":"` + key.Tags[apikey.TagSecret] + `"},` +
		`"usagePlanIds":[],"secretName":"` + secretName + `","secretArn":"` + arn + `","status":"` + status + `","generation":1}`
	if answer != want {
		e.Errorf("answered\n%s, want\n%s", answer, want)
	}
}

func TestDirectInvocationAnswersTheDocumentWithoutValue(t *testing.T) {
	for name, payload := range map[string]string{"bare": named("a"), "EventBridge": eventBridge("e1", named("a"))} {
		t.Run(name, func(t *testing.T) {
			inEnvironment(t, func(e *environment) {
				answer, _, _ := e.invoke(payload)
				e.wantDocument(answer, e.aws.Keys()[0], "test/acme/a", "created")
				id := map[string]string{"bare": "invocation-1", "EventBridge": "e1"}[name]
				e.wantLog(id + " created")

				answer, _, _ = e.invoke(payload)
				e.wantDocument(answer, e.aws.Keys()[0], "test/acme/a", "existing")
				e.wantLog(id + " existing")
			})
		})
	}
}

func TestDirectInvocationAnswersAllMembers(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan1"})
		answer, _, _ := e.invoke(`{"name":"a","description":"<d>","enabled":true,"value":"` + explicitValue + `",
			"stageKeys":[{"restApiId":"api1","stageName":"prod"}],"tags":{"team":"x"},"usagePlanIds":["plan1"]}`)
		var got ready
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			e.Fatal(err)
		}
		if fmt.Sprintf("%s %v %s %s %s", got.Description, got.Enabled, got.StageKeys, got.Tags["team"], got.UsagePlanIDs) != "<d> true [api1/prod] x [plan1]" {
			e.Errorf("answered %s, want every member of the request", answer)
		}
	})
}

func TestSNSBatchAnswersAList(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		answer, _, _ := e.invoke(sns(named("a"), named("b"), eventBridge("e1", named("a"))))
		var got []ready
		if err := json.Unmarshal([]byte(answer), &got); err != nil || len(got) != 3 {
			e.Fatalf("answered %s, want a list of 3", answer)
		}
		if fmt.Sprint(got[0].Name, got[0].Status, got[1].Name, got[1].Status, got[2].Name, got[2].Status) != "acreatedbcreatedaexisting" {
			e.Errorf("answered %s, want a created, b created, a existing", answer)
		}
		e.wantLog("n0 created", "n1 created", "n2 existing")
	})
}

// A request without an identity of its own is identified by its carrier, if the carrier's
// id survives redelivery.
func TestRequestWithoutIdentityIsIdentifiedByItsDelivery(t *testing.T) {
	const bare = `{"enabled":true}`
	tests := map[string]struct{ payload, secret string }{
		"EventBridge id":      {eventBridge("6f1d-1", bare), "test/_/_/6f1d-1"},
		"SNS MessageId":       {sns(bare), "test/_/_/n0"},
		"Lambda request id":   {bare, "test/_/_/invocation-1"},
		"EventBridge via SQS": {sqsBatch(eventBridge("6f1d-1", bare)), "test/_/_/6f1d-1"},
		"SNS via SQS":         {sqsBatch(asJSON(map[string]string{"Type": "Notification", "MessageId": "n9", "Message": bare})), "test/_/_/n9"},
		"EventBridge via SNS": {sns(eventBridge("6f1d-1", bare)), "test/_/_/6f1d-1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inEnvironment(t, func(e *environment) {
				for range 2 {
					e.invoke(test.payload)
					e.lines()
				}
				if secrets := e.aws.Secrets(); len(secrets) != 1 || secrets[0].Name != test.secret || len(e.aws.Keys()) != 1 {
					e.Errorf("%d secrets and %d keys, want one each, of %s", len(secrets), len(e.aws.Keys()), test.secret)
				}
			})
		})
	}
}

func TestErrorsTypeNamesTheClass(t *testing.T) {
	denied := func(e *environment) {
		e.aws.Before = func(_ context.Context, c awslocal.Call) error {
			if c.Resource == "test/acme/denied" {
				return awslocal.AccessDenied
			}
			return nil
		}
	}
	tests := map[string]struct {
		payload    string
		kind, text string
	}{
		"a faulty request":                {faulty("a"), "RejectedError", "tags."},
		"a faulty event":                  {eventBridge("e1", faulty("a")), "RejectedError", "tags."},
		"a denied call":                   {named("denied"), "RetryableError", "CreateSecret: AccessDeniedException"},
		"a list with one faulty request":  {sns(named("a"), faulty("b")), "RejectedError", "tags."},
		"a list with two faulty requests": {sns(faulty("a"), `{"bogus":1}`), "RejectedError", "bogus: unknown member"},
		"a list with one denied call":     {sns(faulty("a"), named("denied"), named("c")), "RetryableError", "AccessDeniedException"},
		"an unknown payload":              {`{"Records":[{"eventSource":"aws:s3"}]}`, "RejectedError", "Records[0].eventSource: must be aws:sqs"},
		"an outcome event of createkey":   {`{"id":"1","source":"createkey","detail-type":"API Key Ready","detail":{}}`, "RejectedError", "source: is createkey"},
		"not JSON":                        {`{`, "RejectedError", "payload: is not valid JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inEnvironment(t, func(e *environment) {
				denied(e)
				_, kind, text := e.invoke(test.payload)
				e.wantError(kind, text, test.kind, test.text)
			})
		})
	}
}

// A list's error reports the faults of all its messages, not of the first one alone.
func TestErrorOfAListTellsAllItsFaults(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		_, _, text := e.invoke(sns(`{"bogus":1}`, named("b"), `{"bogus":2,"name":3}`))
		if text != strings.Repeat("bogus: unknown member: take it out, or use one of customerId, description, enabled, generateDistinctId, name, stageKeys, tags, usagePlanIds, value; ", 2)+"name: must be a string, not a number: put it in quotes" {
			e.Errorf("the error is %q", text)
		}
	})
}

func TestPayloadThatCannotBeReadHasALogLineToo(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.invoke(`[]`)
		l := e.wantLog("invocation-1 rejected: payload: must be a list of SQS or SNS records, not empty")["invocation-1"]
		if l.DurationMs != 0 {
			e.Errorf("the line says %d ms, want 0", l.DurationMs)
		}
		e.invokeWithin(e.Context(), `[]`) // outside Lambda
		e.wantLog(" rejected: payload")
	})
}

func TestLogLineTellsWhatIsKnown(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan1"})
		e.aws.Before = func(_ context.Context, c awslocal.Call) error {
			switch {
			case c.Operation == "CreateSecret":
				<-time.After(1500 * time.Millisecond)
			case c.Operation == "CreateUsagePlanKey":
				return awslocal.AccessDenied
			}
			return nil
		}
		e.invoke(sqsBatch(named("done"), faulty("bad tag"), `{"customerId":"acme","name":"unfinished","usagePlanIds":["plan1"]}`, `{"customerId":7}`))
		lines := e.wantLog("m0 created", "m1 rejected: tags.", "m2 retried: CreateUsagePlanKey (plan1): AccessDeniedException", "m3 rejected: customerId: must be a string")
		keys := map[string]string{}
		for _, k := range e.aws.Keys() {
			keys[k.Name] = k.ID
		}
		want := map[string]line{
			"m0": {CustomerID: "acme", KeyID: keys["done"], SecretName: "test/acme/done", DurationMs: 1500},
			"m1": {CustomerID: "acme", SecretName: "test/acme/bad+tag"},
			"m2": {CustomerID: "acme", KeyID: keys["unfinished"], SecretName: "test/acme/unfinished", DurationMs: 1500, Code: "unfinished"},
			"m3": {},
		}
		for id, w := range want {
			l := lines[id]
			got := line{CustomerID: l.CustomerID, KeyID: l.KeyID, SecretName: l.SecretName, DurationMs: l.DurationMs, Code: l.Code}
			if fmt.Sprint(got) != fmt.Sprint(w) {
				e.Errorf("the line of %s has %+v, want %+v", id, got, w)
			}
		}
	})
}

func TestLogLineHasTheCodeOfTheKeyQuota(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.aws.Quotas.MaxKeys = 1
		e.invoke(sqsFrom(fifoARN, "GG", named("a"), named("b")))
		if code := e.wantLog("m0 created", "m1 retried: LimitExceededException")["m1"].Code; code != "quota" {
			e.Errorf("the code is %q, want quota", code)
		}
	})
}

func TestDebugListsTheCallsMade(t *testing.T) {
	for _, debug := range []bool{true, false} {
		inEnvironment(t, func(e *environment) {
			e.settings.Debug = debug
			failures := 1
			e.aws.Before = func(_ context.Context, c awslocal.Call) error {
				<-time.After(20 * time.Millisecond)
				if c.Operation == "PutSecretValue" && failures > 0 {
					failures--
					return awslocal.AccessDenied
				}
				return nil
			}
			e.invoke(sqsBatch(named("a"), faulty("b")))
			lines := e.wantLog("m0 retried", "m1 rejected")
			want := "[{CreateSecret 20 false} {CreateApiKey 20 false} {PutSecretValue 20 true}]"
			if !debug {
				want = "[]"
			}
			if got := fmt.Sprint(lines["m0"].Calls); got != want || lines["m1"].Calls != nil {
				e.Errorf("debug %v: the calls are %s and %v, want %s and none", debug, got, lines["m1"].Calls, want)
			}
		})
	}
}

// A panic fails its message alone. The reason names its place and nothing else, because the
// panic's value could hold anything.
func TestPanicFailsItsMessageAlone(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			if r.URL.Path == "/apikeys" && bytes.Contains(body, []byte(`"name":"b"`)) {
				panic("cannot send " + string(body))
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			return next.RoundTrip(r)
		})
		e.wantAnswer(sqsBatch(named("a"), named("b"), named("c")), failures("m1"))
		e.wantLog("m0 created", "m1 retried: internal error: panic in createkey/internal/function.TestPanicFailsItsMessageAlone", "m2 created")
	})
}

// A panic in a library is reported with the place in this program that called it.
func TestPanicOfALibraryIsReportedWithItsCaller(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			return nil, errors.New(strings.Repeat("x", -1))
		})
		e.invoke(sqsBatch(named("a")))
		e.wantLog("m0 retried: internal error: panic in createkey/internal/function.TestPanicOfALibraryIsReportedWithItsCaller")
	})
}

// A panic outside any message, here in the log's writer, is reported with its place, too. It
// fails the invocation, whose messages are then redelivered.
func TestPanicOutsideOfAMessageFailsTheInvocation(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.handler = New(e.cfg, e.settings, NewLogger(panickingWriter{}, ""))
		_, kind, text := e.invoke(sqsBatch(named("a")))
		e.wantError(kind, text, "RetryableError", "internal error: panic in createkey/internal/function.panickingWriter.Write")
	})
}

type panickingWriter struct{}

func (panickingWriter) Write(line []byte) (int, error) { panic(string(line)) }

func TestPanicInACheckFailsItsMessagesAlone(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan1"})
		broken := true
		e.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/usageplans/plan1" && broken {
				<-time.After(time.Second)
				panic("broken")
			}
			return next.RoundTrip(r)
		})
		e.invoke(sqsBatch(planned("a"), planned("b"), named("c")))
		e.wantLog("m0 retried: internal error: panic in", "m1 retried: internal error: panic in", "m2 created")
		broken = false
		e.invoke(sqsBatch(planned("a"), planned("b")))
		e.wantLog("m0 created", "m1 created")
	})
}
