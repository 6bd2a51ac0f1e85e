package envelope

import (
	"createkey/internal/document"
	"createkey/internal/failure"
)

// foreign names a payload that is certainly something else, of the kinds that are wired
// to a function or its queue by mistake. It returns an empty string for any other, which
// is left to the validator: for these, "unknown member" for each member would confuse.
func foreign(doc document.Node) string {
	switch {
	case doc.Kind == document.List:
		return "a list (send what it holds one by one)"
	case doc.Has("Records"):
		return "a batch inside a message"
	case doc.GetText("eventSource") != "":
		return "an event of " + failure.Quote(doc.GetText("eventSource"))
	case doc.GetText("Event") == "s3:TestEvent":
		return "an Amazon S3 test event"
	case doc.Has("source", "detail-type"), doc.Has("detail"):
		return "an EventBridge event that lacks source, detail-type or detail"
	case doc.GetText("Type") == "Notification" && doc.Has("TopicArn"):
		return "an SNS notification without its Message, or outside of a queue's message"
	case doc.Has("Type", "TopicArn"):
		return "an SNS control message, such as a SubscriptionConfirmation"
	case doc.Has("Detail", "DetailType"), doc.Has("Entries"):
		return "the input of PutEvents (put it on a bus, or send its Detail alone)"
	case doc.Has("MessageBody"):
		return "the input of SendMessage (send its MessageBody alone)"
	case doc.Has("requestContext", "requestPayload"):
		return "the record of a Lambda destination"
	case doc.Has("requestContext"):
		return "an HTTP request (API Gateway, a function URL or a load balancer)"
	case doc.Has("RequestType", "StackId"):
		return "a CloudFormation custom resource's request"
	case doc.Has("triggerSource", "userPoolId"):
		return "an Amazon Cognito trigger"
	}
	return ""
}
