package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Sources for the behaviours of SQS. LocalStack's tests of it are marked as verified on AWS.
const (
	verifiedQueues  = "V LocalStack's AWS-verified tests"
	messageQuotas   = "D SQS developer guide, message quotas"
	sendBatch       = "D SendMessageBatch"
	sendBatchEntry  = "D SendMessageBatchRequestEntry"
	maxMessageBytes = 1 << 20
)

// Each case makes its own queue, whose name begins with createkey-conformance.
var queueCases = []Case{
	{
		Name: "queue/round-trip", Source: verifiedQueues,
		Behaviour: "a message is received with the body and the attributes that were sent",
		run: func(e *env) error {
			sent := map[string]types.MessageAttributeValue{
				"text":   text("x"),
				"number": {DataType: aws.String("Number.int"), StringValue: aws.String("7")},
				"bytes":  {DataType: aws.String("Binary"), BinaryValue: []byte("traceparent\x1e\x00\xff")},
			}
			return e.withQueue("", func(queue *string) error {
				entry := message("1", "{\n\t\"a\": \"\U0001F511<>&\"}\r")
				entry.MessageAttributes = sent
				out, err := e.send(queue, entry)
				if err := errors.Join(err, letterTaken(out, "1")); err != nil {
					return err
				}
				got, err := e.receive(queue)
				switch {
				case err != nil:
					return err
				case len(got) != 1 || aws.ToString(got[0].Body) != *entry.MessageBody:
					return errors.New("the message was not received as it was sent")
				case len(got[0].MessageAttributes) != len(sent):
					return fmt.Errorf("%d attributes were received, want %d", len(got[0].MessageAttributes), len(sent))
				}
				for name, want := range sent {
					a := got[0].MessageAttributes[name]
					if *a.DataType != *want.DataType || aws.ToString(a.StringValue) != aws.ToString(want.StringValue) || !bytes.Equal(a.BinaryValue, want.BinaryValue) {
						return fmt.Errorf("the attribute %s was not received as it was sent", name)
					}
				}
				return nil
			})
		},
	},
	{
		Name: "queue/ten", Source: sendBatch, Behaviour: "a call takes ten messages",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				out, err := e.send(queue, messages(10)...)
				return errors.Join(err, letterTaken(out, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"))
			})
		},
	},
	{
		Name: "queue/eleven", Source: verifiedQueues, Behaviour: "and no eleventh",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				_, err := e.send(queue, messages(11)...)
				return refused(err, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "")
			})
		},
	},
	{
		Name: "queue/none", Source: verifiedQueues, Behaviour: "and not none",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				_, err := e.send(queue)
				return refused(err, "AWS.SimpleQueueService.EmptyBatchRequest", "")
			})
		},
	},
	{
		Name: "queue/repeated-id", Source: sendBatch, Behaviour: "the ids of a call's messages differ",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				_, err := e.send(queue, message("1", "a"), message("1", "b"))
				return refused(err, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "")
			})
		},
	},
	{
		Name: "queue/mebibyte", Large: true, Source: sendBatch,
		Behaviour: "the messages of a call are 1 MiB at most; a message may be just that",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				out, err := e.send(queue, message("1", strings.Repeat("a", maxMessageBytes)))
				if err := errors.Join(err, letterTaken(out, "1")); err != nil {
					return err
				}
				_, err = e.send(queue, message("1", strings.Repeat("a", maxMessageBytes)), message("2", "a"))
				return refused(err, "AWS.SimpleQueueService.BatchRequestTooLong", "")
			})
		},
	},
	{
		Name: "queue/attributes-count", Large: true, Source: verifiedQueues,
		Behaviour: "an attribute's name, type and value count against the size",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				entry := message("1", strings.Repeat("a", maxMessageBytes-len("k")-len("String")-len("x")))
				entry.MessageAttributes = map[string]types.MessageAttributeValue{"k": text("x")}
				out, err := e.send(queue, entry)
				if err := errors.Join(err, letterTaken(out, "1")); err != nil {
					return err
				}
				_, err = e.send(queue, entry, message("2", "a"))
				return refused(err, "AWS.SimpleQueueService.BatchRequestTooLong", "")
			})
		},
	},
	{
		Name: "queue/ten-attributes", Source: messageQuotas, Behaviour: "a message has ten attributes at most",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				ten, eleven := message("10", "a"), message("11", "a")
				ten.MessageAttributes, eleven.MessageAttributes = attributes(10), attributes(11)
				out, err := e.send(queue, ten, eleven)
				return errors.Join(err, letterTaken(out, "10"), letterRefused(out, "11", "InvalidParameterValue"))
			})
		},
	},
	{
		Name: "queue/empty-attribute", Source: verifiedQueues,
		Behaviour: "an attribute's value must not be empty; the other messages of the call are taken",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				bad := message("1", "a")
				bad.MessageAttributes = map[string]types.MessageAttributeValue{"a": text("")}
				out, err := e.send(queue, bad, message("2", "a"))
				return errors.Join(err, letterTaken(out, "2"), letterRefused(out, "1", "InvalidParameterValue"))
			})
		},
	},
	{
		Name: "queue/illegal-attribute", Source: verifiedQueues,
		Behaviour: "nor hold a character that XML 1.0 does not allow",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				for i, illegal := range []string{"\x00", "\b", "\v", "\x1f", "\ufffe", "\uffff"} {
					bad := message(strconv.Itoa(i), "a")
					bad.MessageAttributes = map[string]types.MessageAttributeValue{"a": text("x" + illegal)}
					out, err := e.send(queue, bad)
					if err := errors.Join(err, letterRefused(out, strconv.Itoa(i), "InvalidParameterValue")); err != nil {
						return fmt.Errorf("%q: %w", illegal, err)
					}
				}
				return nil
			})
		},
	},
	{
		Name: "queue/legal-attribute", Source: sendBatch,
		Behaviour: "it may hold any other, the replacement character too",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				entry := message("1", "a")
				entry.MessageAttributes = map[string]types.MessageAttributeValue{"a": text("\t\n\r \x7f\ud7ff\ue000\ufffd\U00010000\U0010ffff")}
				out, err := e.send(queue, entry)
				return errors.Join(err, letterTaken(out, "1"))
			})
		},
	},
	{
		Name: "queue/illegal-body", Source: verifiedQueues, Behaviour: "nor may a body",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				out, err := e.send(queue, message("1", "Invalid-\x00-\b-\x13-\uffff"))
				return errors.Join(err, letterRefused(out, "1", "InvalidMessageContents"))
			})
		},
	},
	{
		Name: "queue/group-of-a-standard-queue", Source: sendBatchEntry,
		Behaviour: "a message of a standard queue may have a group, which makes the queue fair",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				entry := message("1", "a")
				entry.MessageGroupId = aws.String("tenant-1")
				out, err := e.send(queue, entry)
				return errors.Join(err, letterTaken(out, "1"))
			})
		},
	},
	{
		Name: "queue/fifo", Source: sendBatchEntry,
		Behaviour: "a FIFO queue takes a message with a group and a deduplication id, and delivers one id once",
		run: func(e *env) error {
			return e.withQueue(".fifo", func(queue *string) error {
				entry := message("1", "a")
				entry.MessageGroupId, entry.MessageDeduplicationId = aws.String("g"), aws.String("d-1")
				again, other := entry, entry
				again.Id, other.Id, other.MessageDeduplicationId = aws.String("2"), aws.String("3"), aws.String("d-2")
				out, err := e.send(queue, entry, again, other)
				if err := errors.Join(err, letterTaken(out, "1", "2", "3")); err != nil {
					return err
				}
				got, err := e.receive(queue)
				if err == nil && len(got) != 2 {
					err = fmt.Errorf("%d messages were received, want 2", len(got))
				}
				return err
			})
		},
	},
	{
		Name: "queue/fifo-without-group", Source: sendBatchEntry, Behaviour: "it takes none without a group",
		run: func(e *env) error {
			return e.withQueue(".fifo", func(queue *string) error {
				entry := message("1", "a")
				entry.MessageDeduplicationId = aws.String("d-1")
				out, err := e.send(queue, entry)
				return notTaken(out, err)
			})
		},
	},
	{
		Name: "queue/fifo-without-deduplication-id", Source: sendBatchEntry, Behaviour: "nor without a deduplication id",
		run: func(e *env) error {
			return e.withQueue(".fifo", func(queue *string) error {
				entry := message("1", "a")
				entry.MessageGroupId = aws.String("g")
				out, err := e.send(queue, entry)
				return notTaken(out, err)
			})
		},
	},
	{
		Name: "queue/unknown", Source: "D the service model", Behaviour: "a queue that does not exist takes nothing",
		run: func(e *env) error {
			return e.withQueue("", func(queue *string) error {
				_, err := e.send(aws.String(*queue+"-no-such-queue"), message("1", "a"))
				return refused(err, "AWS.SimpleQueueService.NonExistentQueue", "")
			})
		},
	},
}

