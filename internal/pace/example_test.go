package pace_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/awslocal"
	"createkey/internal/pace"
)

// A client's calls wait for their turn. One whose turn comes too late fails at once and
// unsent: here that of the second key, which is due in ten seconds.
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

// Of a batch only as many messages are started as can get their turn in time; the
// others make no call and are delivered again.
func ExamplePacer_Admit() {
	pacer := pace.New(0.1)                                                   // a key every ten seconds
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second) // of the invocation
	defer cancel()
	const calls = 1 // that a message makes
	for message := 1; ; message++ {
		done, ok := pacer.Admit(ctx, calls)
		if !ok {
			fmt.Println("message", message, "is not started")
			return
		}
		defer done() // when it has ended
	}
	// Output: message 6 is not started
}
