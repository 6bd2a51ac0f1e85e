package function

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/envelope"
	"createkey/internal/failure"
)

// deadLetterAPI is the one SQS call that is made.
type deadLetterAPI interface {
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// deadLetterReserve is the time kept back for setting messages aside, where there is a
// dead-letter queue to send them to.
const deadLetterReserve = 2 * time.Second

// The limits of one SQS message
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
const (
	maxAttributes = 10
	// maxMessageSize is what the body, and the names, types and values of the attributes
	// may have together, in bytes.
	maxMessageSize = 1 << 20
)

// setAside sends the rejected messages of a queue to the dead-letter queue, each with its
// reason. A message that could not be sent is not lost: it is answered as failed, and its
// next delivery is rejected, announced and sent again. So is one whose event the bus has
// not accepted, and one behind a message of its FIFO group that comes again.
func (h *Handler) setAside(ctx context.Context, messages []envelope.Message, outcomes []outcome) {
	ctx = withTrace(ctx, h.settings.Debug)
	var entries []types.SendMessageBatchRequestEntry
	var sizes []int
	var of []*outcome            // each entry's
	blocked := map[string]bool{} // message groups with a message that is to come again
	for i, m := range messages {
		o := &outcomes[i]
		switch {
		case m.Ordered && blocked[m.Group]:
		case o.retried() || o.unannounced:
			blocked[m.Group] = true
		case o.err == nil:
		case m.Original == nil:
			o.notSetAside("the record does not tell its body and its attributes as they were")
			blocked[m.Group] = true
		default:
			entry := h.deadLetter(m, *o)
			entries, sizes, of = append(entries, entry), append(sizes, messageSize(entry)), append(of, o)
		}
	}
	faults := sendEntries(ctx, sizes, func(indexes []int) []entryFault { return h.send(ctx, entries, indexes) })
	for i, o := range of {
		o.calls = append(o.calls, tracedCalls(ctx)...)
		if o.setAside = faults[i] == ""; !o.setAside {
			o.notSetAside("SendMessageBatch: " + faults[i])
		}
	}
}

// notSetAside adds to a rejection that its message was not set aside. Each of the two is
// bounded by itself, so that neither can push the other out.
func (o *outcome) notSetAside(fault string) {
	rejected, _ := errors.AsType[*failure.RejectedError](o.err)
	added, _ := errors.AsType[*failure.RejectedError](failure.Bound(failure.Reject("dead-letter queue: was not set aside: %s", fault)))
	o.err = &failure.RejectedError{Reasons: slices.Concat(rejected.Reasons, added.Reasons)}
}

// deadLetter returns a rejected message as it goes to the dead-letter queue: the body as it
// came, what is known of the request, the reason, and the sender's attributes as far as
// there is room.
func (h *Handler) deadLetter(m envelope.Message, o outcome) types.SendMessageBatchRequestEntry {
	body := m.Original.Body.Reveal()
	entry := types.SendMessageBatchRequestEntry{
		MessageBody:       &body,
		MessageAttributes: attach(slices.Concat(known(o), written(m.Original)), maxMessageSize-len(body)),
	}
	if m.Group != "" { // of a standard queue, too: there it makes the queue a fair one
		entry.MessageGroupId = &m.Group
	}
	if strings.HasSuffix(h.settings.DeadLetterQueueURL, ".fifo") {
		entry.MessageGroupId = aws.String(cmp.Or(m.Group, m.ID))
		entry.MessageDeduplicationId = &m.ID
	}
	return entry
}

// attribute is a message attribute with its name.
type attribute struct {
	name, dataType, value string
	binary                bool
}

// size is what an attribute takes of its message, in bytes.
func (a attribute) size() int { return len(a.name) + len(a.dataType) + len(a.value) }

const reasonAttribute = "reason"

// known returns the attributes that tell of an outcome, the one to be shortened last. A
// name that it does not know is left to the sender.
func known(o outcome) (list []attribute) {
	for _, a := range []attribute{
		{name: "messageId", value: o.messageID},
		{name: "customerId", value: o.customerID},
		{name: "secretName", value: o.secretName},
		{name: reasonAttribute, value: o.err.Error()},
	} {
		if a.dataType, a.value = "String", legal(a.value); a.value != "" { // SQS takes no empty value
			list = append(list, a)
		}
	}
	return list
}

// written returns the attributes that the sender wrote.
func written(o *envelope.Original) (list []attribute) {
	for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
		a := o.Attributes[name]
		list = append(list, attribute{name, a.DataType, a.Value.Reveal(), a.IsBinary()})
	}
	return list
}

