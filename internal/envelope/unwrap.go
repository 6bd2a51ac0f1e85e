package envelope

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/failure"
	"createkey/internal/marketplace"
)

// carrier is what a document came in, which decides what it may be.
type carrier int

const (
	fromInvocation carrier = iota // the payload itself
	fromQueue                     // the body of an SQS message
	fromTopic                     // the Message of an SNS notification
)

func rejected(format string, args ...any) Message {
	return Message{Err: failure.Reject(format, args...)}
}

// unwrapText unwraps the document that is the text of a member.
func unwrapText(envelope document.Node, member string, in carrier) Message {
	text, _ := envelope.Get(member) // absent is a null
	switch {
	case text.Kind != document.String && in == fromQueue:
		return rejected("%s: must be a string, not %s: %s", member, text.Kind, noTemplate)
	case text.Kind != document.String:
		return rejected("%s: must be a string, not %s", member, text.Kind)
	case text.Fault != "":
		return rejected("%s: %s", member, text.Fault)
	}
	doc, err := document.Parse([]byte(text.Text))
	switch {
	case errors.Is(err, document.ErrCutShort) && in == fromQueue:
		return rejected("%s: %s: an API Gateway that sends to SQS cuts it at each & unless its mapping template has $util.urlEncode($input.body)", member, err)
	case err != nil:
		return rejected("%s: %s", member, err)
	case doc.HoldsJSON():
		return rejected("%s: %s", member, document.EncodedTwice)
	}
	return unwrap(doc, in)
}

// unwrap finds the request in a document, which is an envelope that is allowed in its
// carrier, or the request itself.
func unwrap(doc document.Node, in carrier) Message {
	switch {
	case doc.Has("source", "detail-type", "detail"):
		return fromEventBridge(doc)
	case doc.GetText("Type") == "Notification" && doc.Has("Message") && in == fromQueue:
		return fromNotification(doc)
	case doc.GetText("default") != "": // no member of a request
		return rejected("default: is for a message that is published with MessageStructure=json, and this one was not: " +
			"publish it so, or publish the request alone")
	case marketplace.IsNotification(doc):
		return fromMarketplace(Message{}, marketplace.FromNotification, doc)
	}
	if what := foreign(doc); what != "" {
		return rejected("payload: is %s, not a request for an API key", what)
	}
	return Message{Request: doc}
}

// kinds are the detail-types that are no sign-ups.
var kinds = map[string]apikey.Kind{
	"API Key End Requested":      apikey.End,
	"API Key Rotation Requested": apikey.Rotation,
}

// lastYear is that of the latest time which JSON, and so a record, can hold, in UTC.
const lastYear = 9999

// sent reads the time of an envelope, which may be absent. Where it is at fault, fault is the rule
// that it breaks, and the time is one that adds no fault to the request's own.
func sent(envelope document.Node, member string) (at time.Time, fault string) {
	text, given := envelope.Get(member)
	if !given {
		return time.Time{}, ""
	}
	at, err := time.Parse(time.RFC3339, text.Text)
	at = at.UTC()
	switch {
	case err != nil || text.Kind != document.String:
		return apikey.Beginning, "must be a time such as 2026-11-27T12:00:00Z"
	case at.Before(apikey.Beginning) || at.Year() > lastYear:
		return apikey.Beginning, "must be a time from 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z"
	}
	return at, ""
}

// fromEventBridge takes the detail of an event, whatever its detail-type
// (https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html).
func fromEventBridge(doc document.Node) Message {
	faults := envelopeFaults(doc, "time")
	source, detailType := doc.GetText("source"), doc.GetText("detail-type")
	detail, _ := doc.Get("detail")
	m := Message{ID: doc.GetText("id"), DeliveryID: doc.GetText("id"), Kind: kinds[detailType]}
	m.Time, _ = sent(doc, "time")
	if asked, _ := doc.Get("detail-type"); asked.Kind != document.String { // an end, perhaps: a sign-up would be a guess
		faults.Add("detail-type", asked.Mismatch(document.String))
	}
	asks := !faults.Has("source") && !faults.Has("detail") && !faults.Has("detail-type")
	if source == "" && !faults.Has("source") {
		faults.Add("source", "must be a string, not empty")
	}
	switch {
	case !asks: // what it asks for cannot be told
	case detail.HoldsJSON():
		faults.Add("detail", document.EncodedTwice)
	case source == "createkey":
		faults.Add("source", "is createkey: an outcome of this program's own is not a request")
	case source == marketplace.Source:
		m = fromMarketplace(m, marketplace.FromEvent, doc)
	case strings.HasPrefix(source, "aws."): // which EventBridge takes from AWS alone, so it is shown whole
		faults.Add("source", fmt.Sprintf("events of AWS's own (%s, %s) are not requests", strconv.Quote(source), failure.Quote(detailType)))
	default:
		m.Request = detail
	}
	m.Err = failure.Join(faults.Err(), m.Err)
	return m
}

// fromMarketplace makes a request of an AWS Marketplace message, which is validated like
// any other.
func fromMarketplace(m Message, read func(document.Node) (marketplace.Message, error), doc document.Node) Message {
	if m.Marketplace, m.Err = read(doc); m.Err != nil {
		return m
	}
	text := func(s string) document.Node { return document.Node{Kind: document.String, Text: s} }
	m.Request = document.Node{Kind: document.Object, Members: []document.Member{
		{Name: "customerId", Value: text(m.Marketplace.CustomerID)},
		{Name: "name", Value: text(m.Marketplace.ProductCode)},
	}}
	if m.Kind = apikey.End; !m.Marketplace.Ends {
		m.Kind = apikey.SignUp
		m.Request.Members = append(m.Request.Members, document.Member{Name: "enabled", Value: document.Node{Kind: document.Bool, Bool: true}})
	}
	return m
}

// fromNotification takes the Message of an SNS notification
// (https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).
func fromNotification(doc document.Node) Message {
	faults := envelopeFaults(doc, "Timestamp")
	var m Message
	if !faults.Has("Message") {
		m = unwrapText(doc, "Message", fromTopic)
	}
	if m.Time.IsZero() {
		m.Time, _ = sent(doc, "Timestamp")
	}
	m.Err = failure.Join(faults.Err(), m.Err)
	m.DeliveryID = cmp.Or(m.DeliveryID, doc.GetText("MessageId"))
	return m
}

// envelopeFaults returns the faults of an envelope, of which one member is its time. A repeated
// member is one: which of the two was meant would be a guess.
func envelopeFaults(doc document.Node, at string) (faults failure.Faults) {
	if doc.Fault != "" {
		faults.Add("payload", doc.Fault)
	}
	for _, member := range doc.Members {
		if fault := cmp.Or(member.Fault, member.Value.Fault); fault != "" {
			faults.Add(failure.Name(member.Name), fault)
		}
	}
	if _, fault := sent(doc, at); fault != "" && !faults.Has(at) {
		faults.Add(at, fault)
	}
	return faults
}
