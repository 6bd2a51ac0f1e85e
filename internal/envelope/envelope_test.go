package envelope

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/failure"
	"createkey/internal/test/payload"
)

// vector is a file of testdata/payloads: a header of "key: value" lines that states the
// expected outcome, an empty line, and the payload itself.
//
//	comment     what it shows, where its name does not say
//	request-id  the Lambda request id: none, or lambda-1 where it is not given
//	error       why the payload is rejected as a whole
//	kind        direct, sqs or sns
//	message     the id of a message; the lines below describe that message
//	group       its message group
//	ordered     yes: from a FIFO queue
//	delivery    its delivery id
//	reject      why it is rejected, a line for each fault
//	product     the product code of its sign-up, and below it, by name
//	tag         the tags that the sign-up adds, as name=value
//	asks        end or rotation; absent: a sign-up
//	agreement   its AWS Marketplace agreement
//	license     that agreement's
//	request     its request, as JSON
//
// Values in vectors begin with fake-value, so that a fault that quotes one is noticed.
type vector struct {
	name      string
	requestID string
	lines     []string // kind and below, or error
	payload   []byte
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/payloads/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors")
	}
	var vectors []vector
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, payload, found := strings.Cut(string(text), "\n\n")
		if !found {
			t.Fatalf("%s: no empty line", file)
		}
		v := vector{name: strings.TrimSuffix(filepath.Base(file), ".txt"), requestID: "lambda-1", payload: []byte(payload)}
		for line := range strings.SplitSeq(head, "\n") {
			if strings.HasPrefix(line, "comment: ") {
				continue
			}
			if id, ok := strings.CutPrefix(line, "request-id: "); ok {
				v.requestID = strings.TrimPrefix(id, "none")
				continue
			}
			v.lines = append(v.lines, line)
		}
		vectors = append(vectors, v)
	}
	return vectors
}

// describe returns what was decoded as the lines of a vector. It returns the requests
// separately, because a failure must not print them.
func describe(t testing.TB, batch Batch, err error) (lines []string, requests []document.Node) {
	t.Helper()
	if err != nil {
		return []string{"error: " + strings.Join(rejection(t, err), "; ")}, nil
	}
	lines = append(lines, "kind: "+map[Kind]string{Direct: "direct", SQS: "sqs", SNS: "sns"}[batch.Kind])
	for _, m := range batch.Messages {
		lines = append(lines, "message: "+m.ID)
		if m.Group != "" {
			lines = append(lines, "group: "+m.Group)
		}
		if m.Ordered {
			lines = append(lines, "ordered: yes")
		}
		if m.DeliveryID != "" {
			lines = append(lines, "delivery: "+m.DeliveryID)
		}
		if m.Err != nil {
			for _, reason := range rejection(t, m.Err) {
				lines = append(lines, "reject: "+reason)
			}
			continue
		}
		if m.Marketplace.ProductCode != "" {
			lines = append(lines, "product: "+m.Marketplace.ProductCode)
		}
		for _, name := range slices.Sorted(maps.Keys(m.Marketplace.Tags())) {
			lines = append(lines, "tag: "+name+"="+m.Marketplace.Tags()[name])
		}
		if m.Kind != apikey.SignUp {
			lines = append(lines, "asks: "+map[apikey.Kind]string{apikey.End: "end", apikey.Rotation: "rotation"}[m.Kind])
		}
		if m.Marketplace.Agreement != "" {
			lines = append(lines, "agreement: "+m.Marketplace.Agreement)
		}
		if m.Marketplace.License != "" {
			lines = append(lines, "license: "+m.Marketplace.License)
		}
		lines = append(lines, "request")
		requests = append(requests, m.Request)
	}
	return lines, requests
}

func rejection(t testing.TB, err error) []string {
	t.Helper()
	rejected, ok := errors.AsType[*failure.RejectedError](err)
	if !ok || len(rejected.Reasons) == 0 {
		t.Fatalf("error: got a %T, want a *failure.RejectedError with reasons", err)
	}
	return rejected.Reasons
}

func TestPayloadVectors(t *testing.T) {
	for _, v := range readVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			batch, err := Decode(v.payload, v.requestID)
			got, requests := describe(t, batch, err)
			var want []string
			var wantRequests []document.Node
			for _, line := range v.lines {
				if text, ok := strings.CutPrefix(line, "request: "); ok {
					doc, err := document.Parse([]byte(text))
					if err != nil {
						t.Fatalf("the vector's request %s", err)
					}
					line, wantRequests = "request", append(wantRequests, doc)
				}
				want = append(want, line)
			}
			if strings.Contains(strings.Join(got, "\n"), "fake-value") {
				t.Fatal("a fault quotes a value")
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
			for i := range requests {
				if !reflect.DeepEqual(sizeless(requests[i]), sizeless(wantRequests[i])) {
					t.Errorf("request %d differs", i)
				}
			}
		})
	}
}

// sizeless returns a copy of a node without its source's sizes.
func sizeless(n document.Node) document.Node {
	n.Size = 0
	n.Items, n.Members = slices.Clone(n.Items), slices.Clone(n.Members)
	for i := range n.Items {
		n.Items[i] = sizeless(n.Items[i])
	}
	for i := range n.Members {
		n.Members[i].Value = sizeless(n.Members[i].Value)
	}
	return n
}

