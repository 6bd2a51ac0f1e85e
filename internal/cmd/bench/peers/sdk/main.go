// Command sdk is the Go peer of createkey: the plainest Lambda function on the same SDK
// packages that makes the same three AWS calls for a request. It checks nothing, waits
// for nothing, logs nothing and is not exactly-once: never deploy it.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		os.Exit(1)
	}
	lambda.Start(handler{
		apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg), sqs.NewFromConfig(cfg),
	}.handle)
}

type handler struct {
	keys    *apigateway.Client
	secrets *secretsmanager.Client
	events  *eventbridge.Client // linked only; createkey calls it only with a bus
	letters *sqs.Client         // linked only; createkey calls it only for a rejected message
}

// batch has what this handler reads of an SQS batch.
type batch struct {
	Records []struct {
		Body string `json:"body"`
	}
}

type request struct {
	Name       string `json:"name"`
	CustomerID string `json:"customerId"`
	Enabled    bool   `json:"enabled"`
}

// record is what it stores.
type record struct {
	ID    string `json:"id,omitempty"`
	Value string `json:"value"`
}

// handle makes the keys of a batch one after the other, up to the first error.
func (h handler) handle(ctx context.Context, b batch) error {
	for _, message := range b.Records {
		var r request
		if err := json.Unmarshal([]byte(message.Body), &r); err != nil {
			return err
		}
		if err := h.makeKey(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (h handler) makeKey(ctx context.Context, r request) error {
	secretName := "apikeys/" + r.CustomerID + "/" + r.Name
	value := rand.Text()
	pending, err := json.Marshal(record{Value: value})
	if err != nil {
		return err
	}
	if _, err := h.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: &secretName, SecretString: aws.String(string(pending)),
	}); err != nil {
		return err
	}
	key, err := h.keys.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{
		Name: &r.Name, CustomerId: &r.CustomerID, Enabled: r.Enabled, Value: &value,
	})
	if err != nil {
		return err
	}
	finished, err := json.Marshal(record{ID: aws.ToString(key.Id), Value: value})
	if err != nil {
		return err
	}
	_, err = h.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &secretName, SecretString: aws.String(string(finished)),
	})
	return err
}
