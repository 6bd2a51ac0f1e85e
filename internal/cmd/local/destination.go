package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"createkey/events"
	"createkey/internal/apikey"
)

// Limits of one call to either service. SendMessageBatch and PutEvents both take ten
// entries; the limit in bytes is the one from before 2026, which emulators still have
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html,
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html).
const (
	maxEntries    = 10
	maxBatchBytes = 256 << 10
)

// message is sent to a destination.
type message struct {
	line       int
	document   []byte // as in the file; its digest names the message in the journal
	text       string // the body, or the detail
	secretName string
	hasValue   bool // text holds a key's value
	disabled   bool // a sign-up that asks for a disabled key
}

// digest is of the document, because the text can contain the event's time.
func (m message) digest() string { return hexSHA256(string(m.document)) }

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// answer is the result for one message: AWS's id for it, or an error code.
type answer struct {
	id    string
	code  string
	again bool // worth a retry
}

// destination is where messages go.
type destination interface {
	// String names it, in the journal too, because one file can go to several.
	String() string
	// connect prepares for put; a dry run skips it.
	connect(cfg aws.Config)
	// prepare returns the text to send for a document, and the payload that the function
	// will be invoked with.
	prepare(doc []byte) (text string, payload []byte, err error)
	// put sends at most maxEntries messages, and returns the answers in their order. An
	// error is about the whole call: it is unknown what was taken.
	put(ctx context.Context, messages []message) ([]answer, error)
}

// queue is an SQS queue.
type queue struct {
	url, source string // of the events that go to it
	kind        *kind
	client      *sqs.Client // nil until connected
}

func newQueue(address, source string, k *kind) (destination, error) {
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, usageError("QUEUE_URL must be the URL of a queue, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
	}
	return &queue{url: address, source: source, kind: k}, nil
}

func (q *queue) String() string { return q.url + q.kind.suffix() }

func (q *queue) connect(cfg aws.Config) { q.client = sqs.NewFromConfig(cfg) }

func (q *queue) prepare(doc []byte) (string, []byte, error) {
	body, err := q.kind.body(q.source, doc)
	if err != nil {
		return "", nil, err
	}
	return string(body), events.QueueMessage(invocation, body), nil
}

func (q *queue) put(ctx context.Context, messages []message) ([]answer, error) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &q.url}
	for i, m := range messages {
		entry := sqstypes.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(m.text)}
		if strings.HasSuffix(q.url, ".fifo") { // messages about one key stay in order
			entry.MessageGroupId, entry.MessageDeduplicationId = aws.String(hexSHA256(m.secretName)), aws.String(hexSHA256(m.text))
		}
		in.Entries = append(in.Entries, entry)
	}
	out, err := q.client.SendMessageBatch(ctx, in)
	if err != nil {
		return nil, err
	}
	answers := slices.Repeat([]answer{{code: "no answer", again: true}}, len(messages))
	set := func(id *string, a answer) {
		if i, err := strconv.Atoi(aws.ToString(id)); err == nil && i >= 0 && i < len(answers) {
			answers[i] = a
		}
	}
	for _, done := range out.Successful {
		set(done.Id, answer{id: aws.ToString(done.MessageId)})
	}
	for _, failed := range out.Failed {
		set(failed.Id, answer{code: aws.ToString(failed.Code), again: !failed.SenderFault})
	}
	return answers, nil
}

// bus is an EventBridge event bus.
type bus struct {
	name, source string
	kind         *kind
	client       *eventbridge.Client // nil until connected
}

// checkSource rejects a source that the function would reject.
func checkSource(source string) error {
	verdicts, err := judge(kinds["sign-up"].event(source, []byte("{}")))
	if err == nil {
		err = verdicts[0].err
	}
	if err != nil {
		return usageError("EVENT_SOURCE: " + err.Error())
	}
	return nil
}

// newDestination returns the queue or the bus, whichever is given.
func newDestination(queueURL, eventBus, source string, k *kind) (destination, error) {
	const want = "exactly one of QUEUE_URL and EVENT_BUS must be set"
	if err := checkSource(source); err != nil {
		return nil, err
	}
	switch {
	case queueURL == "" && eventBus == "":
		return nil, usageError(want)
	case queueURL != "" && eventBus != "":
		return nil, usageError(want + " (both are)")
	case queueURL != "":
		return newQueue(queueURL, source, k)
	}
	return &bus{name: eventBus, source: source, kind: k}, nil
}

func (b *bus) String() string {
	return fmt.Sprintf("event bus %s as %s", b.name, b.source) + b.kind.suffix()
}

func (b *bus) connect(cfg aws.Config) { b.client = eventbridge.NewFromConfig(cfg) }

func (b *bus) prepare(doc []byte) (string, []byte, error) {
	detail, err := b.kind.detail(doc)
	if err != nil {
		return "", nil, err
	}
	return string(detail), b.kind.event(b.source, detail), nil
}

func (b *bus) put(ctx context.Context, messages []message) ([]answer, error) {
	in := &eventbridge.PutEventsInput{}
	for _, m := range messages {
		entry := eventtypes.PutEventsRequestEntry{EventBusName: &b.name, Source: &b.source, DetailType: &b.kind.detailType, Detail: aws.String(m.text)}
		if b.kind.asks != apikey.SignUp { // sent twice, they count as one
			entry.Time = aws.Time(b.kind.time())
		}
		in.Entries = append(in.Entries, entry)
	}
	out, err := b.client.PutEvents(ctx, in)
	if err != nil {
		return nil, err
	}
	answers := slices.Repeat([]answer{{code: "no answer", again: true}}, len(messages))
	for i, entry := range out.Entries[:min(len(out.Entries), len(answers))] {
		code := aws.ToString(entry.ErrorCode)
		// The codes that AWS documents as retryable
		// (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html).
		answers[i] = answer{id: aws.ToString(entry.EventId), code: code, again: code == "InternalFailure" || code == "ThrottlingException"}
	}
	return answers, nil
}