// The size limit applies to the request, not to its envelopes.
func TestRequestSize(t *testing.T) {
	const request = `{"name":"n"}`
	event := payload.EventBridge("e-1", request)
	body := func(texts ...string) string { return payload.SQS(payload.QueueARN, payload.Messages("m", texts...)...) }
	for name, text := range map[string]string{
		"direct":                request,
		"EventBridge":           event,
		"SQS":                   body(request),
		"EventBridge in SQS":    body(event),
		"SNS in SQS":            body(payload.Notification("s-1", request)),
		"EventBridge in SNS":    body(payload.Notification("s-1", event)),
		"SNS":                   payload.SNS(payload.Messages("s", request)...),
		"a batch of a megabyte": body(append([]string{request}, slices.Repeat([]string{"[" + strings.Repeat(" ", 65_000) + "]"}, 16)...)...),
	} {
		batch, err := Decode([]byte(text), "lambda-1")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m := batch.Messages[0]; m.Err != nil || m.Request.Size != len(request) {
			t.Errorf("%s: size: got %d bytes and error %v, want %d", name, m.Request.Size, m.Err, len(request))
		}
	}
}

// A message has the time of its innermost envelope that has one: EventBridge's time or
// SNS's Timestamp.
func TestTime(t *testing.T) {
	const request = `{"customerId":"c","name":"n"}`
	event := func(at string) string {
		return `{"id":"e-1","source":"onboarding","detail-type":"API Key Requested",` + at + `"detail":` + request + `}`
	}
	notification := func(message string) string {
		return payload.JSON(map[string]string{"Type": "Notification", "MessageId": "s-1", "Message": message, "Timestamp": "2026-01-02T03:04:05.678Z"})
	}
	queue := func(body string) string {
		return payload.SQS(payload.QueueARN, payload.Message{ID: "m-1", Body: body})
	}
	const at = `"time":"2026-11-27T12:00:00Z",`
	for name, test := range map[string]struct{ payload, want string }{
		"EventBridge":                          {event(at), "2026-11-27T12:00:00Z"},
		"of another zone":                      {event(`"time":"2026-11-27T13:00:00+01:00",`), "2026-11-27T12:00:00Z"},
		"EventBridge in SQS":                   {queue(event(at)), "2026-11-27T12:00:00Z"},
		"SNS in SQS":                           {queue(notification(request)), "2026-01-02T03:04:05.678Z"},
		"Marketplace in SNS in SQS":            {queue(notification(`{"action":"unsubscribe-success","customer-identifier":"c","product-code":"p"}`)), "2026-01-02T03:04:05.678Z"},
		"EventBridge in SNS":                   {queue(notification(event(at))), "2026-11-27T12:00:00Z"},
		"EventBridge without a time in SNS":    {queue(notification(event(""))), "2026-01-02T03:04:05.678Z"},
		"SNS":                                  {`{"Records":[{"EventSource":"aws:sns","Sns":` + notification(request) + `}]}`, "2026-01-02T03:04:05.678Z"},
		"a pipe":                               {`[` + strings.TrimSuffix(strings.TrimPrefix(queue(event(at)), `{"Records":[`), `]}`) + `]`, "2026-11-27T12:00:00Z"},
		"a request on a queue, which has none": {queue(request), ""},
		"a request, which has none":            {request, ""},
	} {
		batch, err := Decode([]byte(test.payload), "lambda-1")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want time.Time
		if test.want != "" {
			if want, err = time.Parse(time.RFC3339, test.want); err != nil {
				t.Fatal(err)
			}
		}
		if m := batch.Messages[0]; m.Err != nil || !m.Time.Equal(want) {
			t.Errorf("%s: got %s and error %v, want %s", name, m.Time, m.Err, want)
		}
	}
}

// FuzzDecode checks that Decode handles any payload, that every message has an id for the
// answer, and that every reason has a path.
func FuzzDecode(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.payload)
	}
	samples, err := filepath.Glob("../../events/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, sample := range samples {
		if text, err := os.ReadFile(sample); err == nil {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		batch, err := Decode(payload, "lambda-1")
		if err != nil {
			checkReason(t, err)
			if len(batch.Messages) > 0 {
				t.Fatal("got messages and an error")
			}
			return
		}
		if len(batch.Messages) == 0 || batch.Kind == Direct && len(batch.Messages) != 1 {
			t.Fatalf("%d messages of kind %d", len(batch.Messages), batch.Kind)
		}
		for _, m := range batch.Messages {
			if m.ID == "" {
				t.Fatal("a message without an id")
			}
			if batch.Kind != SQS && m.DeliveryID == "" && m.Err == nil {
				t.Fatal("a delivery without an id that is not from a queue")
			}
			if batch.Kind != SQS && (m.Ordered || m.Group != "" || m.Original != nil) {
				t.Fatal("a message that is not from a queue has a group or an original")
			}
			if m.Err != nil {
				checkReason(t, m.Err)
			}
		}
	})
}

func checkReason(t *testing.T, err error) {
	t.Helper()
	for _, reason := range rejection(t, err) {
		path, rule, found := strings.Cut(reason, ": ")
		if !found || path == "" || rule == "" {
			t.Fatal("a fault without a path or a rule")
		}
	}
}
