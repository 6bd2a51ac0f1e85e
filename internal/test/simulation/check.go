package simulation

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// Promises are judged by the state of the local AWS, never by the program's output: package
// promise states them.

// A snapshot is everything that AWS holds.
type snapshot struct {
	keys    []awslocal.Key // every key that ever existed
	plans   map[string][]string
	secrets map[string]awslocal.Secret
}

func (h *history) snapshot() snapshot {
	s := snapshot{h.server.KeysEver(), map[string][]string{}, map[string]awslocal.Secret{}}
	for _, key := range s.keys {
		s.plans[key.ID] = h.server.UsagePlanKeys(key.ID)
	}
	for _, secret := range h.server.Secrets() {
		s.secrets[secret.Name] = secret
	}
	return s
}

func (s snapshot) find(matches func(awslocal.Key) bool) (key awslocal.Key, ok bool) {
	if i := slices.IndexFunc(s.keys, matches); i >= 0 {
		return s.keys[i], true
	}
	return key, false
}

func (s snapshot) key(id string) (awslocal.Key, bool) {
	return s.find(func(k awslocal.Key) bool { return k.ID == id })
}

// bearer is the existing key with a value.
func (s snapshot) bearer(value awslocal.Sensitive) (awslocal.Key, bool) {
	return s.find(func(k awslocal.Key) bool { return k.Value == value && k.Deleted.IsZero() })
}

// withoutDates returns a snapshot without the dates of disabled keys, because a repeat of an end
// disables them again.
func (s snapshot) withoutDates() snapshot {
	s.keys = slices.Clone(s.keys)
	for i := range s.keys {
		if !s.keys[i].Enabled {
			s.keys[i].LastUpdated = time.Time{}
		}
	}
	return s
}

// finished returns when the key in the secret's record was recorded; zero: the record names
// no living key.
func finished(s awslocal.Secret) time.Time {
	r := promise.Decode(s.Current())
	for _, v := range s.Versions {
		if was := promise.Decode(v); r.Finished() && was.Finished() && was.ID == r.ID {
			return v.Created
		}
	}
	return time.Time{}
}

// recordedKey returns the key in the secret's record, if it still exists.
func (h *history) recordedKey(s awslocal.Secret) (awslocal.Key, bool) {
	key, ok := h.snapshot().key(promise.Decode(s.Current()).ID)
	return key, ok && key.Deleted.IsZero()
}

// violate records the first broken promise. Its arguments must not hold a value.
func (h *history) violate(rule, format string, args ...any) {
	if h.broken == "" {
		h.broken = rule + ": " + fmt.Sprintf(format, args...)
		h.tell("BROKEN", "%s", h.broken)
	}
}

// What is checked here in addition to package promise.
const (
	complete  = "promise 3 (one key, as a request asked for it)"
	untouched = "promise 4 (what is finished is left alone)"
	honest    = "answers agree with the state"
	told      = "an outcome is final when the bus was told of it"
	silent    = "no value is printed"
	aside     = "a rejected message is set aside or stays on the queue"
)

// checkWrite judges the step from before to after, made by a call of the program: by the
// oracle, by what an operator's acts hide from it, and by what the senders asked for.
func (h *history) checkWrite(c *call, before, after snapshot) {
	for _, fault := range promise.Check(h.server, h.byHand...) {
		h.violate(fault, "after a call of the program's")
	}
	for _, key := range after.keys {
		secret := after.secrets[key.Tags["createkey:secret"]]
		r := promise.Decode(secret.Current())
		if was, existed := before.key(key.ID); !existed {
			h.checkMade(c, key, secret, after)
		} else if !reflect.DeepEqual(was, key) {
			h.checkChanged(c, was, key, r)
		}
		if r.Finished() && r.ID == key.ID && !slices.Equal(h.known(after.plans[key.ID], nil), h.known(before.plans[key.ID], nil)) {
			h.violate(untouched, "key %s of a finished record was attached to a plan", key.ID)
		}
	}
	for name := range before.secrets {
		if _, exists := after.secrets[name]; !exists {
			h.violate(untouched, "secret %s was deleted", name)
		}
	}
	for name, is := range after.secrets {
		was, r := promise.Decode(before.secrets[name].Current()), promise.Decode(is.Current())
		if r.Finished() && (!was.Finished() || was.ID != r.ID) {
			h.checkFinished(is, was, after)
		}
		if len(is.Versions) != len(before.secrets[name].Versions) {
			h.reachStep(was, r)
		}
	}
	if len(after.secrets) > len(h.identities) {
		h.violate(complete, "there is a secret that no message asked for")
	}
	h.checkEnded()
	h.noteReasons()
}

