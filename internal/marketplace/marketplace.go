// Package marketplace reads AWS Marketplace's messages to a seller, and returns
// the customer and the product that a sign-up is for.
//
// It guarantees that a subscription or an agreement has the same customer and name
// however often AWS sends it, and that both fit into a request for a key. A message that is
// certainly Marketplace's and no sign-up is rejected by name, with advice on where
// it belongs. Members that are not read are let pass: AWS adds some.
//
// A document of which [IsNotification] is true is read by [FromNotification], an
// EventBridge event of source [Source] by [FromEvent]. Both return a [SignUp], which
// package envelope makes a request of. The package knows Marketplace's documents and
// nothing of what carried them, nor of keys. They are those of
// https://docs.aws.amazon.com/marketplace/latest/userguide/saas-notification.html and
// https://docs.aws.amazon.com/marketplace/latest/userguide/saas-eventbridge-integration.html
package marketplace

import (
	"cmp"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// Source is the EventBridge source of agreement and licence events.
const Source = "aws.agreement-marketplace"

// The names of the tags that record where a key came from.
const (
	TagProduct   = "marketplace:product-code"
	TagOffer     = "marketplace:offer-id"
	TagAgreement = "marketplace:agreement-id"
)

// maxIdentifier is the longest customer identifier, account id or product code,
// in characters; so a sign-up's name and tags are within API Gateway's limits
// (https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-metering_ResolveCustomer.html).
const maxIdentifier = 255

// SignUp is a customer who subscribed to a product. Its texts are those of the
// message without the blanks around them, which AWS's own samples have; the
// identifiers have at most 255 characters each.
type SignUp struct {
	CustomerID string // the customer identifier, or the account id of an event
	// Name is the key's: the product code of a notification; of an event with a
	// slash and the agreement behind it, for one buyer may hold several agreements
	// for one product.
	Name        string
	ProductCode string
	Tags        map[string]string // the Tag constants: they may differ when the same sign-up is repeated
}

// IsNotification reports whether a document is one that Marketplace publishes to
// a product's SNS topic.
func IsNotification(doc document.Node) bool {
	return doc.Has("action", "customer-identifier") || doc.Has("action", "product-code")
}

// FromNotification reads a notification of a product's SNS topic. Its error is a
// *failure.RejectedError that names every fault. Of the sign-up there is then what
// is known: the customer, and the name where nothing is wrong but the action.
func FromNotification(doc document.Node) (SignUp, error) {
	r := reader{}
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
		return disable
	case action == "subscribe-fail":
		return "nothing was bought, and no key is made"
	case action == "entitlement-updated":
		return "subscribe the queue to the product's aws-mp-subscription-notification topic alone"
	}
	return "only subscribe-success makes a key"
}

const disable = "it ends a subscription and makes no key: disable the customer's, see docs/operations.md"

// FromEvent reads an event of source [Source], and fails as [FromNotification] does.
// Only `License Updated - Manufacturer` is a sign-up; AWS repeats it whenever the
// entitlements change.
func FromEvent(event document.Node) (SignUp, error) {
	const signUp = "License Updated - Manufacturer"
	r := reader{}
	detail := r.object("", event, "detail")
	account := r.required("detail.acceptor.", r.object("detail.", detail, "acceptor"), "accountId")
	if detailType := event.GetText("detail-type"); detailType != signUp {
		advice := "only " + signUp + " makes a key: narrow the rule to it"
		if strings.HasPrefix(detailType, "License Deprovisioned") || strings.HasPrefix(detailType, "Purchase Agreement Ended") {
			advice = disable
		}
		return SignUp{CustomerID: account}, failure.Reject("detail-type: %s of AWS Marketplace is not a sign-up: %s", failure.Quote(detailType), advice)
	}
	product := r.required("detail.product.", r.object("detail.", detail, "product"), "code")
	agreement := r.required("detail.agreement.", r.object("detail.", detail, "agreement"), "id")
	offer := r.optional("detail.offer.", r.object("detail.", detail, "offer"), "id")
	if err := r.Err(); err != nil {
		return SignUp{CustomerID: account}, err
	}
	return SignUp{account, product + "/" + agreement, product, given(map[string]string{TagAgreement: agreement, TagOffer: offer})}, nil
}

// given returns tags without those that have no value.
func given(tags map[string]string) map[string]string {
	maps.DeleteFunc(tags, func(_, value string) bool { return value == "" })
	return tags
}

// reader reads the members of a document, and collects their faults.
type reader struct{ failure.Faults }

// object returns a member that is an object, and what can be made out of it all
// the same where it has a fault.
func (r *reader) object(path string, of document.Node, name string) document.Node {
	member, _ := of.Get(name) // absent is a null
	if member.Kind != document.Object && member.Kind != document.Null {
		r.Add(path+name, "must be an object")
	}
	r.noRepeats(path+name+".", member)
	return member
}

// noRepeats faults the members that are given twice: which of the two was meant
// would be a guess.
func (r *reader) noRepeats(path string, n document.Node) {
	for _, m := range n.Members {
		if m.Fault != "" {
			r.Add(path+failure.Quote(m.Name), m.Fault)
		}
	}
}

// required returns an identifier without the blanks around it, which AWS's own
// samples have.
func (r *reader) required(path string, of document.Node, name string) string {
	before := r.Len()
	text := r.optional(path, of, name)
	if text == "" && r.Len() == before {
		r.Add(path+name, "must not be empty")
	}
	return text
}

// optional is required's like for a member that may be absent, null or empty.
func (r *reader) optional(path string, of document.Node, name string) string {
	member, _ := of.Get(name) // absent is a null
	text := strings.TrimSpace(member.Text)
	switch length := utf8.RuneCountInString(text); {
	case member.Kind == document.Null:
	case member.Kind != document.String, member.Fault != "":
		r.Add(path+name, cmp.Or(member.Fault, "must be a string"))
	case length > maxIdentifier:
		r.Add(path+name, "must be at most "+strconv.Itoa(maxIdentifier)+" characters, has "+strconv.Itoa(length))
	default:
		return text
	}
	return ""
}
