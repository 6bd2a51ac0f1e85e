package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"createkey/internal/document"
)

const (
	testQueue = "https://sqs.us-east-1.amazonaws.com/123456789012/requests"
	testBus   = "signups"
)

// entry is one message as either service receives it.
type entry struct {
	ID                     string `json:"Id"`
	MessageBody            string
	MessageGroupID         string `json:"MessageGroupId"`
	MessageDeduplicationID string `json:"MessageDeduplicationId"`

	EventBusName, Source, DetailType, Detail string
	Time                                     float64 // seconds since 1970; 0: not given
}

func (e entry) text() string { return e.MessageBody + e.Detail }

// fakeAWS is a fake of SQS and EventBridge for sending: it takes the entries that refuse
// lets pass.
type fakeAWS struct {
	// refuse returns an entry's error code, and whether the sender is at fault. Nil:
	// everything is taken.
	refuse func(e entry) (code string, senderFault bool)
	// fail returns the status and the error code of a whole call. Nil or "": none. It may
	// end the caller's context instead.
	fail func(call int) (status int, code string)
	// lost, if set, is the error of every call.
	lost error

	mu    sync.Mutex
	calls int
	taken []entry
}

func (f *fakeAWS) config(ctx context.Context, t *testing.T) aws.Config {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	cfg, err := loadConfig(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cfg.HTTPClient = &http.Client{Transport: f}
	return cfg
}

func (f *fakeAWS) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	f.calls++
	if f.lost != nil {
		return nil, f.lost
	}
	if f.fail != nil {
		if status, code := f.fail(f.calls); code != "" {
			return respond(status, map[string]string{"__type": code, "message": "says " + code}), nil
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var in struct{ Entries []entry }
	if err := json.Unmarshal(body, &in); err != nil || len(in.Entries) == 0 || len(in.Entries) > 10 {
		return nil, fmt.Errorf("a call with %d entries (%w)", len(in.Entries), err)
	}
	var taken, failed, all []map[string]any
	for _, e := range in.Entries {
		code, senderFault := "", false
		if f.refuse != nil {
			code, senderFault = f.refuse(e)
		}
		if code != "" {
			failed = append(failed, map[string]any{"Id": e.ID, "Code": code, "SenderFault": senderFault, "Message": e.text()})
			all = append(all, map[string]any{"ErrorCode": code, "ErrorMessage": e.text()})
			continue
		}
		f.taken = append(f.taken, e)
		id := fmt.Sprintf("id-%d", len(f.taken))
		sum := md5.Sum([]byte(e.MessageBody))
		taken = append(taken, map[string]any{"Id": e.ID, "MessageId": id, "MD5OfMessageBody": hex.EncodeToString(sum[:])})
		all = append(all, map[string]any{"EventId": id})
	}
	if r.Header.Get("X-Amz-Target") == "AWSEvents.PutEvents" {
		return respond(http.StatusOK, map[string]any{"FailedEntryCount": len(failed), "Entries": all}), nil
	}
	return respond(http.StatusOK, map[string]any{"Successful": taken, "Failed": failed}), nil
}

func respond(status int, document any) *http.Response {
	body, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(bytes.NewReader(body))}
}

// customers returns the customers whose requests AWS took, in order.
func (f *fakeAWS) customers(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, e := range f.taken {
		doc, err := document.Parse([]byte(e.text()))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, doc.GetText("customerId"))
	}
	return ids
}

// sending is the output of one run of the command. No run may show a value.
type sending struct{ out, faults string }

func runSend(ctx context.Context, t *testing.T, f *fakeAWS, to destination, file string) (sending, error) {
	t.Helper()
	var out, faults bytes.Buffer
	s := &sender{file: file, kind: kindFor(to), to: to, out: &out, faults: &faults}
	if f != nil {
		to.connect(f.config(ctx, t))
	}
	err := s.run(ctx, f != nil)
	journal, _ := os.ReadFile(file + journalSuffix)
	if strings.Contains(fmt.Sprint(out.String(), faults.String(), err, string(journal)), "fake-value") {
		t.Error("the output shows a value")
	}
	return sending{out.String(), faults.String()}, err
}

