package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"createkey/events"
	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/marketplace"
	"createkey/internal/test/sandbox"
)

// listSamples writes a line of JSON for each sample: its file, its payload as text, and
// the outcomes of its messages in order.
func listSamples(out io.Writer) error {
	encoder := json.NewEncoder(out)
	for _, sample := range events.Samples {
		err := encoder.Encode(struct {
			File     string   `json:"file"`
			Payload  string   `json:"payload"`
			Outcomes []string `json:"outcomes"`
		}{sample.File, string(sample.Payload()), sample.Outcomes})
		if err != nil {
			return fmt.Errorf("listing the samples: %w", err)
		}
	}
	return nil
}

// playSamples plays every sample, then the first one again, and then a key's life, and
// checks the results.
func playSamples(ctx context.Context, box *sandbox.Sandbox) error {
	fmt.Printf("Playing events/ to %s, in a local Lambda against a local AWS.\n\n", "CreateKeyFunction")
	t := newTable(os.Stdout, "SAMPLE")
	tells := !slices.Contains(settings(), "OUTCOME_BUS=")
	_, otherQueue := os.LookupEnv("DEAD_LETTER_QUEUE_URL")
	setsAside := !otherQueue
	var wrong []string
	for _, sample := range append(events.Samples, again(events.Samples[0])) {
		messages, err := play(ctx, box, sample.Payload())
		if err != nil {
			return fmt.Errorf("%s: %w", sample.File, err)
		}
		outcomes := make([]string, len(messages))
		for i, m := range messages {
			outcomes[i] = m.Outcome
			t.row(sample.File, m)
			if tells && m.event != eventOf[m.Outcome] {
				wrong = append(wrong, fmt.Sprintf("%s should have sent the event %q", sample.File, eventOf[m.Outcome]))
			}
			if setsAside && m.setAside != (m.Outcome == "rejected") { // each of these comes from a queue
				wrong = append(wrong, sample.File+" should have put its rejected messages, and no others, into the dead-letter queue")
			}
		}
		slices.Sort(outcomes) // messages of a batch end in any order
		if want := slices.Sorted(slices.Values(sample.Outcomes)); !slices.Equal(outcomes, want) {
			wrong = append(wrong, fmt.Sprintf("%s should have come out as %s", sample.File, strings.Join(want, ", ")))
		}
	}
	faults, err := playLife(ctx, box)
	if err != nil {
		return err
	}
	wrong = append(wrong, faults...)
	keys, recorded := countKeys(box)
	fmt.Printf("\n%d keys exist; %d of them were recorded, with their value in a secret.\n", keys, recorded)
	if keys != recorded {
		wrong = append(wrong, "every key should have been recorded")
	}
	for _, key := range box.AWS.Keys() {
		fromMarketplace := strings.Contains(key.Tags[marketplace.TagProduct]+key.Tags[marketplace.TagAgreement], "EXAMPLE")
		if fromMarketplace != slices.Equal(box.AWS.UsagePlanKeys(key.ID), []string{events.MarketplacePlanID}) {
			wrong = append(wrong, "the keys of AWS Marketplace sign-ups, and no others, should be in plan "+events.MarketplacePlanID)
		}
	}
	if wrong != nil {
		return errors.New(strings.Join(wrong, "; "))
	}
	if tells {
		fmt.Println("EVENT is what the bus has taken: API Key Ready, Ended, Rotated or Rejected.")
	}
	if setsAside {
		fmt.Printf("%d rejected messages are in the dead-letter queue, as they were sent, each with its reason.\n", len(box.AWS.Messages()))
	}
	fmt.Printf("%s was played twice: a repeat makes nothing. Retried messages stay on the queue.\n", events.Samples[0].File)
	return nil
}

// again returns a sample with the outcomes of its second play.
func again(s events.Sample) events.Sample {
	s.Outcomes = []string{"existing"}
	return s
}

// playFile plays one file of the user: a payload, or a request in YAML, which becomes the
// body of a queue's message.
func playFile(ctx context.Context, box *sandbox.Sandbox, path string) error {
	payload, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usageError(path + ": no such file: EVENT names a payload, or a request in YAML")
	case err != nil:
		return usageError(err.Error())
	}
	switch ext := filepath.Ext(path); {
	case ext == ".yaml", ext == ".yml":
		payload = events.QueueMessage(filepath.Base(path), payload)
	case !json.Valid(payload):
		if _, err := document.Parse(payload); err != nil {
			return usageError(path + ": " + err.Error())
		}
		return usageError(path + ": is not a payload: it must be JSON, or YAML in a file named .yaml or .yml")
	}
	messages, err := play(ctx, box, payload)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	t := newTable(os.Stdout, "SAMPLE")
	failed := 0
	for _, m := range messages {
		t.row(filepath.Base(path), m)
		if m.Outcome == "rejected" || m.Outcome == "retried" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d messages were not done", failed, len(messages))
	}
	return nil
}

// eventOf is the last word of the detail-type that announces an outcome.
var eventOf = map[string]string{"created": "Ready", "existing": "Ready", "ended": "Ended", "rotated": "Rotated", "rejected": "Rejected"}

// played is the result for one message.
type played struct {
	sandbox.Line
	event    string   // as in eventOf
	plans    []string // of its key
	setAside bool     // in the dead-letter queue
}

// play invokes the function and returns what became of each message.
func play(ctx context.Context, box *sandbox.Sandbox, payload []byte) ([]played, error) {
	before, lettersBefore := len(box.AWS.Events()), len(box.AWS.Messages())
	answer, err := box.Function.Invoke(ctx, payload)
	if err != nil {
		return nil, err
	}
	lines, other := box.TakeLines()
	lines = slices.DeleteFunc(lines, func(l sandbox.Line) bool { return l.Outcome == "" }) // of the start, not of a message
	switch {
	case len(other) > 0:
		return nil, fmt.Errorf("the function wrote what is not a log line: %s", other[0])
	case len(lines) == 0:
		// No message was handled: the answer or the one line says why.
		return nil, fmt.Errorf("the function failed: %s %s", bytes.TrimSpace(answer.Log), answer.Payload)
	}
	sent := map[string]string{} // by message id
	for _, event := range box.AWS.Events()[before:] {
		var detail struct{ MessageID string }
		if err := json.Unmarshal([]byte(event.Detail), &detail); err != nil {
			return nil, fmt.Errorf("an event's detail: %w", err)
		}
		sent[detail.MessageID] = strings.TrimPrefix(event.DetailType, "API Key ")
	}
	letters := map[string]bool{} // by message id
	for _, letter := range box.AWS.Messages()[lettersBefore:] {
		letters[string(letter.Attributes["messageId"].Value)] = true
	}
	messages := make([]played, len(lines))
	for i, line := range lines {
		messages[i] = played{line, sent[line.MessageID], box.AWS.UsagePlanKeys(line.KeyID), letters[line.MessageID]}
	}
	return messages, nil
}

// countKeys counts the keys that exist, and those whose value and id are in a record, or
// were before a later generation.
func countKeys(box *sandbox.Sandbox) (keys, recorded int) {
	records := map[string]apikey.Record{}
	for _, secret := range box.AWS.Secrets() {
		for _, version := range secret.Versions {
			if record, err := apikey.ParseRecord(string(version.String)); err == nil {
				records[record.Key.ID] = record
			}
		}
	}
	for _, key := range box.AWS.Keys() {
		keys++
		if record, ok := records[key.ID]; ok && record.Value.Equal(apikey.NewValue(string(key.Value))) {
			recorded++
		}
	}
	return keys, recorded
}
