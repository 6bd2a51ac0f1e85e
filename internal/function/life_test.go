package function

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// event returns an application's EventBridge event, as on the queue.
func event(detailType, at, detail string) string {
	return fmt.Sprintf(`{"version":"0","id":"%s-%s","source":"onboarding","detail-type":%q,"time":%q,"detail":%s}`, detailType, at, detailType, at, detail)
}

// The life of a key in the messages of section 3a, with its outcome events.
func TestLifeIsAnnouncedByEvents(t *testing.T) {
	const signUp, identity = `{"customerId":"acme","name":"Gold","enabled":true}`, `{"customerId":"acme","name":"Gold"}`
	withBus(t, func(e *environment) {
		for i, step := range []struct {
			body, outcome, event string
			generation           int
		}{
			{event("API Key Requested", "2026-11-27T12:01:00Z", signUp), "created", "API Key Ready", 1},
			{event("API Key Rotation Requested", "2026-11-27T12:02:00Z", identity), "rotated", "API Key Rotated", 2},
			{event("API Key End Requested", "2026-11-27T12:03:00Z", identity), "ended", "API Key Ended", 2},
			{event("API Key Requested", "2026-11-27T12:01:00Z", signUp), "ended", "API Key Ended", 2},
			{event("API Key Requested", "2026-11-27T12:04:00Z", signUp), "created", "API Key Ready", 3},
		} {
			e.invoke(sqsBatch(step.body))
			e.wantLog("m0 " + step.outcome)
			told := e.aws.Events()[i]
			var detail struct {
				Status     string
				Generation int
				Enabled    bool
				Value      *string
				Previous   string `json:"previousKeyId"`
			}
			if err := json.Unmarshal([]byte(told.Detail), &detail); err != nil {
				t.Fatal(err)
			}
			lives := step.outcome != "ended"
			if told.DetailType != step.event || detail.Status != step.outcome || detail.Generation != step.generation || detail.Enabled != lives ||
				detail.Value != nil || (detail.Previous != "") != (step.outcome == "rotated") {
				t.Errorf("step %d: told %s with status %q, generation %d, enabled %t, previous key %q; want %s, %q, %d, %t", i,
					told.DetailType, detail.Status, detail.Generation, detail.Enabled, detail.Previous, step.event, step.outcome, step.generation, lives)
			}
		}
	})
}

// The end of the key before a rotation names that key, and has all that the schema requires.
func TestEndOfThePreviousKeyNamesItsID(t *testing.T) {
	withBus(t, func(e *environment) {
		e.invoke(sqsBatch(event("API Key Requested", "2026-11-27T12:01:00Z", `{"customerId":"acme","name":"Gold","enabled":true}`)))
		e.wantLog("m0 created")
		first := e.aws.Keys()[0].ID
		e.invoke(sqsBatch(event("API Key Rotation Requested", "2026-11-27T12:02:00Z", `{"customerId":"acme","name":"Gold"}`)))
		e.wantLog("m0 rotated")
		e.invoke(sqsBatch(event("API Key End Requested", "2026-11-27T12:03:00Z", `{"customerId":"acme","name":"Gold","keyId":"`+first+`"}`)))
		e.wantLog("m0 ended")
		told := e.aws.Events()[2]
		var detail struct {
			ID         string
			Generation int
		}
		if err := json.Unmarshal([]byte(told.Detail), &detail); err != nil {
			t.Fatal(err)
		}
		if detail.ID != first || detail.Generation != 2 || strings.Contains(told.Detail, ":null") {
			t.Errorf("event %s, want the end of key %s", told.Detail, first)
		}
	})
}

func TestBadEndsAndRotationsAreRejected(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"no identity":       {event("API Key End Requested", "2026-11-27T12:00:00Z", `{}`), "customerId: customerId or name must be given: they say whose key it is"},
		"no time":           {`{"id":"1","source":"s","detail-type":"API Key End Requested","detail":{"name":"n"}}`, "request: its envelope has no time, which says what came first: send it as an EventBridge event with a time, or through SNS"},
		"faults of both":    {event("API Key End Requested", "yesterday", `{"name":"n","keyId":""}`), "time: must be a time such as 2026-11-27T12:00:00Z; keyId: must not be empty"},
		"an invalid time":   {event("API Key End Requested", "yesterday", `{"name":"n"}`), "time: must be a time such as 2026-11-27T12:00:00Z"},
		"after the last":    {event("API Key End Requested", "9999-12-31T23:59:59-01:00", `{"name":"n"}`), "time: must be a time from 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z"},
		"unknown member":    {event("API Key Rotation Requested", "2026-11-27T12:00:00Z", `{"name":"n","keyId":"k"}`), "keyId: unknown member"},
		"nothing to rotate": {event("API Key Rotation Requested", "2026-11-27T12:00:00Z", `{"name":"n"}`), "request: there is no key of this customerId and name to rotate"},
	} {
		t.Run(name, func(t *testing.T) {
			withBus(t, func(e *environment) {
				e.invoke(sqsBatch(test.body))
				lines := e.wantLog("m0 rejected: " + test.want)
				if name == "faults of both" && lines["m0"].SecretName != "test/_/n" {
					e.Errorf("the log names the secret %q, want test/_/n", lines["m0"].SecretName)
				}
			})
		})
	}
}
