package explore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"createkey/internal/apikey"
	"createkey/internal/failure"
	"createkey/internal/provision"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// Checks beyond the oracle's promises: a delivery's answers, judged by the account and never by
// what the program believes.
const (
	truthful = "answers agree with the account"
	noLeak   = "no value is printed"
)

// A violation is a broken promise, and how it is broken.
type violation = promise.Broken

func breaks(name, format string, args ...any) *violation {
	return &violation{Promise: name, How: fmt.Sprintf(format, args...)}
}

// judgeEffect judges what a delivery's call changed.
func (e *explorer) judgeEffect(from, to *account, m *message) *violation {
	if *from == *to {
		return nil
	}
	before, after := e.record(from.current()), e.record(to.current())
	for i, k := range to.keys {
		was, id := from.keys[i], keyID(int8(i))
		switch {
		case k.foreign && k != was, was.recorded && k.stopped == was.stopped && k != was && !rotatedMeanwhile(to, k):
			return breaks(promise.LeftAlone, "%s is changed, which is foreign or has a finished record", id)
		case k.revived:
			return breaks(promise.LeftAlone, "%s is changed otherwise than from enabled to disabled", id)
		case k.stopped != was.stopped && !e.mayStop(before, k, int8(i), m):
			return breaks(promise.LeftAlone, "%s is disabled, and the record does not say so", id)
		case k.input == 0 || k.foreign:
			continue
		case was.input == 0:
			if from.accepted&(1<<k.value) == 0 {
				return breaks(promise.Value, "%s is made with %s, which no secret ever held", id, k.value)
			}
			if how := e.madeOtherwise(from, k, m); how != "" {
				return breaks(promise.Described, "%s is not what the message asks for: %s", id, how)
			}
			for _, earlier := range to.keys[:i] {
				ours := earlier.input != 0 && !earlier.foreign && !e.scene.lives
				if ours && !to.early && (earlier.exists() || earlier.life == k.life) {
					return promise.MadeAgain(earlier.exists(), false)
				}
			}
		}
	}
	if to.versions != from.versions || to.life != from.life {
		var held []promise.Record
		if to.life == from.life {
			for _, v := range from.versions[:from.n] {
				held = append(held, *e.record(v.record).Record)
			}
		}
		if broken := promise.Written(held, *after.Record); broken != nil {
			return broken
		}
		if broken := e.judgeStep(to, before, after, m); broken != nil {
			return broken
		}
	}
	if e.scene.lives {
		return e.judgeGenerations(from, to, after)
	}
	return nil
}

// rotatedMeanwhile reports whether the operator took a key out of its plans during its rotation:
// then deliveries may disagree about the plans of the next key.
func rotatedMeanwhile(a *account, k key) bool {
	return slices.ContainsFunc(a.keys[:], func(before key) bool { return before.detached && before.value != k.value })
}

// madeOtherwise returns how a new key differs from what its message asks for.
func (e *explorer) madeOtherwise(a *account, k key, m *message) string {
	in, r := e.inputs[k.input], m.request
	if in.Tags["createkey:request"] == fenceTag || r.Kind != apikey.SignUp {
		return e.madeForLife(a, k, m)
	}
	switch {
	case aws.ToString(in.Name) != r.Name || aws.ToString(in.Description) != r.Description ||
		aws.ToString(in.CustomerId) != r.CustomerID || in.Enabled != r.Enabled:
		return "a member"
	case in.Tags["createkey:secret"] != secretName || in.Tags["createkey:request"] != m.digest || len(in.Tags) != len(r.Tags)+2:
		return "its tags"
	}
	for name, text := range r.Tags {
		if in.Tags[name] != text {
			return "its tags"
		}
	}
	return ""
}

// incomplete returns what is wrong with a finished record that a delivery of a message wrote.
func (e *explorer) incomplete(a *account, r record, m *message) string {
	if r.key < 0 || a.keys[r.key].input == 0 {
		return "there never was such a key"
	}
	k := a.keys[r.key]
	plans := e.plans(r)
	switch {
	case k.foreign:
		return "the key is foreign"
	case m.value != 0 && m.value != r.value:
		return "the message gives another value"
	case m.request.Kind == apikey.SignUp && e.inputs[k.input].Tags["createkey:request"] != m.digest:
		return "the key was made for other content"
	case m.request.Kind == apikey.SignUp && plans != m.plans:
		return "it names other usage plans than the message"
	case m.request.Kind == apikey.Rotation && plans != a.plans&a.keys[r.previous].attached &&
		!slices.ContainsFunc(a.keys[:], func(k key) bool { return k.detached }):
		return "it names other usage plans than the key before is in"
	}
	// The key no longer shows what was deleted.
	attached := k.attached | plans&^a.plans
	if k.detached || rotatedMeanwhile(a, k) {
		attached = plans
	}
	return strings.Join(promise.Differences(*r.Record, e.described(r.key, k), planIDs(attached)), ", ")
}

