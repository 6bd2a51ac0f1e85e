package awslocal

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A Message is a message on a queue.
type Message struct {
	Queue      string // its name
	ID         string
	Body       Sensitive
	Attributes map[string]MessageAttribute
	// Group and DeduplicationID are empty if the sender gave none.
	Group, DeduplicationID string
	Sent                   time.Time

	hidden time.Time // invisible to other receivers until then
}

// A MessageAttribute is a message attribute of the sender. The value of one with type Binary
// is bytes.
type MessageAttribute struct {
	DataType string
	Value    Sensitive
}

// The limits of SQS
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
const (
	maxBatchEntries = 10
	maxBatchBytes   = 1 << 20 // of all messages of a call, and so of one message
	maxAttributes   = 10
	// deduplication is how long a FIFO queue remembers a deduplication id.
	deduplication = 5 * time.Minute
	// visibility is how long a received message is hidden by default.
	visibility = 30 * time.Second
)

const fifoSuffix = ".fifo"

// queueURLPrefix is the prefix of the URLs of queues that CreateQueue makes.
const queueURLPrefix = "https://sqs." + Region + ".amazonaws.com/" + AccountID + "/"

var sqs = service{
	name:        "sqs",
	contentType: "application/x-amz-json-1.0",
	find:        byTarget("AmazonSQS.", &queueOperations),
	describe: func(body []byte, c *Call) {
		var in struct{ QueueName, QueueURL string }
		_ = json.Unmarshal(body, &in) // the operation reports malformed input
		if c.Resource = in.QueueName; in.QueueURL != "" {
			c.Resource = queueName(in.QueueURL)
		}
	},
	fault: func(e *Error) (int, any) {
		return e.Status, map[string]string{"__type": "com.amazonaws.sqs#" + e.Code, "message": e.Message}
	},
	queryCode: func(code string) string { return queryCodes[code] },
}

// queryCodes are the error codes of SQS's older protocol. AWS sends them beside those of the
// newer one, and the SDKs use them.
var queryCodes = map[string]string{
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"BatchRequestTooLong":          "AWS.SimpleQueueService.BatchRequestTooLong",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"InvalidBatchEntryId":          "AWS.SimpleQueueService.InvalidBatchEntryId",
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
}

var queueOperations map[string]func(*Server, *request) (any, error)

func init() {
	queueOperations = map[string]func(*Server, *request) (any, error){
		"CreateQueue":      (*Server).createQueue,
		"DeleteQueue":      (*Server).deleteQueue,
		"ReceiveMessage":   (*Server).receiveMessage,
		"SendMessageBatch": (*Server).sendMessageBatch,
	}
}

// QueueURL returns the URL of the queue with that name.
func QueueURL(name string) string { return queueURLPrefix + name }

// queueName returns the name at the end of a queue's URL, whatever its host.
func queueName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

func queueFault(code, message string) *Error { return &Error{http.StatusBadRequest, code, message} }

// Messages returns the messages that are on queues, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

func (s *Server) createQueue(r *request) (any, error) {
	in, err := decode[struct{ QueueName string }](r.body)
	if err != nil {
		return nil, err
	}
	if s.queues == nil {
		s.queues = map[string]bool{}
	}
	s.queues[in.QueueName] = true
	return map[string]string{"QueueUrl": QueueURL(in.QueueName)}, nil
}

func (s *Server) deleteQueue(r *request) (any, error) {
	in, err := decode[struct{ QueueURL string }](r.body)
	if err != nil {
		return nil, err
	}
	queue, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	delete(s.queues, queue)
	s.messages = slices.DeleteFunc(s.messages, func(m Message) bool { return m.Queue == queue })
	return nil, nil
}

// queue returns the name of an existing queue.
func (s *Server) queue(url string) (string, error) {
	name := queueName(url)
	if s.Queues != nil && !s.Queues[name] && !s.queues[name] {
		return "", queueFault("QueueDoesNotExist", "The specified queue does not exist.")
	}
	return name, nil
}

type sentAttribute struct {
	DataType    string
	StringValue string `json:",omitempty"`
	BinaryValue []byte `json:",omitempty"`
}

