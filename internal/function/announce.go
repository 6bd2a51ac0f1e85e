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

	"createkey/internal/failure"
	"createkey/internal/provision"
)

// eventsAPI is the one EventBridge call that is made.
type eventsAPI interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// The names of outcome events, on which the rules of listeners hang.
const (
	eventSource   = "createkey"
	eventReady    = "API Key Ready"
	eventEnded    = "API Key Ended"
	eventRotated  = "API Key Rotated"
	eventRejected = "API Key Rejected"
)

// busReserve is the time kept back for the outcome events, where there is a bus.
const busReserve = 2 * time.Second

// readyDetail is the detail of an event about a key that exists.
type readyDetail struct {
	MessageID string `json:"messageId"`
	ready
	Marketplace *marketplaceDetail `json:"marketplace,omitempty"`
}

// marketplaceDetail is what metering needs of an AWS Marketplace sign-up.
type marketplaceDetail struct {
	ProductCode string `json:"productCode"`
	AgreementID string `json:"agreementId,omitempty"`
	LicenseARN  string `json:"licenseArn,omitempty"`
	OfferID     string `json:"offerId,omitempty"`
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
	var sizes []int
	var of []*outcome // each entry's
	for i := range outcomes {
		if o := &outcomes[i]; !o.retried() {
			entry := h.entry(*o)
			entries, sizes, of = append(entries, entry), append(sizes, eventSize(entry)), append(of, o)
		}
	}
	for i, fault := range sendEntries(ctx, sizes, func(indexes []int) []entryFault { return h.put(ctx, entries, indexes) }) {
		if o := of[i]; fault != "" {
			o.err, o.unannounced = failure.Bound(unannounced(o.err, fault)), true
		}
	}
	for _, o := range of {
		o.calls = append(o.calls, tracedCalls(ctx)...)
	}
}

// eventSize returns what an entry takes of a call, generously: AWS's pages differ on
// whether the JSON around an entry counts.
func eventSize(e types.PutEventsRequestEntry) int {
	const around = 512
	return around + len(*e.Source) + len(*e.DetailType) + len(*e.Detail)
}

func (h *Handler) entry(o outcome) types.PutEventsRequestEntry {
	ready := readyDetail{MessageID: o.messageID, ready: o.ready()}
	if m := o.marketplace; m.ProductCode != "" {
		ready.Marketplace = &marketplaceDetail{m.ProductCode, m.Agreement, m.License, m.Offer}
	}
	detailType, detail := eventReady, any(ready)
	switch o.result.Status {
	case provision.Ended:
		detailType = eventEnded
	case provision.Rotated:
		detailType = eventRotated
	}
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

// put sends the entries of those indexes in one call, and returns a fault for each.
func (h *Handler) put(ctx context.Context, entries []types.PutEventsRequestEntry, indexes []int) []entryFault {
	in := &eventbridge.PutEventsInput{}
	for _, i := range indexes {
		in.Entries = append(in.Entries, entries[i])
	}
	var out *eventbridge.PutEventsOutput
	err := guard(func() (err error) {
		out, err = h.events.PutEvents(ctx, in)
		return err
	})
	switch {
	case err != nil:
		return slices.Repeat([]entryFault{{text: describeCall(err)}}, len(indexes))
	case len(out.Entries) != len(indexes):
		return slices.Repeat([]entryFault{{text: "the answer does not say of every event what became of it"}}, len(indexes))
	}
	faults := make([]entryFault, len(indexes))
	refused := int32(0)
	for i, r := range out.Entries {
		code := aws.ToString(r.ErrorCode)
		if code != "" || aws.ToString(r.EventId) == "" {
			faults[i].text = cmp.Or(strings.TrimSuffix(code+": "+aws.ToString(r.ErrorMessage), ": "), "the bus gave it no id")
			refused++
		}
		// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
		faults[i].passing = code == "ThrottlingException" || code == "InternalFailure"
	}
	if out.FailedEntryCount > refused {
		return slices.Repeat([]entryFault{{text: "the answer does not say which events were refused"}}, len(indexes))
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
