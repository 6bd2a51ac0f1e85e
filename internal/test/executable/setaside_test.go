package executable_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
	"createkey/internal/test/sandbox"
)

// rejectedMessage is rejected; it is delivered beside one that is not.
var rejectedMessage = payload.Message{
	ID:   "message-2",
	Body: `{"customerId":"cust-9","name":"Own","enabled":"yes","value":"` + requests[3].Value + `"}`,
	Attributes: map[string]payload.Attribute{
		"trace": {DataType: "String", StringValue: "<1>\n"},
		"bytes": {DataType: "Binary", BinaryValue: base64.StdEncoding.EncodeToString([]byte("\x00\xff"))},
	},
}

// testSetAsideSweep makes every fault hit each call that reports a rejected message. The
// message is never lost: unless the function hands it back to the queue, it is in the
// dead-letter queue, as it was sent. If the function is stopped after the call, it is there
// twice.
func testSetAsideSweep(t *testing.T, executable string) {
	for _, call := range []string{"PutEvents", "SendMessageBatch"} {
		for _, f := range sweepFaults {
			t.Run(call+"/"+f.name, func(t *testing.T) {
				t.Parallel() // most of the time is waiting
				w := start(t, executable, withBus, withLetters)
				if f.hang {
					w.box.Function.Timeout = shortTimeout
				}
				w.strikeAt(call, f)
				if w.deliverRejected() {
					t.Error("the message left the queue in spite of the fault")
				}
				if w.strikeNoMore() == 0 {
					t.Error("the fault never hit a call")
				}
				if !w.deliverRejected() {
					t.Error("the message comes again although no fault hit its second delivery")
				}
				want := 1
				if call == "SendMessageBatch" && f.after {
					want = 2
				}
				if got := len(w.aws.Messages()); got != want {
					t.Errorf("%d letters, want %d", got, want)
				}
				w.wantSettled(requests[0])
			})
		}
	}
}

// deliverRejected delivers a batch with a rejected message, and reports whether the message
// left the queue. It checks that the dead-letter queue has it then, and that its letters are
// what was sent.
func (w *world) deliverRejected() (left bool) {
	w.t.Helper()
	good := payload.Message{ID: "message-1", Body: payload.JSON(requests[0])}
	response, _ := w.invoke([]byte(payload.SQS(payload.QueueARN, good, rejectedMessage)))
	if response.FunctionError == "" {
		failures := failuresOf(response)
		left = !slices.Contains(failures, rejectedMessage.ID)
	}
	letters := w.aws.Messages()
	if left && len(letters) == 0 {
		w.t.Error("the rejected message left the queue, and is not in the dead-letter queue")
	}
	for _, letter := range letters {
		w.checkLetter(letter)
	}
	return left
}

func (w *world) checkLetter(letter awslocal.Message) {
	w.t.Helper()
	if letter.Queue != "letters" || string(letter.Body) != rejectedMessage.Body {
		w.t.Error("a letter differs from the message that was sent")
	}
	want := map[string]string{
		"trace": "String <1>\n", "bytes": "Binary \x00\xff", "messageId": "String message-2",
		"customerId": "String cust-9", "secretName": "String apikeys/cust-9/Own",
	}
	for name, a := range letter.Attributes {
		w.wantNoValue("a letter's attribute", []byte(a.Value))
		switch {
		case name == "reason" && strings.Contains(string(a.Value), "enabled: must be a boolean"):
		case a.DataType+" "+string(a.Value) != want[name]:
			w.t.Errorf("a letter's attribute %s is not what it should be", name)
		}
	}
	if len(letter.Attributes) != len(want)+1 {
		w.t.Errorf("a letter has %d attributes, want %d", len(letter.Attributes), len(want)+1)
	}
}

// testSAMLocal starts the executable as `sam local` does, where a queue's Ref is its logical id: a
// rejected message is answered as failed.
func testSAMLocal(t *testing.T, executable string) {
	box, err := sandbox.Start("127.0.0.1", executable, &awslocal.Server{}, "DEAD_LETTER_QUEUE_URL=DeadLetterQueue", "AWS_SAM_LOCAL=true")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	response, err := box.Function.Invoke(t.Context(), []byte(payload.SQS(payload.QueueARN, rejectedMessage)))
	if err != nil {
		t.Fatal(err)
	}
	if got := failuresOf(response); !slices.Equal(got, []string{rejectedMessage.ID}) {
		t.Errorf("batchItemFailures name %v, want the rejected message", got)
	}
}
