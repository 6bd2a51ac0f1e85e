package marketplace

import (
	"createkey/internal/document"
	"createkey/internal/failure"
)

// IsNotification reports whether a document is one that Marketplace publishes to a
// product's SNS topic.
func IsNotification(doc document.Node) bool {
	return doc.Has("action", "customer-identifier") || doc.Has("action", "product-code")
}

// FromNotification reads a notification of a product's SNS topic. Its error is a
// *failure.RejectedError that names every fault. Beside an error, the message holds what
// is known of the customer.
func FromNotification(doc document.Node) (Message, error) {
	var r reader
	if doc.Fault != "" {
		r.Add("payload", doc.Fault)
	}
	r.noRepeats("", doc)
	action := r.required("", doc, "action")
	m := Message{
		Ends:        action == "unsubscribe-success",
		CustomerID:  r.required("", doc, "customer-identifier"),
		ProductCode: r.required("", doc, "product-code"),
		Offer:       r.optional("", doc, "offer-identifier"),
	}
	if action != "" && action != "subscribe-success" && !m.Ends {
		return m, failure.Reject("action: %s of AWS Marketplace makes no key and ends none: %s", failure.Quote(action), adviceOnAction(action))
	}
	return m, r.Err()
}

func adviceOnAction(action string) string {
	switch action {
	case "unsubscribe-pending":
		return "meter for the last time; the end comes with unsubscribe-success"
	case "subscribe-fail":
		return "nothing was bought"
	case "entitlement-updated":
		return "subscribe the queue to the product's aws-mp-subscription-notification topic alone"
	}
	return "subscribe-success is a sign-up, unsubscribe-success an end"
}
