package awslocal_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"createkey/internal/test/awslocal"
)

// The zero Server is an empty account, and the SDK's clients reach it in process.
func Example() {
	var account awslocal.Server
	client := apigateway.NewFromConfig(account.Config())

	_, err := client.CreateApiKey(context.Background(), &apigateway.CreateApiKeyInput{Name: aws.String("Gold")})
	if err != nil {
		log.Fatal(err)
	}
	for _, key := range account.Keys() {
		fmt.Println(key.Name, key.Enabled, key.Value) // a value prints as REDACTED
	}
	// Output: Gold false REDACTED
}

// All other clients reach it over HTTP: export AWS_ENDPOINT_URL=server.URL.
func Example_http() {
	var account awslocal.Server
	server := httptest.NewServer(&account)
	defer server.Close()

	cfg := account.Config() // for its credentials, which may be any
	cfg.BaseEndpoint, cfg.HTTPClient = &server.URL, server.Client()
	_, err := secretsmanager.NewFromConfig(cfg).CreateSecret(context.Background(), &secretsmanager.CreateSecretInput{
		Name: aws.String("db/password"), SecretString: aws.String("not a real one"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(account.Secrets()[0].Name)
	// Output: db/password
}

// Before refuses a call, which then has no effect.
func ExampleServer_refusal() {
	account := awslocal.Server{Before: func(_ context.Context, c awslocal.Call) error {
		if c.Operation == "CreateApiKey" {
			return awslocal.AccessDenied
		}
		return nil
	}}
	_, err := apigateway.NewFromConfig(account.Config()).CreateApiKey(context.Background(), &apigateway.CreateApiKeyInput{})
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		fmt.Println(api.ErrorCode())
	}
	fmt.Println("keys:", len(account.Keys()))
	// Output:
	// AccessDeniedException
	// keys: 0
}

// After drops the answer of a call that has taken effect.
func ExampleServer_lostAnswer() {
	account := awslocal.Server{After: func(context.Context, awslocal.Call) error { return awslocal.ErrConnectionLost }}
	cfg := account.Config()
	cfg.RetryMaxAttempts = 1 // otherwise the SDK's retry would hide the fault
	_, err := apigateway.NewFromConfig(cfg).CreateApiKey(context.Background(), &apigateway.CreateApiKeyInput{})
	fmt.Println("failed:", err != nil)
	fmt.Println("keys:", len(account.Keys()))
	// Output:
	// failed: true
	// keys: 1
}

// Lag makes reads stale, while writes see everything.
func ExampleServer_lag() {
	account := awslocal.Server{Lag: func(awslocal.Call) time.Duration { return time.Hour }}
	client := secretsmanager.NewFromConfig(account.Config())
	ctx, name := context.Background(), aws.String("apikeys/cust-1/Gold")

	for range 2 {
		_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("{}")})
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			fmt.Println("CreateSecret:", api.ErrorCode())
		}
	}
	_, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: name})
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		fmt.Println("GetSecretValue:", api.ErrorCode())
	}
	// Output:
	// CreateSecret: ResourceExistsException
	// GetSecretValue: ResourceNotFoundException
}
