package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"createkey/events"
	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/envelope"
	"createkey/internal/failure"
)

// invocation stands for the Lambda request id of the invocation that will carry a
// request, which is not known in advance.
const invocation = "REQUEST-ID"

// asksDisabled is what a verdict says of a sign-up that asks for a disabled key.
const asksDisabled = " (a disabled key)"

// verdict is what the function will make of one message, as far as can be said without
// asking AWS.
type verdict struct {
	messageID  string
	secretName string
	hasValue   bool   // the request gives a value
	asks       string // what else than an enabled key is asked for
	err        error  // nil, or a *failure.RejectedError
}

// judge runs the function's own code from a payload to its requests: envelope.Decode,
// apikey.Parse, and the record's size. An error is about the whole payload.
func judge(payload []byte) ([]verdict, error) {
	batch, err := envelope.Decode(payload, invocation)
	if err != nil {
		return nil, err
	}
	verdicts := make([]verdict, len(batch.Messages))
	for i, m := range batch.Messages {
		v := &verdicts[i]
		if v.messageID, v.err = m.ID, m.Err; !m.HasRequest() {
			continue
		}
		var request apikey.Request
		if m.Kind != apikey.SignUp {
			_, v.secretName, err = apikey.ParseChange(m.Request, m.Kind, m.Time, secretPrefix())
			v.asks = " (a rotation)"
			if m.Kind == apikey.End {
				v.asks = " (an end)"
			}
			v.err = failure.Join(m.Err, err)
			continue
		}
		request, v.secretName, err = apikey.Parse(m.Request, secretPrefix(), m.DeliveryID)
		v.err = failure.Join(m.Err, err)
		request.ProductCode, request.AddedTags = m.Marketplace.ProductCode, m.Marketplace.Tags()
		if v.err == nil {
			v.err = request.CheckTotals(v.secretName, request.Plans(os.Getenv("USAGE_PLAN_ID")))
		}
		v.hasValue = !request.Value.IsZero()
		if !request.Enabled {
			v.asks = asksDisabled
		}
	}
	return verdicts, nil
}

// reasons returns an error's faults.
func reasons(err error) []string {
	var rejected *failure.RejectedError
	if errors.As(err, &rejected) {
		return rejected.Reasons
	}
	return []string{err.Error()}
}

// anySource is a source that the function accepts.
const anySource = "onboarding"

// inAQueue is the advice on a bare request that only its carrier could identify.
const inAQueue = "accepted where it is invoked directly or comes as an event, whose id identifies it; rejected in a bare SQS message"

// anonymous reports whether a payload is one bare request with neither customerId
// nor name, which the function accepts from everywhere but a queue.
func anonymous(verdicts []verdict) bool {
	return len(verdicts) == 1 && verdicts[0].err == nil && strings.HasSuffix(verdicts[0].secretName, "_/_/"+invocation)
}

// validateCommand reports what the function will make of a file, and sends nothing. It
// returns an error if anything is rejected, even if only from a queue.
func validateCommand(out io.Writer, args []string) error {
	flags := flag.NewFlagSet("validate", flag.ExitOnError)
	file := flags.String("file", "", "a request in JSON or YAML, a whole payload, or requests as CSV or JSON lines")
	asks := flags.String("kind", "sign-up", kindUsage)
	_ = flags.Parse(args) // exits on an error
	k, err := kindOf(*asks)
	if err != nil {
		return err
	}
	rows, err := readRows(*file, k)
	if err != nil {
		return err
	}
	good, bad := 0, 0
	for _, r := range rows {
		verdicts := []verdict{{err: r.err}}
		if r.err == nil {
			payload, err := k.body(anySource, r.document)
			node, _ := document.Parse(payload)
			if (r.line > 0 || node.GetText("Type") == "Notification") && err == nil { // which lie on a queue
				payload = events.QueueMessage(invocation, payload)
			}
			if err == nil {
				verdicts, err = judge(payload)
			}
			if err != nil {
				verdicts = []verdict{{err: err}}
			}
			if anonymous(verdicts) {
				r.hint = inAQueue
				verdicts, err = judge(events.QueueMessage(invocation, r.document))
				if err != nil {
					return err
				}
			}
		}
		for _, v := range verdicts {
			printVerdict(out, r, v)
			if v.err == nil {
				good++
			} else {
				bad++
			}
		}
	}
	_, _ = fmt.Fprintf(out, "%d accepted, %d rejected. Nothing was sent.\n", good, bad)
	if good > 0 && os.Getenv("SECRET_PREFIX") == "" {
		_, _ = fmt.Fprintln(out, "The names begin with the function's default prefix: give SECRET_PREFIX the deployment's, by default the stack's name and a slash.")
	}
	if bad > 0 {
		return fmt.Errorf("%s: %d of %d would be rejected", *file, bad, good+bad)
	}
	return nil
}

func printVerdict(out io.Writer, r row, v verdict) {
	what := cmp.Or(strings.TrimSuffix(v.messageID, invocation), "request")
	if r.line > 0 {
		what = "line " + strconv.Itoa(r.line)
	}
	if v.err == nil {
		_, _ = fmt.Fprintf(out, "accepted  %s  %s%s\n", what, v.secretName, v.asks)
		return
	}
	_, _ = fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("rejected  %s  %s", what, v.secretName), " "))
	for _, reason := range r.reasons(v.err) {
		_, _ = fmt.Fprintf(out, "          %s\n", reason)
	}
}
