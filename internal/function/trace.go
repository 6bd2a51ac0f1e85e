package function

import (
	"context"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// trace lists the AWS calls made for one message, for LOG_LEVEL=DEBUG.
type trace struct{ calls []tracedCall }

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
	return t.calls
}

// traceCalls makes an SDK client record the name and the duration of each call, retries
// and waits included, and never an input or an output.
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
		t.calls = append(t.calls, tracedCall{awsmiddleware.GetOperationName(ctx), time.Since(start).Milliseconds(), err != nil})
		return out, metadata, err
	}), middleware.After)
}
