package executable_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/sandbox"
)

// testConnects starts the executable with AWS behind TLS, as in production.
func testConnects(t *testing.T, executable string) {
	aws := &awslocal.Server{}
	box, err := sandbox.StartTLS(executable, t.TempDir(), aws, "OUTCOME_BUS=bus", withLetters)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	var connecting []awslocal.Call
	box.Function.Initialised = func(int) { connecting = aws.Calls() }
	response, err := box.Function.Invoke(t.Context(), viaSQS.payload([]message{{"m", requests[2]}}))
	if err != nil {
		t.Fatal(err)
	}
	if string(response.Payload) != `{"batchItemFailures":[]}` {
		t.Error("the message failed over TLS")
	}
	if len(connecting) != 4 {
		t.Errorf("%d requests came before the first message, want one to each of 4 services", len(connecting))
	}
	for _, c := range connecting {
		if c.Operation != "" {
			t.Errorf("the start called %s", c.Operation)
		}
	}
}

// testBadSettings starts the executable with every variable set to a bad value.
func testBadSettings(t *testing.T, executable string) {
	const bad = "bad!" // legal in none of them
	names := []string{"SECRET_PREFIX", "KMS_KEY_ID", "USAGE_PLAN_ID", "OUTCOME_BUS", "CREATE_KEY_RATE", "LOG_LEVEL"}
	var env []string
	for _, name := range names {
		env = append(env, name+"="+bad)
	}
	names, env = append(names, "AWS_REGION"), append(env, "AWS_REGION=") // the SDK's variables are reported with ours
	box, err := sandbox.Start("127.0.0.1", executable, &awslocal.Server{}, env...)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	response, err := box.Function.Invoke(t.Context(), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if response.FunctionError == "" {
		t.Error("the function started")
	}
	output := string(box.Output())
	if lines := strings.Count(output, "\n"); lines != 1 || !strings.HasSuffix(output, "\n") {
		t.Errorf("%d lines were written, want 1", lines)
	}
	var line map[string]string
	if err := json.Unmarshal([]byte(output), &line); err != nil {
		t.Fatal("the line is not an object of strings")
	}
	if members := slices.Sorted(maps.Keys(line)); !slices.Equal(members, []string{"level", "reason", "timestamp"}) {
		t.Errorf("members of the line: %v, want level, reason, timestamp", members)
	}
	if line["level"] != "ERROR" {
		t.Errorf("level is %s, want ERROR", line["level"])
	}
	for _, name := range names {
		if !strings.Contains(line["reason"], name+": ") {
			t.Errorf("the reason does not name %s", name)
		}
	}
	if strings.Contains(output, bad) || strings.Contains(string(response.Payload), bad) {
		t.Error("the output or the answer holds a variable's value")
	}
	if calls := len(box.AWS.Calls()); calls > 0 {
		t.Errorf("%d AWS calls were made, want none", calls)
	}
}
