package explore

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"createkey/internal/apikey"
	"createkey/internal/failure"
	"createkey/internal/provision"
)

// The promises, from sections 3, 4 and 5 of the contract. They are judged by the
// account, never by what the program believes.
const (
	oneKey     = "promise 1 (at most one key)"
	valueFirst = "promise 2 (the value is accepted before the key exists)"
	complete   = "promise 3 (one key, completely described)"
	handsOff   = "promise 4 (what is finished is left alone)"
	truthful   = "answers agree with the account"
)

// A violation is a broken promise, and how it is broken.
type violation struct{ promise, how string }

func breaks(promise, format string, args ...any) *violation {
	return &violation{promise, fmt.Sprintf(format, args...)}
}

// judgeEffect judges what a call of a delivery changed.
func (e *explorer) judgeEffect(from, to *account, m *message) *violation {
	if *from == *to {
		return nil
	}
	before, after := e.record(from.current()), e.record(to.current())
	wrote := from.versions != to.versions || from.life != to.life
	if wrote && from.exists && !before.ours {
		return breaks(complete, "a secret that createkey did not make is written to")
	}
	living, inThisLife := 0, map[int8]int{}
	for i, k := range to.keys {
		was, id := from.keys[i], keyID(int8(i))
		switch {
		case k.foreign && k != was:
			return breaks(complete, "a key of somebody else's is changed")
		case k.revived:
			return breaks(handsOff, "%s is changed otherwise than from enabled to disabled", id)
		case k.stopped != was.stopped && !e.mayStop(before, k, int8(i), m):
			return breaks(handsOff, "%s is disabled, and the record does not say so", id)
		case was.recorded && k.stopped == was.stopped && k != was && !rotatedMeanwhile(to, k):
			return breaks(handsOff, "the key of a finished record is changed")
		case k.input == 0 || k.foreign:
			continue
		case was.input == 0:
			if from.accepted&(1<<k.value) == 0 {
				return breaks(valueFirst, "%s is made with %s, which no secret ever held", id, k.value)
			}
			if how := e.madeOtherwise(from, k, m); how != "" {
				return breaks(complete, "%s is not what the message asks for: %s", id, how)
			}
		}
		if e.scene.lives {
			continue
		}
		if inThisLife[k.life]++; k.exists() {
			living++
		}
		if !to.early && (living > 1 || inThisLife[k.life] > 1) {
			return breaks(oneKey, "a second key is made")
		}
	}
	if wrote {
		if broken := e.judgeStep(to, before, after, m); broken != nil {
			return broken
		}
	}
	if e.scene.lives {
		return e.judgeGenerations(from, to, after)
	}
	return nil
}

// rotatedMeanwhile reports whether the operator took a key out of its plans in the middle
// of its rotation: then deliveries may disagree about the plans of the next.
func rotatedMeanwhile(a *account, k key) bool {
	return slices.ContainsFunc(a.keys[:], func(before key) bool { return before.detached && before.value != k.value })
}

// madeOtherwise says how a new key differs from what its message asks for.
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

