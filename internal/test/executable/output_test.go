package executable_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"createkey/internal/test/promise"
)

// checkOutput checks everything that the executable has written and answered: JSON lines with
// the documented members, and no value that exists.
func (w *world) checkOutput() {
	output := w.box.Output()
	number := 0
	for line := range bytes.Lines(output) {
		number++
		if fault := lineFault(line); fault != "" {
			w.t.Errorf("line %d of its output: %s", number, fault)
		}
	}
	if w.wantNoValue("the output", output) {
		seen.mu.Lock()
		seen.output.Write(output)
		seen.mu.Unlock()
	}
	w.wantNoValue("an answer", w.answered.Bytes())
	for _, event := range w.aws.Events() {
		w.wantNoValue("an event", []byte(event.Detail))
	}
}

// wantNoValue fails the test if a text holds part of a value, and reports whether it does not.
func (w *world) wantNoValue(where string, text []byte) bool {
	var sent []string
	for _, r := range requests {
		sent = append(sent, r.Value)
	}
	if promise.Leaks(&w.aws, text, sent...) {
		w.t.Errorf("%s holds part of a key's value", where)
		return false
	}
	return true
}

// lineFault returns why a line is not a message's log line with the members that metrics and
// saved queries need, or "". It does not quote the line.
func lineFault(text []byte) string {
	members := map[string]any{}
	if json.Unmarshal(text, &members) != nil || text[len(text)-1] != '\n' {
		return "is not a JSON object and a line break"
	}
	oneOf := func(words ...string) func(any) bool {
		return func(v any) bool { s, ok := v.(string); return ok && slices.Contains(words, s) }
	}
	isString := func(v any) bool { _, ok := v.(string); return ok }
	documented := map[string]func(v any) bool{
		"timestamp": func(v any) bool {
			s, _ := v.(string)
			_, err := time.Parse(time.RFC3339, s)
			return err == nil
		},
		"level":      oneOf("INFO", "WARN"),
		"outcome":    oneOf("created", "existing", "ended", "rotated", "rejected", "retried"),
		"durationMs": func(v any) bool { _, ok := v.(float64); return ok },
		"messageId":  isString,
		"customerId": isString,
		"keyId":      isString,
		"secretName": isString,
		"reason":     isString,
	}
	for name, valid := range documented {
		if v, there := members[name]; !there || !valid(v) {
			return "has no valid " + name
		}
	}
	optional := map[string]func(v any) bool{
		"code":    oneOf("quota", "unfinished"),
		"version": isString,                                           // of a build by make
		"calls":   func(v any) bool { _, ok := v.([]any); return ok }, // with LOG_LEVEL=DEBUG
	}
	for name, v := range members {
		if documented[name] == nil && (optional[name] == nil || !optional[name](v)) {
			return "has a member that is not documented, or not valid"
		}
	}
	return ""
}
