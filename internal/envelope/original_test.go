package envelope

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"createkey/internal/test/payload"
)

// The record is the sample from AWS's page on SQS events, with a binary attribute added:
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
const recordWithAttributes = `{
	"messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
	"receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
	"body": "{\"x\":\"fake-value\\n\"}",
	"attributes": {
		"ApproximateReceiveCount": "1",
		"SentTimestamp": "1545082649183",
		"SenderId": "AIDAIENQZJOLO23YVJ4VO",
		"ApproximateFirstReceiveTimestamp": "1545082649185"
	},
	"messageAttributes": {
		"myAttribute": {"stringValue": "fake-value", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
		"myNumber": {"stringValue": "7", "stringListValues": [], "binaryListValues": [], "dataType": "Number.int"},
		"myBytes": {"binaryValue": "AP8fYQ==", "stringListValues": [], "binaryListValues": [], "dataType": "Binary.gzip"}
	},
	"md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
	"eventSource": "aws:sqs",
	"eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
	"awsRegion": "us-east-2"
}`

func TestOriginal(t *testing.T) {
	for name, text := range map[string]string{
		"SQS":   `{"Records":[` + recordWithAttributes + `]}`,
		"Pipes": `[` + recordWithAttributes + `]`,
	} {
		batch, err := Decode([]byte(text), "lambda-1")
		if err != nil {
			t.Fatal(err)
		}
		o := batch.Messages[0].Original
		if o == nil || o.Body.Reveal() != `{"x":"fake-value\n"}` {
			t.Fatalf("%s: the body differs from the record's", name)
		}
		for attribute, want := range map[string]struct {
			dataType, value string
			binary          bool
		}{
			"myAttribute": {"String", "fake-value", false},
			"myNumber":    {"Number.int", "7", false},
			"myBytes":     {"Binary.gzip", "\x00\xff\x1fa", true},
		} {
			if got := o.Attributes[attribute]; got.DataType != want.dataType || got.Value.Reveal() != want.value || got.IsBinary() != want.binary {
				t.Errorf("%s: attribute %s differs from the record's", name, attribute)
			}
		}
		if len(o.Attributes) != 3 {
			t.Errorf("%s: %d attributes, want 3", name, len(o.Attributes))
		}
	}
}

// A message that is not known exactly must not be passed on under the sender's name.
func TestOriginalIsNilUnlessKnownExactly(t *testing.T) {
	record := func(body, attributes string) string {
		return `{"messageId":"m","eventSource":"aws:sqs","body":` + body + `,"messageAttributes":` + attributes + `}`
	}
	for name, test := range map[string]struct {
		record string
		want   bool
	}{
		"no attributes":         {`{"messageId":"m","eventSource":"aws:sqs","body":"{"}`, true},
		"attributes null":       {record(`"{"`, `null`), true},
		"no body":               {`{"messageId":"m","eventSource":"aws:sqs"}`, false},
		"empty body":            {record(`""`, `{}`), false},
		"body no string":        {record(`{}`, `{}`), false},
		"body repaired":         {record(`"\ud83d"`, `{}`), false},
		"attribute no object":   {record(`"{"`, `{"a":"x"}`), false},
		"no type":               {record(`"{"`, `{"a":{"stringValue":"x"}}`), false},
		"no value":              {record(`"{"`, `{"a":{"dataType":"String"}}`), false},
		"bytes for a String":    {record(`"{"`, `{"a":{"dataType":"String","binaryValue":"AA=="}}`), false},
		"no base64":             {record(`"{"`, `{"a":{"dataType":"Binary","binaryValue":"?"}}`), false},
		"value repaired":        {record(`"{"`, `{"a":{"dataType":"String","stringValue":"\ud83d"}}`), false},
		"an attribute repeated": {record(`"{"`, `{"a":{"dataType":"String","stringValue":"x"},"a":{"dataType":"String","stringValue":"y"}}`), false},
	} {
		batch, err := Decode([]byte(`{"Records":[`+test.record+`]}`), "lambda-1")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := batch.Messages[0].Original != nil; got != test.want {
			t.Errorf("%s: original known: %t, want %t", name, got, test.want)
		}
	}
	for name, text := range map[string]string{"SNS": payload.SNS(payload.Message{ID: "m", Body: "{}"}), "direct": "{}"} {
		batch, err := Decode([]byte(text), "lambda-1")
		if err != nil || batch.Messages[0].Original != nil {
			t.Errorf("%s: error %v, or an original for a message that is not from a queue", name, err)
		}
	}
}

func TestOriginalIsNeverPrinted(t *testing.T) {
	batch, err := Decode([]byte("["+recordWithAttributes+"]"), "lambda-1")
	if err != nil {
		t.Fatal(err)
	}
	o := batch.Messages[0].Original
	asJSON, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("", "original", o, "value", *o)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", o, o, o, o, o), fmt.Sprintf("%v %+v %#v", *o, *o, *o), string(asJSON), logged.String()} {
		if strings.Contains(text, "fake-value") {
			t.Error("printing an original shows the sender's text (not shown)")
		}
	}
}
