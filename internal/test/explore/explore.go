package explore

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds limit what happens in one history. The number of deliveries that stop has no limit of
// its own.
type Bounds struct {
	Deliveries int8 // at most 4
	Faults     int8 // calls that go wrong
	Acts       int8 // of the operator
	Passes     int8 // times that minutes pass
}

// A scene is what is explored: messages of one identity, and an initial account.
type scene struct {
	name         string
	messages     []message
	defaultPlan  string
	start        func(*explorer, *account)
	plansChange  bool   // the operator deletes plans, and calls about them go wrong
	lives        bool   // the messages have times, and may be ends and rotations
	early        bool   // the operator deletes sooner than the contract allows
	narrow, wide Bounds // override the usual bounds, for a scene with more states than others
}

const deliveries = 4

// A state is the account, the position of each delivery, and what is left of the bounds.
type state struct {
	account int32             // index into explorer.accounts
	at      [deliveries]int32 // ended, or an index into explorer.deliveries
	begun   int8
	faults  int8
	acts    int8
	passes  int8
	done    uint8 // in a life: bit set of the messages with a final answer
}

const ended = -1

type explorer struct {
	*tables
	scene  *scene
	bounds Bounds

	roots      map[rootOf]*delivery
	deliveries []*delivery
	accounts   []account
	numbered   map[account]int32
	moved      [2]map[place][]move // without and with faults
	acted      map[bool][][]move   // by whether no delivery is in flight, and account
	settled    []bool              // by account
	lives      map[settling]bool   // in a scene of lives
	buffer     []way

	states []state
	from   []origin
	seen   map[state]struct{}

	steps      int
	executions int // of the shipped code
	ends       map[class]int
}

// An origin is the state that first led to another, and the ordinal of the step that did.
type origin struct{ state, step int32 }

// A step leads from a state to the next.
type step struct {
	to     state
	broken *violation
	tell   func() string
}

// A place is a delivery at an account; its moves are computed once.
type place struct{ account, delivery int32 }

// A move is something that can happen at a place, or an act of the operator.
type move struct {
	place
	way    int // which of the ways of the call
	fault  bool
	done   uint8 // the message's bit, if it has a final answer
	broken *violation
}

