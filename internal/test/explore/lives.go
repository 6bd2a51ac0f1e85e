package explore

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"createkey/internal/apikey"
	"createkey/internal/failure"
	"createkey/internal/provision"
	"createkey/internal/test/promise"
)

// The judgement of a life, by section 3a of the contract.

// fenceTag is the createkey:request tag of a key that was made disabled.
const fenceTag = "ended"

// with returns the holds after a message.
func with(h promise.Holds, m *message) promise.Holds {
	switch r := m.request; r.Kind {
	case apikey.SignUp:
		return h.Started(r.Agreement, r.Time)
	case apikey.End:
		return h.Ended(r.Agreement, r.Time)
	}
	return h
}

// over reports whether a message's sign-up is not newer than a known end.
func over(h promise.Holds, m *message) bool {
	return m.request.Kind == apikey.SignUp && h.Over(m.request.Agreement, m.request.Time)
}

// mayStop reports whether a delivery may disable a key, according to the record.
func (e *explorer) mayStop(r record, k key, i int8, m *message) bool {
	if r.HasEnded() {
		return k.value == r.value || k.value == r.next || i == r.previous
	}
	return i == r.previous && (r.next != 0 && m.request.Kind == apikey.Rotation || m.request.KeyID == keyID(i))
}

// madeForLife returns what is wrong with a key that a fence or a rotation made.
func (e *explorer) madeForLife(a *account, k key, m *message) string {
	in, r := e.inputs[k.input], e.record(a.current())
	switch {
	case in.Tags["createkey:secret"] != secretName:
		return "its tags"
	case in.Tags["createkey:request"] == fenceTag && in.Enabled:
		return "a fence that is enabled"
	case in.Tags["createkey:request"] == fenceTag && (!r.HasEnded() || k.value != r.value && k.value != r.next):
		return "a fence, and the record does not say that it has ended"
	case in.Tags["createkey:request"] == fenceTag:
		return ""
	case m.request.Kind != apikey.Rotation:
		return "it asks for none"
	case k.value != r.next:
		return "its value is not the next"
	}
	if r.key < 0 {
		return "there is no key that it could be like"
	}
	like := e.inputs[a.keys[r.key].input]
	if aws.ToString(in.Name) != aws.ToString(like.Name) || aws.ToString(in.Description) != aws.ToString(like.Description) ||
		aws.ToString(in.CustomerId) != aws.ToString(like.CustomerId) || in.Enabled != like.Enabled || !maps.Equal(in.Tags, like.Tags) {
		return "it is not like the key before"
	}
	return ""
}

// judgeGenerations judges the keys together: each generation has at most one, and no key is
// enabled that the record no longer knows.
func (e *explorer) judgeGenerations(from, to *account, r record) *violation {
	generation := map[value]int{}
	for _, v := range to.versions[:to.n] {
		r := e.record(v.record)
		generation[r.value] = r.Number()
		if r.next != 0 {
			generation[r.next] = r.Number() + 1
		}
	}
	made := map[int]int{}
	for i, k := range to.keys {
		if k.input == 0 || !e.inputs[k.input].Enabled {
			continue
		}
		if made[generation[k.value]]++; made[generation[k.value]] > 1 {
			return breaks(promise.OneKey, "generation %d has a second key", generation[k.value])
		}
		if e.on(k) && k.value != r.value && k.value != r.next && int8(i) != r.previous {
			if from.keys[i].input == 0 {
				return breaks(promise.OneKey, "%s is made, whose generation is over", keyID(int8(i)))
			}
			return breaks(promise.OneKey, "%s is enabled, and the record does not know of it any more", keyID(int8(i)))
		}
	}
	return nil
}

