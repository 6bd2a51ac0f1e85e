package marketplace_test

import (
	"maps"
	"strings"
	"testing"

	"createkey/internal/document"
	"createkey/internal/failure"
	"createkey/internal/marketplace"
)

// The documents' samples and the faults of their envelopes are vectors of package
// envelope; these tests cover the rules of this package alone.

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

func TestSignUps(t *testing.T) {
	longest := strings.Repeat("c", 255)
	tests := map[string]struct {
		read func(document.Node) (marketplace.SignUp, error)
		doc  string
		want marketplace.SignUp
	}{
		"notification": {
			marketplace.FromNotification,
			`{"action": "subscribe-success", "customer-identifier": "cust", "product-code": "prod", "offer-identifier": "offer-1", "isFreeTrialTermPresent": "true"}`,
			marketplace.SignUp{CustomerID: "cust", Name: "prod", ProductCode: "prod",
				Tags: map[string]string{marketplace.TagProduct: "prod", marketplace.TagOffer: "offer-1"}},
		},
		"blanks around identifiers no offer": {
			marketplace.FromNotification,
			`{"action": "subscribe-success", "customer-identifier": " cust ", "product-code": "\tprod", "offer-identifier": " "}`,
			marketplace.SignUp{CustomerID: "cust", Name: "prod", ProductCode: "prod", Tags: map[string]string{marketplace.TagProduct: "prod"}},
		},
		"the longest identifier": {
			marketplace.FromNotification,
			`{"action": "subscribe-success", "customer-identifier": "` + longest + `", "product-code": "prod"}`,
			marketplace.SignUp{CustomerID: longest, Name: "prod", ProductCode: "prod", Tags: map[string]string{marketplace.TagProduct: "prod"}},
		},
		"agreement": {
			marketplace.FromEvent,
			agreementEvent(license, `{"acceptor": {"accountId": "444455556666"}, "product": {"code": "prod", "id": "p"}, "agreement": {"id": "agmt-1"}, "offer": {"id": "offer-1"}, "license": {"arn": 7}}`),
			marketplace.SignUp{CustomerID: "444455556666", Name: "prod/agmt-1", ProductCode: "prod",
				Tags: map[string]string{marketplace.TagAgreement: "agmt-1", marketplace.TagOffer: "offer-1"}},
		},
		"agreement without an offer": {
			marketplace.FromEvent,
			agreementEvent(license, `{"acceptor": {"accountId": "4"}, "product": {"code": "prod"}, "agreement": {"id": "agmt-1"}, "offer": null}`),
			marketplace.SignUp{CustomerID: "4", Name: "prod/agmt-1", ProductCode: "prod", Tags: map[string]string{marketplace.TagAgreement: "agmt-1"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.read(parse(t, test.doc))
			if err != nil {
				t.Fatal(err)
			}
			if got.CustomerID != test.want.CustomerID || got.Name != test.want.Name || got.ProductCode != test.want.ProductCode || !maps.Equal(got.Tags, test.want.Tags) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestRejections(t *testing.T) {
	tests := map[string]struct {
		read     func(document.Node) (marketplace.SignUp, error)
		doc      string
		want     string // reasons, joined by a semicolon
		customer string // known all the same
	}{
		"all faults together": {
			marketplace.FromNotification, `{"action": "subscribe-success", "customer-identifier": "", "product-code": 7}`,
			"customer-identifier: must not be empty; product-code: must be a string", "",
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
		"an end of a subscription": {
			marketplace.FromNotification, `{"action": "unsubscribe-pending", "customer-identifier": "cust", "product-code": "prod"}`,
			`action: "unsubscribe-pending" of AWS Marketplace is not a sign-up: it ends a subscription and makes no key: disable the customer's, see docs/operations.md`, "cust",
		},
		"a failure": {
			marketplace.FromNotification, `{"action": "subscribe-fail", "customer-identifier": "cust", "product-code": "prod"}`,
			`action: "subscribe-fail" of AWS Marketplace is not a sign-up: nothing was bought, and no key is made`, "cust",
		},
		"another action": {
			marketplace.FromNotification, `{"action": "dance", "customer-identifier": "cust", "product-code": "prod"}`,
			`action: "dance" of AWS Marketplace is not a sign-up: only subscribe-success makes a key`, "cust",
		},
		"an agreement without its parts": {
			marketplace.FromEvent, agreementEvent(license, `{"acceptor": {"accountId": "4"}, "agreement": 7}`),
			"detail.product.code: must not be empty; detail.agreement: must be an object; detail.agreement.id: must not be empty", "4",
		},
		"the end of a license": {
			marketplace.FromEvent, agreementEvent("License Deprovisioned - Manufacturer", `{"acceptor": {"accountId": "4"}}`),
			`detail-type: "License Deprovisioned - Manufacturer" of AWS Marketplace is not a sign-up: it ends a subscription and makes no key: disable the customer's, see docs/operations.md`, "4",
		},
		"an event that Marketplace does not document": {
			marketplace.FromEvent, agreementEvent("License Exploded - Manufacturer", `{"acceptor": {"accountId": "4"}}`),
			`detail-type: "License…" of AWS Marketplace is not a sign-up: only License Updated - Manufacturer makes a key: narrow the rule to it`, "4",
		},
		"another event": {
			marketplace.FromEvent, agreementEvent("Purchase Agreement Created - Manufacturer", `{"acceptor": {"accountId": "4"}}`),
			`detail-type: "Purchase Agreement Created - Manufacturer" of AWS Marketplace is not a sign-up: only License Updated - Manufacturer makes a key: narrow the rule to it`, "4",
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
