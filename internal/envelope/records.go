package envelope

import (
	"encoding/base64"
	"strconv"
	"strings"

	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/failure"
)

// decodeRecords decodes the records of a batch, which are all of one source.
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
		if source == "" {
			return Message{}, failure.Reject("%s.eventSource: must be aws:sqs: %s, and requests come one by one, not in a list", path, noTemplate)
		}
		return Message{}, failure.Reject("%s.eventSource: must be aws:sqs, is %s", path, failure.Quote(source))
	}
	id := record.GetText("messageId")
	if id == "" {
		return Message{}, failure.Reject("%s.messageId: must not be empty: %s", path, noTemplate)
	}
	m := unwrapText(record, "body", fromQueue)
	m.ID = id
	attributes, _ := record.Get("attributes")
	m.Ordered = strings.HasSuffix(record.GetText("eventSourceARN"), ".fifo")
	m.Group = attributes.GetText("MessageGroupId")
	m.Original = original(record)
	return m, nil
}

// noTemplate is the mend of a record without what SQS puts into each.
const noTemplate = "an EventBridge pipe must have no input template"

// original returns the message of a record as its sender wrote it, or nil where a part of
// it is missing or had to be repaired: no record of AWS's own is like that.
func original(record document.Node) *Original {
	body := record.GetText("body")
	if body == "" {
		return nil
	}
	o := &Original{Body: apikey.NewValue(body), Attributes: map[string]Attribute{}}
	attributes, _ := record.Get("messageAttributes")
	for _, member := range attributes.Members {
		a := Attribute{DataType: member.Value.GetText("dataType")}
		text := member.Value.GetText("stringValue")
		if a.IsBinary() {
			decoded, err := base64.StdEncoding.DecodeString(member.Value.GetText("binaryValue"))
			if err != nil {
				return nil
			}
			text = string(decoded)
		}
		if member.Fault != "" || a.DataType == "" || text == "" {
			return nil
		}
		a.Value = apikey.NewValue(text)
		o.Attributes[member.Name] = a
	}
	return o
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
