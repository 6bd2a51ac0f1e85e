package simulation

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// An Environment is one execution environment of the function, with its caches: a handler as
// Lambda's runtime calls it. It is invoked again only after it has answered.
type Environment interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// Settings are the settings of one deployment, as in the function's environment.
type Settings struct {
	SecretPrefix string
	UsagePlanID  string // the default plan; empty: none
	OutcomeBus   string // empty: none
	// DeadLetterQueueURL is where rejected messages are sent; empty: nowhere.
	DeadLetterQueueURL string
	CreateKeyRate      float64
	Debug              bool
}

// A Factory starts an environment with cold caches. It must make its AWS clients from cfg,
// draw its values from random and write its log to output.
type Factory func(cfg aws.Config, s Settings, random io.Reader, output io.Writer) Environment

// A cut is the part of a history that is played: its first steps, without those left out.
// What a step draws depends on nothing but the seed and the step's number.
type cut struct {
	steps int // -1: all
	skip  map[int]bool
}

// A history is one run: its events and its world.
type history struct {
	seed  uint64
	n     int // the current step
	rng   *rand.Rand
	start time.Time

	newEnvironment Factory
	server         *awslocal.Server
	bus            *bus
	operator       operator
	settings       Settings
	environments   []*environment
	born           int // environments so far
	identities     []*identity
	messages       []*message
	waiting        []*call

	faults       []fault
	faultPercent int
	stalePercent int
	backoff      time.Duration
	refusing     bool            // the next event that comes to the bus is refused
	refuseLetter *awslocal.Error // the next letter that comes to the dead-letter queue is
	weights      struct{ serve, deliver, pause, kill, operate, redeploy int }

	defaults map[string]bool      // plans that were ever a default
	reissued map[string]time.Time // when a secret was last deleted, with all that it knew
	revoked  map[string]bool      // secrets whose keys a person has changed
	byHand   []string             // versions of secrets that the program did not write
	printed  []byte               // logs, answers and errors
	lines    []string
	reached  tally
	broken   string
}

// An environment is alive, or was.
type environment struct {
	Environment
	number   int
	bus      string
	letters  string // the dead-letter queue's URL
	outdated bool   // replaced once it has answered
	busy     *invocation
	alive    context.Context
	kill     context.CancelFunc
	output   output
}

func (e *environment) String() string { return fmt.Sprintf("env %d", e.number) }

// An invocation is one delivery of messages to an environment.
type invocation struct {
	messages []*message
	deadline time.Time

	over   chan struct{} // closed when the rest is set
	ended  time.Time
	answer []byte
	err    error
	log    []byte
}

func (inv *invocation) begun() time.Time { return inv.deadline.Add(-timeLimit) }

// output collects what an environment writes.
type output struct {
	mu    sync.Mutex
	bytes []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes = append(o.bytes, p...)
	return len(p), nil
}

func (o *output) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.bytes
	o.bytes = nil
	return taken
}

// play plays a history in the virtual time of a bubble.
func play(newEnvironment Factory, seed uint64, part cut) *history {
	h := &history{
		seed: seed, newEnvironment: newEnvironment, bus: &bus{effects: map[int]*call{}}, start: time.Now(),
		defaults: map[string]bool{}, revoked: map[string]bool{}, reissued: map[string]time.Time{}, reached: tally{},
	}
	h.server = &awslocal.Server{
		Before: h.bus.before, After: h.bus.after, Lag: h.bus.lag,
		Rand: newSource(seed, 0), NameRelease: releaseWithin,
		RefuseEvent: func(awslocal.Event) (refusal *awslocal.Error) {
			if h.refusing {
				refusal = awslocal.Throttling
			}
			h.refusing = false
			return refusal
		},
		RefuseMessage: func(awslocal.Message) (refusal *awslocal.Error) {
			refusal, h.refuseLetter = h.refuseLetter, nil
			return refusal
		},
	}
	h.operator = newOperator(h.server)
	h.begin(0)
	length := h.setUp()
	if part.steps >= 0 {
		length = min(length, part.steps)
	}
	for n := 1; n <= length && h.broken == ""; n++ {
		h.begin(n)
		h.passTime(shortest + h.upTo(100*time.Millisecond))
		if !part.skip[n] {
			h.step()
		}
	}
	if h.broken == "" {
		h.settle()
	}
	h.tearDown()
	h.checkSilence()
	return h
}

