// Package events holds one sample for each payload form, with what is to become
// of it. The local runner plays them, the tests and SAM use the same files.
//
// It guarantees that each sample has the outcomes that are stated for it: the tests
// play all of them to the real executable. They name the usage plans below, which have
// to exist.
//
//	for _, sample := range events.Samples {
//		response, err := function.Invoke(ctx, sample.Payload())
//	}
package events

import (
	"embed"

	"createkey/internal/test/payload"
)

//go:embed *.json *.yaml
var files embed.FS

// The usage plans that have to exist where the samples are played, and the product.
const (
	// UsagePlanID is the one that a sample names.
	UsagePlanID = "gold01"
	// MarketplacePlanID is the one that carries ProductCode, the product of the
	// AWS Marketplace samples.
	MarketplacePlanID = "market"
	ProductCode       = "n0123EXAMPLEXXXXXXXXXXXX"
)

// Sample is one file and what the function makes of it where nothing was made
// before.
type Sample struct {
	File string
	// Outcomes are those of its messages, in order: created, rejected, ended (also where
	// there was no key), rotated, and retried (in a FIFO queue, behind a rejected one of
	// the same group).
	Outcomes []string
	// Body says that the file is the body of an SQS message rather than a
	// payload: Lambda's own payloads are always JSON.
	Body bool
}

// Samples are the samples in the order in which they are best read.
var Samples = []Sample{
	{File: "direct.json", Outcomes: []string{"created"}},
	{File: "direct-skeleton.json", Outcomes: []string{"created"}},
	{File: "skeleton.yaml", Outcomes: []string{"created"}, Body: true},
	{File: "sqs.json", Outcomes: []string{"created"}},
	{File: "sqs-usage-plan.json", Outcomes: []string{"created"}},
	{File: "sqs-yaml.json", Outcomes: []string{"created"}},
	{File: "sqs-batch-one-bad.json", Outcomes: []string{"created", "rejected", "created"}},
	{File: "sqs-fifo.json", Outcomes: []string{"created", "rejected", "created", "created"}},
	{File: "eventbridge.json", Outcomes: []string{"created"}},
	{File: "eventbridge-to-sqs.json", Outcomes: []string{"created"}},
	{File: "eventbridge-to-sqs-unnamed.json", Outcomes: []string{"created"}},
	{File: "sns.json", Outcomes: []string{"created"}},
	{File: "sns-to-sqs.json", Outcomes: []string{"created"}},
	{File: "pipes.json", Outcomes: []string{"created", "created"}},
	{File: "marketplace-sns-to-sqs.json", Outcomes: []string{"created"}},
	{File: "marketplace-agreement-to-sqs.json", Outcomes: []string{"created"}},
	{File: "marketplace-unsubscribe-to-sqs.json", Outcomes: []string{"ended"}},
	{File: "marketplace-deprovisioned-to-sqs.json", Outcomes: []string{"ended"}},
	{File: "eventbridge-end-to-sqs.json", Outcomes: []string{"ended"}},
	{File: "eventbridge-rotation-to-sqs.json", Outcomes: []string{"created", "rotated"}},
}

// Payload returns what the function is invoked with, as JSON.
func (s Sample) Payload() []byte {
	text, err := files.ReadFile(s.File)
	if err != nil {
		panic(err) // the list above names a file that was not embedded
	}
	if s.Body {
		return QueueMessage(s.File, text)
	}
	return text
}

// QueueMessage returns an SQS batch of one message with that body.
func QueueMessage(messageID string, body []byte) []byte {
	return []byte(payload.SQS(payload.QueueARN, payload.Message{ID: messageID, Body: string(body)}))
}
