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

	"createkey/internal/pace"
	"createkey/internal/test/awslocal"
)

// A paced is a client of the embedded AWS at two keys a second: one CreateApiKey every
// 500 ms, one call of any kind every 250 ms.
type paced struct {
	*testing.T
	*apigateway.Client
	aws   *awslocal.Server
	pacer *pace.Pacer
}

const (
	rate         = 2
	createEvery  = time.Second / rate
	controlEvery = createEvery / 2
)

func inPace(t *testing.T, test func(p *paced)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &paced{T: t, aws: &awslocal.Server{}, pacer: pace.New(rate)}
		p.Client = apigateway.NewFromConfig(p.aws.Config(), func(o *apigateway.Options) {
			o.APIOptions = append(o.APIOptions, p.pacer.Apply)
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

// together runs calls concurrently and returns their errors.
func together(calls ...func() error) []error {
	errs := make([]error, len(calls))
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(func() { errs[i] = call() })
	}
	all.Wait()
	return errs
}

// sent returns the arrival times of an operation's calls; "" means any operation.
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
		p.Errorf("got %d calls, want %d", len(times), count)
	}
	for i := 1; i < len(times); i++ {
		const rounding = time.Microsecond // the limiter counts in floating point
		if d := times[i].Sub(times[i-1]); d < apart-rounding {
			p.Errorf("call %d: %v after the previous one, want at least %v", i, d, apart)
		}
	}
}

func repeat(n int, call func(context.Context) error) []func() error {
	return slices.Repeat([]func() error{func() error { return call(context.Background()) }}, n)
}

func TestCreateRate(t *testing.T) {
	inPace(t, func(p *paced) {
		start := time.Now()
		if err := errors.Join(together(repeat(10, p.create)...)...); err != nil {
			p.Fatal(err)
		}
		p.wantApart("CreateApiKey", 10, createEvery)
		if took := time.Since(start); took != 9*createEvery {
			p.Errorf("ten keys: got %v, want %v", took, 9*createEvery)
		}
	})
}

// The quota counts every attempt that is sent.
func TestRetriesCount(t *testing.T) {
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

func TestControlPlaneRate(t *testing.T) {
	inPace(t, func(p *paced) {
		start := time.Now()
		if err := errors.Join(together(repeat(9, p.get)...)...); err != nil {
			p.Fatal(err)
		}
		p.wantApart("", 9, controlEvery)
		if took := time.Since(start); took != 8*controlEvery {
			p.Errorf("nine calls: got %v, want %v", took, 8*controlEvery)
		}
	})
}

// CreateApiKey's quota has no burst: calls that queue behind others must not be sent close
// together afterwards.
func TestCreateRateBehindOtherCalls(t *testing.T) {
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

// A call whose turn would come too late is refused at once and not sent. A call that is sent
// has at least a second left.
func TestErrNoTime(t *testing.T) {
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
					p.Errorf("refused after %v, want at most %v", time.Since(start), available-time.Second)
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
				p.Errorf("got error %v, want ErrNoTime", err)
			}
		}
		arrived := p.sent("CreateApiKey")
		if len(arrived) != sent || sent < 5 || sent > 7 {
			p.Errorf("%d succeeded and %d arrived, want as many, and as many as 3 s allow", sent, len(arrived))
		}
		if last := arrived[len(arrived)-1].Sub(start); last > available-time.Second {
			p.Errorf("the last was sent after %v, want at most %v", last, available-time.Second)
		}
	})
}

// With less than four seconds left, a quarter of the time is kept in reserve.
func TestShortDeadline(t *testing.T) {
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
			p.Errorf("got %d refused and %d sent, want 1 and 2", refused, len(p.sent("")))
		}
	})
}

func TestCanceledContext(t *testing.T) {
	inPace(t, func(p *paced) {
		if err := p.create(p.Context()); err != nil {
			p.Fatal(err)
		}
		ctx, cancel := context.WithCancel(p.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		err := p.create(ctx)
		if _, canceled := errors.AsType[*aws.RequestCanceledError](err); !canceled || !errors.Is(err, context.Canceled) {
			p.Errorf("got error %v, want an *aws.RequestCanceledError of context.Canceled", err)
		}
		if got := len(p.sent("")); got != 1 {
			p.Errorf("got %d calls, want 1", got)
		}
	})
}

// A message is started if its last call's turn leaves a second before the deadline.
// CreateApiKey's bucket gets a token every 500 ms, the bucket of all calls one every 250 ms,
// and an idle bucket holds one token.
func TestAdmit(t *testing.T) {
	for name, test := range map[string]struct {
		left  time.Duration // until the deadline; 0: none
		sent  int           // CreateApiKey calls just before
		calls int
		want  bool
	}{
		"no deadline":                {0, 1, 1000, true},
		"one second left":            {time.Second, 0, 1, true},
		"less than a second left":    {time.Second - time.Millisecond, 0, 1, false},
		"none left":                  {-time.Second, 0, 1, false},
		"a key just made in time":    {1500 * time.Millisecond, 1, 1, true},
		"a key just made too late":   {1500*time.Millisecond - time.Millisecond, 1, 1, false},
		"ten calls in time":          {3250 * time.Millisecond, 0, 10, true},
		"ten calls too late":         {3250*time.Millisecond - time.Millisecond, 0, 10, false},
		"a key and ten in time":      {3500 * time.Millisecond, 1, 10, true},
		"a key and ten too late":     {3500*time.Millisecond - time.Millisecond, 1, 10, false},
		"two calls wait for the key": {1500*time.Millisecond - time.Millisecond, 1, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			inPace(t, func(p *paced) {
				for range test.sent {
					if err := p.create(p.Context()); err != nil {
						p.Fatal(err)
					}
				}
				ctx := p.Context()
				if test.left != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.left)
					defer cancel()
				}
				if got := p.pacer.Admit(ctx, test.calls); got != test.want {
					p.Errorf("got %t, want %t", got, test.want)
				}
			})
		})
	}
}
