package apikey_test

import (
	"errors"
	"fmt"
	"log"

	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/failure"
)

func ExampleParse() {
	doc, err := document.Parse([]byte(`{"customerId": "cust-1", "name": "Dev API Key", "enabled": true, "usagePlanIds": ["gold01"]}`))
	if err != nil {
		log.Fatal(err)
	}
	request, secretName, err := apikey.Parse(doc, "apikeys/", "")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(request.CustomerID, request.Enabled, request.UsagePlanIDs)
	fmt.Println(secretName)
	// Output:
	// cust-1 true [gold01]
	// apikeys/cust-1/Dev+API+Key
}

// All faults are reported together, each with its path; no value is quoted. The secret's
// name is returned even so, if the identity has no fault.
func ExampleParse_faults() {
	doc, err := document.Parse([]byte(`{
		"customerId": "cust-1",
		"enabled": "true",
		"value": "too short",
		"stageKeys": [{"restApiId": "a1b2c3"}],
		"usagePlans": ["gold01"]
	}`))
	if err != nil {
		log.Fatal(err)
	}
	_, secretName, err := apikey.Parse(doc, "apikeys/", "")
	if rejected, ok := errors.AsType[*failure.RejectedError](err); ok {
		for _, reason := range rejected.Reasons {
			fmt.Println(reason)
		}
	}
	fmt.Println(secretName)
	// Output:
	// enabled: must be a boolean, not a string: write true or false, without quotes
	// value: must be at least 20 characters, has 9
	// stageKeys[0].stageName: must not be empty
	// usagePlans: unknown member: take it out, or use one of customerId, description, enabled, generateDistinctId, name, stageKeys, tags, usagePlanIds, value
	// apikeys/cust-1/_
}

// A request is identified by its customer and name or, if it has neither, by the id of
// its carrier. No two identities share a name.
func ExampleSecretName() {
	for _, request := range []struct{ customerID, name, deliveryID string }{
		{"cust-1", "Gold plan", "e-1"},
		{"cust-1", "", "e-1"},
		{"", "Gold plan", "e-1"},
		{"", "", "e-1"},
		{"a/b", "ö_", "e-1"},
		{"", "", ""},
	} {
		name, err := apikey.SecretName("apikeys/", request.customerID, request.name, request.deliveryID)
		if err != nil {
			fmt.Println("rejected: neither an identity nor an id that survives a redelivery")
			continue
		}
		fmt.Println(name)
	}
	// Output:
	// apikeys/cust-1/Gold+plan
	// apikeys/cust-1/_
	// apikeys/_/Gold+plan
	// apikeys/_/_/e-1
	// apikeys/a=2Fb/=C3=B6=5F
	// rejected: neither an identity nor an id that survives a redelivery
}

// A value always prints as REDACTED.
func ExampleValue() {
	value, err := apikey.GenerateValue(apikey.Random)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(value)
	fmt.Printf("%q %x %#v\n", value, value, value)
	fmt.Println(len(value.Reveal()), "characters")
	// Output:
	// REDACTED
	// REDACTED REDACTED REDACTED
	// 40 characters
}

// A secret holds the value alone at first, then the value and the key. A foreign secret
// is an error.
func ExampleRecord() {
	value, err := apikey.GenerateValue(apikey.Random)
	if err != nil {
		log.Fatal(err)
	}
	pending := apikey.Record{Value: value}
	finished := apikey.Record{Value: value, Key: apikey.Key{ID: "k1", CustomerID: "cust-1", Enabled: true}}
	for _, r := range []apikey.Record{pending, finished} {
		read, err := apikey.ParseRecord(r.Encode().Reveal())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("finished: %t, key: %q, the same value: %t\n", read.Finished(), read.Key.ID, read.Value.Equal(value))
	}
	_, err = apikey.ParseRecord(`{"username": "db", "password": "secret"}`)
	fmt.Println(err)
	// Output:
	// finished: false, key: "", the same value: true
	// finished: true, key: "k1", the same value: true
	// the secret was not made by createkey
}

// A repeat has the digest of the first request, however it is written; different content
// has a different digest.
func ExampleRequest_Digest() {
	digest := func(text string) string {
		doc, err := document.Parse([]byte(text))
		if err != nil {
			log.Fatal(err)
		}
		request, _, err := apikey.Parse(doc, "apikeys/", "")
		if err != nil {
			log.Fatal(err)
		}
		return request.Digest()
	}
	first := digest(`{"customerId": "cust-1", "name": "Gold", "enabled": false, "usagePlanIds": ["a", "b"]}`)
	fmt.Println(digest("usagePlanIds: [b, a]\nname: Gold\ncustomerId: cust-1\ntags: {}\n") == first)
	fmt.Println(digest(`{"customerId": "cust-1", "name": "Gold", "enabled": true, "usagePlanIds": ["a", "b"]}`) == first)
	// Output:
	// true
	// false
}
