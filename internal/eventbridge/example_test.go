package eventbridge_test

import (
	"context"
	"fmt"
	"log"

	"createkey/internal/awslocal"
	"createkey/internal/eventbridge"
)

// A call succeeds even if an event is refused: each result has to be looked at.
func ExampleClient_PutEvents() {
	var account awslocal.Server
	client := eventbridge.New(account.Config())
	results, err := client.PutEvents(context.Background(), []eventbridge.Entry{
		{EventBusName: "default", Source: "createkey", DetailType: "API Key Ready", Detail: `{"id": "k1"}`},
		{EventBusName: "default", Source: "createkey", DetailType: "API Key Ready", Detail: `no JSON`},
	})
	if err != nil {
		log.Fatal(err)
	}
	for i, r := range results {
		if r.ErrorCode != "" || r.EventID == "" {
			fmt.Println("event", i, "was refused:", r.ErrorCode)
			continue
		}
		fmt.Println("event", i, "was taken")
	}
	// Output:
	// event 0 was taken
	// event 1 was refused: MalformedDetail
}
