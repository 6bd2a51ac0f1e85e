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
	"createkey/internal/sandbox"
)

// listSamples writes a line of JSON for each sample: its file, its payload as
// text, and the outcomes of its messages in order.
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

// playSamples plays every sample, then the first one again, and checks what came
// of them against what should.
func playSamples(ctx context.Context, box *sandbox.Sandbox) error {
	fmt.Printf("Playing events/ to %s, in a local Lambda against a local AWS.\n\n", "CreateKeyFunction")
	t := newTable(os.Stdout)
	var wrong []string
	for _, sample := range append(events.Samples, again(events.Samples[0])) {
		lines, err := play(ctx, box, sample.Payload())
		if err != nil {
			return fmt.Errorf("%s: %w", sample.File, err)
		}
		outcomes := make([]string, len(lines))
		for i, line := range lines {
			outcomes[i] = line.Outcome
			t.row(sample.File, line)
		}
		slices.Sort(outcomes) // messages of a batch end in any order
		if want := slices.Sorted(slices.Values(sample.Outcomes)); !slices.Equal(outcomes, want) {
			wrong = append(wrong, fmt.Sprintf("%s should have come out as %s", sample.File, strings.Join(want, ", ")))
		}
	}
	keys, recorded := countKeys(box)
	fmt.Printf("\n%d keys exist; %d of them have a finished record with their value in a secret.\n", keys, recorded)
	if keys != recorded {
		wrong = append(wrong, "every key should have a finished record")
	}
	if wrong != nil {
		return errors.New(strings.Join(wrong, "; "))
	}
	fmt.Printf("%s was played twice: a repeat makes nothing. Rejected and retried messages stay on the queue.\n", events.Samples[0].File)
	return nil
}

// again is a sample that was played already.
func again(s events.Sample) events.Sample {
	s.Outcomes = []string{"existing"}
	return s
}

// playFile plays one file of the user's: a payload, or a request in YAML, which
// travels as the body of a queue's message.
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
		return usageError(path + ": is not a payload: it must be JSON, or YAML in a file named .yaml or .yml")
	}
	lines, err := play(ctx, box, payload)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	t := newTable(os.Stdout)
	failed := 0
	for _, line := range lines {
		t.row(filepath.Base(path), line)
		if line.Outcome != "created" && line.Outcome != "existing" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d messages were not done", failed, len(lines))
	}
	return nil
}

// play invokes the function and returns the log line of each message.
func play(ctx context.Context, box *sandbox.Sandbox, payload []byte) ([]sandbox.Line, error) {
	answer, err := box.Function.Invoke(ctx, payload)
	if err != nil {
		return nil, err
	}
	lines, other := box.TakeLines()
	switch {
	case len(other) > 0:
		return nil, fmt.Errorf("the function wrote what is not a log line: %s", other[0])
	case len(lines) == 0, lines[0].Outcome == "":
		// It did not get as far as a message: the answer or the one line says why.
		return nil, fmt.Errorf("the function failed: %s %s", bytes.TrimSpace(answer.Log), answer.Payload)
	}
	return lines, nil
}

// countKeys counts the keys that exist, and those whose value and id a finished
// record holds.
func countKeys(box *sandbox.Sandbox) (keys, recorded int) {
	records := map[string]apikey.Record{}
	for _, secret := range box.AWS.Secrets() {
		if record, err := apikey.ParseRecord(string(secret.Current().String)); err == nil {
			records[record.Key.ID] = record
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
