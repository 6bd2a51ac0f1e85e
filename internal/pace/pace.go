// Package pace keeps one environment of the function inside its share of API
// Gateway's quotas, which are the account's, cannot be raised, and answer an
// excess with an error that costs a message one of its receives: 5 CreateApiKey
// a second, and 10 control-plane calls a second altogether
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
//
// It guarantees that CreateApiKey is sent no faster than the rate, that over time
// all API Gateway calls together are sent no faster than twice the rate, and that
// every attempt of the SDK's retries counts. Both are token buckets with a burst of
// one: the quota belongs to the whole account, and a burst would be somebody
// else's throttle.
//
// A [Pacer] becomes a part of the SDK's client, whose calls then wait for their turn.
// Admit, asked before the first call, keeps a message from being started that would
// wait for longer than there is time:
//
//	pacer := pace.New(2) // keys a second
//	client := apigateway.NewFromConfig(cfg, func(o *apigateway.Options) {
//		o.APIOptions = append(o.APIOptions, pacer.Apply)
//	})
package pace

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// ErrNoTime is what a call of a paced client fails with when its turn would come too
// near the context's deadline. The attempt was not sent; but where it was a retry of
// the SDK's, an earlier attempt may have taken effect. The caller has the message
// delivered again.
var ErrNoTime = errors.New("too little time is left to wait for a turn")

// finishReserve is the time that a call must leave behind it for the calls that
// follow, so that a key is not made which then cannot be recorded: a second, or
// a quarter of what is left where that is less.
const finishReserve = time.Second

// Pacer holds the two token buckets of an environment. Use [New].
type Pacer struct {
	create       *rate.Limiter
	controlPlane *rate.Limiter
}

// New returns a Pacer for a rate in keys a second, greater than zero.
func New(keysPerSecond float64) *Pacer {
	return &Pacer{
		create:       rate.NewLimiter(rate.Limit(keysPerSecond), 1),
		controlPlane: rate.NewLimiter(rate.Limit(2*keysPerSecond), 1),
	}
}

// Admit reports whether a message can be started that makes so many API Gateway calls, a
// CreateApiKey among them (provision's Calls counts them): the turn of each has to come
// a second or more before the context's deadline. Without a deadline there is always time.
func (p *Pacer) Admit(ctx context.Context, calls int) bool {
	deadline, limited := ctx.Deadline()
	if !limited {
		return true
	}
	turn := max(wait(p.create, 1), wait(p.controlPlane, calls))
	return turn+finishReserve <= time.Until(deadline)
}

// wait returns how long the last of n calls waits for its token.
func wait(bucket *rate.Limiter, n int) time.Duration {
	missing := float64(n) - bucket.Tokens()
	return time.Duration(max(0, missing) / float64(bucket.Limit()) * float64(time.Second))
}

// Apply makes an API Gateway client's stack wait for its turn. It sits behind
// the SDK's retry middleware, so that each attempt takes a token of its own:
// use it as one of the client's APIOptions. A call whose turn comes less than a
// second (a quarter of what is left, where that is less) before the context's deadline
// fails with [ErrNoTime].
func (p *Pacer) Apply(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Pace", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if err := p.wait(ctx, awsmiddleware.GetOperationName(ctx)); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
		return next.HandleFinalize(ctx, in)
	}), "Retry", middleware.After)
}

func (p *Pacer) wait(ctx context.Context, operation string) error {
	turn := ctx // or less: a turn must leave time behind it
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		turn, cancel = context.WithDeadline(ctx, deadline.Add(-min(finishReserve, time.Until(deadline)/4)))
		defer cancel()
	}
	// CreateApiKey's own bucket comes last. Before the other one, calls could
	// pile up between the two and be sent closer together than its quota
	// allows; the control plane's has a burst to spare (40).
	err := p.controlPlane.Wait(turn)
	if err == nil && operation == "CreateApiKey" {
		err = p.create.Wait(turn)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &aws.RequestCanceledError{Err: ctx.Err()}
	}
	return ErrNoTime
}