func toQueue(t *testing.T, url string) destination {
	t.Helper()
	to, err := newDestination(url, "", "onboarding", kinds["sign-up"])
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func toBus(t *testing.T) destination {
	t.Helper()
	to, err := newDestination("", testBus, "onboarding", kinds["sign-up"])
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// crowd writes a CSV file of n customers, cust-0 and so on.
func crowd(t *testing.T, n int) string {
	t.Helper()
	text := "customerId,name\n"
	for i := range n {
		text += fmt.Sprintf("cust-%d,Standard\n", i)
	}
	return write(t, "customers.csv", text)
}

func TestSend_SendsTheGoodRowsAndReportsTheBad(t *testing.T) {
	file := write(t, "customers.csv", "\ufeff"+`name,customerId,description,enabled,value,usagePlanIds,tags.team,tags.cost centre
Standard,cust-1,"a ""quoted"" cell,
over two lines",TRUE,,gold01; silver01,billing,
Standard,cust-2,,yes,,,,
,,,,,,,
Standard,cust-3,,true,fake-value,,,
Standard,cust-4,,false,fake-value-0123456789,,,42
Standard,cust-5
Standard,cust"6,,,,,,
Standard,cust-`+"\xe9"+`,,,,,,
,,nobody's,true,,,,
Standard,cust-7,<&>,,,gold01;;gold01,,
Standard,cust-8,<&>,,,,,
`)
	f := &fakeAWS{}
	s, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file)
	want := []string{
		`{"customerId":"cust-1","description":"a \"quoted\" cell,\nover two lines","enabled":true,"name":"Standard","tags":{"team":"billing"},"usagePlanIds":["gold01","silver01"]}`,
		`{"customerId":"cust-4","enabled":false,"name":"Standard","tags":{"cost centre":"42"},"value":"fake-value-0123456789"}`,
		`{"customerId":"cust-8","description":"<&>","name":"Standard"}`,
	}
	var got []string
	for _, e := range f.taken {
		got = append(got, e.MessageBody)
	}
	if !slices.Equal(got, want) {
		t.Errorf("sent %d messages, want the three good ones unchanged", len(got))
	}
	for _, fault := range []string{
		":4: enabled: must be a boolean, not a string", ":4: a cell is read as a boolean where it is true or false, and as a string otherwise", ":6: value: must be at least 20 characters, has 10",
		":8: row: has 2 cells, and the header 8", ":9: row: is not valid CSV (column 14)", ":10: customerId: must be UTF-8",
		":11: customerId: customerId or name must be given", ":12: usagePlanIds[1]: must not be empty", ":12: usagePlanIds[2]: must not repeat an earlier one",
	} {
		if !strings.Contains(s.faults, file+fault) {
			t.Errorf("the faults lack %s", fault)
		}
	}
	if strings.Count(s.faults, "\n") != 9 {
		t.Errorf("got faults\n%swant 9 lines", s.faults)
	}
	if err == nil || !strings.Contains(err.Error(), "7 bad, 0 unsent") {
		t.Errorf("error %v, want 7 bad, 0 unsent", err)
	}
	if !strings.Contains(s.out, "3 good, 7 bad, 0 sent before.") || !strings.Contains(s.out, "3 sent to "+testQueue) {
		t.Errorf("prints %s, want 3 good, 7 bad and 3 sent", s.out)
	}
}

func TestSend_SendsNothingOfAnUntrustworthyFile(t *testing.T) {
	for _, test := range []struct{ name, file, text, want string }{
		{"an unknown column", "x.csv", "customerId,usage plan\nc,g\n", `line 1: unknown column "usage plan"; the columns are name, customerId,`},
		{"another case", "x.csv", "CustomerId\nc\n", `unknown column "CustomerId"`},
		{"a repeated column", "x.csv", "name,name\nc,g\n", `line 1: repeated column "name"`},
		{"a tag without a key", "x.csv", "name,tags.\nc,g\n", `unknown column "tags."`},
		{"a quoted cell that ends wrongly, lines later", "x.csv", "name,customerId\na,b\n\"c,d\ne,\"f\ng,h\n", "line 4: is not valid CSV (in the row that begins on line 3)"},
		{"no header", "x.csv", "", "line 1: must name the columns"},
		{"no rows", "x.csv", "name\n\n", "holds no requests"},
		{"no lines", "x.jsonl", "\n", "holds no requests"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fakeAWS{}
			_, err := runSend(t.Context(), t, f, toQueue(t, testQueue), write(t, test.file, test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error: %v; want %s", err, test.want)
			}
			if f.calls > 0 {
				t.Errorf("made %d calls, want none", f.calls)
			}
		})
	}
}

func TestSend_SendsOneFileUnchanged(t *testing.T) {
	for _, test := range []struct{ name, file, text, body, detail string }{
		{"JSON", "x.json", `{ "customerId": "c" }`, `{ "customerId": "c" }`, `{ "customerId": "c" }`},
		{"YAML, which becomes JSON on a bus", "x.yaml", "customerId: c # his\ndescription: 2026-11-24\n",
			"customerId: c # his\ndescription: 2026-11-24\n", `{"customerId":"c","description":"2026-11-24"}`},
		{"a skeleton", "x.json", strings.Replace(jsonSkeleton, `"customerId": ""`, `"customerId": "c"`, 1),
			strings.Replace(jsonSkeleton, `"customerId": ""`, `"customerId": "c"`, 1), strings.Replace(jsonSkeleton, `"customerId": ""`, `"customerId": "c"`, 1)},
		{"without an identity, from a bus only", "x.json", `{"enabled": true}`, "", `{"enabled": true}`},
		{"an envelope, to a queue only", "x.json", `{"id": "e", "source": "crm", "detail-type": "d", "detail": {}}`, `{"id": "e", "source": "crm", "detail-type": "d", "detail": {}}`, ""},
		{"an anchor, to neither", "x.yaml", "customerId: &c x\n", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, to := range []struct {
				destination
				want string
			}{{toQueue(t, testQueue), test.body}, {toBus(t), test.detail}} {
				f := &fakeAWS{}
				_, err := runSend(t.Context(), t, f, to.destination, write(t, test.file, test.text))
				if (err == nil) != (to.want != "") {
					t.Errorf("%s: error %v, want %q sent", to, err, to.want)
				}
				if to.want == "" {
					if f.calls > 0 {
						t.Errorf("%s: was sent", to)
					}
				} else if len(f.taken) != 1 || f.taken[0].text() != to.want {
					t.Errorf("%s: sent other than %s", to, to.want)
				}
			}
		})
	}
}