// withQueue calls f with the URL of a new queue, which is deleted at the end of the case.
func (e *env) withQueue(suffix string, f func(queue *string) error) error {
	in := &sqs.CreateQueueInput{QueueName: aws.String("createkey-conformance-" + e.token(0)[:32] + suffix)}
	if suffix == ".fifo" {
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	out, err := e.Queues.CreateQueue(e.ctx, in)
	if err != nil {
		return fmt.Errorf("CreateQueue: %w", err)
	}
	e.undo = append(e.undo, func(ctx context.Context) error {
		_, err := e.Queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
		return err
	})
	return f(out.QueueUrl)
}

func text(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
}

func attributes(n int) map[string]types.MessageAttributeValue {
	list := map[string]types.MessageAttributeValue{}
	for i := range n {
		list[fmt.Sprint("a", i)] = text("x")
	}
	return list
}

func message(id, body string) types.SendMessageBatchRequestEntry {
	return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body}
}

// messages returns n messages with the ids 0, 1 …
func messages(n int) []types.SendMessageBatchRequestEntry {
	var list []types.SendMessageBatchRequestEntry
	for i := range n {
		list = append(list, message(strconv.Itoa(i), "a"))
	}
	return list
}

func (e *env) send(queue *string, entries ...types.SendMessageBatchRequestEntry) (*sqs.SendMessageBatchOutput, error) {
	if entries == nil {
		entries = []types.SendMessageBatchRequestEntry{}
	}
	return e.Queues.SendMessageBatch(e.ctx, &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: entries})
}

