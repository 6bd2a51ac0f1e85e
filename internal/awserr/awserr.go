// Package awserr says of a failed AWS call what is safe to print.
//
// It guarantees that only text of known origin goes through: an error code, AWS's own
// message unless it quotes a key's value, an address that could not be reached, a
// certificate that was refused. An SDK error as such must not be printed. Those about
// an answer that cannot be read, or a connection that breaks in the middle, quote what
// was received, and every list of API keys has values in it.
//
//	failure.Retry("CreateApiKey: %s", awserr.Describe(err, value))
package awserr

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"createkey/internal/apikey"
	"createkey/internal/pace"
)

// Describe says of an SDK error what is safe to print; values are those that the call
// sent. AWS's own message is withheld where it holds eight characters of one of them
// in a row. err must not be nil.
func Describe(err error, values ...apikey.Value) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != "" {
		message := api.ErrorMessage()
		for _, v := range values {
			if v.QuotedIn(message) {
				message = "(withheld: it quotes the value)"
			}
		}
		return strings.TrimSuffix(api.ErrorCode()+": "+message, ": ")
	}
	switch {
	case errors.Is(err, pace.ErrNoTime):
		return pace.ErrNoTime.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "no answer in time"
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return lookup.Error()
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok {
		return dial.Error()
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate.Error()
	}
	return "the call failed, or its answer could not be read"
}

// KeepAnswer has a client's call whose time is up between two attempts fail with what
// AWS answered to the last one. The SDK would report the timeout alone, and so hide a
// throttle, or the quota on which an alarm hangs. Use it as one of the client's
// APIOptions.
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
		if _, ok := errors.AsType[smithy.APIError](err); ok {
			*ctx.Value(lastAnswer{}).(*error) = err
		}
		return out, metadata, err
	})
	return errors.Join(
		stack.Initialize.Add(call, middleware.After),
		stack.Finalize.Insert(attempt, "Retry", middleware.After),
	)
}
