package model

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A promise is one of those in the package comment, by its number.
type promise int

// pairs are the requests A and B: all ways in which two of one identity can differ.
var pairs = [][2]request{
	{{none, 'a'}, {none, 'b'}},
	{{none, 'a'}, {x, 'a'}},
	{{none, 'a'}, {x, 'b'}},
	{{x, 'a'}, {none, 'a'}},
	{{x, 'a'}, {none, 'b'}},
	{{x, 'a'}, {x, 'b'}},
	{{x, 'a'}, {y, 'a'}},
	{{x, 'a'}, {y, 'b'}},
}

type state struct {
	world
	requests   [2]request // A and B
	deliveries [3]delivery
}

// request is that of delivery i: A, A again and B.
func (s *state) request(i int) request { return s.requests[i/2] }

// end takes delivery i out of flight: its token is not used again.
func (s *state) end(i int) {
	s.deliveries[i] = delivery{}
	if s.maker == int8(i+1) {
		s.maker = 0
	}
}

// passTime passes the five minutes after which no read lags.
func (s *state) passTime() {
	s.oldest = s.n
	for i := range s.keys {
		s.keys[i].young = false
	}
}

// A step leads to the next state.
type step struct {
	delivery int    // -1: not a delivery's
	call     call   // idle: it stops
	what     string // the answer, or what happens
	end      outcome
	to       state
}

func (st step) String() string {
	if st.delivery < 0 {
		return st.what
	}
	return fmt.Sprintf("delivery %d, of %c: %s: %s%s", st.delivery+1, "AAB"[st.delivery], callNames[st.call], st.what,
		[...]string{"", " -> accepted", " -> rejected", " -> retried", " -> unfinished"}[st.end])
}

// A model is the algorithm in its surroundings.
type model struct {
	algorithm
	pairs        [][2]request
	only, except promise // 0: check all promises, but for none
	// The operator deletes the key sooner than docs/exactly-once.md allows: reads may still show the record as
	// pending, or deliveries hold its value.
	beforeReads, beforeDeliveries bool
}

// starts are the initial states: there is nothing, or somebody else's key bears an explicit value, or
// the secret is somebody else's.
func (m model) starts() (all []state) {
	for _, pair := range m.pairs {
		s := state{requests: pair}
		all = append(all, s)
		s.put(version{theirs, -1})
		s.oldest, s.foreign = s.n, true
		all = append(all, s)
		for _, v := range []value{x, y} {
			if v == pair[0].value || v == pair[1].value {
				s := state{requests: pair}
				s.addKey(key{value: v})
				all = append(all, s)
			}
		}
	}
	return all
}

// steps are all that can happen next.
func (m model) steps(s state) []step {
	all := make([]step, 0, 32)
	for i, d := range s.deliveries {
		if d.next == idle {
			d = m.begin(&s.world, s.request(i))
		} else {
			to := s
			to.end(i)
			all = append(all, step{i, idle, "", retried, to})
		}
		for _, a := range m.answers(s.world, int8(i+1), s.request(i), d) {
			to := s
			to.world, to.deliveries[i] = a.world, a.then
			if a.end != running {
				to.end(i)
			}
			all = append(all, step{i, d.next, a.what, a.end, to})
			if a.world != s.world {
				to.world, to.deliveries[i] = a.world, d // the SDK makes the call again
				all = append(all, step{i, d.next, "takes effect, the answer is lost", running, to})
			}
		}
	}

	happens := func(what string, change func(*state)) {
		to := s
		if change(&to); to != s {
			all = append(all, step{-1, idle, what, running, to})
		}
	}
	happens("reads show the secret as it is", func(s *state) { s.oldest = s.n })
	happens("five minutes pass", (*state).passTime)
	if s.n > 0 && !s.foreign {
		happens("the operator schedules the secret's deletion", func(s *state) { s.scheduled = true })
		happens("the operator restores the secret", func(s *state) { s.scheduled = false })
	}
	if v := s.current(); v.key >= 0 {
		happens("the operator disables the key", func(s *state) { s.keys[v.key].disabled = true })
		// The minute that he has to wait after the record was finished.
		wait := !m.beforeReads && s.oldest < s.n
		for _, d := range s.deliveries {
			wait = wait || !m.beforeDeliveries && d.holdsValue()
		}
		if !wait {
			happens("the operator deletes the key", func(s *state) { s.keys[v.key].deleted = true })
		}
	}
	return all
}

func (m model) checks(p promise) bool { return p != m.except && (m.only == 0 || m.only == p) }

