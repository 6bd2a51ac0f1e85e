package pace_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/awslocal"
	"createkey/internal/pace"
)

// A paced is a client of the embedded AWS, paced at two keys a second: one
// CreateApiKey every 500 ms, one call of any kind every 250 ms.
type paced struct {
	*testing.T
	*apigateway.Client
	aws *awslocal.Server
}

const (
	rate         = 2
	createEvery  = time.Second / rate
	controlEvery = createEvery / 2
)

func inPace(t *testing.T, test func(p *paced)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &paced{T: t, aws: &awslocal.Server{}}
		p.Client = apigateway.NewFromConfig(p.aws.Config(), func(o *apigateway.Options) {
			o.APIOptions = append(o.APIOptions, pace.New(rate).Apply)
		})
		test(p)
	})
}

func (p *paced) create(ctx context.Context) error {
	_, err := p.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{})
	return err
}

func (p *paced) get(ctx context.Context) error {
	_, err := p.GetApiKeys(ctx, &apigateway.GetApiKeysInput{})
	return err
}

// together runs calls side by side and returns their errors.
func together(calls ...func() error) []error {
	errs := make([]error, len(calls))
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(func() { errs[i] = call() })
	}
	all.Wait()
	return errs
}

// sent returns when the calls of an operation arrived; "" means any.
func (p *paced) sent(operation string) []time.Time {
	var times []time.Time
	for _, c := range p.aws.Calls() {
		if operation == "" || c.Operation == operation {
			times = append(times, c.At)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

func (p *paced) wantApart(operation string, count int, apart time.Duration) {
	p.Helper()
	times := p.sent(operation)
	if len(times) != count {
		p.Errorf("%d calls were sent, want %d", len(times), count)
	}
	for i := 1; i < len(times); i++ {
		const rounding = time.Microsecond // the limiter counts in floating point
		if d := times[i].Sub(times[i-1]); d < apart-rounding {
			p.Errorf("call %d was sent %v after the one before, want at least %v", i, d, apart)
		}
	}
}

func repeat(n int, call func(context.Context) error) []func() error {
	return slices.Repeat([]func() error{func() error { return call(context.Background()) }}, n)
}

func TestCreateApiKeyIsSentNoFasterThanTheRate(t *testing.T) {
	inPace(t, func(p *paced) {
		start := time.Now()
		if err := errors.Join(together(repeat(10, p.create)...)...); err != nil {
			p.Fatal(err)
		}
		p.wantApart("CreateApiKey", 10, createEvery)
		if took := time.Since(start); took != 9*createEvery {
			p.Errorf("ten keys took %v, want %v: no slower either", took, 9*createEvery)
		}
	})
}

// The quota counts what is sent, and a throttled call counts as received by the
// message that it was made for.
func TestRetriesOfTheSDKCount(t *testing.T) {
	inPace(t, func(p *paced) {
		var calls atomic.Int32
		p.aws.Before = func(context.Context, awslocal.Call) error {
			if calls.Add(1) == 1 {
				return awslocal.TooManyRequests
			}
			return nil
		}
		if err := errors.Join(together(repeat(4, p.create)...)...); err != nil {
			p.Fatal(err)
		}
		p.wantApart("CreateApiKey", 5, createEvery)
	})
}

func TestAllCallsTogetherAreSentNoFasterThanTwiceTheRate(t *testing.T) {
	inPace(t, func(p *paced) {
		start := time.Now()
		if err := errors.Join(together(repeat(9, p.get)...)...); err != nil {
			p.Fatal(err)
		}
		p.wantApart("", 9, controlEvery)
		if took := time.Since(start); took != 8*controlEvery {
			p.Errorf("nine calls took %v, want %v: no slower either", took, 8*controlEvery)
		}
	})
}

// CreateApiKey's quota has no burst: calls that queued up behind others must not
// be sent close together afterwards.
func TestCreateApiKeyKeepsItsDistanceBehindOtherCalls(t *testing.T) {
	inPace(t, func(p *paced) {
		var calls []func() error
		for range 6 {
			calls = append(calls, repeat(2, p.get)...)
			calls = append(calls, repeat(1, p.create)...)
		}
		if err := errors.Join(together(calls...)...); err != nil {
			p.Fatal(err)
		}
		p.wantApart("CreateApiKey", 6, createEvery)
	})
}

// A turn that would come too late is refused at once, unsent, with time left to
// say so; what is sent leaves a second behind it.
func TestErrNoTimeSendsNothingAndLeavesTimeToFinish(t *testing.T) {
	inPace(t, func(p *paced) {
		const available = 4 * time.Second
		ctx, cancel := context.WithTimeout(p.Context(), available)
		defer cancel()
		start := time.Now()
		var calls []func() error
		for range 20 {
			calls = append(calls, func() error {
				err := p.create(ctx)
				if errors.Is(err, pace.ErrNoTime) && time.Since(start) > available-time.Second {
					p.Errorf("refused after %v, want while a second is left", time.Since(start))
				}
				return err
			})
		}
		sent := 0
		for _, err := range together(calls...) {
			switch {
			case err == nil:
				sent++
			case !errors.Is(err, pace.ErrNoTime):
				p.Errorf("a call failed otherwise: %v", err)
			}
		}
		arrived := p.sent("CreateApiKey")
		if len(arrived) != sent || sent < 5 || sent > 7 {
			p.Errorf("%d succeeded and %d arrived, want as many, and as many as 3 s allow", sent, len(arrived))
		}
		if last := arrived[len(arrived)-1].Sub(start); last > available-time.Second {
			p.Errorf("the last was sent after %v, want a second left", last)
		}
	})
}

// Where little time is left altogether, a quarter of it must do.
func TestShortDeadlineStillAllowsATurn(t *testing.T) {
	inPace(t, func(p *paced) {
		ctx, cancel := context.WithTimeout(p.Context(), 800*time.Millisecond)
		defer cancel()
		errs := together(
			func() error { return p.create(ctx) }, // at once
			func() error { return p.create(ctx) }, // after 500 ms: 300 are left
			func() error { return p.create(ctx) }, // after a second: too late
		)
		refused := 0
		for _, err := range errs {
			if errors.Is(err, pace.ErrNoTime) {
				refused++
			}
		}
		if refused != 1 || len(p.sent("")) != 2 {
			p.Errorf("%d were refused and %d sent, want 1 and 2", refused, len(p.sent("")))
		}
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	inPace(t, func(p *paced) {
		if err := p.create(p.Context()); err != nil {
			p.Fatal(err)
		}
		ctx, cancel := context.WithCancel(p.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		err := p.create(ctx)
		var canceled *aws.RequestCanceledError
		if !errors.As(err, &canceled) || !errors.Is(err, context.Canceled) {
			p.Errorf("the error is %v, want a canceled request", err)
		}
		if got := len(p.sent("")); got != 1 {
			p.Errorf("%d calls were sent, want the first alone", got)
		}
	})
}

func TestAdmit(t *testing.T) {
	tests := map[string]struct {
		left  time.Duration // 0: no deadline
		ahead int
		calls int // of each message
		want  bool
	}{
		"no deadline":                      {0, 100, 1, true},
		"one second left":                  {time.Second, 0, 1, true},
		"less than a second left":          {time.Second - time.Millisecond, 0, 1, false},
		"none left":                        {-time.Second, 0, 1, false},
		"three ahead, and time for them":   {2500 * time.Millisecond, 3, 1, true},
		"three ahead, and no time":         {2499 * time.Millisecond, 3, 1, false},
		"many calls, and time for them":    {6 * time.Second, 1, 10, true},
		"many calls, and no time":          {6*time.Second - time.Millisecond, 1, 10, false},
		"many calls, but nothing is ahead": {time.Second, 0, 100, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pacer := pace.New(rate)
				for range test.ahead {
					if _, ok := pacer.Admit(t.Context(), test.calls); !ok {
						t.Fatal("a message without a deadline was not admitted")
					}
				}
				ctx := t.Context()
				if test.left != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.left)
					defer cancel()
				}
				if _, ok := pacer.Admit(ctx, test.calls); ok != test.want {
					t.Errorf("admitted: %v, want %v", ok, test.want)
				}
			})
		})
	}
}

// A message that has ended, or was not admitted, is ahead of nobody.
func TestAdmitCountsTheMessagesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pacer := pace.New(rate)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 5 {
			done, ok := pacer.Admit(ctx, 1000)
			if !ok {
				t.Fatal("not admitted, though nothing is in flight")
			}
			if _, second := pacer.Admit(ctx, 1); second {
				t.Fatal("a second one was admitted, though its turn would come too late")
			}
			done()
		}
	})
}

// So are its calls: they take nobody's time any more.
func TestAdmitForgetsTheCallsOfWhatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pacer := pace.New(rate)
		if _, ok := pacer.Admit(t.Context(), 1); !ok {
			t.Fatal("a message without a deadline was not admitted")
		}
		done, ok := pacer.Admit(t.Context(), 1000)
		if !ok {
			t.Fatal("a message without a deadline was not admitted")
		}
		done()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, ok := pacer.Admit(ctx, 1); !ok {
			t.Error("not admitted, though the message of many calls has ended")
		}
	})
}

// Messages of a batch ask at the same time, and must not overlook each other:
// both would be started, and neither have the turns to finish.
func TestAdmitOfManyAtOnceAdmitsOne(t *testing.T) {
	for range 1000 {
		pacer := pace.New(rate)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var admitted atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, ok := pacer.Admit(ctx, 15); ok {
					admitted.Add(1)
				}
			})
		}
		all.Wait()
		cancel()
		if got := admitted.Load(); got != 1 {
			t.Fatalf("%d were admitted, want 1: two together have no time for all their calls", got)
		}
	}
}
