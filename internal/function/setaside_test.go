package function

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
)

const lettersURL = "https://sqs.us-east-1.amazonaws.com/123456789012/letters"

// withLetters runs a test in an environment that sets rejected messages aside. It checks that
// no attribute of a letter holds part of a value.
func withLetters(t *testing.T, test func(e *environment)) {
	t.Helper()
	inEnvironment(t, func(e *environment) {
		e.settings.DeadLetterQueueURL = lettersURL
		e.aws.Queues = map[string]bool{"letters": true, "letters.fifo": true}
		test(e)
		for _, letter := range e.aws.Messages() {
			for name, a := range letter.Attributes {
				if e.leaks(string(a.Value)) {
					e.Errorf("the attribute %s of a letter holds a part of a value (not shown)", name)
				}
			}
		}
	})
}

// letters returns the letters that were set aside, each as its messageId attribute.
func (e *environment) letters() string {
	var ids []string
	for _, letter := range e.aws.Messages() {
		ids = append(ids, string(letter.Attributes["messageId"].Value))
	}
	return strings.Join(ids, " ")
}

// told returns the attributes of a letter, each as its type and its value.
func told(letter awslocal.Message) map[string]string {
	texts := map[string]string{}
	for name, a := range letter.Attributes {
		texts[name] = a.DataType + " " + string(a.Value)
	}
	return texts
}

func (e *environment) wantAnswer(payload, want string) {
	e.Helper()
	if answer, kind, text := e.invoke(payload); answer != want {
		e.Errorf("answered %s (%s %s), want %s", answer, kind, text, want)
	}
}

// failures returns the answer that fails those messages.
func failures(ids ...string) string {
	var items []string
	for _, id := range ids {
		items = append(items, `{"itemIdentifier":"`+id+`"}`)
	}
	return `{"batchItemFailures":[` + strings.Join(items, ",") + `]}`
}

func TestRejectedMessageIsSetAsideAsItWasSent(t *testing.T) {
	messages := []payload.Message{
		{ID: "m0", Body: named("a")},
		{ID: "m1", Body: faulty("b"), Attributes: map[string]payload.Attribute{
			"trace":  {DataType: "String", StringValue: "<a>\n"},
			"tenant": {DataType: "Number.int", StringValue: "7"},
			"zip":    {DataType: "Binary", BinaryValue: "AP8f"},
		}},
		{ID: "m2", Body: "{\"name\":\n"},
	}
	for name, batch := range map[string]string{
		"SQS": payload.SQS(payload.QueueARN, messages...), "Pipes": payload.Pipe(payload.QueueARN, messages...),
	} {
		t.Run(name, func(t *testing.T) {
			withLetters(t, func(e *environment) {
				e.wantAnswer(batch, failures())
				e.wantLog("m0 created", `m1 rejected: tags."aws:x": `, "m2 rejected: body: is not valid JSON")
				letters := e.aws.Messages()
				if len(letters) != 2 {
					e.Fatalf("%d letters, want 2", len(letters))
				}
				for i, want := range []map[string]string{
					{
						"messageId": "String m1", "customerId": "String acme", "secretName": "String test/acme/b",
						"reason": `String tags."aws:x": a tag's key must not begin with aws:, which is reserved`,
						"trace":  "String <a>\n", "tenant": "Number.int 7", "zip": "Binary \x00\xff\x1f",
					},
					{"messageId": "String m2", "reason": "String body: is not valid JSON (line 1, column 9): it ends too early, and was perhaps cut short: an API Gateway that sends to SQS cuts it at each & unless its mapping template has $util.urlEncode($input.body)"},
				} {
					if letters[i].Queue != "letters" || string(letters[i].Body) != messages[i+1].Body {
						e.Errorf("letter %d differs from the message that was sent", i)
					}
					if got := told(letters[i]); !maps.Equal(got, want) {
						e.Errorf("letter %d has the attributes %q, want %q", i, got, want)
					}
				}
			})
		})
	}
}

