package executable_test

import (
	"fmt"
	"testing"

	"createkey/internal/test/payload"
	"createkey/internal/test/promise"
)

// testLife plays a key's life in the events of section 3a to the executable.
func testLife(t *testing.T, executable string) {
	w := start(t, executable, withBus)
	const signUp, identity = `{"customerId":"cust-1","name":"Gold","enabled":true}`, `{"customerId":"cust-1","name":"Gold"}`
	for i, step := range []struct {
		detailType, detail, outcome string
		minute, enabled             int
	}{
		{"API Key Requested", signUp, "created", 1, 1},
		{"API Key Rotation Requested", identity, "rotated", 2, 2},
		{"API Key Rotation Requested", identity, "rotated", 3, 2},
		{"API Key End Requested", identity, "ended", 4, 0},
		{"API Key Requested", signUp, "ended", 1, 0},
		{"API Key Rotation Requested", identity, "rejected", 5, 0},
		{"API Key Requested", signUp, "created", 6, 1},
		{"API Key Requested", signUp, "existing", 6, 1},
	} {
		event := fmt.Sprintf(`{"version":"0","id":"event-%d","source":"onboarding","detail-type":%q,"time":"2026-11-27T12:%02d:00Z","detail":%s}`,
			i, step.detailType, step.minute, step.detail)
		_, lines := w.invoke([]byte(payload.SQS("arn:aws:sqs:us-east-1:123456789012:requests", payload.Message{ID: "m", Body: event})))
		if got := outcomeOf(lines, "m"); got != step.outcome {
			t.Fatalf("step %d, %s: %s, want %s", i, step.detailType, got, step.outcome)
		}
		enabled := 0
		for _, key := range w.aws.Keys() {
			if key.Enabled {
				enabled++
			}
		}
		if enabled != step.enabled {
			t.Errorf("step %d, %s: %d keys are enabled, want %d", i, step.detailType, enabled, step.enabled)
		}
	}
	for _, fault := range promise.Check(&w.aws) {
		t.Error(fault)
	}
}
