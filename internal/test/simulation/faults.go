package simulation

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"createkey/internal/test/awslocal"
)

// The assumed bounds of AWS and Lambda. Those of the secrets add up to less than the minute
// that an operator waits before deleting a key: a record that is read as pending is at most
// secretLag old, its delivery ends within timeLimit, and its last call takes effect within
// onTheWay.
const (
	shortest   = time.Millisecond // of a step
	timeLimit  = 30 * time.Second // of an invocation
	clientWait = 10 * time.Second // for an answer, as functions/createkey/main.go sets it
	onTheWay   = 20 * time.Second // of a call, at most, until it takes effect
	secretLag  = 8 * time.Second  // of a read from Secrets Manager
	gatewayLag = 4 * time.Minute  // of a read from API Gateway; internal/provision's visibleWithin is five
)

// The calls that the program may make, by service.
var (
	gatewayCalls = []string{"GetUsagePlan", "GetUsagePlans", "CreateApiKey", "GetApiKeys", "GetApiKey", "UpdateApiKey", "CreateUsagePlanKey", "GetUsagePlanKey"}
	secretCalls  = []string{"CreateSecret", "GetSecretValue", "PutSecretValue"}
	busCalls     = []string{"PutEvents"}
	queueCalls   = []string{"SendMessageBatch"}
	allCalls     = slices.Concat(gatewayCalls, secretCalls, busCalls, queueCalls)
	// The reads whose staleness matters.
	lagging = []string{"GetApiKeys", "GetApiKey", "GetUsagePlanKey", "GetUsagePlans", "GetSecretValue"}
)

// A fault is something that can happen to a call.
type fault struct {
	name    string
	calls   []string // that it can happen to
	verdict verdict
}

var faults = []fault{
	{name: "request lost", calls: allCalls, verdict: verdict{before: awslocal.ErrConnectionLost}},
	{name: "answer lost", calls: allCalls, verdict: verdict{after: awslocal.ErrConnectionLost}},
	{name: "answer delayed", calls: allCalls, verdict: verdict{hold: true}},
	{name: "throttled", calls: gatewayCalls, verdict: verdict{before: awslocal.TooManyRequests}},
	{name: "throttled", calls: secretCalls, verdict: verdict{before: awslocal.Throttling}},
	{name: "throttled", calls: busCalls, verdict: verdict{before: awslocal.Throttling}},
	{name: "throttled", calls: queueCalls, verdict: verdict{before: awslocal.RequestThrottled}},
	{name: "5xx, no effect", calls: gatewayCalls, verdict: verdict{before: awslocal.ServiceUnavailable}},
	{name: "5xx, no effect", calls: secretCalls, verdict: verdict{before: awslocal.InternalServiceError}},
	{name: "5xx, no effect", calls: busCalls, verdict: verdict{before: awslocal.InternalFailure}},
	{name: "5xx, no effect", calls: queueCalls, verdict: verdict{before: awslocal.InternalFailure}},
	{name: "one letter refused", calls: queueCalls, verdict: verdict{refuseLetter: &awslocal.Error{
		Status: http.StatusBadRequest, Code: "InvalidParameterValue", Message: "not this one"}}},
	{name: "one letter refused for the moment", calls: queueCalls, verdict: verdict{refuseLetter: awslocal.InternalFailure}},
	{name: "one event refused", calls: busCalls, verdict: verdict{refuse: true}},
	{name: "5xx after the effect", calls: allCalls, verdict: verdict{after: awslocal.InternalFailure}},
	{name: "denied", calls: allCalls, verdict: verdict{before: awslocal.AccessDenied}},
	{name: "KMS denied", calls: secretCalls, verdict: verdict{before: awslocal.DecryptionFailure}},
	{name: "spurious Conflict", calls: []string{"CreateApiKey", "CreateUsagePlanKey"}, verdict: verdict{before: awslocal.ConcurrentModification}},
	{name: "quota of keys", calls: []string{"CreateApiKey"}, verdict: verdict{before: awslocal.LimitExceeded}},
	// A write's checks may lag as well: a new object is refused as unknown.
	{name: "not found yet", calls: []string{"CreateUsagePlanKey"}, verdict: verdict{before: &awslocal.Error{
		Status: http.StatusNotFound, Code: "NotFoundException", Message: "Invalid API Key identifier specified"}}},
	{name: unseenKey, calls: []string{"UpdateApiKey"}, verdict: verdict{before: &awslocal.Error{
		Status: http.StatusNotFound, Code: "NotFoundException", Message: "Invalid API Key identifier specified"}}},
	{name: "not found yet", calls: []string{"PutSecretValue"}, verdict: verdict{before: &awslocal.Error{
		Status: http.StatusBadRequest, Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}}},
}

// unseenKey hits only a key that is younger than gatewayLag.
const unseenKey = "key not found yet"

// The moments of a call at which its environment may die, and the late effect of a call whose
// environment is dead or no longer waits; and a stale read.
const (
	staleRead    = "stale read"
	killedBefore = "killed before the effect"
	killedAfter  = "killed after the effect"
	lateEffect   = "takes effect late"
)