func TestNothingElseIsSetAside(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.aws.Before = func(_ context.Context, c awslocal.Call) error {
			if c.Resource == "test/acme/denied" {
				return awslocal.AccessDenied
			}
			return nil
		}
		e.wantAnswer(sqsBatch(named("a"), named("denied")), failures("m1"))
		for _, batch := range []string{faulty("b"), eventBridge("e", faulty("b")), sns(faulty("b")), `{"Records":[]}`} {
			if _, kind, text := e.invoke(batch); kind != "RejectedError" || strings.Contains(text, "dead-letter") {
				e.Errorf("got a %s: %s, want a RejectedError", kind, text)
			}
			e.lines()
		}
		if calls := e.calls(); strings.Contains(calls, "SendMessage") {
			e.Errorf("AWS was called: %s, want no SendMessageBatch", calls)
		}
	})
}

func TestWithoutADeadLetterQueueARejectedMessageIsAnsweredAsFailed(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.wantAnswer(sqsBatch(named("a"), faulty("b")), failures("m1"))
		e.wantLog("m0 created", "m1 rejected")
		if n := len(e.aws.Messages()); n != 0 {
			e.Errorf("%d letters, want none", n)
		}
	})
}

func TestRejectionIsAnnouncedBeforeItIsSetAside(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.settings.OutcomeBus = "outcomes"
		e.wantAnswer(sqsBatch(faulty("a")), failures())
		if calls := e.calls(); calls != "PutEvents SendMessageBatch" {
			e.Errorf("AWS was called: %s, want PutEvents SendMessageBatch", calls)
		}
		e.wantEvents("API Key Rejected m0")
		e.lines()

		e.refuse("m0", 1)
		e.wantAnswer(sqsBatch(faulty("b"), faulty("c")), failures("m0"))
		e.wantLog("m0 rejected: event: was not sent", "m1 rejected")
		e.wantEvents("API Key Rejected m1")
		if got := e.letters(); got != "m0 m1" {
			e.Errorf("set aside were %q, want m0 of the first batch and m1 of the second", got)
		}
	})
}

// Each of these fails the call, or one of its letters, once or always. No message is lost.
func TestMessageThatCannotBeSetAsideComesAgain(t *testing.T) {
	lost := awslocal.ErrConnectionLost
	tests := map[string]struct {
		call   error           // answered to each call
		letter *awslocal.Error // answered to each letter m1
		reason string
		sends  int // calls of SendMessageBatch
	}{
		"denied":           {awslocal.AccessDenied, nil, "AccessDeniedException: ", 1},
		"throttled":        {awslocal.RequestThrottled, nil, "RequestThrottled: Rate exceeded", 3},
		"down":             {lost, nil, "the call failed, or its answer could not be read", 3},
		"no such queue":    {&awslocal.Error{Status: 400, Code: "QueueDoesNotExist", Message: "The specified queue does not exist."}, nil, "AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist.", 1},
		"the letter":       {nil, &awslocal.Error{Status: 400, Code: "InvalidParameterValue", Message: "not this one"}, "InvalidParameterValue: not this one", 1},
		"quotes the value": {nil, &awslocal.Error{Status: 400, Code: "InvalidParameterValue", Message: "not " + explicitValue}, "InvalidParameterValue: (withheld: it quotes the value)", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			withLetters(t, func(e *environment) {
				e.aws.Before = func(_ context.Context, c awslocal.Call) error {
					if c.Operation == "SendMessageBatch" {
						return test.call
					}
					return nil
				}
				e.aws.RefuseMessage = func(m awslocal.Message) *awslocal.Error {
					if string(m.Attributes["messageId"].Value) == "m1" {
						return test.letter
					}
					return nil
				}
				batch := sqsBatch(faulty("a"), faulty("b"), named("c"))
				want, others := failures("m0", "m1"), "m0 rejected: dead-letter queue: was not set aside: SendMessageBatch: "+test.reason
				if test.letter != nil {
					want, others = failures("m1"), "m0 rejected: tags"
				}
				e.wantAnswer(batch, want)
				if n := strings.Count(e.calls(), "SendMessageBatch"); n != test.sends {
					e.Errorf("%d calls, want %d", n, test.sends)
				}
				lines := e.wantLog(others, "m1 rejected: dead-letter queue: was not set aside: SendMessageBatch: "+test.reason, "m2 created")
				if !strings.HasPrefix(lines["m1"].Reason, `tags."aws:x": a tag's key`) {
					e.Errorf("the reason lacks that of the rejection: %q", lines["m1"].Reason)
				}
				e.aws.Before, e.aws.RefuseMessage = nil, nil
				e.wantAnswer(batch, failures())
				e.wantLog("m0 rejected", "m1 rejected", "m2 existing")
				if got := e.letters(); !strings.HasSuffix(got, "m0 m1") || strings.Count(got, "m1") != 1 {
					e.Errorf("set aside were %q, want every rejected message", got)
				}
			})
		})
	}
}

