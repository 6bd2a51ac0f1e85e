package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
)

// Ready is the part of an event's detail that is needed here; events/schema has all
// of it.
type Ready struct {
	CustomerID string `json:"customerId"`
	Name       string `json:"name"`
	SecretARN  string `json:"secretArn"`
}

// Consumer is a Lambda function behind a rule for source createkey and
// detail-type `API Key Ready`.
type Consumer struct {
	Secrets secretsAPI // a *secretsmanager.Client
	// Deliver takes the value to where the customer's keys belong: the customer's
	// own vault, a gateway, a page that shows it. It is called again for an event
	// that comes again.
	Deliver func(ctx context.Context, ready Ready, value string) error
}

// Handle handles one event. On an error Lambda tries twice more
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html),
// and then hands the event to the function's dead-letter queue: have one.
func (c Consumer) Handle(ctx context.Context, event events.EventBridgeEvent) error {
	var ready Ready
	if err := json.Unmarshal(event.Detail, &ready); err != nil || ready.SecretARN == "" {
		return errors.New("not an API Key Ready event: no secretArn")
	}
	value, err := readValue(ctx, c.Secrets, ready.SecretARN)
	if err != nil {
		return err
	}
	if err := c.Deliver(ctx, ready, value); err != nil {
		return fmt.Errorf("delivering the key of customer %s: %w", ready.CustomerID, err)
	}
	return nil
}
