package main

import (
	"context"
	"fmt"
	"os"

	"createkey/events"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
	"createkey/internal/test/sandbox"
)

// subscriber is the AWS account whose key's life is played.
const subscriber = "777788889999"

// lifeStep is one message of a key's life.
type lifeStep struct {
	what    string
	event   string // as EventBridge puts it on the queue
	outcome string
	enabled int // the subscriber's enabled keys after it
}

// life returns a key's life, whose messages come from AWS Marketplace except for the
// rotation. The late repeat is redelivered after the end.
func life() []lifeStep {
	signUp := func(agreement, at string) string {
		return agreementEvent("License Updated - Manufacturer", agreement, at)
	}
	end := func(agreement, at string) string {
		return agreementEvent("License Deprovisioned - Manufacturer", agreement, at)
	}
	first, renewed := signUp("agmt-1EXAMPLE", "2026-12-01T12:00:00Z"), signUp("agmt-2EXAMPLE", "2027-12-01T12:00:00Z")
	return []lifeStep{
		{"sign-up", first, "created", 1},
		{"the same again", first, "existing", 1},
		{"renewal: another agreement", renewed, "existing", 1},
		{"end of the first agreement", end("agmt-1EXAMPLE", "2027-12-01T12:00:01Z"), "existing", 1},
		{"rotation", rotationEvent("2028-01-01T12:00:00Z"), "rotated", 2},
		{"end of the second agreement", end("agmt-2EXAMPLE", "2028-12-01T12:00:00Z"), "ended", 0},
		{"the renewal again, late", renewed, "ended", 0},
		{"return: a third agreement", signUp("agmt-3EXAMPLE", "2029-02-01T12:00:00Z"), "created", 1},
	}
}

func agreementEvent(detailType, agreement, at string) string {
	return payload.JSON(map[string]any{
		"version": "0", "id": agreement, "source": "aws.agreement-marketplace", "detail-type": detailType, "time": at,
		"detail": map[string]any{
			"agreement": map[string]string{"id": agreement}, "product": map[string]string{"code": events.ProductCode},
			"acceptor": map[string]string{"accountId": subscriber},
		},
	})
}

func rotationEvent(at string) string {
	return payload.JSON(map[string]any{
		"version": "0", "id": "rotation", "source": "operations", "detail-type": "API Key Rotation Requested", "time": at,
		"detail": map[string]string{"customerId": subscriber, "name": events.ProductCode},
	})
}

// playLife plays a key's life, and returns what came out wrong.
func playLife(ctx context.Context, box *sandbox.Sandbox) (wrong []string, err error) {
	fmt.Printf("\nThe life of one customer's key, each message over the queue:\n\n")
	t := newTable(os.Stdout, "SENT")
	for i, step := range life() {
		body := payload.Message{ID: fmt.Sprint("life-", i+1), Body: step.event}
		messages, err := play(ctx, box, []byte(payload.SQS(payload.QueueARN, body)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
		t.row(step.what, messages[0])
		if got := messages[0].Outcome; got != step.outcome {
			wrong = append(wrong, fmt.Sprintf("%s should have come out as %s", step.what, step.outcome))
		}
		if keys, enabled := keysOf(box.AWS, subscriber); enabled != step.enabled {
			wrong = append(wrong, fmt.Sprintf("after the %s, %d of %d keys are enabled, and %d should be", step.what, enabled, keys, step.enabled))
		}
	}
	keys, enabled := keysOf(box.AWS, subscriber)
	fmt.Printf("\nThe customer has had %d keys, in one secret; %d is enabled.\n", keys, enabled)
	return wrong, nil
}

func keysOf(aws *awslocal.Server, customerID string) (keys, enabled int) {
	for _, key := range aws.Keys() {
		if key.CustomerID == customerID {
			keys++
			if key.Enabled {
				enabled++
			}
		}
	}
	return keys, enabled
}
