package payload_test

import (
	"fmt"

	"createkey/internal/test/payload"
)

func Example() {
	fmt.Println(payload.SQS(payload.FIFOQueueARN, payload.Message{ID: "m0", Body: "{}", Group: "acme"}))
	fmt.Println(payload.SNS(payload.Messages("n", "{}")...))
	fmt.Println(payload.EventBridge("e0", `{"name":"Gold"}`))
	// Output:
	// {"Records":[{"messageId":"m0","body":"{}","attributes":{"ApproximateReceiveCount":"1","MessageGroupId":"acme"},"messageAttributes":{},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-1:123456789012:requests.fifo"}]}
	// {"Records":[{"EventSource":"aws:sns","Sns":{"Type":"Notification","MessageId":"n0","TopicArn":"arn:aws:sns:us-east-1:123456789012:requests","Message":"{}"}}]}
	// {"version":"0","id":"e0","source":"com.example.signup","detail-type":"API Key Requested","detail":{"name":"Gold"}}
}
