// Package payload builds what AWS delivers to the function, as JSON: batches of SQS and SNS,
// an SNS notification, an EventBridge event. Tests, the local runner and the benchmark build
// their payloads here; every member is spelled as in AWS's documentation
// (https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, with-sns.html).
package payload

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Resources that payloads come from.
const (
	QueueARN     = "arn:aws:sqs:us-east-1:123456789012:requests"
	FIFOQueueARN = QueueARN + ".fifo"
	TopicARN     = "arn:aws:sns:us-east-1:123456789012:requests"
)

// A Message is a message of a queue or a topic.
type Message struct {
	ID    string
	Body  string
	Group string // MessageGroupId; empty: none
	// Sent is the Timestamp of a topic's notification; zero: it has none.
	Sent time.Time
	// Attributes are the message attributes of an SQS message.
	Attributes map[string]Attribute
}

// An Attribute is an SQS message attribute. The value of a Binary one is in base64.
type Attribute struct {
	StringValue string `json:"stringValue,omitempty"`
	BinaryValue string `json:"binaryValue,omitempty"`
	DataType    string `json:"dataType"`
}

// Messages returns a message for each body, with the ids prefix0, prefix1 …
func Messages(prefix string, bodies ...string) []Message {
	messages := make([]Message, len(bodies))
	for i, body := range bodies {
		messages[i] = Message{ID: fmt.Sprint(prefix, i), Body: body}
	}
	return messages
}

// A Record is one of an SQS batch.
type Record struct {
	MessageID         string               `json:"messageId"`
	Body              string               `json:"body"`
	Attributes        map[string]string    `json:"attributes"`
	MessageAttributes map[string]Attribute `json:"messageAttributes"`
	EventSource       string               `json:"eventSource"`
	EventSourceARN    string               `json:"eventSourceARN"`
}

// Records returns the records of a batch of a queue's messages, each received for the first
// time. The ARN says whether the queue is FIFO.
func Records(queueARN string, messages ...Message) []Record {
	records := make([]Record, len(messages))
	for i, m := range messages {
		attributes := map[string]string{"ApproximateReceiveCount": "1"}
		if m.Group != "" {
			attributes["MessageGroupId"] = m.Group
		}
		messageAttributes := map[string]Attribute{}
		maps.Copy(messageAttributes, m.Attributes)
		records[i] = Record{m.ID, m.Body, attributes, messageAttributes, "aws:sqs", queueARN}
	}
	return records
}

// SQS returns a batch from a queue.
func SQS(queueARN string, messages ...Message) string {
	return JSON(map[string]any{"Records": Records(queueARN, messages...)})
}

// Pipe returns a batch from a queue as EventBridge Pipes delivers it: a bare list.
func Pipe(queueARN string, messages ...Message) string {
	return JSON(Records(queueARN, messages...))
}

type notification struct {
	Type      string
	MessageID string `json:"MessageId"`
	TopicARN  string `json:"TopicArn"`
	Message   string
	Timestamp time.Time `json:",omitzero"`
}

func (m Message) notification() notification {
	return notification{"Notification", m.ID, TopicARN, m.Body, m.Sent}
}

// Notification returns the notification that a topic puts into an SQS body, without a Timestamp.
func Notification(id, message string) string { return NotificationAt(id, message, time.Time{}) }

// NotificationAt returns a notification that was published at that time.
func NotificationAt(id, message string, sent time.Time) string {
	return JSON(Message{ID: id, Body: message, Sent: sent}.notification())
}

// SNS returns a batch from a topic, as a function receives it.
func SNS(messages ...Message) string {
	type record struct {
		EventSource string
		SNS         notification `json:"Sns"`
	}
	var records []record
	for _, m := range messages {
		records = append(records, record{"aws:sns", m.notification()})
	}
	return JSON(map[string]any{"Records": records})
}

// The detail-types of requests.
const (
	Requested         = "API Key Requested"
	EndRequested      = "API Key End Requested"
	RotationRequested = "API Key Rotation Requested"
)

// EventBridge returns the event of a request, whose detail is JSON, without a time.
func EventBridge(id, detail string) string { return EventAt(id, Requested, detail, time.Time{}) }

// EventAt returns an event with that detail-type and time; zero: no time.
func EventAt(id, detailType, detail string, sent time.Time) string {
	return JSON(struct {
		Version    string          `json:"version"`
		ID         string          `json:"id"`
		Source     string          `json:"source"`
		DetailType string          `json:"detail-type"`
		Time       time.Time       `json:"time,omitzero"`
		Detail     json.RawMessage `json:"detail"`
	}{"0", id, "com.example.signup", detailType, sent, json.RawMessage(detail)})
}

// JSON returns the JSON text of v, which must be marshallable.
func JSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("payload: " + err.Error())
	}
	return string(text)
}
