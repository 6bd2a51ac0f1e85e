package main

import (
	"context"
	"fmt"
	"os"

	"createkey/events"
	"createkey/internal/test/sandbox"
)

// life is that of one customer's key, in the messages that come: what each is, its
// detail-type, the minute at which it was sent, its detail, and what comes of it.
var life = []struct {
	what, detailType string
	minute           int
	agreement        string
	outcome          string
}{
	{"sign-up", "License Updated - Manufacturer", 1, "agmt-1", "created"},
	{"its repeat", "License Updated - Manufacturer", 1, "agmt-1", "existing"},
	{"renewal", "License Updated - Manufacturer", 2, "agmt-2", "existing"},
	{"the old agreement's end", "License Deprovisioned - Manufacturer", 3, "agmt-1", "existing"},
	{"rotation", "API Key Rotation Requested", 4, "", "rotated"},
	{"end", "License Deprovisioned - Manufacturer", 5, "agmt-2", "ended"},
	{"a late repeat", "License Updated - Manufacturer", 2, "agmt-2", "ended"},
	{"return", "License Updated - Manufacturer", 6, "agmt-3", "created"},
}

// playLife plays the life of a key, and says where something else came of it.
func playLife(ctx context.Context, box *sandbox.Sandbox) error {
	fmt.Print("\nThe life of one customer's key, as AWS Marketplace and an operator tell of it:\n\n")
	t := newTable(os.Stdout)
	for i, step := range life {
		source, detail := "operator", `{"customerId": "777788889999", "name": "n0123EXAMPLEXXXXXXXXXXXX"}`
		if step.agreement != "" {
			source, detail = "aws.agreement-marketplace", fmt.Sprintf(`{"acceptor": {"accountId": "777788889999"}, "product": {"code": "n0123EXAMPLEXXXXXXXXXXXX"}, "agreement": {"id": %q}}`, step.agreement)
		}
		event := fmt.Sprintf(`{"version": "0", "id": "life-%d", "source": %q, "detail-type": %q, "time": "2026-11-27T12:%02d:00Z", "detail": %s}`,
			i, source, step.detailType, step.minute, detail)
		messages, err := play(ctx, box, events.QueueMessage(fmt.Sprintf("life-%d", i), []byte(event)))
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		for _, m := range messages {
			t.row(step.what, m)
			if m.Outcome != step.outcome {
				return fmt.Errorf("%s should have come out as %s", step.what, step.outcome)
			}
		}
	}
	fmt.Print("\nThe times of the messages decide, and not their order; every step is in the one secret.\n")
	return nil
}
