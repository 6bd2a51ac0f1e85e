package explore

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds are how much may happen in one history, beside deliveries that stop, which
// has no bound.
type Bounds struct {
	Deliveries int8 // at most 3
	Faults     int8 // calls that go wrong
	Acts       int8 // of the operator
	Passes     int8 // times that minutes pass
}

// A scene is what is explored: two messages of one identity, and what there is at first.
type scene struct {
	name        string
	messages    [2]message
	defaultPlan string
	start       func(*explorer, *account)
	plansChange bool // the operator deletes plans, and questions about them go wrong
	early       bool // the operator deletes sooner than the contract allows
}

const deliveries = 3

// A state is the account, where each delivery is, and what of the bounds is left.
type state struct {
	account
	at     [deliveries]int32 // 0: not begun; ended; else the delivery's id
	faults int8
	acts   int8
	passes int8
}

const ended = -1

type explorer struct {
	*tables
	scene      *scene
	bounds     Bounds
	roots      map[rootOf]*delivery
	deliveries []*delivery
	buffer     []way
	executions int // of the shipped code
	steps      int
	settled    map[account]bool

	states []state
	from   []origin
	seen   map[state]struct{}
	ends   map[class]int
}

// An origin is the step that first led to a state: the ordinal among its state's steps.
type origin struct{ state, step int32 }

// A step is what leads from a state to the next.
type step struct {
	to       state
	broken   *violation
	describe func() string
}

// explore visits every state of a scene within the bounds, nearest first, until a
// promise is broken; the history is then the shortest that breaks one.
func explore(s *scene, bounds Bounds) (e *explorer, broken *violation, history []string) {
	e = &explorer{
		tables: newTables(), scene: s, bounds: bounds, roots: map[rootOf]*delivery{}, deliveries: []*delivery{nil},
		settled: map[account]bool{}, seen: map[state]struct{}{}, ends: map[class]int{},
	}
	for i := range s.messages {
		m := &s.messages[i]
		m.value = e.value(m.request.Value.Reveal())
		m.digest = m.request.Digest()
	}
	first := state{account: account{clock: 1, plans: 1<<planCount - 1}, faults: bounds.Faults, acts: bounds.Acts, passes: bounds.Passes}
	if s.start != nil {
		s.start(e, &first.account)
	}
	first.clock += 10 // what there is at first is not young
	e.visit(first, origin{-1, 0})
	for i := 0; i < len(e.states); i++ { //nolint:intrange // the loop appends
		if broken, run := e.settle(&e.states[i].account); broken != nil {
			return e, broken, append(e.history(i), run...)
		}
		ordinal := int32(0)
		e.next(e.states[i], func(st *step) bool {
			e.steps++
			if st.broken != nil {
				broken, history = st.broken, append(e.history(i), st.describe())
				return false
			}
			e.visit(st.to, origin{int32(i), ordinal})
			ordinal++
			return true
		})
		if broken != nil {
			return e, broken, history
		}
	}
	return e, nil, nil
}

func (e *explorer) visit(s state, from origin) {
	if _, seen := e.seen[s]; !seen {
		e.seen[s] = struct{}{}
		e.states, e.from = append(e.states, s), append(e.from, from)
	}
}

func (e *explorer) settle(a *account) (*violation, []string) {
	if a.early || e.settled[*a] {
		return nil, nil
	}
	e.settled[*a] = true
	return e.unsettled(*a)
}

// history tells how a state was reached, one line a step.
func (e *explorer) history(i int) (lines []string) {
	for ; e.from[i].state >= 0; i = int(e.from[i].state) {
		ordinal := int32(0)
		e.next(e.states[e.from[i].state], func(st *step) bool {
			if ordinal == e.from[i].step {
				lines = append(lines, st.describe())
			}
			ordinal++
			return ordinal <= e.from[i].step
		})
	}
	slices.Reverse(lines)
	return lines
}

// next yields every step that a state allows, in one order.
func (e *explorer) next(s state, yield func(*step) bool) {
	idle, begun := true, false
	for i, at := range s.at {
		switch {
		case at == ended:
			continue
		case at > 0:
			idle = false
			if !e.answers(s, i, e.deliveries[at], yield) {
				return
			}
		case !begun && i < int(e.bounds.Deliveries): // the next to begin: which is which makes no difference
			begun = true
			for m := range e.scene.messages {
				if !e.answers(s, i, e.ready(&s.account, e.root(int8(i), &e.scene.messages[m], s.clock)), yield) {
					return
				}
			}
		}
	}
	if s.acts > 0 {
		for _, act := range e.acts(&s.account, idle) {
			to := s
			to.account = act.after
			to.acts--
			if !yield(&step{to, nil, func() string { return "the operator " + act.what }}) {
				return
			}
		}
	}
	if s.passes > 0 && s.account != (account{}) {
		for _, minutes := range []int8{2, 10} {
			to := s
			to.clock += minutes
			to.passes--
			stopped := ""
			for i := range to.at {
				if to.at[i] > 0 {
					to.at[i] = ended
					stopped += fmt.Sprintf(", delivery %d stops", i+1)
				}
			}
			if !yield(&step{to, nil, func() string { return fmt.Sprintf("%d minutes pass%s", minutes, stopped) }}) {
				return
			}
		}
	}
}

// answers yields every way in which the next call of delivery i may go.
func (e *explorer) answers(s state, i int, d *delivery, yield func(*step) bool) bool {
	if d.next == nil { // rejected before it made a call
		to := s
		to.at[i] = ended
		return yield(&step{to, e.judgeEnd(&to.account, d), func() string {
			return fmt.Sprintf("delivery %d, of %s: makes no call: %v", i+1, d.message.name, d.err)
		}})
	}
	for _, w := range slices.Clone(e.ways(e.buffer, &s.account, d.next)) {
		if w.fault && s.faults == 0 {
			continue
		}
		next := e.ready(&w.after, e.answer(d, w.seen))
		st := step{to: s, broken: e.judgeEffect(&s.account, &w.after, d.message), describe: func() string {
			return line(fmt.Sprintf("delivery %d, of %s", i+1, d.message.name), d.next, &w, next)
		}}
		st.to.account, st.to.at[i] = w.after, next.id
		if w.fault {
			st.to.faults--
		}
		if next.next == nil {
			st.to.at[i] = ended
			e.ends[classOf(next.err)]++
			if st.broken == nil {
				st.broken = e.judgeEnd(&w.after, next)
			}
		}
		if !yield(&st) {
			return false
		}
	}
	return true
}

// ready answers a delivery's questions about plans at once where nobody changes them.
func (e *explorer) ready(a *account, d *delivery) *delivery {
	for !e.scene.plansChange && d.next != nil && (d.next.call == getUsagePlan || d.next.call == getUsagePlans) {
		d = e.answer(d, e.ways(nil, a, d.next)[0].seen)
	}
	return d
}

// report says which promise is broken, by the shortest history.
func report(s *scene, broken *violation, history []string) string {
	return fmt.Sprintf("breaks %s: %s\n\tscene: %s\n\t%s", broken.promise, broken.how, s.name, strings.Join(history, "\n\t"))
}
