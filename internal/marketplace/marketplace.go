// Package marketplace reads the messages that AWS Marketplace sends to a seller, and
// extracts from a sign-up or an end whose key for which product is meant.
//
// It guarantees that a customer has one key for a product, whichever way AWS tells of the
// subscription and however often, and that both identifiers fit into a request for a key.
// A message that is certainly Marketplace's and neither a sign-up nor an end is rejected by
// name, with advice on what to do instead. Members that it does not read are ignored: AWS adds some.
//
// A document for which [IsNotification] reports true is read by [FromNotification], an
// EventBridge event of source [Source] by [FromEvent]. Both return a [Message], of which
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

// Message is a sign-up to a product, or an end. Its texts are those of the document
// without the blanks around them, which AWS's own samples have; the identifiers have at
// most 255 characters each.
type Message struct {
	Ends        bool   // what holds the key lets go of it
	CustomerID  string // the customer identifier, or the account id of an event
	ProductCode string // the key's name, too: a customer has one key for a product
	Agreement   string // what holds the key; empty: the subscription itself
	License     string // the agreement's, as AWS spells its ARN
	Offer       string
}

// Tags returns those of the key that the message begins, by the Tag constants. A repeat
// may have others.
func (m Message) Tags() map[string]string {
	return given(map[string]string{TagProduct: m.ProductCode, TagAgreement: m.Agreement, TagOffer: m.Offer})
}

// given returns tags without those that have no value.
func given(tags map[string]string) map[string]string {
	maps.DeleteFunc(tags, func(_, value string) bool { return value == "" })
	return tags
}