// checkMade judges a key that a call has just made: as a request says, like the living key for a
// rotation, or disabled for an end.
func (h *history) checkMade(c *call, key awslocal.Key, secret awslocal.Secret, now snapshot) {
	r := promise.Decode(secret.Current())
	if key.Tags["createkey:request"] == "ended" {
		if key.Enabled || !r.HasEnded() || !r.Knows(key) {
			h.violate(complete, "key %s fences a value that has not ended, or is enabled", key.ID)
		}
		h.reachDisabled(c, key, r, true)
		return
	}
	for _, v := range secret.Versions {
		if began := promise.Decode(v); began.Next.Value == key.Value {
			living, _ := now.key(began.ID)
			if key.Name != living.Name || key.CustomerID != living.CustomerID || key.Description != living.Description ||
				key.Enabled != began.Enabled && !h.revoked[secret.Name] || !reflect.DeepEqual(key.Tags, living.Tags) {
				h.violate(complete, "key %s is not like key %s, which it is to replace", key.ID, living.ID)
			}
			return
		}
	}
	if !h.wasAsked(key, nil) {
		h.violate(complete, "key %s is not what any request said", key.ID)
	}
}

// checkChanged judges a change of a key: it may be disabled, and if it is disabled already,
// only its date may change.
func (h *history) checkChanged(c *call, was, is awslocal.Key, r promise.Record) {
	disabled := was
	disabled.Enabled, disabled.LastUpdated = false, is.LastUpdated
	switch {
	case !reflect.DeepEqual(disabled, is):
		h.violate(promise.LeftAlone, "key %s was changed in more than being disabled", is.ID)
	case !was.Enabled:
	case !r.MayDisable(is, h.namedByEnd(is.ID)):
		h.violate(promise.LeftAlone, "key %s was disabled, and the record does not say so", is.ID)
	default:
		h.reachDisabled(c, is, r, false)
	}
}

// namedByEnd reports whether an end names a key.
func (h *history) namedByEnd(id string) bool {
	return slices.ContainsFunc(h.messages, func(m *message) bool { return m.keyID == id })
}

// checkEnded checks that the keys of an identity are disabled, permanently, once an end was
// answered that is newer than every sign-up.
func (h *history) checkEnded() {
	for _, i := range h.identities {
		holds, ended := promise.Holds{}, false
		for _, m := range h.messages {
			if m.identity == i && (m.kind == signUp || m.heard) {
				holds, ended = m.tell(holds), ended || m.heard
			}
		}
		if !ended || holds.Held() {
			continue
		}
		if enabled := promise.Enabled(h.server, i.secret); len(enabled) > 0 {
			h.violate(complete, "an end of %s that is newer than every sign-up is done, but keys %q are enabled", i.secret, enabled)
		}
	}
}

// checkFinished judges a record that a call has just finished, given the previous one.
func (h *history) checkFinished(s awslocal.Secret, was promise.Record, now snapshot) {
	for _, fault := range promise.Describes(h.server, s.Name, slices.Collect(maps.Keys(h.defaults))...) {
		h.violate(fault, "when it was finished")
	}
	r := promise.Decode(s.Current())
	if was.Finished() && !h.revoked[s.Name] && slices.ContainsFunc(was.UsagePlanIDs, func(id string) bool { return !slices.Contains(r.UsagePlanIDs, id) }) {
		h.violate(complete, "key %s is not in all usage plans of key %s, which it replaces", r.ID, was.ID)
	}
	if key, ok := now.key(r.ID); ok && !was.Finished() && !h.wasAsked(key, r.UsagePlanIDs) {
		h.violate(complete, "the record of %s is not what any request said", s.Name)
	}
}

