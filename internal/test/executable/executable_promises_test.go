package executable_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

// What is broken is told by the names of customers, keys and secrets, never by
// a value.

// broken returns what breaks, at this instant, the promises that hold at every
// instant. Keys are read before secrets: a secret is there before its key.
func (w *execWorld) broken() (broken []string) {
	breach := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	ever := w.aws.KeysEver()
	secrets := w.aws.Secrets()

	owned := map[string]int{}
	for _, key := range ever {
		owned[execIdentity(key)]++
		if !slices.ContainsFunc(secrets, func(s awslocal.Secret) bool { return execHolds(s, key) }) {
			breach("promise 2: no secret held the value of key %s (%s) when it was made, and holds it now", key.ID, execIdentity(key))
		}
		if !key.LastUpdated.Equal(key.Created) || !key.Deleted.IsZero() {
			breach("promise 4: key %s (%s) was changed", key.ID, execIdentity(key))
		}
	}
	for identity, keys := range owned {
		if keys > 1 {
			breach("promise 1: %d keys for %s", keys, identity)
		}
	}
	for _, secret := range secrets {
		finished := ""
		for _, state := range w.aws.SecretEver(secret.Name) {
			current := state.Current()
			if finished != "" && current.ID != finished {
				breach("promise 4: the finished record of %s was overwritten", secret.Name)
			}
			if record, err := apikey.ParseRecord(string(current.String)); err == nil && record.Finished() {
				finished = current.ID
			}
		}
	}
	for _, c := range w.aws.Calls() {
		switch c.Operation {
		case "GetUsagePlan", "GetUsagePlans", "CreateSecret", "GetSecretValue", "CreateApiKey", "GetApiKeys", "GetApiKey",
			"CreateUsagePlanKey", "GetUsagePlanKey", "PutSecretValue", "PutEvents":
		default:
			breach("%s %s was called, which could change or delete something", c.Service, c.Operation)
		}
	}
	return broken
}

// execHolds reports whether a secret had the key's value before there was the key,
// and has it for a reader now.
func execHolds(s awslocal.Secret, key awslocal.Key) bool {
	bears := func(v awslocal.SecretVersion) bool {
		record, err := apikey.ParseRecord(string(v.String))
		return err == nil && record.Value.Equal(apikey.NewValue(string(key.Value)))
	}
	return bears(s.Current()) && slices.ContainsFunc(s.Versions, func(v awslocal.SecretVersion) bool {
		return bears(v) && !v.Created.After(key.Created)
	})
}

// execIdentity is whose key it is: the customer and the name that the sender
// gave, or where there is neither what the tag says.
func execIdentity(key awslocal.Key) string {
	if key.CustomerID == "" && key.Name == "" {
		return key.Tags[apikey.TagSecret]
	}
	return fmt.Sprintf("customer %q, name %q", key.CustomerID, key.Name)
}

// recordFault tells what keeps the record of a key from describing it completely.
func (w *execWorld) recordFault(key awslocal.Key) string {
	var record apikey.Record
	for _, secret := range w.aws.Secrets() {
		if r, err := apikey.ParseRecord(string(secret.Current().String)); err == nil && r.Key.ID == key.ID {
			record = r
		}
	}
	if !record.Finished() {
		return fmt.Sprintf("promise 3: no record names key %s (%s)", key.ID, execIdentity(key))
	}
	var wrong []string
	check := func(member string, right bool) {
		if !right {
			wrong = append(wrong, member)
		}
	}
	check("value", record.Value.Equal(apikey.NewValue(string(key.Value))))
	check("name", record.Key.Name == key.Name)
	check("customerId", record.Key.CustomerID == key.CustomerID)
	check("description", record.Key.Description == key.Description)
	check("enabled", record.Key.Enabled == key.Enabled)
	check("createdDate", record.Key.CreatedDate.Equal(key.Created.Truncate(time.Second))) // as API Gateway sends it
	check("stageKeys", slices.Equal(record.Key.StageKeys, key.StageKeys))
	check("tags", maps.Equal(record.Key.Tags, key.Tags))
	check("usagePlanIds", slices.Equal(record.Key.UsagePlanIDs, w.aws.UsagePlanKeys(key.ID)))
	if wrong != nil {
		return fmt.Sprintf("promise 3: the record of key %s (%s) is wrong in %v", key.ID, execIdentity(key), wrong)
	}
	return ""
}

