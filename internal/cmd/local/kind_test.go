package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// kindFor returns the kind of a destination's messages.
func kindFor(to destination) *kind {
	switch to := to.(type) {
	case *queue:
		return to.kind
	case *bus:
		return to.kind
	}
	panic("another destination")
}

func toThe(t *testing.T, queueURL, eventBus, kind string) destination {
	t.Helper()
	k, err := kindOf(kind)
	if err != nil {
		t.Fatal(err)
	}
	to, err := newDestination(queueURL, eventBus, "onboarding", k)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// Ends are events on every destination, and have a time.
func TestSend_EndsAndRotationsAreEvents(t *testing.T) {
	for kind, detailType := range map[string]string{"end": "API Key End Requested", "rotation": "API Key Rotation Requested"} {
		for name, text := range map[string]string{
			"x.csv": "customerId,name\nc,n\n", "x.jsonl": "{\"customerId\":\"c\",\"name\":\"n\"}\n", "x.yaml": "customerId: c\nname: n\n",
		} {
			synctest.Test(t, func(t *testing.T) {
				file, f := write(t, name, text), &fakeAWS{}
				for _, to := range []destination{toThe(t, testQueue, "", kind), toThe(t, "", testBus, kind)} {
					if _, err := runSend(t.Context(), t, f, to, file); err != nil {
						t.Fatalf("%s to %s: %v", name, to, err)
					}
				}
				var event struct {
					DetailType string `json:"detail-type"`
					Source     string
					Time       time.Time
					Detail     json.RawMessage
				}
				if err := json.Unmarshal([]byte(f.taken[0].MessageBody), &event); err != nil {
					t.Fatal(err)
				}
				const detail = `{"customerId":"c","name":"n"}`
				if event.DetailType != detailType || event.Source != "onboarding" || !event.Time.Equal(time.Now()) || string(event.Detail) != detail {
					t.Errorf("%s of %s on the queue: %s, want %s of onboarding, now, with %s", kind, name, f.taken[0].MessageBody, detailType, detail)
				}
				if e := f.taken[1]; e.DetailType != detailType || e.Source != "onboarding" || e.Detail != detail {
					t.Errorf("%s of %s on the bus: %+v, want %s of onboarding with %s", kind, name, e, detailType, detail)
				}
			})
		}
	}
}

// The journal goes by the file's text, not by the time of sending, and tells ends from
// sign-ups.
func TestSend_AnEndIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, f := write(t, "x.csv", "customerId,name\nc,n\n"), &fakeAWS{}
		for i, want := range []int{1, 1, 2, 2} {
			if _, err := runSend(t.Context(), t, f, toThe(t, testQueue, "", []string{"sign-up", "sign-up", "end", "end"}[i]), file); err != nil {
				t.Fatal(err)
			}
			if len(f.taken) != want {
				t.Errorf("run %d: %d messages were sent, want %d", i, len(f.taken), want)
			}
			time.Sleep(time.Minute)
		}
	})
}

// A message that is sent again because its answer was lost keeps the time of the first
// run: a second rotation would cut the customer off.
func TestSend_AResentMessageKeepsItsTime(t *testing.T) {
	for name, to := range map[string]func() destination{
		"queue": func() destination { return toThe(t, testQueue, "", "rotation") },
		"bus":   func() destination { return toThe(t, "", testBus, "rotation") },
	} {
		synctest.Test(t, func(t *testing.T) {
			file, f := write(t, "x.csv", "customerId,name\nc,n\n"), &fakeAWS{}
			first := time.Now()
			if _, err := runSend(t.Context(), t, &fakeAWS{lost: errors.New("the answer is lost")}, to(), file); err == nil {
				t.Fatal("got no error for a lost answer")
			}
			time.Sleep(time.Hour)
			if _, err := runSend(t.Context(), t, f, to(), file); err != nil {
				t.Fatal(err)
			}
			var event struct{ Time time.Time }
			if name == "bus" {
				event.Time = time.Unix(int64(f.taken[0].Time), 0)
			} else if err := json.Unmarshal([]byte(f.taken[0].MessageBody), &event); err != nil {
				t.Fatal(err)
			}
			if !event.Time.Equal(first) {
				t.Errorf("%s: sent at %s, want %s", name, event.Time, first)
			}
		})
	}
}

