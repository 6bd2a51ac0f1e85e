// Package envelope turns what Lambda is invoked with into messages, each with the
// request that it carries and the delivery that it came by.
//
// It guarantees that a payload is recognised by its shape and never guessed: one
// that has none of the known shapes is rejected by what it looks like. A fault in
// one message of a batch is that message's alone, every message of a batch can be
// named in the answer, and no error quotes what a request holds.
//
// [Decode] is all there is to call. Whether the document inside a message is a
// request is for package apikey to say, since this one knows envelopes and
// nothing of keys:
//
//	batch, err := envelope.Decode(payload, lambdaRequestID)
//	for _, m := range batch.Messages {
//		if m.Err == nil {
//			request, secretName, err := apikey.Parse(m.Request, prefix, m.DeliveryID)
//		}
//	}
//
// The README lists the forms that a payload may have; package events has a sample
// of each.
package envelope

import (
	"strconv"
	"strings"

	"createkey/internal/document"
	"createkey/internal/failure"
	"createkey/internal/marketplace"
)

// Kind says what invoked the function, and so what it must answer.
type Kind int

const (
	// Direct: one request, invoked by itself or as an EventBridge event. It wants
	// to hear what became of it, or an error.
	Direct Kind = iota
	// SQS: a batch from an SQS event source or an EventBridge pipe, which wants
	// to hear the ids of the messages to deliver again
	// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
	SQS
	// SNS: notifications straight from a topic. An error has all of them
	// delivered again.
	SNS
)

// Batch is what one invocation carries.
type Batch struct {
	Kind Kind
	// Messages are in the payload's order, and at least one; of Direct, just one.
	Messages []Message
}

// Message is one delivery of one request.
type Message struct {
	// ID is the message's name in logs and in batchItemFailures: the SQS
	// messageId, the SNS MessageId, the EventBridge id or the Lambda request id.
	ID string
	// Group is the SQS message's group, if it has one. Ordered says that the
	// queue is a FIFO queue, whose groups must be kept in order: standard queues
	// have message groups too.
	Group   string
	Ordered bool
	// DeliveryID identifies a request that has no identity of its own, the same
	// on every delivery: the EventBridge id, else the SNS MessageId, else, invoked
	// directly, the Lambda request id. Empty for what lies bare on a queue, for a
	// redrive gives that a new messageId.
	DeliveryID string
	// Request is the document of the request, not yet checked.
	Request document.Node
	// SignUp is what an AWS Marketplace message says beside the request that was
	// made of it; zero for any other.
	SignUp marketplace.SignUp
	// Err is the reason why the message cannot be handled, or nil; here it is
	// always a *failure.RejectedError. Beside it only ID, Group, Ordered and what
	// SignUp knows of the customer are of use.
	Err error
}

// Decode reads a payload. requestID is the Lambda request id, or empty where there
// is none. The error, a *failure.RejectedError, is of the payload as a whole, of
// which no message can be worked on.
func Decode(payload []byte, requestID string) (Batch, error) {
	root, err := document.Parse(payload)
	if err != nil {
		return Batch{}, failure.Reject("payload: %s", err)
	}
	records, path := root, "payload"
	if root.Kind == document.Object {
		var isBatch bool
		if records, isBatch = root.Get("Records"); !isBatch {
			return direct(root, requestID), nil
		}
		path = "Records"
	} else if root.Kind != document.List {
		return direct(root, requestID), nil
	}
	return decodeRecords(records, path)
}

// direct reads a payload that is one request or one EventBridge event.
func direct(root document.Node, requestID string) Batch {
	m := unwrap(root, fromInvocation)
	if m.ID == "" {
		m.ID = requestID
	}
	if m.DeliveryID == "" {
		m.DeliveryID = requestID
	}
	return Batch{Kind: Direct, Messages: []Message{m}}
}

// decodeRecords reads the records of a batch, which are all of one source.
func decodeRecords(records document.Node, path string) (Batch, error) {
	if records.Kind != document.List || len(records.Items) == 0 {
		return Batch{}, failure.Reject("%s: must be a list of SQS or SNS records, not empty", path)
	}
	batch := Batch{Kind: SQS}
	read := fromSQSRecord
	if records.Items[0].GetText("EventSource") == "aws:sns" && path == "Records" {
		batch.Kind, read = SNS, fromSNSRecord
	}
	for i, record := range records.Items {
		m, err := read(path+"["+strconv.Itoa(i)+"]", record)
		if err != nil {
			return Batch{}, err
		}
		batch.Messages = append(batch.Messages, m)
	}
	return batch, nil
}

func fromSQSRecord(path string, record document.Node) (Message, error) {
	if source := record.GetText("eventSource"); source != "aws:sqs" {
		if source == "" {
			source = record.GetText("EventSource")
		}
		return Message{}, failure.Reject("%s.eventSource: must be aws:sqs, is %s", path, failure.Quote(source))
	}
	id := record.GetText("messageId")
	if id == "" {
		return Message{}, failure.Reject("%s.messageId: must not be empty", path)
	}
	m := unwrapText(record, "body", fromQueue)
	m.ID = id
	attributes, _ := record.Get("attributes")
	m.Ordered = strings.HasSuffix(record.GetText("eventSourceARN"), ".fifo")
	m.Group = attributes.GetText("MessageGroupId")
	return m, nil
}

func fromSNSRecord(path string, record document.Node) (Message, error) {
	if source := record.GetText("EventSource"); source != "aws:sns" {
		return Message{}, failure.Reject("%s.EventSource: must be aws:sns, is %s", path, failure.Quote(source))
	}
	notification, _ := record.Get("Sns")
	id := notification.GetText("MessageId")
	if id == "" {
		return Message{}, failure.Reject("%s.Sns.MessageId: must not be empty", path)
	}
	m := fromNotification(notification)
	m.ID = id
	return m, nil
}