// attach returns the attributes for which there is room, in bytes. Of one name, the first
// wins. What does not fit is left out, but for the reason, which is shortened.
func attach(list []attribute, room int) map[string]types.MessageAttributeValue {
	attached, seen := map[string]types.MessageAttributeValue{}, map[string]bool{}
	for _, a := range list {
		if seen[a.name] || len(attached) == maxAttributes {
			continue
		}
		seen[a.name] = true
		if a.name == reasonAttribute {
			a.value = shorten(a.value, room-len(a.name)-len(a.dataType))
		}
		if a.size() > room || a.value == "" {
			continue
		}
		room -= a.size()
		value := types.MessageAttributeValue{DataType: &a.dataType}
		if a.binary {
			value.BinaryValue = []byte(a.value)
		} else {
			value.StringValue = &a.value
		}
		attached[a.name] = value
	}
	return attached
}

// shorten returns a text, or as much of its beginning as goes into so many bytes together
// with an ellipsis.
func shorten(text string, longest int) string {
	const ellipsis = "…"
	if len(text) <= longest {
		return text
	}
	end := longest - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if end <= 0 {
		return ""
	}
	return text[:end] + ellipsis
}

// legal returns a text with U+FFFD in place of each character that SQS does not take
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
func legal(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', 0x20 <= r && r <= 0xD7FF, 0xE000 <= r && r <= 0xFFFD, 0x10000 <= r:
			return r
		}
		return utf8.RuneError
	}, text)
}

// messageSize returns what an entry takes of a call, in bytes.
func messageSize(entry types.SendMessageBatchRequestEntry) int {
	size := len(*entry.MessageBody)
	for name, value := range entry.MessageAttributes {
		size += len(name) + len(*value.DataType) + len(aws.ToString(value.StringValue)) + len(value.BinaryValue)
	}
	return size
}

// send sends the entries of those indexes in one call, and returns a fault for each.
func (h *Handler) send(ctx context.Context, entries []types.SendMessageBatchRequestEntry, indexes []int) []entryFault {
	in := &sqs.SendMessageBatchInput{QueueUrl: &h.settings.DeadLetterQueueURL}
	var bodies []apikey.Value // AWS's own words are not shown where they quote one
	for _, i := range indexes {
		entry := entries[i]
		entry.Id = aws.String(strconv.Itoa(i))
		in.Entries, bodies = append(in.Entries, entry), append(bodies, apikey.NewValue(*entry.MessageBody))
	}
	var out *sqs.SendMessageBatchOutput
	err := guard(func() (err error) {
		out, err = h.deadLetters.SendMessageBatch(ctx, in)
		return err
	})
	if err != nil {
		return slices.Repeat([]entryFault{{text: describeCall(err, bodies...)}}, len(indexes))
	}
	accepted, refused := map[string]bool{}, map[string]types.BatchResultErrorEntry{}
	for _, r := range out.Successful {
		accepted[aws.ToString(r.Id)] = aws.ToString(r.MessageId) != ""
	}
	for _, r := range out.Failed {
		refused[aws.ToString(r.Id)] = r
	}
	faults := make([]entryFault, len(indexes))
	for i, entry := range in.Entries {
		switch r, isRefused := refused[*entry.Id]; {
		case isRefused:
			api := &smithy.GenericAPIError{Code: aws.ToString(r.Code), Message: aws.ToString(r.Message)}
			faults[i] = entryFault{awserr.Describe(api, bodies[i]), !r.SenderFault}
		case !accepted[*entry.Id]:
			faults[i].text = "the answer does not say what became of it"
		}
	}
	return faults
}