// wasAsked reports whether some request asked for a key as it is, in these plans; nil: in any
// plans.
func (h *history) wasAsked(key awslocal.Key, plans []string) bool {
	return slices.ContainsFunc(h.messages, func(m *message) bool {
		return m.kind == signUp && m.identity.secret == key.Tags["createkey:secret"] && m.made(key) &&
			(plans == nil || m.plans == nil || slices.Equal(slices.Sorted(slices.Values(plans)), slices.Sorted(slices.Values(m.plans))))
	})
}

// made reports whether a key is what the message's request asks for, whether or not it is
// still enabled.
func (m *message) made(key awslocal.Key) bool {
	return !m.malformed && key.Tags["content"] == m.letter && key.Name == m.identity.name &&
		key.CustomerID == m.identity.customer && key.Description == m.description && (m.value == "" || m.value == key.Value)
}

// known removes from a key's plans those that were a default at some time, unless they are
// wanted: when the default changes while deliveries are in flight, each attaches the key to
// the default that it knows.
func (h *history) known(plans, wanted []string) (known []string) {
	for _, id := range plans {
		if !h.defaults[id] || slices.Contains(wanted, id) {
			known = append(known, id)
		}
	}
	return known
}

// against returns why a message must be rejected in the current state; empty: it must not.
func (h *history) against(m *message, now snapshot) string {
	secret, exists := now.secrets[m.identity.secret]
	r := promise.Decode(secret.Current())
	switch {
	case m.malformed:
		return "it is malformed"
	case m.faulty():
		return "it has no time"
	case exists && secret.DeletionDate.IsZero() && !r.Ours():
		return "the secret is foreign"
	case exists && !secret.DeletionDate.IsZero() && m.kind != signUp:
		return "" // retried
	}
	switch m.kind {
	case end:
		return ""
	case endOfPrevious:
		if m.keyID == "" || r.Previous != m.keyID {
			return "its keyId is not that of the key before"
		}
		return ""
	case rotation:
		key, _ := now.key(r.ID)
		switch {
		case !exists:
			return "there is no key"
		case r.HasEnded():
			return "the key has ended"
		case r.Finished() && (!key.Deleted.IsZero() || r.Enabled && !key.Enabled):
			return "the key was revoked"
		}
		return ""
	}
	return h.againstSignUp(m, secret, r, now)
}

func (h *history) againstSignUp(m *message, secret awslocal.Secret, r promise.Record, now snapshot) string {
	fault := ""
	switch {
	case slices.Contains(m.plans, planOne) && slices.Contains(m.plans, planOneToo):
		fault = "two of its plans share a stage"
	case slices.ContainsFunc(m.plans, func(id string) bool { return !h.planExists(id) }):
		fault = "one of its plans does not exist"
	}
	over := r.Heard().Over(m.hold(), m.sent())
	pending := !r.Finished() && !r.HasEnded()
	switch {
	case secret.Name == "":
		return fault
	case !secret.DeletionDate.IsZero():
		return fault // otherwise retried, until an operator restores it or the name is free
	case pending && fault == "" && m.value != "" && m.value != r.Value:
		return "the secret holds another value"
	case over && m.sent().IsZero():
		return "the key has ended, and it has no time"
	case over:
		return "" // ended
	case !r.Finished() && fault != "":
		return fault
	case r.HasEnded() && m.value != "" && m.value == r.Value:
		return "its value is that of the key that has ended"
	case r.HasEnded():
		r.Value = m.value
	case m.value != "" && m.value != r.Value:
		return "the secret holds another value"
	}
	key, exists := now.bearer(r.Value)
	switch {
	case !exists && r.Finished():
		return "the key was revoked"
	case !exists:
		return ""
	case key.Tags["createkey:secret"] != secret.Name:
		return "a foreign key has the value"
	case r.HasEnded() && !key.Enabled:
		return "its value is that of a key that has ended"
	case !m.made(key):
		return "the key says something else"
	case r.Finished() && m.enabled && !key.Enabled:
		return "the key was revoked"
	case r.Finished() && len(now.plans[key.ID]) == 0 && slices.ContainsFunc(r.UsagePlanIDs, h.planExists):
		return "the key was taken out of its plans"
	}
	return ""
}