// broken is the first promise that the step breaks, and how; 0 if it keeps all that are checked.
func (m model) broken(from *world, st *step) (broken promise, how string) {
	breaks := func(p promise, what string) {
		if broken == 0 && m.checks(p) {
			broken, how = p, what
		}
	}
	w, v := &st.to.world, st.to.current()
	made := 0
	for _, k := range w.keys {
		if !k.ours {
			continue
		}
		if made++; made > 1 {
			breaks(1, "a second key is made")
		}
		if !w.stored(k.value) {
			breaks(2, "the key's value is not in the secret")
		}
	}
	if v.key >= 0 {
		if k := w.keys[v.key]; !k.ours || k.value != v.value || !k.attached {
			breaks(3, "the finished record does not describe a complete key of ours")
		}
	}
	if st.delivery < 0 {
		return broken, how
	}

	// What a delivery does and answers.
	r := st.to.request(st.delivery)
	if from.foreign && (made > 0 || w.versions != from.versions) {
		breaks(3, "a foreign secret is adopted")
	}
	for i, k := range from.keys {
		switch {
		case k.value == none || k == w.keys[i]:
		case !k.ours:
			breaks(3, "a foreign key is changed")
		case from.current().key == int8(i):
			breaks(4, "a finished record's key is changed")
		}
	}
	if from.current().key >= 0 && w.versions != from.versions {
		breaks(4, "a finished record is overwritten")
	}
	if st.end == accepted && (v.key < 0 || w.keys[v.key].digest != r.digest || r.value != none && r.value != v.value) {
		breaks(3, "accepted, but no finished record names such a key")
	}
	if st.end == rejected && !against(w, r) {
		breaks(3, "rejected, but nothing is against it")
	}
	return broken, how
}

// hopeless tells whether the world rules out every request of this identity.
func hopeless(w *world) bool {
	i := w.bearer(w.current().value)
	return w.foreign || w.scheduled || i >= 0 && w.n > 0 && !w.keys[i].ours
}

// against tells whether the world gives a reason to reject the request.
func against(w *world, r request) bool {
	v := w.current()
	return hopeless(w) ||
		w.n > 0 && r.value != none && r.value != v.value ||
		v.key >= 0 && w.keys[v.key].deleted ||
		slices.ContainsFunc(w.keys[:], func(k key) bool { return k.ours && k.digest != r.digest })
}

// unsettled tells how deliveries without faults fail to settle the state when those in flight have
// stopped and time has passed; "" if they settle it. (That those in flight go on instead leads to
// other states, which are reached as well.)
func (m model) unsettled(s state) (how string, run []step) {
	for i := range s.deliveries {
		s.end(i)
	}
	for _, order := range [][]int{{0, 2, 0, 2}, {2, 0, 2, 0}} {
		s, run := s, run
		for round, i := range order {
			s.passTime()
			before, end := s.world, running
			for d := m.begin(&s.world, s.request(i)); end == running; {
				from, a := s.world, m.answers(s.world, int8(i+1), s.request(i), d)[0]
				st := step{i, d.next, a.what, a.end, s}
				s.world, d, end = a.world, a.then, a.end
				st.to = s
				if p, _ := m.broken(&from, &st); p != 0 {
					return "", nil // the search comes to this step by itself
				}
				run = append(run, st)
			}
			s.end(i)
			s.passTime()
			switch {
			case end == retried || end == unfinished:
				return "a delivery without faults does not settle", run
			case end == rejected && (s.keys != before.keys || before.n > 0 && s.world != before):
				// It may leave a pending record of its own where there was no secret.
				return "a rejected request changes something", run
			case round == 1 && !hopeless(&s.world) && s.current().key < 0:
				return "the record stays unfinished", run
			case round > 1 && s.world != before:
				return "a repeat changes something", run
			case round > 1 && (end == accepted) == against(&s.world, s.request(i)):
				return "a repeat is not answered as the world stands", run
			}
		}
	}
	return "", nil
}

// A result is what a search found.
type result struct {
	states int
	ends   map[outcome]int // how often a call ended a delivery so
	broken promise         // 0: none
	trace  string          // the shortest way to break it
}