func TestSend_SendsEventsThatTheTemplatesRuleMatches(t *testing.T) {
	f := &fakeAWS{}
	if _, err := runSend(t.Context(), t, f, toBus(t), write(t, "x.jsonl", "{\"customerId\": \"c\"}\n")); err != nil {
		t.Fatal(err)
	}
	want := entry{EventBusName: testBus, Source: "onboarding", DetailType: "API Key Requested", Detail: `{"customerId": "c"}`}
	if len(f.taken) != 1 || f.taken[0] != want {
		t.Errorf("sent %+v, want %+v", f.taken, want)
	}
}

func TestSend_KeepsAKeysMessagesInOrderOnAFIFOQueue(t *testing.T) {
	f := &fakeAWS{}
	if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue+".fifo"), write(t, "x.jsonl",
		"{\"customerId\": \"c\"}\n{\"customerId\": \"c\", \"enabled\": true}\n{\"customerId\": \"d\"}\n")); err != nil {
		t.Fatal(err)
	}
	a, b, c := f.taken[0], f.taken[1], f.taken[2]
	if a.MessageGroupID == "" || a.MessageGroupID != b.MessageGroupID || a.MessageGroupID == c.MessageGroupID {
		t.Error("message groups differ within a key, or are shared by keys")
	}
	if a.MessageDeduplicationID == "" || a.MessageDeduplicationID == b.MessageDeduplicationID {
		t.Error("two messages share a deduplication id")
	}
}