// described returns a key as API Gateway has it.
func (e *explorer) described(i int8, k key) awslocal.Key {
	in := e.inputs[k.input]
	d := awslocal.Key{
		ID: keyID(i), Value: awslocal.Sensitive(aws.ToString(in.Value)), Name: aws.ToString(in.Name), CustomerID: aws.ToString(in.CustomerId),
		Description: aws.ToString(in.Description), Enabled: in.Enabled && !k.disabled && !k.stopped, Tags: in.Tags,
		Created: moment(k.created), LastUpdated: moment(k.created),
	}
	if k.disabled || k.stopped {
		d.LastUpdated = d.LastUpdated.Add(time.Second)
	}
	return d
}

// plans returns the bit set of the usage plans that a record names; all bits if it names one
// that never existed.
func (e *explorer) plans(r record) uint8 {
	if slices.ContainsFunc(r.UsagePlanIDs, func(id string) bool { return planIndex(id) < 0 }) {
		return 0xFF
	}
	return plansOf(r.UsagePlanIDs)
}

// revoked reports whether a repeat of a message must be rejected because of what somebody did to
// the recorded key.
func (e *explorer) revoked(a *account, r record, m *message) bool {
	k := a.keys[r.key]
	plans := e.plans(r)
	return !k.exists() || k.disabled && m.request.Enabled || plans&a.plans != 0 && plans&k.attached == 0
}

type class string

const (
	accepted class = "accepted"
	rejected class = "rejected"
	retried  class = "retried"
)

func classOf(err error) class {
	switch {
	case err == nil:
		return accepted
	case failure.IsRejected(err):
		return rejected
	case failure.IsRetryable(err):
		return retried
	}
	return "neither"
}

// judgeEnd judges the answer of a delivery that has ended, as far as that does not depend on the
// others in flight.
func (e *explorer) judgeEnd(a *account, d *delivery) *violation {
	if d.err != nil && e.parts.In(d.err.Error()) {
		return breaks(noLeak, "the error holds a part of one")
	}
	if e.scene.lives {
		return e.judgeAnswer(a, d)
	}
	switch classOf(d.err) {
	case accepted:
		i := keyIndex(d.result.Key.ID)
		if i < 0 || !a.keys[i].recorded {
			return breaks(truthful, "accepted, but no finished record names the key")
		}
		k := a.keys[i]
		told := plansOf(d.result.Key.UsagePlanIDs)
		switch in := e.inputs[k.input]; {
		case in.Tags["createkey:request"] != d.message.digest:
			return breaks(truthful, "accepted, but the key was made for other content")
		case d.message.value != 0 && d.message.value != k.value:
			return breaks(truthful, "accepted, but the key has another value")
		case d.result.SecretARN != arn(k.life), d.result.Status != provision.Created && d.result.Status != provision.Existing,
			d.result.Key.Name != aws.ToString(in.Name), d.result.Key.Description != aws.ToString(in.Description),
			len(d.result.Key.Tags) != len(in.Tags) && !k.untagged:
			return breaks(truthful, "the answer does not describe the key")
		case d.message.request.Enabled && !d.result.Key.Enabled:
			return breaks(truthful, "accepted, but the answer says that the key is disabled")
		case told&^d.message.plans != 0, told != d.message.plans && k.attached&a.plans == d.message.plans:
			return breaks(truthful, "the answer does not say which usage plans the key is in")
		case (d.result.Status == provision.Created) != d.saw(putSecretValue, fine):
			return breaks(truthful, "%q, which it is not", d.result.Status)
		}
	case rejected:
		if !e.against(a, d.message) {
			return breaks(truthful, "rejected, but nothing is against it")
		}
	case retried:
		again, _ := errors.AsType[*failure.RetryableError](d.err)
		last := d.answers[len(d.answers)-1]
		if d.saw(createAPIKey, fine) && again.Code != failure.CodeUnfinished {
			return breaks(truthful, "it made a key, and its record is not finished: the code is %q", again.Code)
		}
		if last.operation.call == createAPIKey && last.seen.code == throttled && again.Code != failure.CodeQuota {
			return breaks(truthful, "API Gateway refused another key: the code is %q", again.Code)
		}
	default:
		return breaks(truthful, "an answer that is neither: %s", d.err)
	}
	return nil
}

// against reports whether a message may be rejected for something that is, or was, so.
func (e *explorer) against(a *account, m *message) bool {
	r := e.record(a.current())
	return a.exists && !r.ours && !r.newer || m.request.Description == refused ||
		m.value != 0 && a.accepted&^(1<<m.value) != 0 ||
		m.plans&^a.plans != 0 ||
		slices.ContainsFunc(a.keys[:], func(k key) bool {
			switch {
			case k.input == 0:
				return false
			case k.foreign:
				return k.value == m.value || a.accepted&(1<<k.value) != 0
			}
			return k.recorded && (k.disabled || k.detached || !k.exists()) || e.inputs[k.input].Tags["createkey:request"] != m.digest
		})
}

