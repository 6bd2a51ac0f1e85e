// Package envelope decodes what Lambda is invoked with into messages, each with the
// request that it carries and the delivery that brought it.
//
// It guarantees that a payload is recognised by its shape and never guessed: one that is
// certainly something else is rejected by what it is. A fault in one message of a batch
// is that message's alone, every message of a batch can be named in the answer, and no
// error quotes what a request holds.
//
// [Decode] is the only function to call. The package knows envelopes and nothing of
// requests, so whether the document inside a message is a request is for package apikey to say:
//
//	batch, err := envelope.Decode(payload, lambdaRequestID)
//	for _, m := range batch.Messages {
//		if m.HasRequest() {
//			request, secretName, err := apikey.Parse(m.Request, prefix, m.DeliveryID)
//			err = failure.Join(m.Err, err)
//		}
//	}
//
// docs/sending.md lists the forms that a payload may have; package events has a sample
// of each.
package envelope

import (
	"cmp"
	"strings"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/failure"
	"createkey/internal/marketplace"
)

// Kind is what invoked the function, which decides what it must answer.
type Kind int

const (
	// Direct: one request, invoked by itself or as an EventBridge event. The answer
	// is its outcome, or an error.
	Direct Kind = iota
	// SQS: a batch from an SQS event source or an EventBridge pipe. The answer is the
	// ids of the messages to deliver again
	// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
	SQS
	// SNS: notifications straight from a topic. An error makes SNS deliver all of
	// them again.
	SNS
)

// Batch is what one invocation carries.
type Batch struct {
	Kind Kind
	// Messages has at least one message, in the payload's order; exactly one where Kind
	// is Direct.
	Messages []Message
}

// Message is one delivery of one request.
type Message struct {
	// ID names the message in logs and in batchItemFailures: the SQS messageId, the SNS
	// MessageId, the EventBridge id or the Lambda request id.
	ID string
	// Group is the SQS message's group, if it has one. Ordered reports whether the
	// queue is a FIFO queue, whose groups must be kept in order: standard queues have
	// message groups too.
	Group   string
	Ordered bool
	// DeliveryID identifies a request that has no identity of its own, and is the same
	// on every delivery: the EventBridge id, else the SNS MessageId, else, invoked
	// directly, the Lambda request id. It is empty for a request that is the body of a
	// queue's message, because a redrive gives that a new messageId.
	DeliveryID string
	// Original is an SQS message as its sender wrote it; nil for any other, and where the
	// record does not tell it exactly.
	Original *Original
	// Kind is what the message asks for: a sign-up unless an event's detail-type, or AWS
	// Marketplace, says otherwise.
	Kind apikey.Kind
	// Time is when the message was sent, as its innermost envelope says; zero: none does.
	Time time.Time
	// Request is the document of the request, not yet checked. Beside an Err it is there for its
	// own faults, and for the log, where it can be told which part of the message it is.
	Request document.Node
	// Marketplace is what an AWS Marketplace message says beside the request that is made of
	// it; zero for any other message.
	Marketplace marketplace.Message
	// Err is nil, or a *failure.RejectedError that says why the message must not be
	// worked on. Beside it only ID, Group, Ordered, Original and the customer of Marketplace are set
	// reliably.
	Err error
}

// HasRequest reports whether there is a Request to be read.
func (m Message) HasRequest() bool { return m.Err == nil || m.Request.Kind != document.Null }

// Original is the body and the message attributes of an SQS message, as they came. A
// sender may have put a key's value into either, so they print as one does, and only the
// dead-letter queue is sent them.
type Original struct {
	Body       apikey.Value
	Attributes map[string]Attribute
}

// Attribute is an SQS message attribute
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
type Attribute struct {
	DataType string       // String, Number or Binary, each perhaps with a label: Number.int
	Value    apikey.Value // the text, or the bytes of a Binary
}

// IsBinary reports whether the value is bytes, not text.
func (a Attribute) IsBinary() bool {
	logical, _, _ := strings.Cut(a.DataType, ".")
	return logical == "Binary"
}

// Decode reads a payload. requestID is the Lambda request id, or empty where there is
// none. An error is a *failure.RejectedError of the payload as a whole: none of its
// messages can be worked on.
func Decode(payload []byte, requestID string) (Batch, error) {
	root, err := document.Parse(payload)
	if err != nil {
		return Batch{}, failure.Reject("payload: %s", err)
	}
	if root.Kind == document.List {
		return decodeRecords(root, "payload")
	}
	if records, isBatch := root.Get("Records"); isBatch {
		return decodeRecords(records, "Records")
	}
	return direct(root, requestID), nil
}

// direct decodes a payload that is one request or one EventBridge event.
func direct(root document.Node, requestID string) Batch {
	m := unwrap(root, fromInvocation)
	m.ID = cmp.Or(m.ID, requestID)
	m.DeliveryID = cmp.Or(m.DeliveryID, requestID)
	return Batch{Kind: Direct, Messages: []Message{m}}
}
