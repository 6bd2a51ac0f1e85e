package pace_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/pace"
	"createkey/internal/test/awslocal"
)

// A client's calls wait for their turn. A call whose turn would come too late fails at once
// and is not sent: here that of the second key, in ten seconds.
func ExamplePacer_Apply() {
	var account awslocal.Server
	pacer := pace.New(0.1) // a key every ten seconds
	client := apigateway.NewFromConfig(account.Config(), func(o *apigateway.Options) {
		o.APIOptions = append(o.APIOptions, pacer.Apply)
	})
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	for range 2 {
		_, err := client.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{})
		fmt.Println("no time:", errors.Is(err, pace.ErrNoTime))
	}
	fmt.Println("calls:", len(account.Calls()))
	// Output:
	// no time: false
	// no time: true
	// calls: 1
}

// A message whose calls would take too long is not started: it is redelivered, and made no
// calls.
func ExamplePacer_Admit() {
	pacer := pace.New(0.1)                                                   // a key every ten seconds
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // of the invocation
	defer cancel()
	fmt.Println("3 calls:", pacer.Admit(ctx, 3))
	fmt.Println("9 calls:", pacer.Admit(ctx, 9))
	// Output:
	// 3 calls: true
	// 9 calls: false
}
