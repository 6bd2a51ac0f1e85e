package envelope_test

import (
	"fmt"
	"log"

	"createkey/internal/envelope"
)

// A message that is not a document is rejected alone; the rest of the batch goes on.
func ExampleDecode() {
	batch, err := envelope.Decode([]byte(`{"Records": [
		{"eventSource": "aws:sqs", "messageId": "m-1", "body": "{\"customerId\": \"cust-1\", \"name\": \"Gold\"}"},
		{"eventSource": "aws:sqs", "messageId": "m-2", "body": "{\"customerId\": \"cust-1\",}"}
	]}`), "lambda-1")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range batch.Messages {
		if m.Err != nil {
			fmt.Println(m.ID, "is rejected:", m.Err)
			continue
		}
		fmt.Println(m.ID, "asks for", m.Request.GetText("name"))
	}
	// Output:
	// m-1 asks for Gold
	// m-2 is rejected: body: is not valid JSON (line 1, column 25): take out the comma before it
}

// The detail of an EventBridge event is the request. This one has neither customer nor
// name, so it is identified by the event's id, which every delivery repeats.
func ExampleDecode_eventBridge() {
	batch, err := envelope.Decode([]byte(`{
		"id": "e-1", "source": "onboarding", "detail-type": "API Key Requested",
		"detail": {"enabled": true}
	}`), "lambda-1")
	if err != nil {
		log.Fatal(err)
	}
	m := batch.Messages[0]
	fmt.Println(m.DeliveryID, m.Request.Has("enabled"))
	// Output: e-1 true
}

// A payload for some other function is rejected with what it is.
func ExampleDecode_foreign() {
	_, err := envelope.Decode([]byte(`{"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]}`), "lambda-1")
	fmt.Println(err)
	// Output: Records[0].eventSource: must be aws:sqs, is "aws:s3"
}