func (h *history) planExists(id string) bool {
	return slices.ContainsFunc(h.server.UsagePlans(), func(p awslocal.UsagePlan) bool { return p.ID == id })
}

// mistakable reports whether a delivery that still sees an old record, whose key has been
// disabled or deleted since, may take the key for revoked: it repeats what that record
// already knows.
func (m *message) mistakable(now snapshot) bool {
	return slices.ContainsFunc(now.secrets[m.identity.secret].Versions, func(v awslocal.SecretVersion) bool {
		r := promise.Decode(v)
		key, made := now.key(r.ID)
		repeat := m.kind == rotation || m.kind == signUp && m.tell(r.Heard()).Equal(r.Heard())
		return r.Finished() && made && repeat && (!key.Enabled || !key.Deleted.IsZero())
	})
}

// noteReasons records which messages must be rejected, and until when they had to be. Because
// reads lag, a rejection may be for a past reason; nor does scheduling a deletion undo what a
// delivery has read of the secret.
func (h *history) noteReasons() {
	now := h.snapshot()
	for name, secret := range now.secrets {
		secret.DeletionDate = time.Time{}
		now.secrets[name] = secret
	}
	for _, m := range h.messages {
		if m.against {
			m.againstUntil = time.Now()
		}
		m.against = h.against(m, now) != "" || m.mistakable(now)
	}
}

// A line is the function's log line of one message.
type line struct{ MessageID, Outcome, KeyID, SecretName, Reason, Code string }

// done reports whether the message has a final answer, and was not rejected.
func (l line) done() bool {
	return slices.Contains([]string{"created", "existing", "ended", "rotated"}, l.Outcome)
}

// checkAnswer judges what an invocation answered and logged.
func (h *history) checkAnswer(e *environment, inv *invocation) map[*message]line {
	if inv.ended.After(inv.deadline) {
		h.violate(honest, "the invocation was answered after its time was up")
	}
	logged := map[string]line{}
	for _, raw := range bytes.Split(bytes.TrimSpace(inv.log), []byte("\n")) {
		var l line
		if err := json.Unmarshal(raw, &l); err != nil {
			h.violate(honest, "a log line is not JSON")
		}
		logged[l.MessageID] = l
	}
	outcomes := map[*message]line{}
	for _, m := range inv.messages {
		l, ok := logged[m.logID()]
		if !ok {
			h.violate(honest, "the log has no line for %s", m.id)
		}
		outcomes[m] = l
		h.checkOutcome(m, l, inv)
		if e.bus != "" {
			h.checkEvent(m, l)
		}
	}
	h.checkResponse(e, inv, outcomes)
	return outcomes
}

func (h *history) checkOutcome(m *message, l line, inv *invocation) {
	switch {
	case l.done():
		if l.SecretName != m.identity.secret || !h.mayAnswer(m, l) {
			h.violate(honest, "%s is logged as %s, with key %q, which is wrong", m.id, l.Outcome, l.KeyID)
		}
	case l.Outcome == "rejected":
		h.noteReasons()                                   // a deleted secret's name may have become free just by the passing of time
		seen := inv.deadline.Add(-timeLimit - gatewayLag) // as of the oldest read
		if !m.against && m.againstUntil.Before(seen) {
			h.violate(honest, "%s is rejected without a reason", m.id)
		}
	case l.Outcome != "retried":
		h.violate(honest, "%s has outcome %q", m.id, l.Outcome)
	case strings.Contains(l.Reason, "panic"):
		h.violate(honest, "%s: %s", m.id, l.Reason)
	}
}

