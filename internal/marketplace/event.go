package marketplace

import (
	"slices"
	"strconv"
	"strings"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// Source is the EventBridge source of agreement and license events.
const Source = "aws.agreement-marketplace"

// FromEvent reads an event of source [Source], with the same errors as
// [FromNotification]. Only `License Updated - Manufacturer` is a sign-up; AWS sends it
// again whenever the entitlements change.
func FromEvent(event document.Node) (SignUp, error) {
	const signUp = "License Updated - Manufacturer"
	var r reader
	detail := r.object("", event, "detail")
	account := r.required("detail.acceptor.", r.object("detail.", detail, "acceptor"), "accountId")
	if detailType := event.GetText("detail-type"); detailType != signUp {
		advice := "only " + signUp + " makes a key: narrow the rule to it"
		if strings.HasPrefix(detailType, "License Deprovisioned") || strings.HasPrefix(detailType, "Purchase Agreement Ended") {
			advice = endsSubscription
		}
		return SignUp{CustomerID: account}, failure.Reject("detail-type: %s of AWS Marketplace is not a sign-up: %s", quote(detailType), advice)
	}
	product := r.required("detail.product.", r.object("detail.", detail, "product"), "code")
	agreement := r.required("detail.agreement.", r.object("detail.", detail, "agreement"), "id")
	offer := r.optional("detail.offer.", r.object("detail.", detail, "offer"), "id")
	if err := r.Err(); err != nil {
		return SignUp{CustomerID: account}, err
	}
	return SignUp{account, product + "/" + agreement, product, given(map[string]string{TagAgreement: agreement, TagOffer: offer})}, nil
}

// quote shows Marketplace's own detail-types whole: failure.Quote would cut all of them.
func quote(detailType string) string {
	event, role, _ := strings.Cut(detailType, " - ")
	known := slices.Contains([]string{
		"Purchase Agreement Created", "Purchase Agreement Amended", "Purchase Agreement Ended",
		"License Updated", "License Deprovisioned",
	}, event) && slices.Contains([]string{"Manufacturer", "Proposer", "Acceptor"}, role)
	if known {
		return strconv.Quote(detailType)
	}
	return failure.Quote(detailType)
}
