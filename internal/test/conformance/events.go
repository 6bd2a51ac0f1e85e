package conformance

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// Sources for the behaviours of EventBridge. LocalStack's tests of PutEvents are marked as
// verified on AWS.
const (
	verifiedEvents = "V LocalStack's AWS-verified tests"
	megabyte       = 1 << 20
)

// The cases send events with the source createkey-conformance to the account's default bus,
// where no rule matches them. They leave nothing behind.
var eventCases = []Case{
	{
		Name: "events/put", Source: "D PutEvents",
		Behaviour: "an answer has an id for each entry, in the order of the request",
		run: func(e *env) error {
			out, err := e.putEvents(e.event(`{"n":1}`), e.event(`{"n":2}`))
			return errors.Join(err, taken(out, true, true))
		},
	},
	{
		Name: "events/bad-entry", Source: verifiedEvents,
		Behaviour: "an entry whose detail is not JSON fails alone, and the call succeeds",
		run: func(e *env) error {
			out, err := e.putEvents(e.event(`{`), e.event(`{}`))
			return errors.Join(err, taken(out, false, true), entryRefused(out, "MalformedDetail", "Detail is malformed."))
		},
	},
	{
		Name: "events/detail-list", Source: verifiedEvents,
		Behaviour: "a detail that is no object is malformed, too",
		run: func(e *env) error {
			out, err := e.putEvents(e.event(`[]`))
			return errors.Join(err, entryRefused(out, "MalformedDetail", "Detail is malformed."))
		},
	},
	{
		Name: "events/no-detail-type", Source: verifiedEvents,
		Behaviour: "an entry without a member that is required fails alone",
		run: func(e *env) error {
			bad := e.event(`{}`)
			bad.DetailType = nil
			out, err := e.putEvents(bad, e.event(`{}`))
			return errors.Join(err, taken(out, false, true), entryRefused(out, "InvalidArgument", "DetailType is a required argument"))
		},
	},
	{
		Name: "events/source-of-aws", Source: "D PutEventsResultEntry",
		Behaviour: "a source that begins with aws. is AWS's own",
		run: func(e *env) error {
			bad := e.event(`{}`)
			bad.Source = aws.String("aws.createkey")
			out, err := e.putEvents(bad)
			return errors.Join(err, entryRefused(out, "NotAuthorizedForSourceException", ""))
		},
	},
	{
		Name: "events/eleven", Source: verifiedEvents,
		Behaviour: "a call has at most ten entries",
		run: func(e *env) error {
			var entries []types.PutEventsRequestEntry
			for range 11 {
				entries = append(entries, e.event(`{}`))
			}
			_, err := e.putEvents(entries...)
			return refused(err, "ValidationException", "")
		},
	},
	{
		Name: "events/none", Source: "D service model", Behaviour: "and at least one",
		run: func(e *env) error {
			_, err := e.Events.PutEvents(e.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{}})
			return refused(err, "ValidationException", "")
		},
	},
	{
		Name: "events/megabyte", Large: true, Source: "V recorded by an AWS engineer, 2026",
		Behaviour: "source, detail-type and detail of a call are a megabyte at most",
		run: func(e *env) error {
			entry := e.event("")
			entry.Detail = aws.String(`{"a":"` + strings.Repeat("x", megabyte-len(*entry.Source)-len(*entry.DetailType)-len(`{"a":""}`)) + `"}`)
			out, err := e.putEvents(entry)
			if err := errors.Join(err, taken(out, true)); err != nil {
				return err
			}
			_, err = e.putEvents(entry, e.event(`{}`))
			return refused(err, "ValidationException", "Total size of the entries in the request is over the limit")
		},
	},
	{
		Name: "events/unknown-bus", Source: "V https://github.com/aws/aws-cli/issues/9186",
		Behaviour: "an event for a bus that does not exist is answered as taken",
		run: func(e *env) error {
			entry := e.event(`{}`)
			entry.EventBusName = aws.String("createkey-conformance-no-such-bus")
			out, err := e.putEvents(entry)
			return errors.Join(err, taken(out, true))
		},
	},
}

func (e *env) event(detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{Source: aws.String("createkey-conformance"), DetailType: aws.String("Test"), Detail: &detail}
}

func (e *env) putEvents(entries ...types.PutEventsRequestEntry) (*eventbridge.PutEventsOutput, error) {
	return e.Events.PutEvents(e.ctx, &eventbridge.PutEventsInput{Entries: entries})
}

// taken checks which entries were accepted, and that the answer counts the others.
func taken(out *eventbridge.PutEventsOutput, want ...bool) error {
	if out == nil || len(out.Entries) != len(want) {
		return errors.New("the answer does not have a result for each entry")
	}
	failed := int32(0)
	for i, entry := range out.Entries {
		if taken := aws.ToString(entry.EventId) != "" && entry.ErrorCode == nil; taken != want[i] {
			return fmt.Errorf("entry %d: taken is %t: %s", i, taken, aws.ToString(entry.ErrorCode))
		}
		if !want[i] {
			failed++
		}
	}
	if out.FailedEntryCount != failed {
		return fmt.Errorf("FailedEntryCount is %d, want %d", out.FailedEntryCount, failed)
	}
	return nil
}

// entryRefused checks that the first entry was refused with that code and text.
func entryRefused(out *eventbridge.PutEventsOutput, code, text string) error {
	if out == nil || len(out.Entries) == 0 {
		return errors.New("the answer does not have a result for each entry")
	}
	if r := out.Entries[0]; aws.ToString(r.ErrorCode) != code || !strings.Contains(aws.ToString(r.ErrorMessage), text) {
		return fmt.Errorf("the first entry: %s %q, want %s %q", aws.ToString(r.ErrorCode), aws.ToString(r.ErrorMessage), code, text)
	}
	return nil
}