// receive returns all messages of a queue if the target keeps them in one place, else some.
func (e *env) receive(queue *string) (all []types.Message, err error) {
	deadline := time.Now().Add(e.Eventually)
	for {
		out, err := e.Queues.ReceiveMessage(e.ctx, &sqs.ReceiveMessageInput{
			QueueUrl: queue, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, WaitTimeSeconds: 1,
		})
		if err != nil {
			return nil, fmt.Errorf("ReceiveMessage: %w", err)
		}
		all = append(all, out.Messages...)
		if len(out.Messages) == 0 && (len(all) > 0 || !time.Now().Before(deadline)) {
			return all, nil
		}
	}
}

// letterTaken checks that the messages with those ids were accepted.
func letterTaken(out *sqs.SendMessageBatchOutput, ids ...string) error {
	if out == nil {
		return errors.New("there is no answer")
	}
	for _, id := range ids {
		if !slices.ContainsFunc(out.Successful, func(r types.SendMessageBatchResultEntry) bool {
			return aws.ToString(r.Id) == id && aws.ToString(r.MessageId) != ""
		}) {
			return fmt.Errorf("message %s was not taken", id)
		}
	}
	return nil
}

// letterRefused checks that the message with that id was refused as its sender's fault.
func letterRefused(out *sqs.SendMessageBatchOutput, id, code string) error {
	if out == nil {
		return errors.New("there is no answer")
	}
	for _, r := range out.Failed {
		if aws.ToString(r.Id) == id {
			if got := aws.ToString(r.Code); got != code || !r.SenderFault {
				return fmt.Errorf("message %s was refused with %s %q, sender's fault %t, want %s", id, got, aws.ToString(r.Message), r.SenderFault, code)
			}
			return nil
		}
	}
	return fmt.Errorf("message %s was not refused", id)
}

// notTaken checks that a call, or its only message, was refused: AWS does not document which.
func notTaken(out *sqs.SendMessageBatchOutput, err error) error {
	if err == nil && len(out.Failed) != 1 {
		return errors.New("the message was taken")
	}
	return nil
}
