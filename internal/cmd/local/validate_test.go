package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"createkey/events"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/corpus"
	"createkey/internal/test/payload"
	"createkey/internal/test/sandbox"
)

const vectors = "../../apikey/testdata/requests"

func TestSkeletonIsTheCLIsAndOneMemberMore(t *testing.T) {
	cli, err := corpus.Vectors(vectors)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ format, vector, last, member string }{
		{"json", "skeleton-unfilled.txt", "    }\n}\n", "    },\n    \"usagePlanIds\": []\n}\n"},
		{"yaml", "skeleton-unfilled-yaml.txt", "", "usagePlanIds: [] # The usage plans to attach the key to: createkey's own, not the CLI's.\n"},
	} {
		var out bytes.Buffer
		if err := skeletonCommand(&out, []string{"-format", test.format}); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(string(cli[test.vector]), test.last) + test.member; out.String() != want {
			t.Errorf("%s:\n%s\nwant:\n%s", test.format, &out, want)
		}
		if verdicts, err := judge(out.Bytes()); err != nil || verdicts[0].err != nil {
			t.Errorf("the skeleton in %s was rejected: %v, %v", test.format, err, verdicts)
		}
	}
	if err := skeletonCommand(&bytes.Buffer{}, []string{"-format", "xml"}); err == nil {
		t.Error("format xml was accepted")
	}
}

// batches packs documents into payloads of ten messages, whose ids are their numbers.
func batches(documents [][]byte) [][]byte {
	var payloads [][]byte
	for chunk := range slices.Chunk(documents, 10) {
		var messages []payload.Message
		for i, document := range chunk {
			messages = append(messages, payload.Message{ID: strconv.Itoa(len(payloads)*10 + i), Body: string(document)})
		}
		payloads = append(payloads, []byte(payload.SQS(payload.QueueARN, messages...)))
	}
	return payloads
}

// TestValidateAgreesWithTheFunction passes the same payloads to validate and to the
// executable. Every AWS call but the one that looks for a record is denied, so a message
// that the function does not reject is retried.
func TestValidateAgreesWithTheFunction(t *testing.T) {
	if testing.Short() {
		t.Skip("sends the executable 1,000 documents: run without -short")
	}
	executable, err := sandbox.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	denied := &awslocal.Server{Before: func(_ context.Context, c awslocal.Call) error {
		if c.Operation == "GetSecretValue" {
			return nil
		}
		return awslocal.AccessDenied
	}}
	box, err := sandbox.Start("127.0.0.1", executable, denied, "CREATE_KEY_RATE=1000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })

	documents := corpus.Documents(8, 1000)
	texts, err := corpus.Vectors(vectors)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		documents = append(documents, text)
	}
	large, err := json.Marshal(map[string]string{"customerId": "cust-1", "description": strings.Repeat("x", 65_000)})
	if err != nil {
		t.Fatal(err)
	}
	documents = append(documents, large)
	payloads := batches(documents)
	for _, sample := range events.Samples {
		payloads = append(payloads, sample.Payload())
	}

	outcomes := map[string]int{}
	for _, payload := range payloads {
		verdicts, err := judge(payload)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := play(t.Context(), box, payload)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != len(verdicts) {
			t.Fatalf("%d log lines for %d messages", len(lines), len(verdicts))
		}
		for _, line := range lines {
			i := slices.IndexFunc(verdicts, func(v verdict) bool { return v.messageID == line.MessageID || v.messageID == invocation })
			v := verdicts[i]
			outcomes[line.Outcome]++
			if strings.HasPrefix(line.Reason, "request: there is no key of this customerId and name to rotate") {
				continue // only AWS can know
			}
			what := func(text string) string { return strings.ReplaceAll(text, invocation, line.MessageID) }
			switch {
			case (line.Outcome == "rejected") != (v.err != nil):
				t.Errorf("message %s: the function: %s (%s); validate: %v", line.MessageID, line.Outcome, line.Reason, v.err)
			case v.err != nil && strings.Join(reasons(v.err), "; ") != line.Reason:
				t.Errorf("message %s: the function says %s; validate: %s", line.MessageID, line.Reason, v.err)
			case what(v.secretName) != line.SecretName:
				t.Errorf("message %s: the function's secret is %s; validate's %s", line.MessageID, line.SecretName, what(v.secretName))
			}
		}
	}
	t.Logf("%v", outcomes)
	if min(outcomes["rejected"], outcomes["retried"]) < 200 {
		t.Errorf("one-sided: %v", outcomes)
	}
}

