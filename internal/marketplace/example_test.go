package marketplace_test

import (
	"fmt"
	"log"

	"createkey/internal/document"
	"createkey/internal/marketplace"
)

// A notification of a product's topic is a sign-up. The blanks are in AWS's own samples.
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
	signUp, err := marketplace.FromNotification(doc)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("customer:", signUp.CustomerID)
	fmt.Println("name:", signUp.Name)
	fmt.Println("offer:", signUp.Tags[marketplace.TagOffer])
	// Output:
	// customer: X01EXAMPLEX
	// name: n0123EXAMPLEXXXXXXXXXXXX
	// offer: offer-abcexample123
}

// The end of a subscription makes no key. The customer whose key to disable is returned
// beside the error.
func ExampleFromNotification_unsubscribe() {
	doc, err := document.Parse([]byte(`{
		"action": "unsubscribe-success",
		"customer-identifier": "X01EXAMPLEX",
		"product-code": "n0123EXAMPLEXXXXXXXXXXXX"
	}`))
	if err != nil {
		log.Fatal(err)
	}
	signUp, err := marketplace.FromNotification(doc)
	fmt.Println(signUp.CustomerID)
	fmt.Println(err)
	// Output:
	// X01EXAMPLEX
	// action: "unsubscribe-success" of AWS Marketplace is not a sign-up: it ends a subscription and makes no key: disable the customer's, see docs/operations.md
}

// An agreement's event identifies the buyer by account. One buyer may hold several
// agreements for a product, and each has a key of its own.
func ExampleFromEvent() {
	doc, err := document.Parse([]byte(`{
		"source": "aws.agreement-marketplace",
		"detail-type": "License Updated - Manufacturer",
		"detail": {
			"agreement": {"id": "agmt-1example"},
			"product": {"code": "n0123EXAMPLEXXXXXXXXXXXX"},
			"acceptor": {"accountId": "111122223333"}
		}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	signUp, err := marketplace.FromEvent(doc)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signUp.CustomerID, signUp.Name)
	// Output: 111122223333 n0123EXAMPLEXXXXXXXXXXXX/agmt-1example
}
