package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// A Recording is what a target answered in a run of the suite. It holds nothing of the account:
// every value, id, ARN, token and time is replaced by a name such as "value 1", and a text that
// no request of the case contained by "text". Foreign items of lists are left out.
type Recording struct {
	Source string                // what was recorded, and when
	Cases  map[string][]Exchange // by the case's name
}

// An Exchange is a call, including the SDK's retries, and its answer.
type Exchange struct {
	Operation string         // such as "CreateApiKey"
	Input     map[string]any // by the SDK's member names; empty members are left out
	Output    map[string]any `json:",omitempty"`
	Error     string         `json:",omitempty"` // the code
	Message   string         `json:",omitempty"` // AWS's text
}

// A Recorder records the calls of clients that are made with its configuration.
type Recorder struct {
	mu    sync.Mutex
	cases map[string]*caseRecorder
}

// Record adds the recorder to a configuration, from which clients are then made.
func (r *Recorder) Record(cfg *aws.Config) {
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RecordExchange", r.exchange), middleware.Before)
	})
}

// Recording returns the recording so far.
func (r *Recorder) Recording(source string) Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	recording := Recording{Source: source, Cases: make(map[string][]Exchange)}
	for name, c := range r.cases {
		recording.Cases[name] = slices.Clone(c.exchanges)
	}
	return recording
}

// Write writes a recording to a file, as JSON.
func (r Recording) Write(file string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("writing a recording: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}

// ReadRecording reads what Write wrote.
func ReadRecording(file string) (Recording, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Recording{}, err
	}
	var r Recording
	if err := json.Unmarshal(text, &r); err != nil {
		return Recording{}, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// Departures compares the cases that both recordings have, and returns, for each case that
// differs, the first exchange that does.
func Departures(want, got Recording) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(want.Cases)) {
		others, both := got.Cases[name]
		if !both {
			continue
		}
		for i := range max(len(want.Cases[name]), len(others)) {
			a, b := nth(want.Cases[name], i), nth(others, i)
			if !bytes.Equal(a, b) {
				list = append(list, fmt.Sprintf("%s, call %d\n  %s\n  %s\n  %s\n  %s", name, i+1, want.Source, a, got.Source, b))
				break
			}
		}
	}
	return list
}

func nth(exchanges []Exchange, i int) []byte {
	if i >= len(exchanges) {
		return []byte("no such call")
	}
	text, err := json.Marshal(exchanges[i])
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// caseOf is the context key for a case.
type caseOf struct{}

// recorded returns a context whose calls are recorded under the case's name. Cleanup calls have
// none.
func recorded(ctx context.Context, e *env, c Case) context.Context {
	return context.WithValue(ctx, caseOf{}, &caseRecorder{name: c.Name, run: e.RunID})
}

func unrecorded(ctx context.Context) context.Context {
	return context.WithValue(ctx, caseOf{}, (*caseRecorder)(nil))
}

func (r *Recorder) exchange(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	c, _ := ctx.Value(caseOf{}).(*caseRecorder)
	if c == nil {
		return next.HandleInitialize(ctx, in)
	}
	sent := members(in.Parameters) // before the SDK adds its own tokens
	out, metadata, err := next.HandleInitialize(ctx, in)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cases == nil {
		r.cases = make(map[string]*caseRecorder)
	}
	r.cases[c.name] = c
	c.add(awsmiddleware.GetOperationName(ctx), awsmiddleware.GetRegion(ctx), sent, members(out.Result), err)
	return out, metadata, err
}

// A caseRecorder replaces what identifies the account; the same text gets the same name
// throughout a case.
type caseRecorder struct {
	name, run string
	names     map[string]string // by the text that they replace
	count     map[string]int    // by the kind of name
	sent      []string          // the requests' texts, after replacement
	exchanges []Exchange
}

// opaque are members whose texts AWS chooses, or that name objects of the account.
var opaque = regexp.MustCompile(`(?i)(id|arn|url|token|position|handle|apikey)$`)

// secret are members that hold a key's value or a secret.
var secret = regexp.MustCompile(`^(Value|SecretString|SecretBinary)$`)

func (c *caseRecorder) add(operation, region string, in, out map[string]any, err error) {
	c.learn("", in)
	if operation != "SendMessageBatch" && operation != "ReceiveMessage" { // whose members named Value are attributes'
		c.learnValues(out)
	}
	x := Exchange{Operation: operation, Input: c.request(in)}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		x.Error, x.Message = api.ErrorCode(), c.message(api.ErrorMessage(), region)
	case err != nil:
		x.Error = "no answer"
	default:
		x.Output, _ = c.answer(out).(map[string]any)
	}
	// A case repeats a call that may fail because of lag; the last answer counts.
	if n := len(c.exchanges); n > 0 && c.exchanges[n-1].Operation == x.Operation && reflect.DeepEqual(c.exchanges[n-1].Input, x.Input) {
		c.exchanges = c.exchanges[:n-1]
	}
	c.exchanges = append(c.exchanges, x)
}

// members returns the exported, non-empty members of an SDK input or output, as JSON has them.
func members(v any) map[string]any {
	text, err := json.Marshal(v)
	if err != nil {
		return map[string]any{"not": "JSON"}
	}
	var m map[string]any
	if json.Unmarshal(text, &m) != nil {
		return nil
	}
	delete(m, "ResultMetadata")
	pruned, _ := prune(m).(map[string]any)
	return pruned
}

// longestText is the longest text that is recorded; of a longer one only the length is, in
// bytes.
const longestText = 2048

// prune removes what is empty, and shortens what is long.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if member = prune(member); member == nil {
				delete(v, name)
			} else {
				v[name] = member
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
		if len(v) > longestText {
			return fmt.Sprintf("%d bytes", len(v))
		}
	case bool:
		if !v {
			return nil
		}
	}
	return v
}