// releaseWithin is how long the name of a secret stays taken after a deletion without a
// recovery window.
const releaseWithin = 10 * time.Second

// begin begins a step, which has its own random numbers: leaving it out does not change what
// the next ones draw.
func (h *history) begin(n int) {
	h.n, h.rng = n, rand.New(rand.NewPCG(h.seed, uint64(n)))
}

func (h *history) oneIn(n int) bool { return h.rng.IntN(n) == 0 }

func (h *history) upTo(d time.Duration) time.Duration { return time.Duration(h.rng.Int64N(int64(d))) }

func pick[T any](h *history, choices ...T) T { return choices[h.rng.IntN(len(choices))] }

// setUp draws the world, and returns the number of steps.
func (h *history) setUp() int {
	h.server.AddUsagePlan(awslocal.UsagePlan{ID: planOne, APIStages: []awslocal.APIStage{{APIID: "api", Stage: "one"}}})
	h.server.AddUsagePlan(awslocal.UsagePlan{ID: planTwo, APIStages: []awslocal.APIStage{{APIID: "api", Stage: "two"}}})
	h.server.AddUsagePlan(awslocal.UsagePlan{ID: planOneToo, APIStages: []awslocal.APIStage{{APIID: "api", Stage: "one"}}})
	h.server.AddUsagePlan(awslocal.UsagePlan{ID: planProduct, ProductCode: product, APIStages: []awslocal.APIStage{{APIID: "api", Stage: "three"}}})
	h.chooseFaults()
	h.weights.serve, h.weights.deliver, h.weights.pause = 60, pick(h, 8, 20), pick(h, 1, 4)
	h.weights.kill, h.weights.operate, h.weights.redeploy = pick(h, 0, 2, 6), pick(h, 0, 0, 3, 12), pick(h, 0, 0, 1, 4)
	h.backoff = pick(h, 50*time.Millisecond, time.Second, 5*time.Second)
	h.sendMessages()
	h.plantForeign()
	h.passTime(gatewayLag) // every read sees the initial objects
	h.noteReasons()
	h.settings = h.drawSettings()
	for n := range 2 + h.rng.IntN(3) {
		h.environments = append(h.environments, nil)
		h.replace(n)
	}
	return 20 + h.rng.IntN(60)
}

// replace replaces an environment by a new one.
func (h *history) replace(n int) {
	h.born++
	e := &environment{number: h.born, bus: h.settings.OutcomeBus, letters: h.settings.DeadLetterQueueURL}
	h.defaults[h.settings.UsagePlanID] = true
	e.alive, e.kill = context.WithCancel(context.WithValue(context.Background(), environmentKey{}, e))
	cfg := h.server.Config()
	cfg.HTTPClient = &http.Client{Transport: h.server.Transport(), Timeout: clientWait}
	cfg.Retryer = func() aws.Retryer { // the SDK's own, without the random back-off
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
				return h.backoff << attempt, nil
			})
		})
	}
	e.Environment = h.newEnvironment(cfg, h.settings, newSource(h.seed, e.number), &e.output)
	h.environments[n] = e
}

// step makes one step: the seed chooses among everything that can happen.
func (h *history) step() {
	var idle, busy []int
	for n, e := range h.environments {
		if e.busy == nil {
			idle = append(idle, n)
		} else {
			busy = append(busy, n)
		}
	}
	choices := []struct {
		weight   int
		possible bool
		do       func()
	}{
		{h.weights.serve, len(h.waiting) > 0, h.serveOne},
		{h.weights.serve, len(busy) > 0 && len(h.waiting) == 0, func() { h.passTime(h.upTo(time.Second)) }},
		{h.weights.deliver, len(idle) > 0, func() { h.deliver(h.environments[pick(h, idle...)], h.chooseBatch()) }},
		{h.weights.pause, true, func() { h.passTime(h.pause(len(busy) > 0)) }},
		{h.weights.kill, len(busy) > 0, func() { h.kill(pick(h, busy...)) }},
		{h.weights.operate, true, h.operate},
		{h.weights.redeploy, true, h.redeploy},
	}
	total := 0
	for i, c := range choices {
		if !c.possible {
			choices[i].weight = 0
		}
		total += choices[i].weight
	}
	n := h.rng.IntN(total)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			c.do()
			return
		}
	}
}