// search visits every state that can be reached, nearest first, until a promise is broken.
func (m model) search() (r result) {
	type node struct {
		step
		from int // index into nodes; -1: a start
	}
	var nodes []node
	seen := map[state]bool{}
	settled := map[state]bool{} // without deliveries in flight
	r.ends = map[outcome]int{}

	// visit returns false when the step, or a run without faults from where it leads, breaks a promise.
	visit := func(from int, st step) bool {
		var how string
		var run []step
		if from >= 0 {
			if st.call != idle {
				r.ends[st.end]++
			}
			r.broken, how = m.broken(&nodes[from].to.world, &st)
		}
		if r.broken == 0 && seen[st.to] {
			return true
		}
		seen[st.to] = true
		nodes = append(nodes, node{st, from})
		still := state{world: st.to.world, requests: st.to.requests}
		still.maker = 0
		if r.broken == 0 && m.checks(3) && !settled[still] {
			settled[still] = true
			if how, run = m.unsettled(still); how != "" {
				r.broken = 3
			}
		}
		if r.broken == 0 {
			return true
		}

		var trace []string
		for i := len(nodes) - 1; nodes[i].from >= 0; i = nodes[i].from {
			trace = append(trace, nodes[i].String())
		}
		slices.Reverse(trace)
		for i, st := range run {
			if i == 0 {
				trace = append(trace, "from here on without faults:")
			}
			trace = append(trace, st.String())
		}
		r.trace = fmt.Sprintf("promise %d: %s\n\tA is %v, B is %v\n\t%s",
			r.broken, how, st.to.requests[0], st.to.requests[1], strings.Join(trace, "\n\t"))
		return false
	}
	defer func() { r.states = len(seen) }()
	for _, s := range m.starts() {
		if !visit(-1, step{to: s}) {
			return r
		}
	}
	for i := 0; i < len(nodes); i++ { //nolint:intrange // the loop appends
		for _, st := range m.steps(nodes[i].to) {
			if !visit(i, st) {
				return r
			}
		}
	}
	return r
}

// TestPromises searches the algorithm as it is.
func TestPromises(t *testing.T) {
	t.Parallel()
	r := model{pairs: pairs}.search()
	t.Logf("%d states", r.states)
	if r.broken != 0 {
		t.Fatal(r.trace)
	}
	for _, end := range []outcome{accepted, rejected, retried} {
		if r.ends[end] == 0 {
			t.Errorf("no delivery ended with outcome %d: the search proves little", end)
		}
	}
	if r.ends[unfinished] > 0 {
		t.Error("a key was made that the record does not name")
	}
}

// TestEarlyDeletion shows why the operator waits, and for what: a key that he deletes while a read may
// still show its record as pending, or while a delivery holds its value, is made again. TestPromises
// shows that nothing else leads to a second key.
func TestEarlyDeletion(t *testing.T) {
	t.Parallel()
	for _, m := range []model{{beforeReads: true}, {beforeDeliveries: true}} {
		m.pairs, m.only = pairs, 1
		r := m.search()
		t.Log(r.trace)
		if r.broken != 1 {
			t.Errorf("beforeReads %t, beforeDeliveries %t: no second key was made", m.beforeReads, m.beforeDeliveries)
		}
	}

	// Even then the other promises hold, and the delivery that made the stray key says so.
	r := model{pairs: pairs[2:3], beforeReads: true, beforeDeliveries: true, except: 1}.search() // more pairs take long
	t.Logf("%d states", r.states)
	if r.broken != 0 {
		t.Error(r.trace)
	}
	if r.ends[unfinished] == 0 {
		t.Error("no delivery told of a stray key")
	}
}

// TestMistakes shows which promises each mistake breaks.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mistake Mistake
		broken  []promise
	}{
		{ValueAfterLostLock, []promise{1, 2}},
		{CorrectionChangesValue, []promise{1, 3}},
		{ValueDifferenceIgnored, []promise{3}},
		{KeyBeforeSecret, []promise{1, 2}},
		{PutWithoutFixedToken, []promise{4}},
		{ConflictTakenAsSuccess, []promise{3}},
		{UnseenKeyTakenAsForeign, []promise{3}},
		{ForeignKeyAdopted, []promise{3}},
		{ForeignSecretAdopted, []promise{3}},
		{DigestIgnored, []promise{3}},
		{FoundKeyNotAttached, []promise{3}},
		{NotFoundTakenAsFinal, []promise{3}},
		{YoungKeyTakenAsRevoked, []promise{3}},
		{RevokedKeyMadeAgain, []promise{1}},
	} {
		t.Run(string(test.mistake), func(t *testing.T) {
			for _, p := range test.broken {
				r := model{algorithm: algorithm{test.mistake}, pairs: pairs, only: p}.search()
				t.Log(r.trace)
				if r.broken != p {
					t.Errorf("not found to break promise %d in %d states", p, r.states)
				}
			}
		})
	}
}