// A refusal that is not the sender's fault may be temporary.
func TestLetterRefusedForTheMomentIsSentAgain(t *testing.T) {
	for _, times := range []int{1, 3, 1000} {
		withLetters(t, func(e *environment) {
			refusals := times
			e.aws.RefuseMessage = func(m awslocal.Message) *awslocal.Error {
				if string(m.Attributes["messageId"].Value) != "m1" || refusals == 0 {
					return nil
				}
				refusals--
				return &awslocal.Error{Status: 503, Code: "ServiceUnavailable", Message: "not now"}
			}
			start := time.Now()
			want := failures()
			if times == 1000 {
				want = failures("m1")
			}
			e.wantAnswer(sqsBatch(faulty("a"), faulty("b")), want)
			if took := time.Since(start); took > e.timeout-time.Second {
				e.Errorf("answered after %v, want at most %v", took, e.timeout-time.Second)
			}
			if got := e.letters(); got != "m0 m1" && times < 1000 || got != "m0" && times == 1000 {
				e.Errorf("set aside were %q after %d refusals, want m0, and m1 unless it is always refused", got, times)
			}
			e.lines()
		})
	}
}

func TestLetterThatTheAnswerLeavesOutIsNotSetAside(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err == nil && r.Header.Get("X-Amz-Target") == "AmazonSQS.SendMessageBatch" {
				response.Body = io.NopCloser(strings.NewReader(`{"Failed":[],"Successful":[{"Id":"1","MessageId":"x"},{"Id":"2"}]}`))
			}
			return response, err
		})
		e.wantAnswer(sqsBatch(faulty("a"), faulty("b"), faulty("c")), failures("m0", "m2"))
		e.wantLog("m0 rejected: SendMessageBatch: the answer does not say", "m1 rejected", "m2 rejected: SendMessageBatch: the answer does not say")
	})
}

func TestPanicInSendMessageBatchFailsItsMessagesAlone(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-Amz-Target") == "AmazonSQS.SendMessageBatch" {
				body, _ := io.ReadAll(r.Body)
				panic("cannot send " + string(body))
			}
			return next.RoundTrip(r)
		})
		e.wantAnswer(sqsBatch(faulty("a"), named("b")), failures("m0"))
		e.wantLog("m0 rejected: SendMessageBatch: internal error: panic in createkey/internal/function.TestPanicInSendMessageBatch", "m1 created")
	})
}

// Lambda may stop the function after the call, and AWS may lose its answer: the message is
// set aside twice, and nothing else happens twice.
func TestDeliveryThatWasStoppedBehindTheSendSetsAsideTwice(t *testing.T) {
	withLetters(t, func(e *environment) {
		batch := sqsBatch(named("a"), faulty("b"))
		e.invoke(batch) // its answer is lost
		e.lines()
		e.wantAnswer(batch, failures())
		e.wantLog("m0 existing", "m1 rejected")
		if got := e.letters(); got != "m1 m1" || len(e.aws.Keys()) != 1 {
			e.Errorf("set aside were %q, and %d keys exist, want m1 twice and one key", got, len(e.aws.Keys()))
		}
	})
	withLetters(t, func(e *environment) {
		lost := false
		e.aws.After = func(_ context.Context, c awslocal.Call) error {
			if c.Operation == "SendMessageBatch" && !lost {
				lost = true
				return awslocal.ErrConnectionLost
			}
			return nil
		}
		e.wantAnswer(sqsBatch(faulty("b")), failures())
		e.lines()
		if got := e.letters(); got != "m0 m0" {
			e.Errorf("set aside were %q, want m0 twice", got)
		}
	})
}

