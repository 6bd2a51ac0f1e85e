package simulation

import (
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Options say what Run plays.
type Options struct {
	Seeds    int       // histories: the seeds 1 to Seeds
	Seed     uint64    // if not 0, play this seed alone, and print its whole history
	Progress io.Writer // gets the progress and the tally; nil: discarded
}

// A result is the result of one history.
type result struct {
	seed    uint64
	n       int // the step that broke a promise
	broken  string
	lines   []string
	reached tally
}

// run plays one history in its own bubble.
func run(t *testing.T, newEnvironment Factory, seed uint64, part cut) (r result) {
	panicked := func() {
		if p := recover(); p != nil && r.broken == "" {
			r = result{seed: seed, broken: fmt.Sprintf("the simulation itself: %v", p)}
		}
	}
	defer panicked() // if the bubble cannot end
	synctest.Test(t, func(*testing.T) {
		defer panicked()
		h := play(newEnvironment, seed, part)
		r = result{seed, h.n, h.broken, h.lines, h.reached}
	})
	return r
}

// History returns the steps of a seed's history, as Run prints them.
func History(t *testing.T, newEnvironment Factory, seed uint64) []string {
	return run(t, newEnvironment, seed, cut{steps: -1}).lines
}

// enough histories reach everything; with fewer, reaching a rare branch is luck.
const enough = 50_000

// Run plays histories, and fails the test with the first one that breaks a promise, shrunk.
// 50,000 histories or more together must also reach every fault and every branch.
func Run(t *testing.T, newEnvironment Factory, o Options) {
	if o.Seed != 0 {
		r := run(t, newEnvironment, o.Seed, cut{steps: -1})
		t.Logf("seed %d:\n%s", o.Seed, strings.Join(r.lines, "\n"))
		if r.broken != "" {
			t.Error(report(shrink(t, newEnvironment, r)))
		}
		return
	}
	var (
		mu     sync.Mutex
		total  = tally{}
		first  result
		next   atomic.Uint64
		failed atomic.Bool
		start  = time.Now()
	)
	t.Run("histories", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1); seed <= uint64(o.Seeds) && !failed.Load(); seed = next.Add(1) {
					r := run(t, newEnvironment, seed, cut{steps: -1})
					mu.Lock()
					total.add(r.reached)
					if r.broken != "" && (first.broken == "" || r.seed < first.seed) {
						first = r
						failed.Store(true)
					}
					if o.Progress != nil && seed%1000 == 0 {
						progress(o.Progress, int(seed), o.Seeds, time.Since(start))
					}
					mu.Unlock()
				}
			})
		}
	})
	if o.Progress != nil {
		total.print(o.Progress)
	}
	if first.broken != "" {
		t.Fatal(report(shrink(t, newEnvironment, first)))
	}
	t.Logf("%d histories in %s", o.Seeds, time.Since(start).Round(time.Millisecond))
	if o.Seeds < enough {
		return
	}
	for _, name := range total.missing() {
		t.Errorf("never reached: %s", name)
	}
}

func progress(w io.Writer, done, seeds int, spent time.Duration) {
	perSecond := float64(done) / spent.Seconds()
	left := time.Duration(float64(seeds-done)/perSecond) * time.Second
	_, _ = fmt.Fprintf(w, "%d of %d histories, %.0f a second, %s left\n", done, seeds, perSecond, left.Round(time.Second))
}

// shrink looks for a smaller history that still breaks a promise: first for the shortest
// prefix, then it leaves out one step after the other.
func shrink(t *testing.T, newEnvironment Factory, worst result) (result, cut) {
	part := cut{steps: worst.n, skip: map[int]bool{}}
	for steps := range worst.n {
		if r := run(t, newEnvironment, worst.seed, cut{steps: steps}); r.broken != "" {
			worst, part.steps = r, steps
			break
		}
	}
	for step := part.steps; step > 0; step-- {
		part.skip[step] = true
		if r := run(t, newEnvironment, worst.seed, part); r.broken != "" {
			worst = r
		} else {
			delete(part.skip, step)
		}
	}
	return worst, part
}

// report returns what is needed to understand a failure and to replay it.
func report(r result, part cut) string {
	return fmt.Sprintf("seed %d breaks %s\nwith its first %d steps, %d of which can be left out; all of it: -simulate.seed=%d\n%s",
		r.seed, r.broken, part.steps, len(part.skip), r.seed, strings.Join(r.lines, "\n"))
}