// wantDone checks that a request has its key, as it was asked for and recorded.
func (w *execWorld) wantDone(r execRequest) {
	w.t.Helper()
	keys := w.aws.Keys()
	i := slices.IndexFunc(keys, func(key awslocal.Key) bool { return w.answers(key, r) })
	if i < 0 {
		w.t.Errorf("promise 3: customer %q has no key as asked for by name %q", r.CustomerID, r.Name)
	} else if fault := w.recordFault(keys[i]); fault != "" {
		w.t.Error(fault)
	}
}

// wantTold checks that the bus, if there is one, has taken the event of a message
// that is said to be done.
func (w *execWorld) wantTold(messageID string) {
	w.t.Helper()
	if w.bus && !slices.ContainsFunc(w.aws.Events(), func(e awslocal.Event) bool {
		return e.Bus == "outcomes" && e.DetailType == "API Key Ready" && strings.Contains(e.Detail, `"messageId":"`+messageID+`"`)
	}) {
		w.t.Errorf("%s is done, and no event says so", messageID)
	}
}

// wantSettled checks all promises on the state, once every request is done, and
// that nothing else exists.
func (w *execWorld) wantSettled(requests ...execRequest) {
	w.t.Helper()
	for _, r := range requests {
		w.wantDone(r)
	}
	for _, b := range w.broken() {
		w.t.Error(b)
	}
	if keys, secrets := len(w.aws.Keys()), len(w.aws.Secrets()); keys != len(requests) || secrets != len(requests) {
		w.t.Errorf("promise 3: %d requests made %d keys and %d secrets", len(requests), keys, secrets)
	}
}

// answers reports whether a key is what a request asks for.
func (w *execWorld) answers(key awslocal.Key, r execRequest) bool {
	tags := maps.Clone(key.Tags)
	maps.DeleteFunc(tags, func(name, _ string) bool { return strings.HasPrefix(name, "createkey:") })
	return key.CustomerID == r.CustomerID && key.Name == r.Name && key.Description == r.Description &&
		key.Enabled == r.Enabled && maps.Equal(tags, r.Tags) && len(key.Tags) == len(tags)+2 &&
		slices.Equal(w.aws.UsagePlanKeys(key.ID), r.UsagePlanIDs) &&
		(r.Value == "" || r.Value == string(key.Value))
}

// checkOutput checks all that the executable has written and answered: JSON
// lines of the documented members, and no value that exists.
func (w *execWorld) checkOutput() {
	for i, box := range w.boxes {
		output := box.Output()
		number := 0
		for line := range bytes.Lines(output) {
			number++
			if fault := execLineFault(line); fault != "" {
				w.t.Errorf("environment %d, line %d of its output: %s", i, number, fault)
			}
		}
		if w.wantNoValue(fmt.Sprintf("the output of environment %d", i), output) {
			execSeen.mu.Lock()
			execSeen.output.Write(output)
			execSeen.mu.Unlock()
		}
	}
	w.wantNoValue("an answer", w.answered.Bytes())
	for _, event := range w.aws.Events() {
		w.wantNoValue("an event", []byte(event.Detail))
	}
}

// wantNoValue looks for the first half of each value, since nobody should quote a
// part of one either, and reports whether there is none.
func (w *execWorld) wantNoValue(where string, text []byte) bool {
	for _, value := range w.values() {
		if value != "" && bytes.Contains(text, []byte(value[:len(value)/2])) {
			w.t.Errorf("%s holds the value of a key", where)
			return false
		}
	}
	return true
}

// execLineFault tells what keeps a line from being a message's log line with the
// members that metrics and saved queries rely on. It does not quote the line.
func execLineFault(text []byte) string {
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
		"outcome":    oneOf("created", "existing", "rejected", "retried"),
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