// mayAnswer reports whether a message can have ended in an outcome.
func (h *history) mayAnswer(m *message, l line) bool {
	ends := promise.Holds{} // all that a record can know
	for _, other := range h.messages {
		if other.identity == m.identity && other.kind == end {
			ends = other.tell(ends)
		}
	}
	switch m.kind {
	case signUp:
		if l.Outcome == "ended" {
			return !m.sent().IsZero() && ends.Over(m.hold(), m.sent())
		}
		key, ok := h.snapshot().key(l.KeyID)
		return l.Outcome != "rotated" && ok && m.made(key) && h.wasRecorded(m.identity, key)
	case end:
		key, ok := h.snapshot().key(l.KeyID)
		return l.Outcome == "ended" && (l.KeyID == "" || ok && h.wasRecorded(m.identity, key)) ||
			l.Outcome == "existing" && ok && h.wasRecorded(m.identity, key)
	case rotation:
		if l.Outcome == "ended" {
			return len(ends) > 0
		}
		return l.Outcome == "rotated" && slices.ContainsFunc(h.server.SecretEver(m.identity.secret), func(s awslocal.Secret) bool {
			r := promise.Decode(s.Current())
			return r.Finished() && r.ID == l.KeyID && !r.Since.Before(m.sent())
		})
	}
	return l.Outcome == "ended" && !slices.Contains(promise.Enabled(h.server, m.identity.secret), m.keyID)
}

// checkEvent checks that the bus has accepted the event of a final outcome.
func (h *history) checkEvent(m *message, l line) {
	wanted := map[string]string{"ended": "API Key Ended", "rotated": "API Key Rotated", "rejected": "API Key Rejected"}[l.Outcome]
	switch {
	case l.Outcome == "retried", strings.Contains(l.Reason, "event: was not sent"):
		return
	case wanted == "":
		wanted = "API Key Ready"
	}
	if !slices.ContainsFunc(h.server.Events(), func(e awslocal.Event) bool {
		var detail struct{ MessageID, ID, SecretName string }
		return e.Bus == outcomes && e.Source == "createkey" && e.DetailType == wanted && json.Unmarshal([]byte(e.Detail), &detail) == nil &&
			detail.MessageID == m.logID() && (!l.done() || detail.ID == l.KeyID && detail.SecretName == l.SecretName)
	}) {
		h.violate(told, "%s is %s, and the bus has no %s of it", m.id, l.Outcome, wanted)
	}
}

// wasRecorded reports whether a record of the identity ever named the key.
func (h *history) wasRecorded(i *identity, key awslocal.Key) bool {
	return slices.ContainsFunc(h.server.SecretEver(i.secret), func(s awslocal.Secret) bool {
		r := promise.Decode(s.Current())
		return r.Ours() && r.ID == key.ID && r.Value == key.Value
	})
}

// checkResponse judges the answer in the form that the carrier requires.
func (h *history) checkResponse(e *environment, inv *invocation, outcomes map[*message]line) {
	carrier := inv.messages[0].carrier
	switch carrier {
	case standardQueue, fifoQueue, pipe:
		var response struct {
			BatchItemFailures []struct{ ItemIdentifier string }
		}
		if inv.err != nil || json.Unmarshal(inv.answer, &response) != nil || response.BatchItemFailures == nil {
			h.violate(honest, "a batch was not answered as one")
			return
		}
		again := map[string]bool{}
		var order []string
		for _, f := range response.BatchItemFailures {
			again[f.ItemIdentifier], order = true, append(order, f.ItemIdentifier)
		}
		if !slices.Equal(order, slices.DeleteFunc(idsOf(inv.messages), func(id string) bool { return !again[id] })) {
			h.violate(honest, "the answer names failures %q, which are not messages of the batch in its order", order)
		}
		h.checkLeft(e, inv, again, outcomes)
		return
	}
	failed := slices.ContainsFunc(inv.messages, func(m *message) bool { return !outcomes[m].done() })
	if (inv.err != nil) != failed {
		h.violate(honest, "the answer and the log disagree on whether it failed")
	}
	if inv.err != nil {
		return
	}
	for _, l := range outcomes {
		if !strings.Contains(string(inv.answer), `{"id":"`+l.KeyID+`"`) || !strings.Contains(string(inv.answer), `"secretName":"`+l.SecretName+`"`) {
			h.violate(honest, "the answer differs from the log")
		}
	}
}

