package marketplace_test

import (
	"fmt"
	"strings"
	"testing"

	"createkey/internal/document"
	"createkey/internal/failure"
	"createkey/internal/marketplace"
)

// Vectors of package envelope cover the samples from the documents and the faults of their
// envelopes; these tests cover this package's own rules.

func parse(t *testing.T, text string) document.Node {
	t.Helper()
	doc, err := document.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

const license = "License Updated - Manufacturer"

func agreementEvent(detailType, detail string) string {
	return `{"source": "aws.agreement-marketplace", "detail-type": "` + detailType + `", "detail": ` + detail + `}`
}

func TestSignUpsAndEnds(t *testing.T) {
	longest := strings.Repeat("c", 255)
	tests := map[string]struct {
		read func(document.Node) (marketplace.Message, error)
		doc  string
		want marketplace.Message
		tags string
	}{
		"notification": {
			marketplace.FromNotification,
			`{"action": "subscribe-success", "customer-identifier": "cust", "product-code": "prod", "offer-identifier": "offer-1", "isFreeTrialTermPresent": "true"}`,
			marketplace.Message{CustomerID: "cust", ProductCode: "prod", Offer: "offer-1"},
			"map[marketplace:offer-id:offer-1 marketplace:product-code:prod]",
		},
		"notification of an end": {
			marketplace.FromNotification,
			`{"action": "unsubscribe-success", "customer-identifier": "cust", "product-code": "prod"}`,
			marketplace.Message{Ends: true, CustomerID: "cust", ProductCode: "prod"},
			"map[marketplace:product-code:prod]",
		},
		"blanks around identifiers no offer": {
			marketplace.FromNotification,
			`{"action": "subscribe-success", "customer-identifier": " cust ", "product-code": "\tprod", "offer-identifier": " "}`,
			marketplace.Message{CustomerID: "cust", ProductCode: "prod"},
			"map[marketplace:product-code:prod]",
		},
		"the longest identifier": {
			marketplace.FromNotification,
			`{"action": "subscribe-success", "customer-identifier": "` + longest + `", "product-code": "prod"}`,
			marketplace.Message{CustomerID: longest, ProductCode: "prod"},
			"map[marketplace:product-code:prod]",
		},
		"agreement": {
			marketplace.FromEvent,
			agreementEvent(license, `{"acceptor": {"accountId": "444455556666"}, "product": {"code": "prod", "id": "p"}, "agreement": {"id": "agmt-1"}, "offer": {"id": "offer-1"}, "license": {"arn": "aws:license-manager::1:l-1"}}`),
			marketplace.Message{CustomerID: "444455556666", ProductCode: "prod", Agreement: "agmt-1", License: "aws:license-manager::1:l-1", Offer: "offer-1"},
			"map[marketplace:agreement-id:agmt-1 marketplace:offer-id:offer-1 marketplace:product-code:prod]",
		},
		"the end of an agreement, its licence by id": {
			marketplace.FromEvent,
			agreementEvent("License Deprovisioned - Manufacturer", `{"acceptor": {"accountId": "4"}, "product": {"code": "prod"}, "agreement": {"id": "agmt-1"}, "offer": null, "license": {"id": "l-1"}}`),
			marketplace.Message{Ends: true, CustomerID: "4", ProductCode: "prod", Agreement: "agmt-1", License: "l-1"},
			"map[marketplace:agreement-id:agmt-1 marketplace:product-code:prod]",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.read(parse(t, test.doc))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if tags := fmt.Sprint(got.Tags()); tags != test.tags {
				t.Errorf("got tags %s, want %s", tags, test.tags)
			}
		})
	}
}

// What AWS documents is named whole, whatever else is cut to seven characters.
func TestDocumentedEventsAreNamedWhole(t *testing.T) {
	for _, detailType := range []string{
		"Purchase Agreement Ending - Proposer",
		"Purchase Agreement Advisory Issued - Manufacturer",
		"Purchase Agreement Advisory Resolved - Manufacturer",
		"Purchase Agreement Renewal Upcoming - Proposer",
		"Purchase Agreement Billing Adjustment Failed - Proposer",
		"Agreement Cancellation Request Validation Failed - Proposer",
	} {
		_, err := marketplace.FromEvent(parse(t, agreementEvent(detailType, `{}`)))
		if err == nil || !strings.HasPrefix(err.Error(), `detail-type: "`+detailType+`" of AWS Marketplace`) {
			t.Errorf("%s: got %v", detailType, err)
		}
	}
}

