package marketplace

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// Source is the EventBridge source of agreement and license events.
const Source = "aws.agreement-marketplace"

// The detail-types that make and end keys; AWS sends the first again whenever the
// entitlements change.
const (
	licenseUpdated       = "License Updated - Manufacturer"
	licenseDeprovisioned = "License Deprovisioned - Manufacturer"
)

// FromEvent reads an event of source [Source], with the same errors as
// [FromNotification].
func FromEvent(event document.Node) (Message, error) {
	var r reader
	detailType := event.GetText("detail-type")
	detail := r.object("", event, "detail")
	agreement := r.object("detail.", detail, "agreement")
	if detailType != licenseUpdated && detailType != licenseDeprovisioned {
		m := Message{CustomerID: cmp.Or(
			r.optional("detail.acceptor.", r.object("detail.", detail, "acceptor"), "accountId"),
			r.optional("detail.agreement.", agreement, "acceptorId"))}
		status := r.optional("detail.agreement.", agreement, "status")
		return m, failure.Reject("detail-type: %s of AWS Marketplace makes no key and ends none: %s", quote(detailType), adviceOnEvent(detailType, status))
	}
	license := r.object("detail.", detail, "license")
	m := Message{
		Ends:        detailType == licenseDeprovisioned,
		CustomerID:  r.required("detail.acceptor.", r.object("detail.", detail, "acceptor"), "accountId"),
		ProductCode: r.required("detail.product.", r.object("detail.", detail, "product"), "code"),
		Agreement:   r.required("detail.agreement.", agreement, "id"),
		Offer:       r.optional("detail.offer.", r.object("detail.", detail, "offer"), "id"),
		// AWS's sample event has an arn, its sample handler reads an id.
		License: cmp.Or(r.optional("detail.license.", license, "arn"), r.optional("detail.license.", license, "id")),
	}
	return m, r.Err()
}

func adviceOnEvent(detailType, status string) string {
	event, _, _ := strings.Cut(detailType, " - ")
	switch {
	case event == "Purchase Agreement Ended" && (status == "RENEWED" || status == "REPLACED"):
		return "its agreement.status is " + status + ", which is no end: another agreement goes on"
	case event == "Purchase Agreement Ended":
		return "its agreement.status is " + failure.Name(cmp.Or(status, "absent")) + "; the end comes with " + licenseDeprovisioned
	case strings.Contains(event, "Cancellation Request"), strings.Contains(event, "Advisory"):
		return "a person decides, and " + licenseDeprovisioned + " tells if that ends the license"
	}
	return "only " + licenseUpdated + " makes a key, and " + licenseDeprovisioned + " ends one: narrow the rule to them"
}

// documented are the events of Marketplace's agreements, and of their licenses, requests and
// adjustments (https://docs.aws.amazon.com/marketplace/latest/userguide/notifications-eventbridge.html,
// https://docs.aws.amazon.com/marketplace/latest/buyerguide/cancellation-adjustment-eventbridge.html).
var documented = []string{
	"Purchase Agreement Created", "Purchase Agreement Amended", "Purchase Agreement Ending", "Purchase Agreement Ended",
	"Purchase Agreement Billing Adjustment Completed", "Purchase Agreement Billing Adjustment Failed",
	"Purchase Agreement Renewal Upcoming", "Purchase Agreement Renewal Terms Finalized",
	"Purchase Agreement Advisory Issued", "Purchase Agreement Advisory Resolved",
	"License Updated", "License Deprovisioned",
	"Agreement Cancellation Request Pending Approval", "Agreement Cancellation Request Approved",
	"Agreement Cancellation Request Rejected", "Agreement Cancellation Request Cancelled",
	"Agreement Cancellation Request Validation Failed",
}

// quote shows the documented detail-types whole: failure.Quote would cut all of them.
func quote(detailType string) string {
	event, role, _ := strings.Cut(detailType, " - ")
	known := slices.Contains(documented, event) && slices.Contains([]string{"Manufacturer", "Proposer", "Acceptor"}, role)
	if known {
		return strconv.Quote(detailType)
	}
	return failure.Quote(detailType)
}
