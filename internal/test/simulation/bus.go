package simulation

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"createkey/internal/test/awslocal"
)

// A bus is where every AWS call waits for its turn, and so does a delayed answer. It provides
// the local AWS's hooks, which run in the goroutine of the call; the rest belongs to the
// scheduler.
type bus struct {
	mu      sync.Mutex
	arrived []*call       // since the last take, in no particular order
	effects map[int]*call // by Seq, from the verdict to the end
}

// A call is one attempt of an AWS call that waits at the bus.
type call struct {
	awslocal.Call
	ctx     context.Context
	from    *environment
	asked   *invocation // the invocation that makes the call
	arrived time.Time
	done    bool // it has taken effect or was refused: its answer waits
	turn    chan verdict
	verdict verdict
}

// A verdict is the scheduler's decision on a call.
type verdict struct {
	before error         // answers, or cuts the connection, without any effect
	after  error         // answers, or cuts the connection, in spite of the effect
	hold   bool          // the call takes effect now, and its answer waits
	lag    time.Duration // how stale a read is
	refuse bool          // the bus refuses the first of the events
	// refuseLetter is what the dead-letter queue answers to the first of the letters.
	refuseLetter *awslocal.Error
}

type environmentKey struct{}

// before is awslocal's hook of that name. A call outside any environment is the operator's,
// and does not wait.
func (b *bus) before(ctx context.Context, c awslocal.Call) error {
	from, ok := ctx.Value(environmentKey{}).(*environment)
	if !ok {
		return nil
	}
	w := &call{Call: c, ctx: ctx, from: from, arrived: time.Now(), turn: make(chan verdict)}
	b.mu.Lock()
	b.arrived = append(b.arrived, w)
	b.mu.Unlock()
	w.verdict = <-w.turn
	if w.verdict.before == nil {
		b.mu.Lock()
		b.effects[c.Seq] = w
		b.mu.Unlock()
	}
	return w.verdict.before
}

// after is awslocal's hook of that name: the call has taken effect.
func (b *bus) after(_ context.Context, c awslocal.Call) error {
	b.mu.Lock()
	w := b.effects[c.Seq]
	delete(b.effects, c.Seq)
	if w != nil {
		w.Call, w.done = c, true
		if w.verdict.hold {
			b.arrived = append(b.arrived, w)
		}
	}
	b.mu.Unlock()
	if w == nil {
		return nil
	}
	if w.verdict.hold {
		w.verdict = <-w.turn
	}
	return w.verdict.after
}

func (b *bus) lag(c awslocal.Call) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.effects[c.Seq]; w != nil {
		return w.verdict.lag
	}
	return 0
}

// take returns the calls that have arrived. Simultaneous calls are sorted, because the order of
// goroutines does not depend on the seed.
func (b *bus) take() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	arrived := b.arrived
	b.arrived = nil
	slices.SortStableFunc(arrived, func(x, y *call) int {
		return cmp.Or(x.arrived.Compare(y.arrived), cmp.Compare(x.from.number, y.from.number),
			cmp.Compare(x.Operation, y.Operation), cmp.Compare(x.Resource+x.Path, y.Resource+y.Path))
	})
	return arrived
}

// orphaned reports whether nobody waits for the answer any more: the environment was killed,
// or the client or the invocation has timed out. The call is still under way, and may yet
// take effect.
func (c *call) orphaned() bool { return c.ctx.Err() != nil }

// source is a seeded io.Reader that goroutines may share. It affects ids and values, never the
// schedule.
type source struct {
	mu  sync.Mutex
	rng *rand.ChaCha8
}

func newSource(seed uint64, number int) *source {
	return &source{rng: rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24),
		byte(seed >> 32), byte(seed >> 40), byte(seed >> 48), byte(seed >> 56), byte(number), byte(number >> 8)})}
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Read(p)
}
