package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"createkey/internal/apikey"
	"createkey/internal/event"
	"createkey/internal/failure"
	"createkey/internal/provision"
)

// newLogger writes JSON lines as Lambda reads them: timestamp and level
// (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html).
func newLogger(output io.Writer) *slog.Logger {
	log := slog.New(slog.NewJSONHandler(output, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			switch {
			case a.Key == slog.TimeKey && len(groups) == 0:
				return slog.String("timestamp", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
			case a.Key == slog.MessageKey && len(groups) == 0:
				return slog.Attr{} // the members say it all
			}
			return a
		},
	}))
	if version != "" {
		log = log.With("version", version)
	}
	return log
}

// report writes the one log line of each message. Its members are the program's
// interface to metric filters and saved queries.
func (h *handler) report(ctx context.Context, outcomes []outcome) {
	for _, o := range outcomes {
		level, reason, code := slog.LevelInfo, o.note, ""
		if o.err != nil {
			level, reason = slog.LevelWarn, o.err.Error()
		}
		var again *failure.RetryableError
		if errors.As(o.err, &again) {
			code = again.Code
		}
		attrs := []slog.Attr{
			slog.String("messageId", o.messageID),
			slog.String("outcome", o.String()),
			slog.String("customerId", o.customerID),
			slog.String("keyId", o.result.Key.ID),
			slog.String("secretName", o.secretName),
			slog.Int64("durationMs", o.duration.Milliseconds()),
			slog.String("reason", reason),
		}
		if code != "" {
			attrs = append(attrs, slog.String("code", code))
		}
		if o.calls != nil {
			attrs = append(attrs, slog.Any("calls", o.calls))
		}
		h.log.LogAttrs(ctx, level, "", attrs...)
	}
}

// planNote tells of a customer of AWS Marketplace whose key has no usage plan,
// and so neither a limit nor a meter.
func planNote(r apikey.Request, key apikey.Key) string {
	if r.ProductCode == "" || len(key.UsagePlanIDs) > 0 {
		return ""
	}
	return "the key is in no usage plan: none had product code " + failure.Quote(r.ProductCode) +
		" when it was made, and there was no default plan"
}

// ready is the answer for a key that exists: the output document of
// `aws apigateway create-api-key` without the value, and where the value is.
type ready struct {
	apikey.Key
	SecretName string           `json:"secretName"`
	SecretARN  string           `json:"secretArn"`
	Status     provision.Status `json:"status"`
}

func (o outcome) ready() ready {
	return ready{o.result.Key, o.secretName, o.result.SecretARN, o.result.Status}
}

// batchResponse is what an SQS event source wants to hear
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
type batchResponse struct {
	// Failures is never null: AWS reads null as success, some emulators stumble.
	Failures []itemFailure `json:"batchItemFailures"`
}

type itemFailure struct {
	ID string `json:"itemIdentifier"`
}

// answer puts the outcomes into the form that the sender of the batch wants.
// Its error is that of a direct or SNS invocation, which Lambda or the caller
// has to repeat.
func answer(batch event.Batch, outcomes []outcome) ([]byte, error) {
	if batch.Kind == event.SQS {
		response := batchResponse{Failures: []itemFailure{}}
		for _, o := range outcomes {
			if o.err != nil {
				response.Failures = append(response.Failures, itemFailure{o.messageID})
			}
		}
		return json.Marshal(response)
	}
	documents := make([]ready, len(outcomes))
	var failed []error
	for i, o := range outcomes {
		documents[i] = o.ready()
		if o.err != nil {
			failed = append(failed, o.err)
		}
	}
	switch {
	case len(failed) > 0:
		return nil, merge(failed)
	case batch.Kind == event.SNS:
		return json.Marshal(documents)
	}
	return json.Marshal(documents[0])
}

// merge makes one error of those of an SNS batch, which can only be repeated as
// a whole: retryable if any of them is.
func merge(failed []error) error {
	var reasons []string
	var again *failure.RetryableError
	for _, err := range failed {
		reasons = append(reasons, err.Error())
		if again == nil {
			_ = errors.As(err, &again)
		}
	}
	if again != nil {
		return &failure.RetryableError{Code: again.Code, Reason: strings.Join(reasons, "; ")}
	}
	return &failure.RejectedError{Reasons: reasons}
}

// trace lists the AWS calls made for one message, for LOG_LEVEL=DEBUG.
type trace struct {
	mu    sync.Mutex
	calls []tracedCall
}

type tracedCall struct {
	Operation  string `json:"operation"`
	DurationMs int64  `json:"durationMs"`
	Failed     bool   `json:"failed,omitempty"`
}

type traceKey struct{}

func withTrace(ctx context.Context, debug bool) context.Context {
	if !debug {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, &trace{})
}

func tracedCalls(ctx context.Context) []tracedCall {
	t, ok := ctx.Value(traceKey{}).(*trace)
	if !ok {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

// traceCalls makes an SDK client note its calls, with their retries and waits:
// names and durations, never an input or an output.
func traceCalls(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Trace", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		t, ok := ctx.Value(traceKey{}).(*trace)
		if !ok {
			return next.HandleInitialize(ctx, in)
		}
		start := time.Now()
		out, metadata, err := next.HandleInitialize(ctx, in)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.calls = append(t.calls, tracedCall{awsmiddleware.GetOperationName(ctx), time.Since(start).Milliseconds(), err != nil})
		return out, metadata, err
	}), middleware.After)
}