// explore visits every state of a scene within the bounds, breadth-first, until a promise is
// broken; the history is then the shortest that breaks one. It stops early once enough returns
// true.
func explore(s *scene, bounds Bounds, enough func() bool) (e *explorer, broken *violation, history []string) {
	e = &explorer{
		tables: newTables(), scene: s, bounds: bounds, roots: map[rootOf]*delivery{}, numbered: map[account]int32{},
		moved: [2]map[place][]move{{}, {}}, acted: map[bool][][]move{}, seen: map[state]struct{}{}, ends: map[class]int{}, lives: map[settling]bool{},
	}
	for i := range s.messages {
		m := &s.messages[i]
		m.bit = 1 << i
		m.value = e.value(m.request.Value.Reveal())
		m.digest = m.request.Digest()
	}
	a := account{clock: 1, plans: 1<<planCount - 1}
	if s.start != nil {
		s.start(e, &a)
	}
	a.pass(10) // the initial objects are not young
	e.visit(state{account: e.number(&a), faults: bounds.Faults, acts: bounds.Acts, passes: bounds.Passes}, origin{-1, 0})
	for i := 0; i < len(e.states); i++ { //nolint:intrange // the loop appends
		if i%1000 == 0 && enough() {
			return e, nil, nil
		}
		if broken, run := e.settle(e.states[i]); broken != nil {
			return e, broken, append(e.history(i), run...)
		}
		ordinal := int32(0)
		e.next(e.states[i], func(st *step) bool {
			e.steps++
			if broken = st.broken; broken != nil {
				history = append(e.history(i), st.tell())
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

// settle lets deliveries without faults settle an account, once.
func (e *explorer) settle(s state) (*violation, []string) {
	number := s.account
	if e.scene.lives {
		return e.unsettledLife(e.accounts[number], s.done)
	}
	for len(e.settled) < len(e.accounts) {
		e.settled = append(e.settled, false)
	}
	a := e.accounts[number]
	if e.settled[number] || a.early {
		return nil, nil
	}
	e.settled[number] = true
	return e.unsettled(a)
}

func (e *explorer) number(a *account) int32 {
	n, known := e.numbered[*a]
	if !known {
		n = int32(len(e.accounts))
		e.numbered[*a] = n
		e.accounts = append(e.accounts, *a)
	}
	return n
}

func (e *explorer) visit(s state, from origin) {
	if _, seen := e.seen[s]; !seen {
		e.seen[s] = struct{}{}
		e.states, e.from = append(e.states, s), append(e.from, from)
	}
}

// history returns how a state was reached, one line a step.
func (e *explorer) history(i int) (lines []string) {
	for ; e.from[i].state >= 0; i = int(e.from[i].state) {
		ordinal := int32(0)
		e.next(e.states[e.from[i].state], func(st *step) bool {
			if ordinal == e.from[i].step {
				lines = append(lines, st.tell())
			}
			ordinal++
			return ordinal <= e.from[i].step
		})
	}
	slices.Reverse(lines)
	return lines
}

// next yields every step that a state allows, always in the same order.
func (e *explorer) next(s state, yield func(*step) bool) {
	idle := true
	for i, at := range s.at[:s.begun] {
		if at != ended {
			idle = false
			if !e.answers(s, i, at, yield) {
				return
			}
		}
	}
	if s.begun < e.bounds.Deliveries { // only the next delivery can begin: their numbers make no difference
		to := s
		to.begun++
		a := &e.accounts[s.account]
		for m := range e.scene.messages {
			d := e.ready(a, e.root(s.begun, &e.scene.messages[m], a.clock))
			if !e.answers(to, int(s.begun), d.id, yield) {
				return
			}
		}
	}
	if s.acts > 0 {
		for i, m := range e.operator(s.account, idle) {
			st := step{to: s, tell: func() string { return "the operator " + e.acts(&e.accounts[s.account], idle)[i].what }}
			st.to.account = m.account
			st.to.acts--
			if !yield(&st) {
				return
			}
		}
	}
	if s.passes > 0 {
		for _, minutes := range []int8{2, 10} {
			a, stopped := e.accounts[s.account], ""
			a.pass(minutes)
			st := step{to: s, tell: func() string { return fmt.Sprintf("%d minutes pass%s", minutes, stopped) }}
			st.to.account = e.number(&a)
			st.to.passes--
			for i, at := range s.at[:s.begun] {
				if at != ended {
					st.to.at[i] = ended
					stopped = ", and those in flight have stopped"
				}
			}
			if !yield(&st) {
				return
			}
		}
	}
}

// operator returns what the operator may do at an account.
func (e *explorer) operator(a int32, idle bool) []move {
	for len(e.acted[idle]) <= int(a) {
		var moves []move
		for _, act := range e.acts(&e.accounts[len(e.acted[idle])], idle) {
			moves = append(moves, move{place: place{account: e.number(&act.after)}})
		}
		e.acted[idle] = append(e.acted[idle], moves)
	}
	return e.acted[idle][a]
}

// answers yields every way in which the next call of delivery i may go.
func (e *explorer) answers(s state, i int, at int32, yield func(*step) bool) bool {
	here := place{s.account, at}
	for _, m := range e.moves(here, min(s.faults, 1)) {
		st := step{to: s, broken: m.broken, tell: func() string { return e.tell(here, i, m.way) }}
		st.to.account, st.to.at[i] = m.account, m.delivery
		st.to.done |= m.done
		if m.fault {
			st.to.faults--
		}
		if !yield(&st) {
			return false
		}
	}
	return true
}

// moves returns all moves of a delivery at an account, with up to that many faults.
func (e *explorer) moves(at place, faults int8) []move {
	moves, known := e.moved[faults][at]
	if known {
		return moves
	}
	a, d := e.accounts[at.account], e.deliveries[at.delivery]
	if d.next == nil { // it ends without a call
		e.ends[classOf(d.err)]++
		moves = []move{{place: place{at.account, ended}, done: e.done(d), broken: e.judgeEnd(&a, d)}}
	} else {
		for i, w := range e.ways(nil, &a, d.next) {
			if w.fault && faults == 0 {
				continue
			}
			next := e.ready(&w.after, e.answer(d, w.seen))
			m := move{place: place{e.number(&w.after), next.id}, way: i, fault: w.fault, broken: e.judgeEffect(&a, &w.after, d.message)}
			if next.next == nil {
				e.ends[classOf(next.err)]++
				m.delivery, m.done = ended, e.done(next)
				if m.broken == nil {
					m.broken = e.judgeEnd(&w.after, next)
				}
			}
			moves = append(moves, m)
		}
	}
	e.moved[faults][at] = moves
	return moves
}

// done returns the bit of a delivery's message if it has a final answer.
func (e *explorer) done(d *delivery) uint8 {
	if !e.scene.lives || classOf(d.err) == retried {
		return 0
	}
	return d.message.bit
}

// tell describes a move in a line of the history.
func (e *explorer) tell(at place, i, way int) string {
	a, d := e.accounts[at.account], e.deliveries[at.delivery]
	who := fmt.Sprintf("delivery %d, of %s", i+1, d.message.name)
	if d.next == nil {
		return fmt.Sprintf("%s: makes no call: %v", who, d.err)
	}
	w := e.ways(nil, &a, d.next)[way]
	return line(who, d.next, &w, e.ready(&w.after, e.answer(d, w.seen)))
}

// ready answers a delivery's calls about plans at once if nobody changes plans.
func (e *explorer) ready(a *account, d *delivery) *delivery {
	for !e.scene.plansChange && d.next != nil && (d.next.call == getUsagePlan || d.next.call == getUsagePlans) {
		d = e.answer(d, e.ways(nil, a, d.next)[0].seen)
	}
	return d
}

// report says which promise is broken, with the shortest history.
func report(s *scene, broken *violation, history []string) string {
	return fmt.Sprintf("breaks %s: %s\n\tscene: %s\n\t%s", broken.Promise, broken.How, s.name, strings.Join(history, "\n\t"))
}
