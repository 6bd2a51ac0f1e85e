// Package pace keeps one environment of the function within its share of API Gateway's
// quotas: 5 CreateApiKey calls a second, and 10 control-plane calls a second in total.
// The quotas are the account's and cannot be raised, and a throttled call can cost a
// message one of its receives
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
//
// It guarantees that CreateApiKey is sent no faster than the rate, that over time all API
// Gateway calls together are sent no faster than twice the rate, and that each attempt of
// an SDK retry counts. Both are token buckets with a burst of one: the quota belongs to
// the whole account, and a burst would throttle somebody else.
//
// A client with a [Pacer] waits before each call until the call's turn comes. Admit, called
// before a message's first call, reports whether there is time for all of them:
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

// ErrNoTime is the error of a paced client's call whose turn would come too close to the
// context's deadline. The attempt was not sent, but where it was an SDK retry, an earlier
// attempt may have taken effect. The caller has the message delivered again.
var ErrNoTime = errors.New("too little time is left to wait for a turn")

// finishReserve is the time that must be left after a call's turn, so that no key is made
// for whose record no time is left.
const finishReserve = time.Second

// Pacer holds the two token buckets of an environment. [New] makes one.
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

// Admit reports whether a message can be started that makes that many API Gateway calls,
// one of them CreateApiKey (provision's Calls counts them): the turn of the last one must
// come a second or more before the context's deadline. Without a deadline it always can.
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

// Apply makes each call of an API Gateway client wait for its turn; use it as one of the
// client's APIOptions. It sits behind the SDK's retry middleware, so that each attempt
// takes a token of its own. A call whose turn comes less than a second (or, where that is
// less, a quarter of the time left) before the context's deadline fails with [ErrNoTime].
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
	turn := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		turn, cancel = context.WithDeadline(ctx, deadline.Add(-min(finishReserve, time.Until(deadline)/4)))
		defer cancel()
	}
	// CreateApiKey's own bucket comes last: calls could queue up between the two buckets
	// and leave the second close together. The control plane's quota has room for that,
	// a burst of 40, and CreateApiKey's has not.
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