func TestSend_InvalidDestinations(t *testing.T) {
	for _, test := range []struct{ queueURL, bus, source, want string }{
		{"", "", "x", "exactly one of QUEUE_URL and EVENT_BUS must be set"},
		{testQueue, testBus, "x", "exactly one of QUEUE_URL and EVENT_BUS must be set (both are)"},
		{"arn:aws:sqs:us-east-1:123456789012:requests", "", "x", "QUEUE_URL must be the URL of a queue"},
		{"", testBus, "createkey", "EVENT_SOURCE: source: is createkey"},
		{"", testBus, "aws.s3", "EVENT_SOURCE: source: events of AWS's own"},
		{"", testBus, "", "EVENT_SOURCE: source: must be a string, not empty"},
	} {
		_, err := newDestination(test.queueURL, test.bus, test.source, kinds["sign-up"])
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error: %v; want %s", err, test.want)
		}
	}
}

func TestSend_ADryRunMakesNoCallAndNoJournal(t *testing.T) {
	file := crowd(t, 3)
	s, err := runSend(t.Context(), t, nil, toQueue(t, testQueue), file)
	if err != nil || !strings.Contains(s.out, "Dry run: 3 sign-ups would go to "+testQueue) {
		t.Errorf("error %v, printed %s, want 3 to go", err, s.out)
	}
	if _, err := os.Stat(file + journalSuffix); err == nil {
		t.Error("a dry run left a journal")
	}
}

// inVirtualTime runs a test whose code waits.
func inVirtualTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func TestSend_SaysThatRowsWithoutACustomerShareAKey(t *testing.T) {
	for text, told := range map[string]bool{"name\nGold\nGold\n": true, "name,customerId\nGold,c\nGold,_\n": false} {
		s, err := runSend(t.Context(), t, nil, toQueue(t, testQueue), write(t, "x.csv", text))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s.out, "2 without a customerId") != told {
			t.Errorf("%q: hint that rows share a key: %t, want %t:\n%s", text, !told, told, s.out)
		}
	}
}

func TestSend_SaysThatRowsAskForDisabledKeys(t *testing.T) {
	for text, want := range map[string]bool{"customerId\na\nb\n": true, "customerId,enabled\na,true\nb,true\n": false} {
		s, err := runSend(t.Context(), t, nil, toQueue(t, testQueue), write(t, "x.csv", text))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(s.out, "2 for a disabled key"); got != want {
			t.Errorf("%q: hint that the keys will be disabled: %t, want %t:\n%s", text, got, want, s.out)
		}
	}
}

