package awslocal_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"createkey/internal/test/awslocal"
)

// Events returns what a bus accepted, and neither refused events nor those for an unknown bus.
func TestEvents(t *testing.T) {
	s := &awslocal.Server{
		Buses: map[string]bool{"outcomes": true},
		RefuseEvent: func(e awslocal.Event) *awslocal.Error {
			if e.DetailType == "Refused" {
				return &awslocal.Error{Code: "ThrottlingException"}
			}
			return nil
		},
	}
	entry := func(bus, detailType string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{EventBusName: &bus, Source: aws.String("s"), DetailType: &detailType, Detail: aws.String(`{"a":1}`)}
	}
	out, err := eventbridge.NewFromConfig(s.Config()).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		entry("outcomes", "Taken"), entry("outcomes", "Refused"), entry("unknown", "Lost"), entry("default", "Taken"),
		entry("arn:aws:events:us-east-1:123456789012:event-bus/outcomes", "Taken"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if out.FailedEntryCount != 1 || aws.ToString(out.Entries[1].ErrorCode) != "ThrottlingException" || out.Entries[2].EventId == nil {
		t.Errorf("answered %+v, want the second of three entries throttled", out.Entries)
	}
	events := s.Events()
	if len(events) != 3 || events[0].Bus != "outcomes" || events[1].Bus != "default" || events[2].Bus != "outcomes" {
		t.Fatalf("events are %+v, want one of outcomes, default and outcomes", events)
	}
	if e := events[0]; e.ID != aws.ToString(out.Entries[0].EventId) || e.Source != "s" || e.DetailType != "Taken" || e.Detail != `{"a":1}` || e.Taken.IsZero() {
		t.Errorf("event is %+v, want the first entry as it was sent", e)
	}
}
