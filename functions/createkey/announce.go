package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"createkey/internal/awserror"
	"createkey/internal/eventbridge"
	"createkey/internal/failure"
)

// eventsAPI is the one EventBridge call that is made.
type eventsAPI interface {
	PutEvents(context.Context, []eventbridge.Entry) ([]eventbridge.Result, error)
}

// The names of outcome events, on which the rules of listeners hang.
const (
	eventSource   = "createkey"
	eventReady    = "API Key Ready"
	eventRejected = "API Key Rejected"
)

// busReserve is the time kept back for the outcome events, where there is a bus.
const busReserve = 2 * time.Second

// readyDetail tells of a key that exists what a direct invocation answers.
type readyDetail struct {
	MessageID string `json:"messageId"`
	ready
}

// rejectedDetail tells of a rejected message what is known of its request.
type rejectedDetail struct {
	MessageID  string   `json:"messageId"`
	CustomerID string   `json:"customerId,omitempty"`
	Name       string   `json:"name,omitempty"`
	SecretName string   `json:"secretName,omitempty"`
	Reasons    []string `json:"reasons"`
}

// announce sends an event for every outcome that is final, and none for what is
// retried. A message whose event the bus has not taken is not done: it is made
// retryable, and its redelivery finds the key existing and sends the event again.
func (h *handler) announce(ctx context.Context, outcomes []outcome) {
	if h.events == nil {
		return
	}
	ctx = withTrace(ctx, h.settings.Debug)
	var entries []eventbridge.Entry
	var of []*outcome // each entry's
	for i := range outcomes {
		if o := &outcomes[i]; o.final() {
			entries, of = append(entries, h.entry(*o)), append(of, o)
		}
	}
	for sent := 0; sent < len(entries); {
		n := fitting(entries[sent:])
		for i, fault := range h.put(ctx, entries[sent:sent+n]) {
			if o := of[sent+i]; fault != "" {
				o.err = failure.Bound(untaken(o.err, fault))
			}
		}
		sent += n
	}
	for _, o := range of {
		o.calls = append(o.calls, tracedCalls(ctx)...)
	}
}

// fitting returns how many of the entries fit into one call, at least one: what
// is told of one message always fits.
func fitting(entries []eventbridge.Entry) int {
	size := 0
	for i, e := range entries {
		if size += e.Size(); i > 0 && (size > eventbridge.MaxSize || i == eventbridge.MaxEntries) {
			return i
		}
	}
	return len(entries)
}

func (h *handler) entry(o outcome) eventbridge.Entry {
	detailType, detail := eventReady, any(readyDetail{o.messageID, o.ready()})
	var rejected *failure.RejectedError
	if errors.As(o.err, &rejected) {
		detailType, detail = eventRejected, rejectedDetail{o.messageID, o.customerID, o.name, o.secretName, rejected.Reasons}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // six bytes for each of < > & would count
	_ = encoder.Encode(detail)   // strings, booleans and times can always be encoded
	return eventbridge.Entry{EventBusName: h.settings.OutcomeBus, Source: eventSource, DetailType: detailType, Detail: b.String()}
}

// put sends entries in one call, and returns for each why it was not taken, or
// an empty text.
func (h *handler) put(ctx context.Context, entries []eventbridge.Entry) (faults []string) {
	defer func() {
		if p := recover(); p != nil {
			faults = slices.Repeat([]string{"internal error: panic in " + panicSite()}, len(entries))
		}
	}()
	results, err := h.events.PutEvents(ctx, entries)
	if err != nil {
		return slices.Repeat([]string{awserror.Describe(err)}, len(entries))
	}
	faults = make([]string, len(entries))
	for i, r := range results {
		if r.ErrorCode != "" || r.EventID == "" {
			faults[i] = cmp.Or(strings.TrimSuffix(r.ErrorCode+": "+r.ErrorMessage, ": "), "the bus gave it no id")
		}
	}
	return faults
}

// untaken is the error of a message whose event was not taken. A rejection stays
// one: the message must change, whoever was told.
func untaken(err error, fault string) error {
	var rejected *failure.RejectedError
	if errors.As(err, &rejected) {
		return &failure.RejectedError{Reasons: append(slices.Clip(rejected.Reasons), "event: was not sent: PutEvents: "+fault)}
	}
	return failure.Retry("PutEvents: %s", fault)
}