func TestSend_RetriesWhatOneCallLeavesBehind(t *testing.T) {
	for _, name := range []string{"queue", "bus"} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T) {
				to := toQueue(t, testQueue)
				if name == "bus" {
					to = toBus(t)
				}
				tries := map[string]int{}
				f := &fakeAWS{refuse: func(e entry) (string, bool) {
					tries[e.text()]++
					switch {
					case strings.Contains(e.text(), "cust-3\"") && tries[e.text()] < 4:
						return "ThrottlingException", false
					case strings.Contains(e.text(), "cust-14\""): // always
						return "InternalFailure", false
					case strings.Contains(e.text(), "cust-7\""):
						return "MalformedDetail", true // not to be tried again
					}
					return "", false
				}}
				file := crowd(t, 25)
				s, err := runSend(t.Context(), t, f, to, file)
				if err == nil || !strings.Contains(err.Error(), "0 bad, 2 unsent") || !strings.Contains(s.out, "23 sent to") {
					t.Errorf("error %v, printed %s, want 23 sent and 2 unsent", err, s.out)
				}
				if want := file + ":9: not sent: MalformedDetail\n" + file + ":16: not sent: InternalFailure\n"; s.faults != want {
					t.Errorf("got faults\n%swant\n%s", s.faults, want)
				}
				for i, n := range map[int]int{3: 4, 14: maxAttempts, 7: 1, 5: 1} {
					got := 0
					for text, n := range tries {
						if strings.Contains(text, fmt.Sprintf("cust-%d\"", i)) {
							got = n
						}
					}
					if got != n {
						t.Errorf("cust-%d was tried %d times, want %d", i, got, n)
					}
				}
				if got := f.customers(t); len(got) != 23 || slices.Contains(got, "cust-14") || slices.Contains(got, "cust-7") {
					t.Errorf("sent %v, want all but cust-7 and cust-14", got)
				}

				// Once AWS recovers, the same command sends the two, and no others.
				f = &fakeAWS{}
				if s, err = runSend(t.Context(), t, f, to, file); err != nil || !strings.Contains(s.out, "25 good, 0 bad, 23 sent before.") {
					t.Errorf("error %v, printed %s, want 23 sent before", err, s.out)
				}
				if got := f.customers(t); !slices.Equal(got, []string{"cust-7", "cust-14"}) {
					t.Errorf("sent %v, want cust-7 and cust-14", got)
				}
			})
		})
	}
}

func TestSend_RetriesThrottledCallsWithinBounds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		throttledBefore := func(n int) func(int) (int, string) {
			return func(call int) (int, string) {
				if call < n {
					return http.StatusBadRequest, "ThrottlingException"
				}
				return 0, ""
			}
		}
		file := crowd(t, 25)
		f := &fakeAWS{fail: throttledBefore(4)}
		if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err != nil || len(f.taken) != 25 {
			t.Errorf("sent %d, error %v, want 25 and none", len(f.taken), err)
		}

		start := time.Now()
		f = &fakeAWS{fail: throttledBefore(1 << 30)}
		_, err := runSend(t.Context(), t, f, toBus(t), file)
		if err == nil || !strings.Contains(err.Error(), "ThrottlingException") || !strings.Contains(err.Error(), "25 unsent") {
			t.Errorf("error %v, want ThrottlingException and 25 unsent", err)
		}
		if took := time.Since(start); f.calls > maxAttempts || took > maxAttempts*maxBackoff {
			t.Errorf("%d calls in %s, want at most %d in %s", f.calls, took, maxAttempts, maxAttempts*maxBackoff)
		}
	})
}

func TestSend_ResumesAfterAnInterruption(t *testing.T) {
	for name, lose := range map[string]func(stop func()) (int, string){
		"Ctrl-C":                 func(stop func()) (int, string) { stop(); return 0, "" },
		"a denial in the middle": func(func()) (int, string) { return http.StatusForbidden, "AccessDeniedException" },
	} {
		t.Run(name, func(t *testing.T) {
			file := crowd(t, 57)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			f := &fakeAWS{fail: func(call int) (int, string) {
				if call == 4 {
					return lose(stop)
				}
				return 0, ""
			}}
			_, err := runSend(ctx, t, f, toQueue(t, testQueue), file)
			if err == nil || !strings.Contains(err.Error(), "(0 bad, 27 unsent; the same command sends the rest") {
				t.Errorf("error %v, want 27 unsent", err)
			}
			first := f.customers(t)

			// The crash cut the journal's last line short.
			journal := file + journalSuffix
			text, err := os.ReadFile(journal)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(journal, text[:len(text)-5], 0o600); err != nil {
				t.Fatal(err)
			}

			f = &fakeAWS{}
			if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err != nil {
				t.Fatal(err)
			}
			second := f.customers(t)
			// The message of the cut line is sent twice, no other is, and all are sent.
			if len(first) != 30 || len(second) != 28 || second[0] != first[29] {
				t.Errorf("sent %d, then %d from %s on, want 30, then 28 from %s on", len(first), len(second), second[0], first[29])
			}
			slices.Sort(second)
			if all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(first, second)))); len(all) != 57 {
				t.Errorf("sent %d of 57", len(all))
			}

			f = &fakeAWS{}
			if s, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err != nil || f.calls > 0 || !strings.Contains(s.out, "Nothing is left to send") {
				t.Errorf("third run: error %v, %d calls, printed %s; want nothing to send", err, f.calls, s.out)
			}
			// The other destination has acknowledged none of it.
			f = &fakeAWS{}
			if _, err := runSend(t.Context(), t, f, toBus(t), file); err != nil || len(f.taken) != 57 {
				t.Errorf("to the bus: error %v, sent %d, want all 57", err, len(f.taken))
			}
		})
	}
}

