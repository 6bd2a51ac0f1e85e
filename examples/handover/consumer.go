package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
)

// Told is the part of an event's detail that this example needs; events/schema has all
// of it.
type Told struct {
	CustomerID string `json:"customerId"`
	Name       string `json:"name"`
	SecretARN  string `json:"secretArn"`
	Generation int    `json:"generation"`
}

// Consumer is a Lambda function behind a rule for source createkey and the
// detail-types `API Key Ready`, `API Key Rotated` and `API Key Ended`.
//
// Events can arrive more than once and in any order, so an event only says that something
// has changed; the secret says how things are now. Whichever event of a key comes last,
// the customer ends up with what the secret says.
type Consumer struct {
	Secrets secretsAPI // a *secretsmanager.Client
	// Deliver puts the value where the customer's keys belong, replacing the previous one:
	// the customer's own vault, a gateway, a page that shows it. It must be idempotent,
	// because an event can come again.
	Deliver func(ctx context.Context, told Told, value string) error
	// End takes away what Deliver took there. It, too, is called again, and also for a
	// key that was never delivered.
	End func(ctx context.Context, told Told) error
}

// Handle handles one event. On an error Lambda tries twice more
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html),
// and then hands the event to the function's dead-letter queue: have one.
func (c Consumer) Handle(ctx context.Context, event events.EventBridgeEvent) error {
	var told Told
	if err := json.Unmarshal(event.Detail, &told); err != nil || told.SecretARN == "" {
		return errors.New("not an event about a key: no secretArn")
	}
	key, err := readKey(ctx, c.Secrets, told.SecretARN)
	switch {
	case errors.Is(err, errEnded):
		if err := c.End(ctx, told); err != nil {
			return fmt.Errorf("ending the key of customer %s: %w", told.CustomerID, err)
		}
		return nil
	case event.DetailType == "API Key Ended" && (err == nil || errors.Is(err, errNotReady)):
		return nil // the customer is back, or only the key before a rotation has ended
	case err != nil:
		return err
	case max(key.Generation, 1) < told.Generation: // the read is behind
		return errNotReady
	}
	if err := c.Deliver(ctx, told, key.Value); err != nil {
		return fmt.Errorf("delivering the key of customer %s: %w", told.CustomerID, err)
	}
	return nil
}
