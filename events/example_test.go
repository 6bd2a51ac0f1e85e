package events_test

import (
	"fmt"

	"createkey/events"
)

// QueueMessage wraps a document in the payload that Lambda passes to a function behind a queue.
func ExampleQueueMessage() {
	fmt.Printf("%s\n", events.QueueMessage("m-1", []byte(`name: Gold`)))
	// Output: {"Records":[{"messageId":"m-1","body":"name: Gold","attributes":{"ApproximateReceiveCount":"1"},"messageAttributes":{},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:123456789012:requests"}]}
}