// The answer comes a second before the function's timeout, or a fifth of the timeout before
// it if that is less.
func TestBatchIsAnsweredInTimeThoughTheDeadLetterQueueHangs(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		30 * time.Second: 29 * time.Second,
		3 * time.Second:  2400 * time.Millisecond,
	} {
		for _, operation := range []string{"SendMessageBatch", ""} {
			withLetters(t, func(e *environment) {
				e.timeout = timeout
				e.settings.OutcomeBus = "outcomes"
				e.hang(operation)
				bodies := slices.Repeat([]string{faulty("a")}, 12)
				start := time.Now()
				answer, _, _ := e.invoke(sqsBatch(bodies...))
				if took := time.Since(start); took > want || operation != "" && took != want {
					e.Errorf("answered after %v, want %v", took, want)
				}
				if n := strings.Count(answer, "itemIdentifier"); n != 12 {
					e.Errorf("%d messages are to be delivered again, want all 12", n)
				}
				for id, l := range e.lines() {
					if l.Outcome != "rejected" || !strings.HasSuffix(l.Reason, ": no answer in time") {
						e.Errorf("message %s: %s: %q, want rejected: no answer in time", id, l.Outcome, l.Reason)
					}
				}
			})
		}
	}
}

// When a call or the bus hangs, enough time is kept to set messages aside.
func TestTimeIsKeptBackForLetters(t *testing.T) {
	for _, hangs := range []string{"CreateSecret", "PutEvents"} {
		withLetters(t, func(e *environment) {
			e.settings.OutcomeBus = "outcomes"
			e.aws.Before = func(ctx context.Context, c awslocal.Call) error {
				switch c.Operation {
				case hangs:
					if hangs == "PutEvents" && strings.Count(e.calls(), hangs) == 0 {
						break // the second call hangs
					}
					<-ctx.Done()
					return ctx.Err()
				case "SendMessageBatch":
					<-time.After(1900 * time.Millisecond)
				}
				return nil
			}
			// Eleven events take two calls.
			bodies := append(slices.Repeat([]string{faulty("a")}, 10), named("b"))
			answer, _, _ := e.invoke(sqsBatch(bodies...))
			if answer != failures("m10") {
				e.Errorf("%s hangs: answered %s, want m10 alone to come again", hangs, answer)
			}
			if n := len(e.aws.Messages()); n != 10 {
				e.Errorf("%s hangs: %d letters, want 10", hangs, n)
			}
			e.lines()
		})
	}
}

func TestLettersAreSentInAsFewCallsAsTheirLimitsAllow(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.wantAnswer(sqsBatch(slices.Repeat([]string{faulty("a")}, 25)...), failures())
		if n := strings.Count(e.calls(), "SendMessageBatch"); n != 3 || len(e.aws.Messages()) != 25 {
			e.Errorf("%d letters in %d calls, want 25 in 3", len(e.aws.Messages()), n)
		}
		e.lines()
	})
	withLetters(t, func(e *environment) {
		// The local AWS refuses more than 1 MiB a call.
		e.wantAnswer(sqsBatch(slices.Repeat([]string{"{" + strings.Repeat(" ", 400_000)}, 5)...), failures())
		if n := len(e.aws.Messages()); n != 5 {
			e.Errorf("%d letters, want 5", n)
		}
		e.lines()
	})
}

