package provision_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/failure"
	"createkey/internal/provision"
	"createkey/internal/test/awslocal"
)

// A message that is delivered twice makes one key.
func ExampleProvisioner() {
	var account awslocal.Server
	cfg := account.Config()
	p := provision.New(apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg))

	request := apikey.Request{CustomerID: "cust-1", Name: "Gold", Enabled: true} // as apikey.Parse returns it
	for range 2 {
		result, err := p.Provision(context.Background(), request, "apikeys/cust-1/Gold")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Status, result.Key.CustomerID, result.Key.Name)
	}
	fmt.Println("keys:", len(account.Keys()))
	// Output:
	// created cust-1 Gold
	// existing cust-1 Gold
	// keys: 1
}

// The key is made but the answer is lost, as if the function had been stopped there. The
// next delivery finds the key by the value that was stored first.
func ExampleProvisioner_lostAnswer() {
	lost := false
	account := awslocal.Server{After: func(_ context.Context, c awslocal.Call) error {
		if c.Operation == "CreateApiKey" && !lost {
			lost = true
			return awslocal.ErrConnectionLost
		}
		return nil
	}}
	cfg := account.Config()
	cfg.RetryMaxAttempts = 1 // otherwise the SDK's retry would stand in for the next delivery
	p := provision.New(apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg))

	request := apikey.Request{CustomerID: "cust-1", Name: "Gold", Enabled: true}
	for range 2 {
		result, err := p.Provision(context.Background(), request, "apikeys/cust-1/Gold")
		if err != nil {
			fmt.Println("retry:", err)
			continue
		}
		fmt.Println(result.Status)
	}
	fmt.Println("keys:", len(account.Keys()))
	// Output:
	// retry: CreateApiKey: the call failed, or its answer could not be read
	// created
	// keys: 1
}

// Another request for the same customer and name changes nothing; the error says in what it
// differs.
func ExampleProvisioner_otherContent() {
	account := awslocal.Server{Rand: rand.NewChaCha8([32]byte{})} // the same ids each time
	cfg := account.Config()
	p := provision.New(apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg))

	for _, description := range []string{"for the trial", "for good"} {
		request := apikey.Request{CustomerID: "cust-1", Name: "Gold", Description: description}
		_, err := p.Provision(context.Background(), request, "apikeys/cust-1/Gold")
		if rejected, ok := errors.AsType[*failure.RejectedError](err); ok {
			fmt.Println(rejected.Reasons[0])
		}
	}
	// Output: request: key 420d3osdt9 exists already for this customerId and name, and differs in description: a request changes no key; change it in API Gateway, or end it first
}

// A key that an operator deleted is not made again.
func ExampleProvisioner_revoked() {
	account := awslocal.Server{
		Rand: rand.NewChaCha8([32]byte{}),
		Now:  func() time.Time { return time.Now().Add(-time.Hour) }, // a young key might only lag
	}
	cfg := account.Config()
	keys := apigateway.NewFromConfig(cfg)
	p := provision.New(keys, secretsmanager.NewFromConfig(cfg))

	request := apikey.Request{CustomerID: "cust-1", Name: "Gold", Enabled: true}
	result, err := p.Provision(context.Background(), request, "apikeys/cust-1/Gold")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := keys.DeleteApiKey(context.Background(), &apigateway.DeleteApiKeyInput{ApiKey: &result.Key.ID}); err != nil {
		log.Fatal(err)
	}
	_, err = p.Provision(context.Background(), request, "apikeys/cust-1/Gold")
	fmt.Println(err)
	fmt.Println("keys:", len(account.Keys()))
	// Output:
	// request: key 420d3osdt9 was revoked: it is gone from API Gateway, and secret apikeys/cust-1/Gold records it; to issue a new key, delete the secret without a recovery window
	// keys: 0
}
