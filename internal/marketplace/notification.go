package marketplace

import (
	"strings"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// IsNotification reports whether a document is one that Marketplace publishes to a
// product's SNS topic.
func IsNotification(doc document.Node) bool {
	return doc.Has("action", "customer-identifier") || doc.Has("action", "product-code")
}

// FromNotification reads a notification of a product's SNS topic. Its error is a
// *failure.RejectedError that names every fault. Beside an error, the sign-up holds what
// is known: the customer, and the name where only the action is at fault.
func FromNotification(doc document.Node) (SignUp, error) {
	var r reader
	r.noRepeats("", doc)
	action := r.required("", doc, "action")
	customer := r.required("", doc, "customer-identifier")
	product := r.required("", doc, "product-code")
	offer := r.optional("", doc, "offer-identifier")
	signUp, err := SignUp{CustomerID: customer}, r.Err()
	if err == nil {
		signUp = SignUp{customer, product, product, given(map[string]string{TagProduct: product, TagOffer: offer})}
	}
	if action != "" && action != "subscribe-success" {
		err = failure.Reject("action: %s of AWS Marketplace is not a sign-up: %s", failure.Quote(action), adviceOnAction(action))
	}
	return signUp, err
}

func adviceOnAction(action string) string {
	switch {
	case strings.HasPrefix(action, "unsubscribe-"):
		return endsSubscription
	case action == "subscribe-fail":
		return "nothing was bought, and no key is made"
	case action == "entitlement-updated":
		return "subscribe the queue to the product's aws-mp-subscription-notification topic alone"
	}
	return "only subscribe-success makes a key"
}