// write writes a file as a user would, and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestValidate(t *testing.T) {
	t.Setenv("SECRET_PREFIX", "dev/")
	for _, test := range []struct {
		name, file, text string
		want             []string
		good             bool
	}{
		{"a request in JSON", "x.json", `{"customerId": "cust-1", "name": "Dev API Key"}`,
			[]string{"accepted  request  dev/cust-1/Dev+API+Key (a disabled key)\n", "1 accepted, 0 rejected. Nothing was sent.\n"}, true},
		{"a request in YAML", "x.yaml", "customerId: cust-1\nenabled: yes\n",
			[]string{"rejected  request  dev/cust-1/_\n", "          enabled: must be a boolean, not a string: write true or false, without quotes\n"}, false},
		{"a request without an identity", "x.json", `{"enabled": true}`,
			[]string{"rejected  request\n          customerId: customerId or name must be given", "          accepted where it is invoked directly or comes as an event",
				"; rejected in a bare SQS message\n0 accepted, 1 rejected."}, false},
		{"an untouched skeleton", "x.json", jsonSkeleton, []string{"; rejected in a bare SQS message\n0 accepted, 1 rejected."}, false},
		{"a notification, which lies on a queue", "x.json", payload.Notification("n-1", `{"customerId": "c"}`), []string{"accepted  request  dev/c/_ (a disabled key)\n"}, true},
		{"an event", "x.json", `{"id": "e-1", "source": "crm", "detail-type": "any", "detail": {}}`,
			[]string{"accepted  e-1  dev/_/_/e-1 (a disabled key)\n"}, true},
		{"an AWS event", "x.json", `{"id": "e-1", "source": "aws.s3", "detail-type": "Object Created", "detail": {}}`,
			[]string{"rejected  e-1\n", `          source: events of AWS's own ("aws.s3", "Object Created") are not requests`}, false},
		{"no document", "x.json", `{"customerId": `, []string{"rejected  request\n          payload: is not valid JSON (line 1, column 15): it ends too early, and was perhaps cut short\n"}, false},
		{"JSON lines", "x.jsonl", "{\"customerId\": \"a\"}\n\n{}\n", []string{"accepted  line 1  dev/a/_ (a disabled key)\n", "rejected  line 3\n", "1 accepted, 1 rejected"}, false},
		{"a cell that is no boolean", "x.csv", "customerId,enabled\na,yes\nb,TRUE\n", []string{
			"rejected  line 2  dev/a/_\n          enabled: must be a boolean, not a string: write true or false, without quotes\n          a cell is read as a boolean where it is true or false,", "1 accepted, 1 rejected"}, false},
		{"a value", "x.json", `{"customerId": "a", "value": "fake-value"}`, []string{"value: must be at least 20 characters, has 10\n"}, false},
		{"too large a record", "x.json", `{"customerId": "a", "description": "` + strings.Repeat("x", 65_000) + `"}`, []string{"request: its record would take up to "}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			err := validateCommand(&out, []string{"-file", write(t, test.file, test.text)})
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("prints\n%swithout\n%s", &out, want)
				}
			}
			if (err == nil) != test.good {
				t.Errorf("error: %v", err)
			}
			if strings.Contains(out.String(), "fake-value") {
				t.Error("quotes a value")
			}
		})
	}
	if status(validateCommand(&bytes.Buffer{}, []string{"-file", "/no/such/file"})) != exitUsage {
		t.Error("a missing file was accepted")
	}
}