func TestValidate_EndsAndRotations(t *testing.T) {
	t.Setenv("SECRET_PREFIX", "dev/")
	for _, test := range []struct {
		name, kind, file, text, want string
		good                         bool
	}{
		{"an end", "end", "x.json", `{"customerId": "c", "name": "n"}`, "accepted  request  dev/c/n (an end)\n", true},
		{"an end of the key before a rotation", "end", "x.csv", "customerId,keyId\nc,k\n", "accepted  line 2  dev/c/_ (an end)\n", true},
		{"an end of a key whose cell is empty", "end", "x.csv", "customerId,name,keyId\nc,n,\nd,n,k\n",
			"rejected  line 2  dev/c/n\n          keyId: must not be empty: name the key", false},
		{"an end without an identity", "end", "x.json", `{}`, "customerId: customerId or name must be given", false},
		{"an end with members of a sign-up", "end", "x.yaml", "name: n\nenabled: false\n", "enabled: unknown member", false},
		{"a rotation", "rotation", "x.jsonl", `{"customerId": "c"}`, "accepted  line 1  dev/c/_ (a rotation)\n", true},
		{"a rotation of a key", "rotation", "x.json", `{"customerId": "c", "keyId": "k"}`, "keyId: unknown member", false},
		{"an end in CloudFormation spelling", "end", "x.json", `{"CustomerId": "c"}`, "CustomerId: unknown member: it is spelled customerId", false},
		{"an account id without quotes", "rotation", "x.yaml", "customerId: 012345671234\n", "customerId: must be a string, not a number: put it in quotes", false},
		{"an end in a string", "end", "x.json", `"{\"customerId\": \"c\"}"`, "detail: it is JSON inside a string, encoded once too often", false},
		{"an end that is cut short", "end", "x.json", `{"customerId": "c"`, "request: is not valid JSON (line 1, column 18): it ends too early", false},
		{"a whole event as an end", "end", "x.json", `{"id":"e","source":"crm","detail-type":"API Key End Requested","detail":{"name":"n"}}`, "request: is a whole event, which says itself what it asks for: leave KIND out", false},
		{"an anchor", "end", "x.yaml", "name: &n c\n", "rejected  request", false},
		{"a whole event", "sign-up", "x.json", `{"id":"e","source":"crm","detail-type":"API Key End Requested","time":"2026-11-27T12:00:00Z","detail":{"name":"n"}}`, "accepted  e  dev/_/n (an end)\n", true},
		{"a whole event without a time", "sign-up", "x.json", `{"id":"e","source":"crm","detail-type":"API Key End Requested","detail":{"name":"n"}}`, "request: its envelope has no time", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := validateCommand(&out, []string{"-kind", test.kind, "-file", write(t, test.file, test.text)})
			if !strings.Contains(out.String(), test.want) || (err == nil) != test.good {
				t.Errorf("error %v; prints\n%swithout\n%s", err, &out, test.want)
			}
		})
	}
	for file, want := range map[string]string{
		"customerId,keyId\nc,k\n":     `unknown column "keyId"; the columns are customerId, name`,
		"customerId,tags.team\nc,t\n": `unknown column "tags.team"`,
	} {
		if err := validateCommand(&bytes.Buffer{}, []string{"-kind", "rotation", "-file", write(t, "x.csv", file)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if status(validateCommand(&bytes.Buffer{}, []string{"-kind", "renewal", "-file", "x"})) != exitUsage {
		t.Error("an unknown kind was accepted")
	}
}

// A filled-in skeleton is a good message.
func TestSkeletons_OfEndsAndRotations(t *testing.T) {
	for _, kind := range []string{"end", "rotation"} {
		for format, empty := range map[string]string{"json": `"name": ""`, "yaml": "name: ''"} {
			var out bytes.Buffer
			if err := skeletonCommand(&out, []string{"-kind", kind, "-format", format}); err != nil {
				t.Fatal(err)
			}
			filled := strings.Replace(out.String(), empty, "\"name\": \"n\"", 1)
			if filled == out.String() {
				t.Fatalf("%s in %s has no name", kind, format)
			}
			if err := validateCommand(&out, []string{"-kind", kind, "-file", write(t, "x."+format, filled)}); err != nil {
				t.Errorf("%s in %s: %v: %s", kind, format, err, &out)
			}
		}
	}
}
