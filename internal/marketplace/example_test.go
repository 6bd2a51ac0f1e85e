package marketplace_test

import (
	"fmt"
	"log"

	"createkey/internal/document"
	"createkey/internal/marketplace"
)

// A notification of a product's topic is a sign-up or an end. The blanks are those of AWS's
// samples.
func ExampleFromNotification() {
	doc, err := document.Parse([]byte(`{
		"action": "subscribe-success",
		"customer-identifier": " X01EXAMPLEX",
		"product-code": "n0123EXAMPLEXXXXXXXXXXXX",
		"offer-identifier": "offer-abcexample123"
	}`))
	if err != nil {
		log.Fatal(err)
	}
	m, err := marketplace.FromNotification(doc)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("customer:", m.CustomerID)
	fmt.Println("product:", m.ProductCode)
	fmt.Println("offer:", m.Offer)
	// Output:
	// customer: X01EXAMPLEX
	// product: n0123EXAMPLEXXXXXXXXXXXX
	// offer: offer-abcexample123
}

// A notification that is neither is rejected, with advice. The customer is returned with the
// error.
func ExampleFromNotification_pending() {
	doc, err := document.Parse([]byte(`{
		"action": "unsubscribe-pending",
		"customer-identifier": "X01EXAMPLEX",
		"product-code": "n0123EXAMPLEXXXXXXXXXXXX"
	}`))
	if err != nil {
		log.Fatal(err)
	}
	m, err := marketplace.FromNotification(doc)
	fmt.Println(m.CustomerID)
	fmt.Println(err)
	// Output:
	// X01EXAMPLEX
	// action: "unsubscribe-pending" of AWS Marketplace makes no key and ends none: meter for the last time; the end comes with unsubscribe-success
}

// An agreement's event identifies the buyer by account. One buyer may hold several
// agreements for a product, each of which keeps the one key alive.
func ExampleFromEvent() {
	doc, err := document.Parse([]byte(`{
		"source": "aws.agreement-marketplace",
		"detail-type": "License Deprovisioned - Manufacturer",
		"detail": {
			"agreement": {"id": "agmt-1example"},
			"product": {"code": "n0123EXAMPLEXXXXXXXXXXXX"},
			"acceptor": {"accountId": "111122223333"}
		}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	m, err := marketplace.FromEvent(doc)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.CustomerID, m.ProductCode, m.Agreement, "ends:", m.Ends)
	// Output: 111122223333 n0123EXAMPLEXXXXXXXXXXXX agmt-1example ends: true
}