// A body is never cut, and what does not fit beside it is dropped: first the sender's
// attributes, then the end of the reason, then all of it.
func TestLetterOfAMessageThatIsAlmostTooLarge(t *testing.T) {
	long(t)
	const mebibyte = 1 << 20 // SendMessageBatch: names, types and values of the attributes count
	own := len("messageId"+"String"+"m0") + len("customerId"+"String"+"acme") + len("secretName"+"String"+"test/acme/a")
	for name, test := range map[string]struct {
		room   int
		want   []string // names of the attributes
		reason func(reason string) bool
	}{
		"no room":              {0, nil, nil},
		"for the id":           {len("messageId" + "String" + "m0"), []string{"messageId"}, nil},
		"for what is known":    {own, []string{"customerId", "messageId", "secretName"}, nil},
		"not for one letter":   {own + len("reason"+"String"+"…"), []string{"customerId", "messageId", "secretName"}, nil},
		"for a shorter reason": {own + len("reason"+"String") + 20, []string{"customerId", "messageId", "reason", "secretName"}, func(reason string) bool { return len(reason) == 20 && strings.HasSuffix(reason, "…") }},
		"for the reason":       {own + 500, []string{"customerId", "messageId", "reason", "secretName"}, func(reason string) bool { return strings.HasSuffix(reason, "reserved") }},
		"for all":              {own + 1500, []string{"customerId", "long", "messageId", "reason", "secretName"}, func(reason string) bool { return strings.HasSuffix(reason, "reserved") }},
	} {
		t.Run(name, func(t *testing.T) {
			withLetters(t, func(e *environment) {
				body := eventBridge("e", faulty("a")) // the limit of 64 KiB is on the request in it
				body += strings.Repeat(" ", mebibyte-test.room-len(body))
				batch := payload.SQS(payload.QueueARN, payload.Message{ID: "m0", Body: body, Attributes: map[string]payload.Attribute{
					"long": {DataType: "String", StringValue: strings.Repeat("l", 1000)},
				}})
				e.wantAnswer(batch, failures())
				e.wantLog("m0 rejected")
				letters := e.aws.Messages()
				if len(letters) != 1 || string(letters[0].Body) != body {
					e.Fatalf("%d letters, want 1 with the body that was sent", len(letters))
				}
				if got := slices.Sorted(maps.Keys(letters[0].Attributes)); !slices.Equal(got, test.want) {
					e.Errorf("it has the attributes %q, want %q", got, test.want)
				}
				if reason := string(letters[0].Attributes["reason"].Value); test.reason != nil && !test.reason(reason) {
					e.Errorf("wrong reason %q", reason)
				}
			})
		})
	}
}

func TestAttributesBeyondTenGiveWayToOurs(t *testing.T) {
	withLetters(t, func(e *environment) {
		attributes := map[string]payload.Attribute{}
		for i := range 10 {
			attributes[fmt.Sprint("a", i)] = payload.Attribute{DataType: "String", StringValue: "x"}
		}
		e.wantAnswer(payload.SQS(payload.QueueARN, payload.Message{ID: "m0", Body: faulty("a"), Attributes: attributes}), failures())
		e.wantLog("m0 rejected")
		want := []string{"a0", "a1", "a2", "a3", "a4", "a5", "customerId", "messageId", "reason", "secretName"}
		if got := slices.Sorted(maps.Keys(e.aws.Messages()[0].Attributes)); !slices.Equal(got, want) {
			e.Errorf("it has the attributes %q, want %q", got, want)
		}
	})
}

// A redriven letter already has attributes with these names.
func TestAttributesOfTheSameNameGiveWayToOurs(t *testing.T) {
	theirs := map[string]payload.Attribute{}
	for _, name := range []string{"reason", "messageId", "customerId", "secretName", "Reason"} {
		theirs[name] = payload.Attribute{DataType: "Number", StringValue: "1"}
	}
	for body, want := range map[string]map[string]string{
		faulty("a"): {"messageId": "String m0", "customerId": "String acme", "secretName": "String test/acme/a", "Reason": "Number 1"},
		// Attributes for what is not known of the request keep the sender's value.
		"{": {"messageId": "String m0", "customerId": "Number 1", "secretName": "Number 1", "Reason": "Number 1"},
	} {
		withLetters(t, func(e *environment) {
			e.invoke(payload.SQS(payload.QueueARN, payload.Message{ID: "m0", Body: body, Attributes: theirs}))
			e.wantLog("m0 rejected")
			got := told(e.aws.Messages()[0])
			if !strings.HasPrefix(got["reason"], "String ") {
				e.Errorf("reason %q, want ours", got["reason"])
			}
			if delete(got, "reason"); !maps.Equal(got, want) {
				e.Errorf("the attributes are %q, want %q", got, want)
			}
		})
	}
}

