package awserr

import (
	"context"
	"errors"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"createkey/internal/pace"
)

// KeepAnswer makes a call that runs out of time between two attempts fail with what AWS
// answered to the last attempt. The SDK would report only the timeout, and so hide a
// throttle, or the quota that an alarm watches. Use it as one of a client's APIOptions.
func KeepAnswer(stack *middleware.Stack) error {
	type lastAnswer struct{}
	call := middleware.InitializeMiddlewareFunc("KeepAnswer", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		var last error
		out, metadata, err := next.HandleInitialize(context.WithValue(ctx, lastAnswer{}, &last), in)
		if last != nil && (errors.Is(err, pace.ErrNoTime) || err != nil && ctx.Err() != nil) {
			err = last
		}
		return out, metadata, err
	})
	attempt := middleware.FinalizeMiddlewareFunc("NoteAnswer", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if _, answered := errors.AsType[smithy.APIError](err); answered {
			*ctx.Value(lastAnswer{}).(*error) = err
		}
		return out, metadata, err
	})
	return errors.Join(
		stack.Initialize.Add(call, middleware.After),
		stack.Finalize.Insert(attempt, "Retry", middleware.After),
	)
}
