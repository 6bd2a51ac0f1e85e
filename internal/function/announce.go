package function

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"createkey/internal/awserr"
	"createkey/internal/failure"
	"createkey/internal/pace"
)

// eventsAPI is the one EventBridge call that is made.
type eventsAPI interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// The names of outcome events, on which the rules of listeners hang.
const (
	eventSource   = "createkey"
	eventReady    = "API Key Ready"
	eventRejected = "API Key Rejected"
)

// busReserve is the time kept back for the outcome events, where there is a bus.
const busReserve = 2 * time.Second

// The limits of one PutEvents call
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html).
const (
	maxEntries = 10
	// maxEntriesSize is what the entries may have together, in bytes. AWS takes a
	// megabyte since January 2026; this is the limit before, which not every
	// partition and emulator has left behind.
	maxEntriesSize = 256 << 10
)

// readyDetail is the detail of an event about a key that exists.
type readyDetail struct {
	MessageID string `json:"messageId"`
	ready
}

// rejectedDetail is the detail of an event about a rejected message: what is known of
// its request.
type rejectedDetail struct {
	MessageID  string   `json:"messageId"`
	CustomerID string   `json:"customerId,omitempty"`
	Name       string   `json:"name,omitempty"`
	SecretName string   `json:"secretName,omitempty"`
	Reasons    []string `json:"reasons"`
}

// announce sends an event for every outcome but those that are retried. A message whose
// event the bus has not accepted is not done: it is retried, and its next delivery finds
// the key existing and sends the event again.
func (h *Handler) announce(ctx context.Context, outcomes []outcome) {
	if h.events == nil {
		return
	}
	ctx = withTrace(ctx, h.settings.Debug)
	var entries []types.PutEventsRequestEntry
	var of []*outcome // each entry's
	for i := range outcomes {
		if o := &outcomes[i]; !o.retried() {
			entries, of = append(entries, h.entry(*o)), append(of, o)
		}
	}
	for sent := 0; sent < len(entries); {
		n := fitting(entries[sent:])
		for i, fault := range h.put(ctx, entries[sent:sent+n]) {
			if o := of[sent+i]; fault != "" {
				o.err = failure.Bound(unannounced(o.err, fault))
			}
		}
		sent += n
	}
	for _, o := range of {
		o.calls = append(o.calls, tracedCalls(ctx)...)
	}
}

// fitting returns how many of the entries fit into one call, at least one: the event of
// one message always fits.
func fitting(entries []types.PutEventsRequestEntry) int {
	const around = 512 // generously: AWS's pages differ on whether the JSON around an entry counts
	size := 0
	for i, e := range entries {
		size += around + len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
		if i > 0 && (size > maxEntriesSize || i == maxEntries) {
			return i
		}
	}
	return len(entries)
}

func (h *Handler) entry(o outcome) types.PutEventsRequestEntry {
	detailType, detail := eventReady, any(readyDetail{o.messageID, o.ready()})
	if rejected, ok := errors.AsType[*failure.RejectedError](o.err); ok {
		detailType, detail = eventRejected, rejectedDetail{o.messageID, o.customerID, o.name, o.secretName, rejected.Reasons}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // six bytes for each of < > & would count
	_ = encoder.Encode(detail)   // strings, booleans and times can always be encoded
	return types.PutEventsRequestEntry{
		EventBusName: &h.settings.OutcomeBus, Source: aws.String(eventSource), DetailType: &detailType, Detail: aws.String(b.String()),
	}
}

// put sends entries, and returns for each the reason why it was not accepted, or an
// empty string. Entries that the bus refused for the moment inside a successful answer
// are sent again until a turn would come too late: a whole delivery costs more.
func (h *Handler) put(ctx context.Context, entries []types.PutEventsRequestEntry) []string {
	faults := make([]string, len(entries))
	left := make([]int, len(entries)) // the entries to send
	for i := range left {
		left[i] = i
	}
	for wait := firstResend; ; wait *= 2 {
		var again []int
		for i, fault := range h.putOnce(ctx, entries, left) {
			faults[left[i]] = fault.text
			if fault.passing {
				again = append(again, left[i])
			}
		}
		if left = again; len(left) == 0 || !pace.Sleep(ctx, wait) {
			return faults
		}
	}
}

// firstResend is the wait before entries are sent again; it doubles each time.
const firstResend = 100 * time.Millisecond

// entryFault says why an entry was not accepted, and whether it may be a moment later.
type entryFault struct {
	text    string
	passing bool
}

// putOnce sends the entries of those indexes in one call, and returns a fault for each;
// the zero fault: it was accepted.
func (h *Handler) putOnce(ctx context.Context, entries []types.PutEventsRequestEntry, indexes []int) []entryFault {
	in := &eventbridge.PutEventsInput{}
	for _, i := range indexes {
		in.Entries = append(in.Entries, entries[i])
	}
	var out *eventbridge.PutEventsOutput
	err := guard(func() (err error) {
		out, err = h.events.PutEvents(ctx, in)
		return err
	})
	switch panicked, ok := errors.AsType[*failure.RetryableError](err); {
	case ok:
		return slices.Repeat([]entryFault{{text: panicked.Reason}}, len(indexes))
	case err != nil:
		return slices.Repeat([]entryFault{{text: awserr.Describe(err)}}, len(indexes))
	case len(out.Entries) != len(indexes):
		return slices.Repeat([]entryFault{{text: "the answer does not say of every event what became of it"}}, len(indexes))
	}
	faults := make([]entryFault, len(indexes))
	for i, r := range out.Entries {
		code := aws.ToString(r.ErrorCode)
		if code != "" || aws.ToString(r.EventId) == "" {
			faults[i].text = cmp.Or(strings.TrimSuffix(code+": "+aws.ToString(r.ErrorMessage), ": "), "the bus gave it no id")
		}
		// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
		faults[i].passing = code == "ThrottlingException" || code == "InternalFailure"
	}
	return faults
}

// unannounced returns the error of a message whose event was not accepted. A rejection
// stays one: the message must change, whether or not its event was sent.
func unannounced(err error, fault string) error {
	if rejected, ok := errors.AsType[*failure.RejectedError](err); ok {
		return &failure.RejectedError{Reasons: append(slices.Clip(rejected.Reasons), "event: was not sent: PutEvents: "+fault)}
	}
	return failure.Retry("PutEvents: %s", fault)
}