// SQS accepts the characters of XML 1.0 only, but a customer's id may hold any.
func TestCharactersThatSQSDoesNotTakeAreReplacedInOurAttributes(t *testing.T) {
	withLetters(t, func(e *environment) {
		body := `{"customerId":"a\u0000b\u001f\ufffe\uffff\t\u007f\ud83d\udd11é","x":0}`
		e.wantAnswer(payload.SQS(payload.QueueARN, payload.Message{ID: "m0", Body: body}), failures())
		e.wantLog("m0 rejected")
		letter := e.aws.Messages()[0]
		if got, want := string(letter.Attributes["customerId"].Value), "a\ufffdb\ufffd\ufffd\ufffd\t\x7f\U0001F511é"; got != want {
			e.Errorf("the customer is %q, want %q", got, want)
		}
		if string(letter.Body) != body {
			e.Error("the body differs from the one that was sent")
		}
	})
}

func TestGroupOfALetter(t *testing.T) {
	for _, test := range []struct{ queue, source, group, wantGroup, wantDeduplication string }{
		{lettersURL, payload.QueueARN, "", "", ""},
		{lettersURL, payload.QueueARN, "acme", "acme", ""}, // a fair queue
		{lettersURL, payload.FIFOQueueARN, "acme", "acme", ""},
		{lettersURL + ".fifo", payload.FIFOQueueARN, "acme", "acme", "m0"},
		{lettersURL + ".fifo", payload.QueueARN, "acme", "acme", "m0"},
		{lettersURL + ".fifo", payload.QueueARN, "", "m0", "m0"},
	} {
		withLetters(t, func(e *environment) {
			e.settings.DeadLetterQueueURL = test.queue
			e.wantAnswer(payload.SQS(test.source, payload.Message{ID: "m0", Body: faulty("a"), Group: test.group}), failures())
			e.wantLog("m0 rejected")
			for _, letter := range e.aws.Messages() {
				if letter.Group != test.wantGroup || letter.DeduplicationID != test.wantDeduplication {
					e.Errorf("%+v: group %q, deduplication id %q", test, letter.Group, letter.DeduplicationID)
				}
			}
			if n := len(e.aws.Messages()); n != 1 {
				e.Errorf("%+v: %d letters, want 1", test, n)
			}
		})
	}
}

// On a FIFO queue a message that is to be redelivered fails the rest of its group, in order.
// A rejected message leaves the queue if it is set aside, and is redelivered if not.
func TestGroupsOfAFIFOQueueWithADeadLetterQueue(t *testing.T) {
	const bad, slow = "bad", "slow" // rejected; retried once
	for name, test := range map[string]struct {
		groups  string
		bodies  []string
		refused string // letters that the queue refuses, by message
		want    []string
		letters string
		log     []string
	}{
		"set aside": {
			"AAB", []string{bad, "a", "b"}, "", nil, "m0",
			[]string{"m0 rejected", "m1 created", "m2 created"},
		},
		"not set aside": {
			"AABA", []string{bad, "a", "b", bad}, "m0", []string{"m0", "m1"}, "m3",
			[]string{"m0 rejected: was not set aside", "m1 retried: an earlier message of its group", "m2 created", "m3 rejected"},
		},
		"behind one that comes again": {
			"AABA", []string{slow, bad, bad, "a"}, "", []string{"m0", "m1", "m3"}, "m2",
			[]string{"m0 retried", "m1 rejected", "m2 rejected", "m3 retried: an earlier message of its group"},
		},
		"before one that comes again": {
			"AAA", []string{bad, slow, "a"}, "", []string{"m1", "m2"}, "m0",
			[]string{"m0 rejected", "m1 retried", "m2 retried: an earlier message of its group"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			withLetters(t, func(e *environment) {
				e.aws.Before = func(_ context.Context, c awslocal.Call) error {
					if c.Resource == "test/acme/slow" {
						return awslocal.AccessDenied
					}
					return nil
				}
				e.aws.RefuseMessage = func(m awslocal.Message) *awslocal.Error {
					if string(m.Attributes["messageId"].Value) == test.refused {
						return &awslocal.Error{Status: 400, Code: "InvalidParameterValue", Message: "not this one"}
					}
					return nil
				}
				var bodies []string
				for _, body := range test.bodies {
					if body == bad {
						bodies = append(bodies, faulty(body))
					} else {
						bodies = append(bodies, named(body))
					}
				}
				e.wantAnswer(sqsFrom(fifoARN, test.groups, bodies...), failures(test.want...))
				e.wantLog(test.log...)
				if got := e.letters(); got != test.letters {
					e.Errorf("set aside were %q, want %q", got, test.letters)
				}
				e.aws.Before, e.aws.RefuseMessage = nil, nil
				e.wantAnswer(sqsFrom(fifoARN, test.groups, bodies...), failures()) // all at once; nothing is lost
				e.lines()
				for i, body := range test.bodies {
					if id := fmt.Sprint("m", i); body == bad && !strings.Contains(e.letters(), id) {
						e.Errorf("%s is lost: set aside were %q", id, e.letters())
					}
				}
			})
		})
	}
}

