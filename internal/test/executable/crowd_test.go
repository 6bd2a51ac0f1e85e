package executable_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"createkey/internal/test/awslocal"
)

// crowdFaults befall the calls of the crowd.
var crowdFaults = []fault{
	{name: "killed before its effect", kill: true},
	{name: "killed after its effect", kill: true, after: true},
	{name: "connection cut before its effect", answer: awslocal.ErrConnectionLost},
	{name: "connection cut after its effect", answer: awslocal.ErrConnectionLost, after: true},
}

// testCrowd gives the same requests, each of them twice and in an order of its
// own, to eight environments that are killed and failed at random, while reads
// lag behind.
func testCrowd(t *testing.T, executable string) {
	const (
		environments = 8
		mostFaults   = 100
		batchSize    = 4
		mostRounds   = 300
		longestLag   = 20 * time.Millisecond
	)
	seed := *crowdSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the seed: go test -run TestExecutable -executable.seed=%d (the scheduling is the machine's own)", seed)

	w := start(t, executable, environments, "LOG_LEVEL=DEBUG", withBus)
	var messages []message
	for i, r := range requests {
		messages = append(messages, message{fmt.Sprintf("message-%d", i), r}, message{fmt.Sprintf("message-%d-again", i), r})
	}

	random := rand.New(rand.NewPCG(seed, 0)) // guarded by w.mu
	struck := map[string]int{}
	w.lag = func() time.Duration { return time.Duration(random.Int64N(int64(longestLag))) }
	w.choose = func(c awslocal.Call, after bool) *fault {
		f := crowdFaults[random.IntN(len(crowdFaults))]
		if random.IntN(4) > 0 || f.after != after || w.struck == mostFaults {
			return nil
		}
		struck[f.name]++
		return &f
	}
	var workers sync.WaitGroup
	for box := range environments {
		workers.Go(func() {
			order := rand.New(rand.NewPCG(seed, uint64(box)+1))
			pending := slices.Clone(messages)
			order.Shuffle(len(pending), func(i, j int) { pending[i], pending[j] = pending[j], pending[i] })
			for round := 0; len(pending) > 0; round++ {
				if round == mostRounds {
					t.Errorf("environment %d: %d messages are not done after %d rounds", box, len(pending), round)
					return
				}
				batch := pending[:min(batchSize, len(pending))]
				pending = pending[len(batch):]
				for i, outcome := range w.deliver(box, viaSQS, batch...) {
					if !isDone(outcome) {
						pending = append(pending, batch[i])
					}
				}
			}
		})
	}
	workers.Wait()
	met := w.strikeNoMore()
	t.Logf("faults met: %v", struck)
	if met < mostFaults/2 {
		t.Errorf("only %d faults were met", met)
	}
	for box := range environments {
		for i, outcome := range w.deliver(box, viaSQS, messages...) {
			if outcome != "existing" {
				t.Errorf("environment %d: in the end %s is %s, want existing", box, messages[i].id, outcome)
			}
		}
	}
	w.wantSettled(requests...)
}