// pause returns how long nothing happens: seconds; longer than a client waits for an answer;
// or, if nothing is under way, as long as it takes until a key may be deleted and reads see
// everything.
func (h *history) pause(busy bool) time.Duration {
	if busy {
		return h.upTo(pick(h, 2*time.Second, 2*time.Second, clientWait+2*time.Second, timeLimit))
	}
	return h.upTo(pick(h, time.Minute, 2*time.Minute, 8*time.Minute))
}

// kill kills an environment, whatever it is doing, and starts another.
func (h *history) kill(n int) {
	e := h.environments[n]
	at := "between two calls"
	for _, c := range h.waiting {
		if c.from == e && !c.orphaned() {
			what := killedBefore
			if c.done {
				what = killedAfter
			}
			h.reach("fault", what, c.Operation)
			at = what + " of " + c.Operation
		}
	}
	h.tell(e.String(), "is killed: %s", at)
	h.bury(e)
	h.replace(n)
}

// bury ends an environment: its goroutines unwind, and their calls are refused before they
// reach the bus.
func (h *history) bury(e *environment) {
	e.kill()
	synctest.Wait()
	e.busy = nil
	h.printed = append(h.printed, e.output.take()...)
}

// deliver invokes an environment.
func (h *history) deliver(e *environment, batch []*message) {
	inv := &invocation{messages: batch, deadline: time.Now().Add(timeLimit), over: make(chan struct{})}
	e.busy = inv
	ids := ""
	for _, m := range batch {
		ids += " " + m.id
		if !h.named(m) {
			m.keyID = mistypedID
		}
		if m.bought {
			h.reach("delivered", marketplace, "")
		}
		h.reach("delivered", string(m.kind), "")
	}
	h.reach("delivered", batch[0].carrier, "")
	h.tell(e.String(), "is delivered%s by %s", ids, batch[0].carrier)
	ctx, cancel := context.WithDeadline(e.alive, inv.deadline)
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: batch[0].eventID()})
	go func() {
		defer cancel()
		inv.answer, inv.err = e.Invoke(ctx, payloadOf(batch))
		inv.ended = time.Now()
		close(inv.over)
	}()
	h.look()
}

// passTime lets virtual time pass, and checks the result.
func (h *history) passTime(d time.Duration) {
	<-time.After(d)
	h.look()
}

// look takes the calls and the answers that have arrived.
func (h *history) look() {
	synctest.Wait()
	for _, c := range h.bus.take() {
		c.asked = cmp.Or(c.asked, c.from.busy)
		h.waiting = append(h.waiting, c)
	}
	h.dropOld()
	for n, e := range h.environments {
		if e == nil || e.busy == nil {
			continue
		}
		select {
		case <-e.busy.over:
			h.answered(e)
			if e.outdated {
				h.replace(n)
			}
		default:
		}
	}
}

// answered takes the answer of an invocation.
func (h *history) answered(e *environment) {
	inv := e.busy
	e.busy = nil
	inv.log = e.output.take()
	h.printed = append(append(h.printed, inv.log...), inv.answer...)
	if inv.err != nil {
		h.printed = append(h.printed, inv.err.Error()...)
	}
	outcomes := h.checkAnswer(e, inv)
	for _, m := range inv.messages {
		l := outcomes[m]
		m.last, m.done = l, m.done || l.done() || h.isSetAside(m)
		m.heard = m.heard || m.kind == end && l.done() && inv.begun().After(h.reissued[m.identity.secret])
		h.reachOutcome(l)
		h.tell(e.String(), "answers %s: %s %s", m.id, l.Outcome, l.Reason)
	}
	h.checkEnded()
}

// settledIn is how many rounds without faults it takes until a repeat changes nothing: a
// rotation may have come before its key, and an end of the previous key before that rotation.
var settledIn = map[kind]int{signUp: 1, end: 1, rotation: 2, endOfPrevious: 3}