// want returns the answers that the contract allows for an undisturbed delivery.
func (e *explorer) want(a *account, m *message) []class {
	r := e.record(a.current())
	switch {
	case a.exists && (a.scheduled || r.newer):
		return []class{retried}
	case a.exists && !r.ours:
		return []class{rejected}
	case r.finished:
		k := a.keys[r.key]
		switch {
		case e.revoked(a, r, m), e.inputs[k.input].Tags["createkey:request"] != m.digest, m.value != 0 && m.value != r.value:
			return []class{rejected}
		}
		return []class{accepted}
	case m.plans&^a.plans != 0:
		if len(m.request.UsagePlanIDs) == 0 {
			return []class{retried}
		}
		return []class{rejected}
	case a.exists && m.value != 0 && m.value != r.value, m.request.Description == refused:
		return []class{rejected}
	}
	v := r.value
	if !a.exists {
		v = m.value
	}
	if i := a.bearer(v); v != 0 && i >= 0 && (a.keys[i].foreign || e.inputs[a.keys[i].input].Tags["createkey:request"] != m.digest) {
		return []class{rejected}
	}
	return []class{accepted}
}

// hopeless reports whether no message of this identity can make a key in this account.
func (e *explorer) hopeless(a *account) bool {
	for _, m := range e.scene.messages {
		if slices.Contains(e.want(a, &m), accepted) {
			return false
		}
	}
	return true
}

// unsettled returns how deliveries without faults fail to settle an account, once those in
// flight have stopped and ten minutes have passed; nil if they settle it. The history has
// their calls, and is the shortest.
func (e *explorer) unsettled(a account) (broken *violation, history []string) {
	a.pass(10)
	for first := range e.scene.messages {
		for _, lag := range []bool{false, true} {
			how, lines := e.unsettledBy(a, first, lag)
			if how != nil && (broken == nil || len(lines) < len(history)) {
				broken, history = how, lines
			}
		}
	}
	return broken, history
}

func (e *explorer) unsettledBy(a account, first int, lag bool) (broken *violation, history []string) {
	history = []string{"all stop, and ten minutes pass; from here on without faults:"}
	if lag {
		history[0] = "all stop, and ten minutes pass; from here on without faults, but for what a retry must overcome:"
	}
	for round := range 4 {
		m := &e.scene.messages[(first+round)%len(e.scene.messages)]
		before, want, wasHopeless := a, e.want(&a, m), e.hopeless(&a)
		end, broken := e.deliver(&a, int8(deliveries+round), m, lag, &history)
		if broken != nil || end == nil {
			return broken, history
		}
		got := classOf(end.err)
		wasFinished, finished := e.record(before.current()).finished, e.record(a.current()).finished
		onlyPending := !before.exists && a.exists && before.keys == a.keys && !finished
		switch {
		case !slices.Contains(want, got):
			return breaks(promise.Described, "a delivery that nothing disturbs is %s, and should be %s", got, want), history
		case got != accepted && a != before && !onlyPending:
			return breaks(promise.Described, "a message that is %s changes something", got), history
		case wasFinished && a != before:
			return breaks(promise.Steps, "a repeat changes something"), history
		case round == 1 && !wasHopeless && !finished && !e.hopeless(&a):
			return breaks(promise.Described, "the record stays unfinished"), history
		}
	}
	return nil, nil
}

// deliver runs one delivery to its end. With lag, every call is disturbed as often as its own
// retryer, or a retry of the program, must overcome by sections 3 and 7.
func (e *explorer) deliver(a *account, slot int8, m *message, lag bool, history *[]string) (*delivery, *violation) {
	d := e.root(slot, m, a.clock)
	for d.next != nil {
		o := d.next
		e.buffer = e.ways(e.buffer, a, o)
		w := e.buffer[0]
		if w.fault && e.scene.lives {
			return nil, breaks(promise.Described, "more is made than the messages ask for")
		} else if w.fault {
			return nil, nil // out of bounds
		}
		switch known := a.exists && d.saw(createSecret, fine, exists); {
		case !lag:
		case o.call == createUsagePlanKey && d.times(createUsagePlanKey, conflict) < 3 && w.seen.code == fine:
			w = way{after: *a, seen: observation{code: conflict}}
		case (o.call == getSecretValue || o.call == putSecretValue) && !o.retriesNotFound && known && !a.scheduled:
			w = way{after: *a, seen: observation{code: notFound}}
		}
		next := e.answer(d, w.seen)
		*history = append(*history, line("delivery of "+m.name, o, &w, next))
		if v := e.judgeEffect(a, &w.after, m); v != nil {
			return nil, v
		}
		*a, d = w.after, next
	}
	return d, e.judgeEnd(a, d)
}

// line is one call for a history.
func line(who string, o *operation, w *way, next *delivery) string {
	what := w.what
	if what == "" {
		what = codeNames[w.seen.code]
	}
	if next != nil && next.next == nil {
		what += " -> " + string(classOf(next.err))
		if next.err == nil {
			what = strings.TrimSuffix(what, string(accepted)) + string(next.result.Status)
		} else {
			what += ": " + next.err.Error()
		}
	}
	return who + ": " + o.String() + ": " + what
}