func TestSend_ACorrectedFileSendsWhatIsNew(t *testing.T) {
	file := write(t, "x.jsonl", "{\"customerId\": \"a\"}\n{\"customerId\": 2}\n{\"customerId\": \"c\"}\n")
	f := &fakeAWS{}
	if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err == nil || len(f.taken) != 2 {
		t.Fatalf("error %v, sent %d, want an error and 2", err, len(f.taken))
	}
	// A line more, a corrected one, and a duplicate: each copy counts.
	if err := os.WriteFile(file, []byte("{\"customerId\": \"0\"}\n{\"customerId\": \"a\"}\n{\"customerId\": \"2\"}\n{\"customerId\": \"c\"}\n{\"customerId\": \"c\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = &fakeAWS{}
	if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err != nil {
		t.Fatal(err)
	}
	if got := f.customers(t); !slices.Equal(got, []string{"0", "2", "c"}) {
		t.Errorf("sent %v, want 0, 2 and c", got)
	}
}

func TestSend_LeavesAForeignFileAlone(t *testing.T) {
	file := crowd(t, 1)
	if err := os.WriteFile(file+journalSuffix, []byte("my notes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fakeAWS{}
	if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err == nil || f.calls > 0 {
		t.Errorf("error %v, %d calls, want an error and none", err, f.calls)
	}
}

// AWS's messages may quote what was sent.
func TestSend_ShowsNoValueWhateverAWSSays(t *testing.T) {
	file := write(t, "x.jsonl", `{"customerId": "a", "value": "fake-value-0123456789"}`+"\n")
	f := &fakeAWS{refuse: func(entry) (string, bool) { return "InvalidMessageContents", true }}
	if s, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err == nil || !strings.Contains(s.faults, ":1: not sent: InvalidMessageContents") {
		t.Errorf("error %v, faults %s, want InvalidMessageContents for line 1", err, s.faults)
	}
	f = &fakeAWS{fail: func(int) (int, string) { return http.StatusBadRequest, "InvalidParameter" }}
	if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err == nil || strings.Contains(err.Error(), "says") || !strings.Contains(err.Error(), "InvalidParameter") {
		t.Errorf("error %v, want InvalidParameter without AWS's text", err)
	}
	inVirtualTime(t, func(t *testing.T) {
		f := &fakeAWS{lost: errors.New("malformed answer: fake-value-0123456789")}
		if _, err := runSend(t.Context(), t, f, toQueue(t, testQueue), file); err == nil || !strings.Contains(err.Error(), "1 unsent") {
			t.Error("got no error for a lost call")
		}
	})
}

func TestBatchSize(t *testing.T) {
	of := func(sizes ...int) (messages []message) {
		for _, n := range sizes {
			messages = append(messages, message{text: strings.Repeat("x", n)})
		}
		return messages
	}
	for _, test := range []struct {
		messages []message
		want     int
	}{
		{of(1), 1}, {of(make([]int, 10)...), 10}, {of(make([]int, 11)...), 10}, {of(maxBatchBytes+1, 1), 1},
		{of(100<<10, 100<<10, 56<<10, 1), 3}, {of(maxBatchBytes, 1), 1},
	} {
		if got := batchSize(test.messages); got != test.want {
			t.Errorf("%d messages: %d in the first call, want %d", len(test.messages), got, test.want)
		}
	}
}
