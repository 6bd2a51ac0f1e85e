package awslocal_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/conformance"
)

func TestConformance(t *testing.T) {
	s := &awslocal.Server{Stages: map[string]bool{"api/prod": true}, Buses: map[string]bool{}, Queues: map[string]bool{}}
	cfg := s.Config()
	gw, sm := clients(cfg)
	conformance.Run(t, conformance.Target{
		Gateway: gw,
		Secrets: sm,
		Events:  eventbridge.NewFromConfig(cfg),
		Queues:  sqs.NewFromConfig(cfg),
		Prefix:  "conformance/",
		RunID:   "run",
		Stage:   "api/prod",
	})
	// What cleans up everywhere must do so here, where it can be counted.
	if !t.Failed() && len(s.Keys())+len(s.Secrets())+len(s.UsagePlans())+len(s.Messages()) != 0 {
		t.Errorf("left behind: %d keys, %d secrets, %d usage plans, %d messages", len(s.Keys()), len(s.Secrets()), len(s.UsagePlans()), len(s.Messages()))
	}
}
