package executable_test

import (
	"testing"

	"createkey/internal/test/awslocal"
)

// testQuota refuses a key because of the account's quota, whose code an alarm depends on: the
// tests of the template match the metric filters against the line.
func testQuota(t *testing.T, executable string) {
	w := start(t, executable, withBus)
	w.choose = func(c awslocal.Call, after bool) *fault {
		if c.Operation != "CreateApiKey" || after {
			return nil
		}
		return &fault{answer: awslocal.LimitExceeded}
	}
	m := message{"message-1", requests[0]}
	if outcome := w.deliver(viaSQS, m)[0]; outcome != "retried" {
		t.Errorf("with the quota used up the message is %s, want retried", outcome)
	}
	w.strikeNoMore()
	w.deliverUntilDone(viaSQS, m)
	w.wantSettled(m.request)
}