// settle ends every history: the faults stop, and everything is redelivered. The first round
// must settle every message, and the last one must change nothing.
func (h *history) settle() {
	h.tell("", "from here on without faults")
	for _, e := range h.environments {
		h.bury(e)
	}
	h.environments = h.environments[:1]
	h.settings = Settings{SecretPrefix: prefix, UsagePlanID: planOne, CreateKeyRate: 100, OutcomeBus: pick(h, "", outcomes)}
	h.settings.DeadLetterQueueURL = pick(h, "", lettersURL)
	// A message whose secret is scheduled for deletion is retried until somebody ends that.
	for _, i := range h.identities {
		if secret, exists := h.snapshot().secrets[i.secret]; exists && h.restore(secret) {
			h.tell("operator", "restores %s", i.secret)
		}
	}
	h.passTime(max(onTheWay, gatewayLag) + time.Minute)
	h.replace(0)
	rounds := 0
	for _, m := range h.messages {
		rounds = max(rounds, settledIn[m.kind]+1)
	}
	for round := range rounds {
		for _, n := range h.rng.Perm(len(h.messages)) {
			if m := h.messages[n]; round <= settledIn[m.kind] {
				h.settleMessage(m, round)
			}
			if h.broken != "" {
				return
			}
		}
	}
	for _, i := range h.identities {
		h.checkSettled(i)
	}
}

func (h *history) settleMessage(m *message, round int) {
	before, was := h.snapshot(), m.last
	l := h.deliverInPeace(m)
	after := h.snapshot()
	reason := h.against(m, after)
	r := promise.Decode(after.secrets[m.identity.secret].Current())
	switch {
	case h.broken != "":
	case l.Outcome == "retried" && (m.kind != rotation || r.Finished() || r.HasEnded()):
		h.violate(complete, "without faults, %s is not settled: %s", m.id, l.Reason)
	case round == 0:
	case l.Outcome == "rejected" && reason == "":
		h.violate(honest, "%s is rejected without a reason", m.id)
	case l.done() && reason != "":
		h.violate(honest, "%s is logged as %s, although %s", m.id, l.Outcome, reason)
	case (m.kind == signUp || m.kind == rotation) && was.Outcome == "rejected":
		// The content may have differed from that of a key that has ended since; or such a
		// sign-up has, in the same round, made the missing key of a rotation.
	case round >= settledIn[m.kind] && !reflect.DeepEqual(before.withoutDates(), after.withoutDates()):
		h.violate(untouched, "a repeat of %s, which is settled, changed something", m.id)
	}
}

// checkSettled compares an identity with the times of its messages. If a message was
// rejected, or a person changed the key, it can only check that no key is enabled unless
// something holds it.
func (h *history) checkSettled(i *identity) {
	told, heard := promise.Holds{}, !h.revoked[i.secret]
	for _, m := range h.messages {
		if m.identity == i {
			told = m.tell(told)
		}
	}
	for _, m := range h.messages {
		if m.identity == i && !m.faulty() && (m.kind == signUp && !told.Over(m.hold(), m.sent()) || m.kind == end) {
			heard = heard && m.last.done() && (m.kind == end || m.enabled)
		}
	}
	switch {
	case len(told) == 0:
	case heard:
		for _, fault := range promise.Lives(h.server, i.secret, told, slices.Collect(maps.Keys(h.defaults))...) {
			h.violate(fault, "in the end")
		}
	case !told.Held():
		if enabled := promise.Enabled(h.server, i.secret); len(enabled) > 0 {
			h.violate(complete, "nothing holds the key of %s, and keys %q are enabled", i.secret, enabled)
		}
	}
}

// deliverInPeace delivers one message and serves its calls until it is answered.
func (h *history) deliverInPeace(m *message) line {
	e := h.environments[0]
	h.deliver(e, []*message{m})
	inv := e.busy
	for h.broken == "" && e.busy == inv && inv != nil {
		if len(h.waiting) == 0 {
			h.passTime(5 * time.Millisecond)
			continue
		}
		c := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.release(c, "", verdict{})
		h.look()
	}
	return m.last
}

// tearDown ends everything that still runs, so that the bubble can end.
func (h *history) tearDown() {
	for _, e := range h.environments {
		h.bury(e)
	}
	h.waiting = append(h.waiting, h.bus.take()...)
	for len(h.waiting) > 0 {
		for _, c := range h.waiting {
			h.drop(c)
		}
		h.waiting = h.bus.take()
	}
	synctest.Wait()
}

// tell adds a line to the history.
func (h *history) tell(who, format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf("%4d %12s  %-10s %s", h.n,
		time.Since(h.start).Round(time.Microsecond), who, fmt.Sprintf(format, args...)))
}