// judgeStep judges a step that a delivery of a message wrote after the previous one.
func (e *explorer) judgeStep(to *account, before, after record, m *message) *violation {
	kind, heard := m.request.Kind, before.Heard()
	begun := before.ours && after.Number() != before.Number()
	switch {
	case !before.ours && after.HasEnded() != (kind == apikey.End):
		return breaks(promise.Described, "a log begins with what its message does not ask for")
	case !before.ours && kind == apikey.SignUp && m.value != 0 && after.value != m.value:
		return breaks(promise.Described, "the record has another value than the message gives")
	case !before.ours && kind == apikey.SignUp:
		return nil
	case over(heard, m):
		return breaks(promise.Steps, "a sign-up is over, and writes a step")
	}
	if !with(heard, m).Equal(after.Heard()) {
		return breaks(promise.Described, "the record's holds are not those of what it has heard of")
	}
	changed := changedMembers(before, after, "step", "holds")
	switch {
	case !before.ours || after.HasEnded() && !before.HasEnded():
		if !after.Ended.Equal(m.request.Time) {
			return breaks(promise.Described, "the record has another end than the message")
		}
		if kind != apikey.End || before.ours && !slices.Equal(changed, []string{"ended"}) {
			return breaks(promise.Steps, "an end changes %q", changed)
		}
	case begun && before.HasEnded(): // a return
		if kind != apikey.SignUp || !after.Since.Equal(m.request.Time) || after.next != 0 || after.Previous != "" {
			return breaks(promise.Described, "a generation begins otherwise than its sign-up asks")
		}
	case begun: // the end of a rotation
		if kind != apikey.Rotation || !after.Since.Equal(before.Next.Time) || after.next != 0 {
			return breaks(promise.Described, "a generation begins otherwise than its rotation asks")
		}
		fallthrough
	case after.finished && !before.finished:
		if how := e.incomplete(to, after, m); how != "" {
			return breaks(promise.Described, "the finished record does not describe its key completely: %s", how)
		}
	case kind == apikey.Rotation && slices.Equal(changed, []string{"next"}):
		if before.next != 0 || after.next == 0 || !after.Next.Time.Equal(m.request.Time) || !m.request.Time.After(before.Since) {
			return breaks(promise.Steps, "a rotation takes the place of another")
		}
	case len(changed) > 0:
		return breaks(promise.Steps, "a step changes what its message does not ask for: %q", changed)
	case slices.Equal(before.Holds, after.Holds):
		return breaks(promise.Steps, "a step says nothing new")
	}
	return nil
}

