package explore

import (
	"flag"
	"fmt"
	"runtime/debug"
	"sync"
	"testing"
)

var (
	first = flag.Bool("explore.first", false, "stop at the first scene that breaks a promise: its history may not be the shortest")
	wide  = flag.Bool("explore.wide", false, "explore within the wider bounds: takes minutes, and gigabytes")
	shown = Bounds{Deliveries: 3, Faults: 1, Acts: 1, Passes: 1}
	wider = Bounds{Deliveries: 3, Faults: 2, Acts: 2, Passes: 1}
)

func (e *explorer) countSettled() (n int) {
	for _, b := range e.settled {
		if b {
			n++
		}
	}
	return n + len(e.lives)
}

// briefly and briefLife are the bounds within which most mistakes are found.
var (
	briefly   = Bounds{Deliveries: 2, Faults: 1, Acts: 1, Passes: 1}
	briefLife = Bounds{Deliveries: 2, Faults: 1}
)

// boundsOf returns the bounds of a scene: its own, or the usual ones.
func boundsOf(s *scene, usual Bounds, short bool) Bounds {
	own := s.narrow
	if *wide {
		own = s.wide
	}
	switch {
	case short && s.lives:
		return briefLife
	case short:
		return briefly
	case own != Bounds{}:
		return own
	}
	return usual
}

// TestExplore visits every state within the bounds, and lets deliveries without faults settle
// each of them.
func TestExplore(t *testing.T) {
	if testing.Short() {
		t.Skip("visits millions of states, seven times slower under the race detector, which finds nothing in code without goroutines: run without -short")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // most allocations stay live
	bounds := shown
	if *wide {
		bounds = wider
	}
	var sum struct {
		sync.Mutex
		states, steps, executions, settled int
		broken                             string // by the shortest history of all
		length                             int
	}
	rounds := []string{"scenes"}
	if *first { // most mistakes are found within brief bounds
		rounds = []string{"brief", "scenes"}
	}
	for _, round := range rounds {
		if sum.broken != "" {
			break
		}
		t.Run(round, func(t *testing.T) {
			brief := round == "brief"
			for _, s := range scenes() {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					enough := func() bool {
						sum.Lock()
						defer sum.Unlock()
						return *first && sum.broken != ""
					}
					bounds := boundsOf(s, bounds, brief)
					e, broken, history := explore(s, bounds, enough)
					sum.Lock()
					defer sum.Unlock()
					if broken != nil {
						t.Fail()
						if sum.broken == "" || len(history) < sum.length {
							sum.broken, sum.length = report(s, broken, history), len(history)
						}
						return
					}
					t.Logf("%+v: %d states, %d steps, %d executions, %d accounts settled; distinct ends: %v", bounds, len(e.states), e.steps, e.executions, e.countSettled(), e.ends)
					sum.states += len(e.states)
					sum.steps += e.steps
					sum.executions += e.executions
					sum.settled += e.countSettled()
				})
			}
		})
	}
	if sum.broken != "" {
		t.Fatal(sum.broken)
	}
	fmt.Printf("explored %d states by %d steps and %d executions of Provision; settled %d accounts; bounds of a history of two sign-ups: "+
		"%d deliveries, each stopped anywhere; %d faults; %d acts of the operator; minutes pass %d times "+
		"(a scene with bounds of its own, as every life, says so with -v)\n",
		sum.states, sum.steps, sum.executions, sum.settled, bounds.Deliveries, bounds.Faults, bounds.Acts, bounds.Passes)
}
