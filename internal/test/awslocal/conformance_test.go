package awslocal_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/conformance"
)

func TestConformance(t *testing.T) {
	s := server()
	recording := record(t, s, "20260101t000000-abcdef")
	// The suite's cleanup must be complete here, where it can be counted.
	if !t.Failed() && len(s.Keys())+len(s.Secrets())+len(s.UsagePlans())+len(s.Messages()) != 0 {
		t.Errorf("left behind: %d keys, %d secrets, %d usage plans, %d messages", len(s.Keys()), len(s.Secrets()), len(s.UsagePlans()), len(s.Messages()))
	}

	// A second run differs in every name, id and value, but its recording does not, although
	// the account holds a foreign key.
	busy := server()
	gw, _ := clients(busy.Config())
	somebody := "somebody-elses"
	if _, err := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{Name: &somebody}); err != nil {
		t.Fatal(err)
	}
	another := record(t, busy, "another-run")
	if len(another.Cases) < len(conformance.Cases())-5 { // some cases call nothing that is recorded
		t.Errorf("%d of %d cases were recorded", len(another.Cases), len(conformance.Cases()))
	}
	for _, departure := range conformance.Departures(recording, another) {
		t.Error(departure)
	}
	text, err := json.Marshal(another)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range busy.KeysEver() {
		if strings.Contains(string(text), string(key.Value)) || strings.Contains(string(text), key.ID) {
			t.Fatal("the recording holds the value or the id of a key")
		}
	}
	for _, told := range []string{"another-run", "000000000000", "123456789012", "us-east-1", somebody} {
		if i := strings.Index(string(text), told); i >= 0 {
			t.Errorf("the recording holds %q: %s", told, text[max(0, i-200):i+50])
		}
	}

	// A difference in the local AWS is found.
	const name = "key/defaults"
	recording.Cases[name][0].Output["Enabled"] = true
	if got := conformance.Departures(recording, another); len(got) != 1 || !strings.HasPrefix(got[0], name+", call 1") {
		t.Errorf("got %q, want the one departure", got)
	}

	// Recordings of real accounts, if somebody sent one, show no difference:
	// docs/contributing.md says how to record.
	files, err := filepath.Glob("../conformance/testdata/recordings/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		want, err := conformance.ReadRecording(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, departure := range conformance.Departures(want, another) {
			t.Errorf("%s: %s", file, departure)
		}
	}
}

func server() *awslocal.Server {
	return &awslocal.Server{Stages: map[string]bool{"api/prod": true}, Buses: map[string]bool{}, Queues: map[string]bool{}}
}

func record(t *testing.T, s *awslocal.Server, run string) conformance.Recording {
	t.Helper()
	var recorder conformance.Recorder
	conform(t, s, run, &recorder)
	return recorder.Recording("the local AWS")
}

func conform(t *testing.T, s *awslocal.Server, run string, recorder *conformance.Recorder) {
	t.Helper()
	cfg := s.Config()
	recorder.Record(&cfg)
	gw, sm := clients(cfg)
	conformance.Run(t, conformance.Target{
		Gateway: gw,
		Secrets: sm,
		Events:  eventbridge.NewFromConfig(cfg),
		Queues:  sqs.NewFromConfig(cfg),
		Prefix:  "conformance/",
		RunID:   run,
		Stage:   "api/prod",
	})
}