// changedMembers returns the names of the members that differ, with some exceptions.
func changedMembers(before, after record, but ...string) (names []string) {
	both := map[string]json.RawMessage{}
	maps.Copy(both, before.members)
	maps.Copy(both, after.members)
	for name := range both {
		if !bytes.Equal(before.members[name], after.members[name]) && !slices.Contains(but, name) && name != "note" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// believed returns the record that a delivery has last read or written.
func (e *explorer) believed(d *delivery) record {
	r := e.record(0)
	for _, a := range d.answers {
		switch c := a.operation.call; {
		case a.seen.code != fine:
		case c == getSecretValue:
			r = e.record(a.seen.record)
		case c == createSecret, c == putSecretValue:
			r = e.record(a.operation.record)
		}
	}
	return r
}

// judgeAnswer judges the answer of a delivery that has ended.
func (e *explorer) judgeAnswer(a *account, d *delivery) *violation {
	m, r := d.message, e.believed(d)
	kind, heard := m.request.Kind, r.Heard()
	status, generation := d.result.Status, r.Number()
	agreement := m.request.Agreement
	switch classOf(d.err) {
	case accepted:
	case rejected:
		if !e.againstLife(a, r, m) {
			return breaks(truthful, "rejected, but nothing is against it")
		}
		return nil
	case retried:
		return e.judgeRetry(d)
	default:
		return breaks(truthful, "an answer that is neither: %s", d.err)
	}
	switch {
	case kind == apikey.SignUp && over(heard, m) != (status == provision.Ended):
		return breaks(truthful, "%q, and the sign-up is over: %t", status, over(heard, m))
	case kind == apikey.SignUp && !over(heard, m) && !with(heard, m).Equal(heard):
		return breaks(truthful, "%q, and the record has not heard of it", status)
	case kind == apikey.End && m.request.KeyID == "" && heard[agreement].End.Before(m.request.Time):
		return breaks(truthful, "%q, and the record has not heard of it", status)
	case kind == apikey.End && m.request.KeyID == "" && (status == provision.Existing) != r.finished, kind == apikey.End && status != provision.Ended && status != provision.Existing:
		return breaks(truthful, "an end is answered %q, and the record is %s", status, e.showRecord(r))
	case kind == apikey.End && r.HasEnded():
		for i, k := range a.keys {
			if e.on(k) && (k.value == r.value || k.value == r.next || int8(i) == r.previous) {
				return breaks(truthful, "%q, and %s is enabled", status, keyID(int8(i)))
			}
		}
	case kind != apikey.Rotation && status == provision.Ended && m.request.KeyID == "" && !r.HasEnded(): // the ended key is not the living one
		if d.result.Key.ID != "" {
			return breaks(truthful, "%q, and the answer names the key that lives", status)
		}
		generation--
	case kind == apikey.Rotation && status == provision.Ended && !r.finished: // of the previous generation
		generation--
	case kind == apikey.Rotation && (status != provision.Rotated || !r.finished || r.Since.Before(m.request.Time)):
		return breaks(truthful, "a rotation is answered %q, and the record is %s", status, e.showRecord(r))
	case kind == apikey.Rotation && (d.result.PreviousKeyID != r.Previous || !d.result.Key.Enabled):
		return breaks(truthful, "the answer does not describe the rotation")
	}
	if d.result.Generation != generation {
		return breaks(truthful, "%q with generation %d, which is %d", status, d.result.Generation, generation)
	}
	if status == provision.Ended {
		if d.result.Key.Enabled {
			return breaks(truthful, "ended, and the answer says that the key is enabled")
		}
		return nil
	}
	i := keyIndex(d.result.Key.ID)
	if i < 0 || !a.keys[i].recorded || d.result.Key.ID != r.ID {
		return breaks(truthful, "accepted, but the record does not name the key")
	}
	k := a.keys[i]
	told, recorded := plansOf(d.result.Key.UsagePlanIDs), e.plans(r)
	switch in := e.inputs[k.input]; {
	case kind == apikey.SignUp && in.Tags["createkey:request"] != m.digest:
		return breaks(truthful, "accepted, but the key was made for other content")
	case d.result.SecretARN != arn(k.life), d.result.Key.Name != aws.ToString(in.Name), d.result.Key.Description != aws.ToString(in.Description),
		len(d.result.Key.Tags) != len(in.Tags) && !k.untagged:
		return breaks(truthful, "the answer does not describe the key")
	case kind == apikey.SignUp && m.request.Enabled && !d.result.Key.Enabled:
		return breaks(truthful, "accepted, but the answer says that the key is disabled")
	case told&^(recorded|k.attached) != 0, told != recorded && k.attached&a.plans == recorded && k.exists():
		return breaks(truthful, "the answer does not say which usage plans the key is in")
	case kind == apikey.SignUp && (status == provision.Created) != e.finishedIt(a, d):
		return breaks(truthful, "%q, which it is not", status)
	}
	return nil
}

// finishedIt reports whether the last call of a delivery wrote the record that finished a
// generation.
func (e *explorer) finishedIt(a *account, d *delivery) bool {
	last := d.answers[len(d.answers)-1]
	if last.operation.call != putSecretValue || last.seen.code != fine {
		return false
	}
	for i, v := range a.versions[1:a.n] {
		if v.record == last.operation.record {
			return !e.record(a.versions[i].record).finished
		}
	}
	return false
}

// judgeRetry judges the code of a failure, which must be "unfinished" if this delivery made a
// key that no record it knows of names.
func (e *explorer) judgeRetry(d *delivery) *violation {
	again, _ := errors.AsType[*failure.RetryableError](d.err)
	made := value(0)
	for _, a := range d.answers {
		switch o := a.operation; {
		case o.call == createAPIKey && a.seen.code == fine && e.inputs[o.input].Enabled:
			made = o.value
		case o.call == putSecretValue && a.seen.code == exists && d.message.request.Kind == apikey.Rotation:
			made = 0 // the delivery that took the step has recorded the key, or disabled it
		case (o.call == getSecretValue || o.call == putSecretValue) && a.seen.code == fine:
			if n := max(o.record, a.seen.record); e.record(n).value != made || e.record(n).finished || e.record(n).HasEnded() {
				made = 0 // it is recorded, or was disabled by a later delivery
			}
		}
	}
	last := d.answers[len(d.answers)-1]
	switch {
	case made != 0 && again.Code != failure.CodeUnfinished:
		return breaks(truthful, "it made a key, and its record is not finished: the code is %q", again.Code)
	case last.operation.call == createAPIKey && last.seen.code == throttled && again.Code != failure.CodeQuota:
		return breaks(truthful, "API Gateway refused another key: the code is %q", again.Code)
	}
	return nil
}

// againstLife reports whether a message may be rejected.
func (e *explorer) againstLife(a *account, r record, m *message) bool {
	// The delivery was in flight when the key ended, and still reads the old record after it has
	// seen the key disabled.
	old := r.finished && e.record(a.current()).Step != r.Step && a.oldest < a.n && a.keys[r.key].stopped
	switch m.request.Kind {
	case apikey.Rotation:
		if !r.ours || r.HasEnded() || old {
			return true
		}
	case apikey.SignUp:
		if old && with(r.Heard(), m).Equal(r.Heard()) { // a newer message writes a step, and is refused
			return true
		}
	case apikey.End:
		return m.request.KeyID != "" && m.request.KeyID != r.Previous
	}
	return r.key >= 0 && (a.keys[r.key].disabled || a.keys[r.key].detached || !a.keys[r.key].exists())
}

// A settling is a state while deliveries without faults settle a life, in any order.
type settling struct {
	account account
	todo    uint8 // bit set of the messages still to come in this round
	again   uint8 // bit set of those that were retried and come again in the next
	rounds  int8
	slot    int8
	lag     bool
}

// mostRoundsOfLife is within how many deliveries without faults a message must be done.
const mostRoundsOfLife = 4

// unsettledLife returns how deliveries of the messages without a final answer, in some order,
// fail to settle an account in which everything has stopped.
func (e *explorer) unsettledLife(a account, done uint8) (broken *violation, history []string) {
	a.pass(10)
	for _, lag := range []bool{false, true} {
		s := settling{account: a, todo: 1<<len(e.scene.messages) - 1&^done, slot: deliveries, lag: lag}
		if broken, history = e.settleOn(s); broken != nil {
			first := "all stop, and ten minutes pass; from here on without faults:"
			if lag {
				first = "all stop, and ten minutes pass; from here on without faults, but for what a retry must overcome:"
			}
			return broken, append([]string{first}, history...)
		}
	}
	return nil, nil
}

func (e *explorer) settleOn(s settling) (*violation, []string) {
	if e.lives[s] {
		return nil, nil
	}
	e.lives[s] = true
	if s.todo == 0 && s.again == 0 {
		return e.judgeSettled(s)
	}
	if s.todo == 0 {
		s.todo, s.again = s.again, 0
		if s.rounds++; s.rounds == mostRoundsOfLife {
			return breaks(promise.Described, "a message is never done"), nil
		}
	}
	for i := range e.scene.messages {
		m := &e.scene.messages[i]
		if s.todo&m.bit == 0 {
			continue
		}
		next := s
		next.todo &^= m.bit
		next.slot++
		var history []string
		end, broken := e.deliver(&next.account, s.slot, m, s.lag, &history)
		if broken != nil {
			return broken, history
		}
		if classOf(end.err) == retried {
			next.again |= m.bit
		}
		if broken, more := e.settleOn(next); broken != nil {
			return broken, append(history, more...)
		}
	}
	return nil, nil
}

// judgeSettled judges an account after every message has a final answer. The messages alone say
// what holds the key.
func (e *explorer) judgeSettled(s settling) (*violation, []string) {
	a, all, rotated := &s.account, promise.Holds{}, false
	for i := range e.scene.messages {
		all = with(all, &e.scene.messages[i])
		rotated = rotated || e.scene.messages[i].request.Kind == apikey.Rotation
	}
	r := e.record(a.current())
	byHand := slices.ContainsFunc(a.keys[:], func(k key) bool { return k.disabled || k.detached || k.input != 0 && !k.exists() })
	for i, k := range a.keys {
		switch i := int8(i); {
		case !e.on(k):
		case !all.Held():
			return breaks(promise.Described, "nothing holds the key, and %s is enabled", keyID(i)), nil
		case byHand && k.value == r.next: // its rotation was under way when the previous key was revoked
		case i != r.key && (i != r.previous || !rotated):
			return breaks(promise.Described, "%s is enabled beside the key of the record", keyID(i)), nil
		}
	}
	switch {
	case all.Held() && byHand:
	case all.Held() && (!r.finished || r.next != 0):
		return breaks(promise.Described, "the key is held, and its record is %s", e.showRecord(r)), nil
	case all.Held() && !e.on(a.keys[r.key]):
		return breaks(promise.Described, "the key is held, and %s is not enabled", keyID(r.key)), nil
	case !all.Held() && !r.HasEnded():
		return breaks(promise.Described, "nothing holds the key, and its record is %s", e.showRecord(r)), nil
	}
	heard := r.Heard()
	for agreement, want := range all {
		got := heard[agreement]
		if !got.End.Equal(want.End) || !got.Start.Equal(want.Start) && want.Start.After(all.EndOf(agreement)) && !byHand {
			return breaks(promise.Described, "the record does not know what holds the key"), nil
		}
	}
	for i := range e.scene.messages {
		if m := &e.scene.messages[i]; m.request.Kind != apikey.Rotation { // a rotation that came too early was rejected
			after := *a
			var history []string
			switch _, broken := e.deliver(&after, s.slot, m, s.lag, &history); {
			case broken != nil:
				return broken, history
			case after != *a:
				return breaks(promise.Steps, "a repeat changes something"), history
			}
		}
	}
	return nil, nil
}