// incomplete says what is wrong with a finished record that a delivery of a message wrote.
func (e *explorer) incomplete(a *account, r record, m *message) string {
	if r.key < 0 || a.keys[r.key].input == 0 {
		return "there never was such a key"
	}
	k := a.keys[r.key]
	in := e.inputs[k.input]
	switch {
	case k.foreign:
		return "the key is somebody else's"
	case k.value != r.value:
		return "the key has another value"
	case m.value != 0 && m.value != r.value:
		return "the message gives another value"
	case in.Tags["createkey:request"] != m.digest && m.request.Kind == apikey.SignUp:
		return "the key was made for other content"
	}
	want := map[string]any{
		"format": "createkey/1", "value": aws.ToString(in.Value), "id": keyID(r.key),
		"createdDate": moment(k.created).Format(time.RFC3339), "lastUpdatedDate": moment(k.created).Format(time.RFC3339),
		"stageKeys": []any{}, "tags": map[string]any{},
		// As the key was when it was described: the operator may have disabled it since.
		"enabled": r.members["enabled"], "usagePlanIds": r.members["usagePlanIds"],
	}
	for name, text := range map[string]string{"name": aws.ToString(in.Name), "customerId": aws.ToString(in.CustomerId), "description": aws.ToString(in.Description)} {
		if text != "" {
			want[name] = text
		}
	}
	for name, text := range in.Tags {
		want["tags"].(map[string]any)[name] = text
	}
	for _, member := range lifeMembers { // judgeStep looks at them
		if v, has := r.members[member]; has {
			want[member] = v
		}
	}
	if !reflect.DeepEqual(want, r.members) {
		return "a member"
	}
	if enabled, told := r.members["enabled"].(bool); !told || enabled != in.Enabled && !k.disabled {
		return "enabled"
	}
	switch plans, listed := r.plans(); {
	case !listed, m.request.Kind == apikey.SignUp && plans != m.plans:
		return "usagePlanIds"
	case m.request.Kind == apikey.Rotation && plans != a.plans&a.keys[r.previous].attached && !slices.ContainsFunc(a.keys[:], func(k key) bool { return k.detached }):
		return "usagePlanIds are not those of the key before"
	case plans&a.plans&^k.attached != 0 && !k.detached:
		return "the key is not in the usage plans that it names"
	}
	return ""
}

// plans returns the usage plans that a record names, as bits, and whether it has a list
// of such plans at all.
func (r record) plans() (plans uint8, listed bool) {
	ids, listed := r.members["usagePlanIds"].([]any)
	for _, id := range ids {
		s, _ := id.(string)
		i := planIndex(s)
		if i < 0 {
			return 0, false
		}
		plans |= 1 << i
	}
	return plans, listed
}

// revoked reports whether a repeat of a message has to be rejected for what somebody did
// to the recorded key.
func (e *explorer) revoked(a *account, r record, m *message) bool {
	k := a.keys[r.key]
	plans, _ := r.plans()
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

// judgeEnd judges the answer of a delivery that has ended, as far as it can be judged
// whatever else was in flight.
func (e *explorer) judgeEnd(a *account, d *delivery) *violation {
	if d.err != nil {
		for text, v := range e.values {
			if v != 0 && strings.Contains(d.err.Error(), text) {
				return breaks("no value is printed", "the error holds %s", v)
			}
		}
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

// against reports whether there is, or was, something that a message may be rejected for.
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

// want are the answers that the contract allows to a delivery that nothing disturbs.
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

// hopeless reports whether no message of this identity can make a key as the account is.
func (e *explorer) hopeless(a *account) bool {
	for _, m := range e.scene.messages {
		if slices.Contains(e.want(a, &m), accepted) {
			return false
		}
	}
	return true
}

// unsettled says how deliveries without faults fail to settle an account, once those in
// flight have stopped and ten minutes have passed; nil where they settle it. The history
// has their calls, and is the shortest.
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
			return breaks(complete, "a delivery that nothing disturbs is %s, and should be %s", got, want), history
		case got != accepted && a != before && !onlyPending:
			return breaks(complete, "a message that is %s changes something", got), history
		case wasFinished && a != before:
			return breaks(handsOff, "a repeat changes something"), history
		case round == 1 && !wasHopeless && !finished && !e.hopeless(&a):
			return breaks(complete, "the record stays unfinished"), history
		}
	}
	return nil, nil
}

// deliver runs one delivery to its end. With lag every call is disturbed as often as
// its own retryer, or a retry of the program's, must overcome by sections 3 and 7.
func (e *explorer) deliver(a *account, slot int8, m *message, lag bool, history *[]string) (*delivery, *violation) {
	d := e.root(slot, m, a.clock)
	for d.next != nil {
		o := d.next
		e.buffer = e.ways(e.buffer, a, o)
		w := e.buffer[0]
		if w.fault && e.scene.lives {
			return nil, breaks(complete, "more is made than the messages ask for")
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
