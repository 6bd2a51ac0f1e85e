package executable_test

import (
	"bytes"
	"encoding/json"
	"slices"

	"createkey/internal/test/lambdalocal"
	"createkey/internal/test/sandbox"
)

// killed is the outcome of every message of a delivery whose process was killed. The other
// outcomes are those of the log.
const killed = "killed"

func isDone(outcome string) bool { return outcome == "created" || outcome == "existing" }

// deliver delivers messages to a box and returns their outcomes. It checks that the answer and
// the log agree, that a message reported as done is done, and that none is rejected: no fault of
// a call is the message's fault.
func (w *world) deliver(form form, messages ...message) []string {
	w.t.Helper()
	response, lines := w.invoke(form.payload(messages))
	outcomes := make([]string, len(messages))
	if response.FunctionError != "" && bytes.Contains(response.Payload, []byte("Runtime exited with error: signal: killed")) {
		for i := range outcomes {
			outcomes[i] = killed
		}
		return outcomes
	}
	if len(lines) != len(messages) {
		w.t.Errorf("%d log lines for %d messages", len(lines), len(messages))
	}
	var again []string
	for i, m := range messages {
		id := m.id
		if form == directly {
			id = response.RequestID
		}
		outcomes[i] = outcomeOf(lines, id)
		if isDone(outcomes[i]) {
			w.wantDone(m.request)
			w.wantTold(id)
		} else {
			again = append(again, m.id)
		}
		if outcomes[i] == "rejected" {
			w.t.Errorf("%s was rejected", m.id)
		}
	}
	switch {
	case form != viaSQS && response.FunctionError != "":
		if errorType := errorTypeOf(response); errorType != "RetryableError" || again == nil {
			w.t.Errorf("answered with %s; the log says %s", errorType, outcomes[0])
		}
	case form != viaSQS:
		var document struct{ ID, SecretName, Status string }
		if json.Unmarshal(response.Payload, &document) != nil || document.ID == "" || document.SecretName == "" || document.Status != outcomes[0] {
			w.t.Errorf("the answer is not the output document of a key that is %s", outcomes[0])
		}
	case response.FunctionError != "":
		w.t.Errorf("the batch was answered with %s", errorTypeOf(response))
	default:
		if failures := failuresOf(response); !slices.Equal(failures, again) {
			w.t.Errorf("batchItemFailures name %v, the log %v", failures, again)
		}
	}
	return outcomes
}

// deliverUntilDone delivers a message until it is done.
func (w *world) deliverUntilDone(form form, m message) {
	w.t.Helper()
	const most = 3 // one would be enough: no fault is left
	for range most {
		if isDone(w.deliver(form, m)[0]) {
			return
		}
	}
	w.t.Errorf("%s is not done after %d deliveries", m.id, most)
}

// invoke invokes the function, and returns its answer and the log lines written meanwhile.
func (w *world) invoke(payload []byte) (lambdalocal.Response, []sandbox.Line) {
	w.t.Helper()
	response, err := w.box.Function.Invoke(w.t.Context(), payload)
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answered.Write(response.Payload)
	output := w.box.Output()
	fresh := output[w.read:]
	w.read = len(output)
	var lines []sandbox.Line
	for text := range bytes.Lines(fresh) {
		var line sandbox.Line
		if json.Unmarshal(text, &line) == nil { // else checkOutput tells
			lines = append(lines, line)
		}
	}
	return response, lines
}

// outcomeOf returns the outcome in the one log line of a message.
func outcomeOf(lines []sandbox.Line, id string) string {
	outcome := "not logged"
	for _, line := range lines {
		if line.MessageID == id {
			if outcome != "not logged" {
				return "logged twice"
			}
			outcome = line.Outcome
		}
	}
	return outcome
}

// errorTypeOf returns the type of a function error. Its message stays unprinted.
func errorTypeOf(r lambdalocal.Response) string {
	var answer struct{ ErrorType string }
	if json.Unmarshal(r.Payload, &answer) != nil {
		return "an error that is not JSON"
	}
	return answer.ErrorType
}

// failuresOf returns the messages that the answer asks the queue to deliver again.
func failuresOf(r lambdalocal.Response) []string {
	var answer struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Payload))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&answer) != nil || answer.Failures == nil {
		return []string{"(no list)"}
	}
	var ids []string
	for _, f := range answer.Failures {
		ids = append(ids, f.ID)
	}
	return ids
}
