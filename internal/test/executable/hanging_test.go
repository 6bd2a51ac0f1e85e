package executable_test

import (
	"fmt"
	"testing"

	"createkey/internal/test/awslocal"
)

// testHangingBatch sends a whole batch while AWS answers nothing at all.
func testHangingBatch(t *testing.T, executable string) {
	w := start(t, executable, withBus)
	w.box.Function.Timeout = shortTimeout
	w.choose = func(awslocal.Call, bool) *fault { return &fault{hang: true} }
	var messages []message
	for i, r := range requests {
		messages = append(messages, message{fmt.Sprintf("message-%d", i), r})
	}
	for i, outcome := range w.deliver(viaSQS, messages...) {
		if outcome != "retried" {
			t.Errorf("%s was %s, want retried", messages[i].id, outcome)
		}
	}
	w.strikeNoMore()
	w.deliver(viaSQS, messages...)
	w.wantSettled(requests...)
}