// chooseFaults picks this history's kinds of faults and how often they strike. A history with
// few kinds explores each of them further than one with all ("swarm testing").
func (h *history) chooseFaults() {
	for _, f := range faults {
		if h.oneIn(2) {
			h.faults = append(h.faults, f)
		}
	}
	h.faultPercent = pick(h, 0, 10, 20, 40)
	h.stalePercent = pick(h, 0, 10, 30, 80)
}

// draw decides what happens to a call, and names it.
func (h *history) draw(c *call) (what string, v verdict) {
	percent := h.faultPercent
	if strings.HasPrefix(c.Operation, "GetUsagePlan") && c.Operation != "GetUsagePlanKey" {
		percent /= 4 // otherwise few messages would get further
	}
	var possible []fault
	for _, f := range h.faults {
		if slices.Contains(f.calls, c.Operation) && (f.name != unseenKey || h.isYoung(strings.TrimPrefix(c.Path, "/apikeys/"))) {
			possible = append(possible, f)
		}
	}
	if len(possible) > 0 && h.rng.IntN(100) < percent {
		f := pick(h, possible...)
		h.reach("fault", f.name, c.Operation)
		what, v = f.name, f.verdict
	}
	if slices.Contains(lagging, c.Operation) && v.before == nil && h.rng.IntN(100) < h.stalePercent {
		longest := gatewayLag
		if c.Service == "secretsmanager" {
			longest = secretLag
		}
		// Most objects that a read can miss are young.
		v.lag = h.upTo(longest) >> h.rng.IntN(8)
		h.reach("fault", staleRead, c.Operation)
	}
	return what, v
}

// isYoung reports whether reads may not see a key yet.
func (h *history) isYoung(id string) bool {
	key, _ := h.snapshot().key(id)
	return time.Since(key.Created) < gatewayLag
}

// serveOne carries out the scheduler's choice for one waiting call.
func (h *history) serveOne() {
	i := h.rng.IntN(len(h.waiting))
	c := h.waiting[i]
	h.waiting = slices.Delete(h.waiting, i, i+1)
	switch {
	case c.done && !c.orphaned() && h.oneIn(4):
		h.waiting = append(h.waiting, c)
		h.kill(slices.Index(h.environments, c.from))
	case c.done && h.oneIn(4):
		h.release(c, "the delayed answer is lost", verdict{after: awslocal.ErrConnectionLost})
	case c.done:
		h.release(c, "the delayed answer arrives", verdict{})
	case c.orphaned() && h.oneIn(2):
		h.drop(c)
	case c.orphaned():
		h.reach("fault", lateEffect, c.Operation)
		h.release(c, lateEffect, verdict{})
	default:
		what, v := h.draw(c)
		h.release(c, what, v)
	}
}

// release lets one call proceed, waits until everything else is idle, and checks the new state.
func (h *history) release(c *call, what string, v verdict) {
	if !slices.Contains(allCalls, c.Operation) {
		h.violate(untouched, "the program called %s", c.Operation)
	}
	if c.Operation == "PutEvents" && c.from.bus == "" {
		h.violate(honest, "an event was sent, and there is no bus")
	}
	if c.Operation == "SendMessageBatch" && c.from.letters == "" {
		h.violate(honest, "a letter was sent, and there is no dead-letter queue")
	}
	var before snapshot
	reads := strings.HasPrefix(c.Operation, "Get")
	if !reads {
		before = h.snapshot()
	}
	answerOnly := c.done
	h.refusing, h.refuseLetter = v.refuse, v.refuseLetter
	c.turn <- v
	synctest.Wait()
	if !answerOnly && v.before == nil {
		h.reach("answer", cmp.Or(c.Code, "ok"), c.Operation)
	}
	h.tell(c.from.String(), "%s", describe(c, what, v))
	if !reads {
		h.checkWrite(c, before, h.snapshot())
	}
}

// drop loses a call, or an answer, that nobody waits for.
func (h *history) drop(c *call) {
	if c.done {
		c.turn <- verdict{}
	} else {
		c.turn <- verdict{before: awslocal.ErrConnectionLost}
	}
	synctest.Wait()
}

// dropOld loses calls that have been under way for as long as one may be.
func (h *history) dropOld() {
	var young []*call
	for _, c := range h.waiting {
		if c.orphaned() && time.Since(c.arrived) > onTheWay {
			h.drop(c)
		} else {
			young = append(young, c)
		}
	}
	h.waiting = young
}

// describe returns a step of the history: the call, the seed's decision, and the result.
func describe(c *call, what string, v verdict) string {
	var b strings.Builder
	b.WriteString(c.Operation)
	if c.Resource != "" {
		b.WriteString(" " + c.Resource)
	} else if path := strings.TrimPrefix(c.Path, "/apikeys"); path != "" {
		b.WriteString(" " + path)
	}
	if what != "" {
		b.WriteString(" [" + what + "]")
	}
	if v.lag > 0 {
		b.WriteString(" as of " + v.lag.Round(time.Millisecond).String() + " ago")
	}
	if v.before != nil {
		return b.String() + ": no effect"
	}
	return b.String() + ": " + cmp.Or(c.Code, "ok")
}