func idsOf(messages []*message) (ids []string) {
	for _, m := range messages {
		ids = append(ids, m.id)
	}
	return ids
}

// checkLeft judges which messages of a batch leave the queue, and which are redelivered.
// Nothing is lost: a message that leaves is done, or rejected and in the dead-letter queue.
func (h *history) checkLeft(e *environment, inv *invocation, again map[string]bool, outcomes map[*message]line) {
	const held = "an earlier message of its group"
	stopped, retried := map[string]bool{}, map[string]bool{} // groups with a message that comes again; by itself
	for _, m := range inv.messages {
		l := outcomes[m]
		behind := inv.messages[0].carrier == fifoQueue && stopped[m.group]
		rejected := l.Outcome == "rejected"
		switch {
		case l.done() == again[m.id] && !rejected:
			h.violate(honest, "%s is %s, redelivered: %t", m.id, l.Outcome, again[m.id])
		case l.done() && behind:
			h.violate(honest, "%s was done although an earlier message of its group is to come again", m.id)
		case strings.Contains(l.Reason, held) && !behind:
			h.violate(honest, "%s was held up although no earlier message of its group is to come again", m.id)
		case rejected && !again[m.id] && !h.isSetAside(m):
			h.violate(aside, "%s is lost: it is rejected, leaves the queue, and is not in the dead-letter queue", m.id)
		case rejected && !again[m.id] && behind && retried[m.group]:
			h.violate(aside, "%s was set aside although an earlier message of its group is retried", m.id)
		case rejected && again[m.id] && e.letters != "" && !behind &&
			!strings.Contains(l.Reason, "dead-letter queue: was not set aside: ") && !strings.Contains(l.Reason, "event: was not sent"):
			h.violate(aside, "%s is rejected and comes again, and nothing says why: %s", m.id, l.Reason)
		}
		// If no letters are sent, a rejected message leaves the queue by its receive count.
		stopped[m.group] = stopped[m.group] || again[m.id] && (!rejected || e.letters != "")
		retried[m.group] = retried[m.group] || l.Outcome == "retried" && !strings.Contains(l.Reason, held)
	}
}

// isSetAside reports whether a message is in a dead-letter queue. It checks its letters.
func (h *history) isSetAside(m *message) (found bool) {
	for _, letter := range h.server.Messages() {
		if string(letter.Attributes["messageId"].Value) != m.id {
			continue
		}
		found = true
		if letter.Queue != "letters" && letter.Queue != "letters.fifo" || string(letter.Body) != m.body() {
			h.violate(aside, "a letter of %s is not what was sent", m.id)
		}
		for name, sent := range m.attributes() {
			want := sent.StringValue
			if bytes, err := base64.StdEncoding.DecodeString(sent.BinaryValue); err == nil {
				want += string(bytes)
			}
			if got := letter.Attributes[name]; got.DataType != sent.DataType || string(got.Value) != want {
				h.violate(aside, "the attribute %s of a letter of %s is not what was sent", name, m.id)
			}
		}
		for name, want := range map[string]string{"customerId": m.identity.customer, "secretName": m.identity.secret} {
			if got, known := letter.Attributes[name]; known && string(got.Value) != want {
				h.violate(aside, "a letter of %s says %s is %q", m.id, name, got.Value)
			}
		}
		if letter.Attributes["reason"].Value == "" {
			h.violate(aside, "a letter of %s gives no reason", m.id)
		}
	}
	return found
}

// checkSilence looks in all output for every value that ever existed or was sent.
func (h *history) checkSilence() {
	for _, event := range h.server.Events() {
		h.printed = append(h.printed, event.Detail...)
	}
	for _, letter := range h.server.Messages() { // except for the body, which is the sender's
		for _, a := range letter.Attributes {
			h.printed = append(h.printed, a.Value...)
		}
	}
	var sent []string
	for _, m := range h.messages {
		sent = append(sent, string(m.value))
	}
	if promise.Leaks(h.server, h.printed, sent...) {
		h.violate(silent, "an answer, an error, an event, a letter's attribute or a log line holds a part of a value")
	}
}