// named returns the name that replaces a text of a kind.
func (c *caseRecorder) named(kind, text string) string {
	if name, known := c.names[text]; known {
		return name
	}
	if c.names == nil {
		c.names, c.count = make(map[string]string), make(map[string]int)
	}
	c.count[kind]++
	c.names[text] = fmt.Sprintf("%s %d", kind, c.count[kind])
	return c.names[text]
}

// located matches an ARN or an address, which contains the account and the Region.
var located = regexp.MustCompile(`^(arn:|https?://)`)

// learn names the values and ids in a request.
func (c *caseRecorder) learn(member string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			c.learn(name, v[name])
		}
	case []any:
		for _, item := range v {
			c.learn(member, item)
		}
	case string:
		switch {
		case secret.MatchString(member):
			c.named("value", v)
		case located.MatchString(v), opaque.MatchString(member) && member != "SecretId" && member != "CustomerId" && !strings.Contains(v, c.run):
			c.named("id", v)
		}
	}
}

// learnValues names the values in an answer, so that they are replaced everywhere.
func (c *caseRecorder) learnValues(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if text, ok := v[name].(string); ok && secret.MatchString(name) {
				c.named("value", text)
			}
			c.learnValues(v[name])
		}
	case []any:
		for _, item := range v {
			if c.ours(item) {
				c.learnValues(item)
			}
		}
	}
}

// replace replaces all known texts, and the run's id, in a text.
func (c *caseRecorder) replace(text string) string {
	known := slices.SortedFunc(maps.Keys(c.names), func(a, b string) int { return len(b) - len(a) })
	for _, k := range known {
		if len(k) >= 5 || k == text {
			text = strings.ReplaceAll(text, k, c.names[k])
		}
	}
	text = queueName.ReplaceAllString(text, "QUEUE")
	return padding.ReplaceAllString(strings.ReplaceAll(text, c.run, "RUN"), "x…")
}

var (
	queueName = regexp.MustCompile(`createkey-conformance-[0-9a-f]{32}`) // a hash of the run and the case
	padding   = regexp.MustCompile(`x{20,}`)                             // to a length that includes the run's name
)

// replaced matches a name that replaces a text.
var replaced = regexp.MustCompile(`^(id|value) \d+$`)

// request returns a request as it is recorded: it contains what the suite chose.
func (c *caseRecorder) request(in map[string]any) map[string]any {
	sent, _ := c.walk("", in, func(_, text string) string {
		text = c.replace(text)
		c.sent = append(c.sent, text)
		return text
	}).(map[string]any)
	return sent
}

// answer returns an answer as it is recorded: it contains the request's texts, and names.
func (c *caseRecorder) answer(out any) any {
	return c.walk("", out, func(member, original string) string {
		text := original
		if _, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return "time"
		}
		text = c.replace(text)
		switch {
		case slices.Contains(c.sent, text) || replaced.MatchString(text):
			return text
		case located.MatchString(original), opaque.MatchString(member):
			return c.named("id", original)
		}
		return "text"
	})
}

// walk replaces every text of a document. In maps of the sender's it keeps the keys that were
// sent; from lists it drops foreign items.
func (c *caseRecorder) walk(member string, v any, leaf func(member, text string) string) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			m[c.replace(name)] = c.walk(name, v[name], leaf)
		}
		return m
	case []any:
		list := []any{}
		for _, item := range v {
			if c.ours(item) {
				list = append(list, c.walk(member, item, leaf))
			}
		}
		return list
	case string:
		return leaf(member, v)
	}
	return v
}

// ours reports whether a list item belongs to this case: it holds a name or an id of the case.
func (c *caseRecorder) ours(item any) bool {
	object, ok := item.(map[string]any)
	if !ok {
		return true
	}
	text, err := json.Marshal(object)
	if err != nil {
		return false
	}
	if bytes.Contains(text, []byte(c.run)) {
		return true
	}
	for known := range c.names {
		if len(known) >= 5 && bytes.Contains(text, []byte(known)) {
			return true
		}
	}
	// An item with neither a name nor an id, such as an entry of a batch, is not foreign.
	return !slices.ContainsFunc(slices.Collect(maps.Keys(object)), func(name string) bool { return name == "Name" || name == "ARN" || name == "Arn" })
}

var (
	arn       = regexp.MustCompile(`\barn:[\w:/.+=@*-]*[\w*]`)
	accountID = regexp.MustCompile(`\b\d{12}\b`)
	uuid      = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
)

// message returns AWS's error text without what identifies the account.
func (c *caseRecorder) message(text, region string) string {
	text = arn.ReplaceAllString(text, "ARN")
	text = accountID.ReplaceAllString(uuid.ReplaceAllString(c.replace(text), "UUID"), "ACCOUNT")
	if region != "" {
		text = strings.ReplaceAll(text, region, "REGION")
	}
	return text
}