type batchEntry struct {
	ID                     string
	MessageBody            string
	MessageAttributes      map[string]sentAttribute
	MessageGroupID         string
	MessageDeduplicationID string
}

// size returns an entry's size in bytes, as the call's limit counts it.
func (e batchEntry) size() int {
	size := len(e.MessageBody)
	for name, a := range e.MessageAttributes {
		size += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return size
}

type batchSuccess struct {
	ID               string `json:"Id"`
	MessageID        string `json:"MessageId"`
	MD5OfMessageBody string
}

type batchFailure struct {
	ID          string `json:"Id"`
	SenderFault bool
	Code        string
	Message     string
}

var batchEntryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// sendMessageBatch takes each entry separately: refusing one does not affect the others, and
// the call succeeds.
func (s *Server) sendMessageBatch(r *request) (any, error) {
	in, err := decode[struct {
		QueueURL string
		Entries  []batchEntry
	}](r.body)
	if err != nil {
		return nil, err
	}
	queue, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	if fault := refuseBatch(queue, in.Entries); fault != nil {
		return nil, fault
	}
	answer := struct {
		Successful []batchSuccess
		Failed     []batchFailure
	}{[]batchSuccess{}, []batchFailure{}}
	for _, e := range in.Entries {
		m := Message{
			Queue: queue, Body: Sensitive(e.MessageBody), Attributes: map[string]MessageAttribute{},
			Group: e.MessageGroupID, DeduplicationID: e.MessageDeduplicationID, Sent: r.now,
		}
		for name, a := range e.MessageAttributes {
			m.Attributes[name] = MessageAttribute{a.DataType, Sensitive(a.StringValue + string(a.BinaryValue))}
		}
		fault := refuseMessage(e)
		if fault == nil && s.RefuseMessage != nil {
			fault = s.RefuseMessage(m)
		}
		if fault != nil {
			answer.Failed = append(answer.Failed, batchFailure{e.ID, fault.Status < 500, fault.Code, fault.Message})
			continue
		}
		sum := md5.Sum([]byte(e.MessageBody))
		answer.Successful = append(answer.Successful, batchSuccess{e.ID, s.enqueue(m), hex.EncodeToString(sum[:])})
	}
	return answer, nil
}

// enqueue puts a message on its queue, and returns its id. A FIFO queue accepts a message whose
// deduplication id it remembers, and does not deliver it again.
func (s *Server) enqueue(m Message) string {
	if strings.HasSuffix(m.Queue, fifoSuffix) {
		for _, known := range s.messages {
			if known.Queue == m.Queue && known.DeduplicationID == m.DeduplicationID && m.Sent.Sub(known.Sent) < deduplication {
				return known.ID
			}
		}
	}
	m.ID = s.newEventID() // of the same form
	s.messages = append(s.messages, m)
	return m.ID
}

// refuseBatch returns the fault of a call as a whole, or nil.
func refuseBatch(queue string, entries []batchEntry) *Error {
	size, ids := 0, map[string]bool{}
	for _, e := range entries {
		size += e.size()
		switch {
		case !batchEntryID.MatchString(e.ID):
			return queueFault("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		case ids[e.ID]:
			return queueFault("BatchEntryIdsNotDistinct", fmt.Sprintf("Id %s repeated.", e.ID))
		case strings.HasSuffix(queue, fifoSuffix) && e.MessageGroupID == "":
			return queueFault("MissingParameter", "The request must contain the parameter MessageGroupId.")
		case strings.HasSuffix(queue, fifoSuffix) && e.MessageDeduplicationID == "":
			return queueFault("InvalidParameterValue", "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
		}
		ids[e.ID] = true
	}
	switch n := len(entries); {
	case n == 0:
		return queueFault("EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request.")
	case n > maxBatchEntries:
		return queueFault("TooManyEntriesInBatchRequest", fmt.Sprintf("Maximum number of entries per request are %d. You have sent %d.", maxBatchEntries, n))
	case size > maxBatchBytes:
		return queueFault("BatchRequestTooLong", fmt.Sprintf("Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxBatchBytes, size))
	}
	return nil
}

// A type may have the sender's own label: Number.int.
var (
	attributeType   = regexp.MustCompile(`^(String|Number|Binary)(\..+)?$`)
	attributeName   = regexp.MustCompile(`^[\p{L}\p{N}_.-]{1,256}$`)
	groupCharacters = regexp.MustCompile("^[!-~]{1,128}$")
)

// refuseMessage returns the fault of one entry, or nil.
func refuseMessage(e batchEntry) *Error {
	invalid := func(format string, args ...any) *Error {
		return queueFault("InvalidParameterValue", fmt.Sprintf(format, args...))
	}
	switch {
	case e.MessageBody == "":
		return queueFault("MissingParameter", "The request must contain the parameter MessageBody.")
	case !allowedText(e.MessageBody):
		return queueFault("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
	case len(e.MessageAttributes) > maxAttributes:
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(e.MessageAttributes), maxAttributes)
	case e.MessageGroupID != "" && !groupCharacters.MatchString(e.MessageGroupID):
		return invalid("Value for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	case e.MessageDeduplicationID != "" && !groupCharacters.MatchString(e.MessageDeduplicationID):
		return invalid("Value for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	for _, name := range slices.Sorted(maps.Keys(e.MessageAttributes)) {
		a, lower := e.MessageAttributes[name], strings.ToLower(name)
		switch {
		case !attributeName.MatchString(name), strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."),
			strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."):
			return invalid("Message (user) attribute name is invalid.")
		case !attributeType.MatchString(a.DataType) || len(a.DataType) > 256:
			return invalid("The type of message (user) attribute '%s' is invalid. You must use only the following supported type prefixes: Binary, Number, String.", name)
		case a.StringValue == "" && len(a.BinaryValue) == 0:
			return invalid("Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, a.DataType)
		case !allowedText(a.StringValue):
			return invalid("Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF")
		}
	}
	return nil
}

// allowedText reports whether SQS accepts every character of a text: those of XML 1.0.
func allowedText(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
}

type receivedMessage struct {
	MessageID         string `json:"MessageId"`
	ReceiptHandle     string
	MD5OfBody         string
	Body              string
	Attributes        map[string]string        `json:",omitempty"`
	MessageAttributes map[string]sentAttribute `json:",omitempty"`
}

// receiveMessage returns messages in the order in which they were sent, and never waits for
// one.
func (s *Server) receiveMessage(r *request) (any, error) {
	in, err := decode[struct {
		QueueURL                    string
		MaxNumberOfMessages         int
		VisibilityTimeout           *int
		MessageAttributeNames       []string
		MessageSystemAttributeNames []string
	}](r.body)
	if err != nil {
		return nil, err
	}
	queue, err := s.queue(in.QueueURL)
	if err != nil {
		return nil, err
	}
	hide := visibility
	if in.VisibilityTimeout != nil {
		hide = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	var answer struct{ Messages []receivedMessage }
	for i := range s.messages {
		m := &s.messages[i]
		if m.Queue != queue || m.hidden.After(r.now) || len(answer.Messages) >= max(1, in.MaxNumberOfMessages) {
			continue
		}
		m.hidden = r.now.Add(hide)
		sum := md5.Sum([]byte(m.Body))
		out := receivedMessage{MessageID: m.ID, ReceiptHandle: m.ID, MD5OfBody: hex.EncodeToString(sum[:]), Body: string(m.Body)}
		if slices.Contains(in.MessageAttributeNames, "All") {
			out.MessageAttributes = map[string]sentAttribute{}
			for name, a := range m.Attributes {
				sent := sentAttribute{DataType: a.DataType, StringValue: string(a.Value)}
				if strings.HasPrefix(a.DataType, "Binary") {
					sent.StringValue, sent.BinaryValue = "", []byte(a.Value)
				}
				out.MessageAttributes[name] = sent
			}
		}
		if slices.Contains(in.MessageSystemAttributeNames, "All") {
			out.Attributes = map[string]string{"SentTimestamp": fmt.Sprint(m.Sent.UnixMilli())}
			if m.Group != "" {
				out.Attributes["MessageGroupId"] = m.Group
			}
			if m.DeduplicationID != "" {
				out.Attributes["MessageDeduplicationId"] = m.DeduplicationID
			}
		}
		answer.Messages = append(answer.Messages, out)
	}
	return answer, nil
}