// A standard queue has message groups as well, but keeps no order in them.
func TestGroupsOfAStandardQueueKeepNoOrder(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.hang("SendMessageBatch")
		e.wantAnswer(sqsFrom(payload.QueueARN, "AA", faulty("a"), named("b")), failures("m0"))
		e.wantLog("m0 rejected: was not set aside", "m1 created")
	})
}

// AWS sends no such record, but a test or an input transformer may.
func TestMessageWithoutAnExactOriginalIsNotSetAside(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.wantAnswer(`{"Records":[{"messageId":"m0","eventSource":"aws:sqs"},{"messageId":"m1","eventSource":"aws:sqs","body":"{"}]}`, failures("m0"))
		e.wantLog("m0 rejected: dead-letter queue: was not set aside: the record does not tell its body and its attributes as they were", "m1 rejected")
		if got := e.letters(); got != "m1" {
			e.Errorf("set aside were %q, want m1 alone", got)
		}
		const record = `{"messageId":"m%d","eventSource":"aws:sqs","eventSourceARN":"q.fifo","attributes":{"MessageGroupId":"A"},"body":%s}`
		e.wantAnswer(`{"Records":[`+fmt.Sprintf(record, 0, "{}")+","+fmt.Sprintf(record, 1, `"{\"name\":\"b\"}"`)+","+fmt.Sprintf(record, 2, `"{"`)+`]}`, failures("m0", "m1", "m2"))
		e.wantLog("m0 rejected: was not set aside", "m1 retried: an earlier message of its group", "m2 rejected")
	})
}

// A text is cut between characters, never inside one.
func TestShorten(t *testing.T) {
	const text = "aé🔑b" // 1 + 2 + 4 + 1 bytes
	for longest, want := range map[int]string{
		-1: "", 0: "", 3: "", 4: "a…", 5: "a…", 6: "aé…", 7: "aé…", 8: text, 9: text,
	} {
		if got := shorten(text, longest); got != want {
			t.Errorf("shorten(%q, %d) = %q, want %q", text, longest, got, want)
		}
	}
}

// However long a message and SQS's error are, the log line fits, and has both.
func TestReasonOfALetterIsBounded(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.aws.RefuseMessage = func(awslocal.Message) *awslocal.Error {
			return &awslocal.Error{Status: 400, Code: "InvalidParameterValue", Message: strings.Repeat("m", 100<<10)}
		}
		e.invoke(sqsBatch(`{"tags":{` + strings.Repeat(`"x":0,`, 5000) + `"x":0}}`))
		if got := e.output.Len(); got > 40<<10 {
			e.Errorf("the log line has %d bytes, want at most 20 KiB", got)
		}
		if l := e.lines()["m0"]; !strings.HasPrefix(l.Reason, "tags: must have at most 48 tags") || !strings.Contains(l.Reason, "dead-letter queue: was not set aside: SendMessageBatch: InvalidParameterValue") {
			e.Errorf("the reason lacks the rejection or SQS's error: %.60q", l.Reason)
		}
	})
}

func TestDebugListsSendMessageBatch(t *testing.T) {
	withLetters(t, func(e *environment) {
		e.settings.Debug = true
		e.invoke(sqsBatch(faulty("a")))
		calls := e.lines()["m0"].Calls
		if len(calls) != 1 || calls[0].Operation != "SendMessageBatch" || calls[0].Failed {
			e.Errorf("the line lists wrong calls: %+v", calls)
		}
	})
}
