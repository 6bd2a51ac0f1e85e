package executable_test

import (
	"encoding/json"
	"slices"
	"testing"

	"createkey/events"
	"createkey/internal/test/promise"
)

// testSamples plays every file of events/ to an empty account.
func testSamples(t *testing.T, executable string) {
	for _, sample := range events.Samples {
		t.Run(sample.File, func(t *testing.T) {
			w := start(t, executable)
			response, lines := w.invoke(sample.Payload())
			ids, isQueue := messageIDs(t, sample.Payload())
			if ids == nil && len(lines) == 1 {
				ids = []string{lines[0].MessageID} // the only one
			}
			var outcomes, again []string
			created := 0
			for _, id := range ids {
				outcome := outcomeOf(lines, id)
				outcomes = append(outcomes, outcome)
				switch {
				case isDone(outcome), outcome == "rotated":
					created++
				case outcome != "ended":
					again = append(again, id)
				}
			}
			if !slices.Equal(outcomes, sample.Outcomes) || len(lines) != len(outcomes) {
				t.Errorf("outcomes %v in %d lines, want %v", outcomes, len(lines), sample.Outcomes)
			}
			if response.FunctionError != "" {
				t.Errorf("the function failed: %s", errorTypeOf(response))
			} else if failures := failuresOf(response); isQueue && !slices.Equal(failures, again) {
				t.Errorf("batchItemFailures name %v, want %v", failures, again)
			}
			if keys := len(w.aws.Keys()); keys != created {
				t.Errorf("%d keys exist, want %d", keys, created)
			}
			for _, key := range w.aws.Keys() {
				for _, fault := range promise.Describes(&w.aws, key.Tags["createkey:secret"]) {
					t.Error(fault)
				}
			}
			for _, b := range w.broken() {
				t.Error(b)
			}
		})
	}
}

// messageIDs returns the ids of a payload's SQS or SNS records, if it has any, and whether the
// answer must be a queue's.
func messageIDs(t *testing.T, payload []byte) (ids []string, isQueue bool) {
	t.Helper()
	type record struct {
		MessageID string `json:"messageId"`
		SNS       struct{ MessageID string }
	}
	var batch struct{ Records []record }
	if json.Unmarshal(payload, &batch.Records) != nil { // not a pipe's list
		if err := json.Unmarshal(payload, &batch); err != nil {
			t.Fatal("the sample is not JSON")
		}
	}
	for _, r := range batch.Records {
		ids = append(ids, r.MessageID+r.SNS.MessageID)
		isQueue = r.MessageID != ""
	}
	return ids, isQueue
}