func TestRejections(t *testing.T) {
	tests := map[string]struct {
		read     func(document.Node) (marketplace.Message, error)
		doc      string
		want     string // reasons, joined by a semicolon
		customer string // known in spite of the fault
	}{
		"all faults together": {
			marketplace.FromNotification, `{"action": "subscribe-success", "customer-identifier": "", "product-code": 7}`,
			"customer-identifier: must not be empty; product-code: must be a string, not a number: put it in quotes", "",
		},
		"no action": {
			marketplace.FromNotification, `{"customer-identifier": "cust", "product-code": "prod"}`,
			"action: must not be empty", "cust",
		},
		"too long": {
			marketplace.FromNotification, `{"action": "subscribe-success", "customer-identifier": "` + strings.Repeat("c", 256) + `", "product-code": "prod"}`,
			"customer-identifier: must be at most 255 characters, has 256", "",
		},
		"given twice": {
			marketplace.FromNotification, `{"action": "subscribe-success", "customer-identifier": "cust", "product-code": "a", "product-code": "b"}`,
			`product-code: repeated member`, "cust",
		},
		"a customer given twice": {
			marketplace.FromNotification, `{"action": "subscribe-success", "customer-identifier": "a", "customer-identifier": "b", "product-code": "prod"}`,
			`customer-identifier: repeated member`, "",
		},
		"aliases and anchors of YAML": {
			marketplace.FromNotification, "&r\naction: subscribe-success\nx: &a o\ncustomer-identifier: cust\nproduct-code: prod\noffer-identifier: *a\n",
			"payload: must not have an anchor; offer-identifier: must not be an alias", "cust",
		},
		"an event with aliases of YAML": {
			marketplace.FromEvent, "detail-type: " + license + "\nx: &a {id: o}\ndetail: {acceptor: {accountId: '4'}, product: {code: p}, agreement: &b {id: a}, offer: *a}\n",
			"detail.agreement: must not have an anchor; detail.offer: must not be an alias", "4",
		},
		"the last hour of a subscription": {
			marketplace.FromNotification, `{"action": "unsubscribe-pending", "customer-identifier": "cust", "product-code": "prod"}`,
			`action: "unsubscribe-pending" of AWS Marketplace makes no key and ends none: meter for the last time; the end comes with unsubscribe-success`, "cust",
		},
		"a failure": {
			marketplace.FromNotification, `{"action": "subscribe-fail", "customer-identifier": "cust", "product-code": "prod"}`,
			`action: "subscribe-fail" of AWS Marketplace makes no key and ends none: nothing was bought`, "cust",
		},
		"another action": {
			marketplace.FromNotification, `{"action": "dance", "customer-identifier": "cust", "product-code": "prod"}`,
			`action: "dance" of AWS Marketplace makes no key and ends none: subscribe-success is a sign-up, unsubscribe-success an end`, "cust",
		},
		"an agreement without its parts": {
			marketplace.FromEvent, agreementEvent(license, `{"acceptor": {"accountId": "4"}, "agreement": 7}`),
			"detail.agreement: must be an object, not a number; detail.product.code: must not be empty; detail.agreement.id: must not be empty", "4",
		},
		"the end of a license without its parts": {
			marketplace.FromEvent, agreementEvent("License Deprovisioned - Manufacturer", `{"acceptor": {"accountId": "4"}}`),
			"detail.product.code: must not be empty; detail.agreement.id: must not be empty", "4",
		},
		"an event that Marketplace does not document": {
			marketplace.FromEvent, agreementEvent("License Exploded - Manufacturer", `{"acceptor": {"accountId": "4"}}`),
			`detail-type: "License…" of AWS Marketplace makes no key and ends none: only License Updated - Manufacturer makes a key, and License Deprovisioned - Manufacturer ends one: narrow the rule to them`, "4",
		},
		"a renewal": {
			marketplace.FromEvent, agreementEvent("Purchase Agreement Ended - Proposer", `{"acceptor": {"accountId": "4"}, "agreement": {"status": "RENEWED"}}`),
			`detail-type: "Purchase Agreement Ended - Proposer" of AWS Marketplace makes no key and ends none: its agreement.status is RENEWED, which is no end: another agreement goes on`, "4",
		},
		"a cancellation": {
			marketplace.FromEvent, agreementEvent("Purchase Agreement Ended - Proposer", `{"acceptor": {"accountId": "4"}, "agreement": {"status": "CANCELLED"}}`),
			`detail-type: "Purchase Agreement Ended - Proposer" of AWS Marketplace makes no key and ends none: its agreement.status is CANCELLED; the end comes with License Deprovisioned - Manufacturer`, "4",
		},
		"a replacement": {
			marketplace.FromEvent, agreementEvent("Purchase Agreement Ended - Manufacturer", `{"acceptor": {"accountId": "4"}, "agreement": {"status": "REPLACED"}}`),
			`detail-type: "Purchase Agreement Ended - Manufacturer" of AWS Marketplace makes no key and ends none: its agreement.status is REPLACED, which is no end: another agreement goes on`, "4",
		},
		"a cancellation request, without an acceptor": {
			marketplace.FromEvent, agreementEvent("Agreement Cancellation Request Approved - Proposer", `{"agreement": {"acceptorId": "4"}}`),
			`detail-type: "Agreement Cancellation Request Approved - Proposer" of AWS Marketplace makes no key and ends none: a person decides, and License Deprovisioned - Manufacturer tells if that ends the license`, "4",
		},
		"another event": {
			marketplace.FromEvent, agreementEvent("Purchase Agreement Created - Manufacturer", `{"acceptor": {"accountId": "4"}}`),
			`detail-type: "Purchase Agreement Created - Manufacturer" of AWS Marketplace makes no key and ends none: only License Updated - Manufacturer makes a key, and License Deprovisioned - Manufacturer ends one: narrow the rule to them`, "4",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.read(parse(t, test.doc))
			if !failure.IsRejected(err) {
				t.Fatalf("got error %v, want a *failure.RejectedError", err)
			}
			if err.Error() != test.want {
				t.Errorf("got\n%s\nwant\n%s", err, test.want)
			}
			if got.CustomerID != test.customer {
				t.Errorf("customer: got %q, want %q", got.CustomerID, test.customer)
			}
		})
	}
}

func TestIsNotification(t *testing.T) {
	for doc, want := range map[string]bool{
		`{"action": "subscribe-success", "customer-identifier": "c"}`: true,
		`{"action": "subscribe-success", "product-code": "p"}`:        true,
		`{"action": "subscribe-success"}`:                             false,
		`{"customer-identifier": "c", "product-code": "p"}`:           false,
		`{"customerId": "c", "name": "n"}`:                            false,
	} {
		if got := marketplace.IsNotification(parse(t, doc)); got != want {
			t.Errorf("%s: got %t, want %t", doc, got, want)
		}
	}
}
