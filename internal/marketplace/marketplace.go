// Package marketplace reads the messages that AWS Marketplace sends to a seller, and
// extracts from a sign-up whose key for which product is to be made.
//
// It guarantees that a subscription or an agreement has the same customer and name
// however often AWS sends it, and that both fit into a request for a key. A message that
// is certainly Marketplace's and no sign-up is rejected by name, with advice on where it
// belongs. Members that it does not read are ignored: AWS adds some.
//
// A document for which [IsNotification] reports true is read by [FromNotification], an
// EventBridge event of source [Source] by [FromEvent]. Both return a [SignUp], of which
// package envelope makes a request. The package knows Marketplace's documents, and nothing
// of what carried them, nor of keys. The documents are those of
// https://docs.aws.amazon.com/marketplace/latest/userguide/saas-notification.html and
// https://docs.aws.amazon.com/marketplace/latest/userguide/saas-eventbridge-integration.html
package marketplace

import "maps"

// The names of the tags that record where a key came from.
const (
	TagProduct   = "marketplace:product-code"
	TagOffer     = "marketplace:offer-id"
	TagAgreement = "marketplace:agreement-id"
)

// SignUp is a customer's subscription to a product. Its texts are those of the message
// without the blanks around them, which AWS's own samples have; the identifiers have at
// most 255 characters each.
type SignUp struct {
	CustomerID string // the customer identifier, or the account id of an event
	// Name is the key's: the product code of a notification; of an event, followed by
	// a slash and the agreement, because one buyer may hold several agreements for
	// one product.
	Name        string
	ProductCode string
	Tags        map[string]string // by the Tag constants; a repeat of the sign-up may have others
}

// given returns tags without those that have no value.
func given(tags map[string]string) map[string]string {
	maps.DeleteFunc(tags, func(_, value string) bool { return value == "" })
	return tags
}

// endsSubscription is the advice on a message that ends a subscription.
const endsSubscription = "it ends a subscription and makes no key: disable the customer's, see docs/operations.md"
