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

// The promises are judged by what the local AWS holds, never by what the program
// says of itself: package promise states them.

// A snapshot is all that AWS holds.
type snapshot struct {
	keys    []awslocal.Key // ever
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

// finished is when the secret's record was finished; zero if it is not.
func finished(s awslocal.Secret) time.Time {
	for _, v := range s.Versions {
		if promise.Decode(v).Finished() {
			return v.Created
		}
	}
	return time.Time{}
}

// recordedKey is the key that a finished record names, if it still exists.
func (h *history) recordedKey(s awslocal.Secret) (awslocal.Key, bool) {
	key, ok := h.snapshot().key(promise.Decode(s.Current()).ID)
	return key, ok && key.Deleted.IsZero()
}

// violate notes the first broken promise. What it is told holds no value.
func (h *history) violate(rule, format string, args ...any) {
	if h.broken == "" {
		h.broken = rule + ": " + fmt.Sprintf(format, args...)
		h.tell("BROKEN", "%s", h.broken)
	}
}

// What is judged here beside the promises of package promise.
const (
	complete  = "promise 3 (one key, as a request asked for it)"
	untouched = "promise 4 (what is finished is left alone)"
	honest    = "answers agree with the state"
	told      = "an outcome is final when the bus was told of it"
	silent    = "no value is printed"
	aside     = "a rejected message is set aside or stays on the queue"
)

// checkWrite judges the step from before to after, which one call of the
// program made: by the oracle, by what an operator's acts hide from it, and by what the
// senders asked for.
func (h *history) checkWrite(before, after snapshot) {
	for _, fault := range promise.Check(h.server, h.byHand...) {
		h.violate(fault, "after a call of the program's")
	}
	for _, key := range after.keys {
		if was, existed := before.key(key.ID); existed && !reflect.DeepEqual(was, key) {
			h.violate(untouched, "key %s was changed", key.ID)
		} else if !existed && !h.wasAsked(key, nil) {
			h.violate(complete, "key %s is not what any request said", key.ID)
		}
		recorded := promise.Decode(after.secrets[key.Tags["createkey:secret"]].Current()).ID == key.ID
		if recorded && !slices.Equal(h.known(after.plans[key.ID], nil), h.known(before.plans[key.ID], nil)) {
			h.violate(untouched, "key %s of a finished record was attached to a plan", key.ID)
		}
	}
	for name := range before.secrets {
		if _, exists := after.secrets[name]; !exists {
			h.violate(untouched, "secret %s was deleted", name)
		}
	}
	for name, is := range after.secrets {
		if len(is.Versions) > 1 && len(before.secrets[name].Versions) == 1 {
			h.checkFinished(is, after)
		}
	}
	if len(after.secrets) > len(h.identities) {
		h.violate(complete, "there is a secret of nobody's")
	}
	h.noteReasons()
}

// checkFinished judges a record that a call has just finished.
func (h *history) checkFinished(s awslocal.Secret, now snapshot) {
	for _, fault := range promise.Describes(h.server, s.Name, slices.Collect(maps.Keys(h.defaults))...) {
		h.violate(fault, "when it was finished")
	}
	r := promise.Decode(s.Current())
	if key, ok := now.key(r.ID); ok && !h.wasAsked(key, r.UsagePlanIDs) {
		h.violate(complete, "the record of %s is not what any request said", s.Name)
	}
}

// wasAsked reports whether some request asked for a key as it is, in these plans; nil:
// in whatever plans.
func (h *history) wasAsked(key awslocal.Key, plans []string) bool {
	return slices.ContainsFunc(h.messages, func(m *message) bool {
		return m.identity.secret == key.Tags["createkey:secret"] && m.made(key) &&
			(plans == nil || m.plans == nil || slices.Equal(slices.Sorted(slices.Values(plans)), slices.Sorted(slices.Values(m.plans))))
	})
}

// made tells whether a key is what the message's request asks for, be it
// enabled still or not.
func (m *message) made(key awslocal.Key) bool {
	return !m.malformed && key.Tags["content"] == m.letter && key.Name == m.identity.name &&
		key.CustomerID == m.identity.customer && key.Description == m.description && (m.value == "" || m.value == key.Value)
}

// known leaves out of a key's plans those that were a default at some time,
// unless they are among the wanted: when the default changes while deliveries
// are in flight, each attaches the key to the default that it knows.
func (h *history) known(plans, wanted []string) (known []string) {
	for _, id := range plans {
		if !h.defaults[id] || slices.Contains(wanted, id) {
			known = append(known, id)
		}
	}
	return known
}

// against tells what speaks against a message as the world stands, which is
// when it is to be rejected; empty: nothing.
func (h *history) against(m *message, now snapshot) string {
	fault := ""
	switch {
	case m.malformed:
		return "it is malformed"
	case slices.Contains(m.plans, planOne) && slices.Contains(m.plans, planOneToo):
		fault = "two of its plans share a stage"
	case slices.ContainsFunc(m.plans, func(id string) bool { return !h.planExists(id) }):
		fault = "one of its plans does not exist"
	}
	secret, exists := now.secrets[m.identity.secret]
	r := promise.Decode(secret.Current())
	switch {
	case !exists:
		return fault
	case !secret.DeletionDate.IsZero():
		return fault // else retried, until an operator restores it or the name is free
	case !r.Ours():
		return "the secret is somebody else's"
	case !r.Finished() && fault != "":
		return fault
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
		return "somebody else's key has the value"
	case !m.made(key):
		return "the key says something else"
	case r.Finished() && m.enabled && !key.Enabled:
		return "the key was revoked"
	}
	return ""
}

func (h *history) planExists(id string) bool {
	return slices.ContainsFunc(h.server.UsagePlans(), func(p awslocal.UsagePlan) bool { return p.ID == id })
}

// disabled reports whether somebody disabled the key of a secret, be its deletion
// scheduled since or not: a delivery may have read the record before.
func disabled(now snapshot, secret string) bool {
	key, exists := now.bearer(promise.Decode(now.secrets[secret].Current()).Value)
	return exists && !key.Enabled
}

// noteReasons remembers which messages had something against them. Reads lag,
// so that a rejection may be for what was so a while ago; nor does a deletion that was
// scheduled meanwhile undo what a delivery has read of the secret.
func (h *history) noteReasons() {
	now := h.snapshot()
	for name, secret := range now.secrets {
		secret.DeletionDate = time.Time{}
		now.secrets[name] = secret
	}
	for _, m := range h.messages {
		m.against = m.against || h.against(m, now) != "" || m.enabled && disabled(now, m.identity.secret)
	}
}

// A line is what the function's log says of one message.
type line struct{ MessageID, Outcome, KeyID, SecretName, Reason, Code string }

func (l line) done() bool { return l.Outcome == "created" || l.Outcome == "existing" }

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
		h.checkOutcome(m, l)
		if e.bus != "" {
			h.checkEvent(m, l)
		}
	}
	h.checkResponse(e, inv, outcomes)
	return outcomes
}

func (h *history) checkOutcome(m *message, l line) {
	switch {
	case l.done():
		if l.SecretName != m.identity.secret || !h.wasEver(m, l.KeyID) {
			h.violate(honest, "%s is called %s, and no secret records key %s for what it said", m.id, l.Outcome, l.KeyID)
		}
	case l.Outcome == "rejected":
		if !m.against {
			h.violate(honest, "%s is rejected, and nothing was ever against it", m.id)
		}
	case l.Outcome != "retried":
		h.violate(honest, "%s has outcome %q", m.id, l.Outcome)
	case strings.Contains(l.Reason, "panic"):
		h.violate(honest, "%s: %s", m.id, l.Reason)
	}
}

// checkEvent judges whether the bus has taken what a final outcome is told by.
func (h *history) checkEvent(m *message, l line) {
	wanted := "API Key Ready"
	switch {
	case l.Outcome == "retried", strings.Contains(l.Reason, "event: was not sent"):
		return
	case l.Outcome == "rejected":
		wanted = "API Key Rejected"
	}
	if !slices.ContainsFunc(h.server.Events(), func(e awslocal.Event) bool {
		var detail struct{ MessageID, ID, SecretName string }
		return e.Bus == outcomes && e.Source == "createkey" && e.DetailType == wanted && json.Unmarshal([]byte(e.Detail), &detail) == nil &&
			detail.MessageID == m.logID() && (!l.done() || detail.ID == l.KeyID && detail.SecretName == l.SecretName)
	}) {
		h.violate(told, "%s is %s, and the bus has no %s of it", m.id, l.Outcome, wanted)
	}
}

// wasEver tells whether a finished record of the message's secret ever named
// the key, and whether that is a key that its request asks for.
func (h *history) wasEver(m *message, keyID string) bool {
	key, ok := h.snapshot().key(keyID)
	if !ok || !m.made(key) {
		return false
	}
	return slices.ContainsFunc(h.server.SecretEver(m.identity.secret), func(s awslocal.Secret) bool {
		r := promise.Decode(s.Current())
		return r.Ours() && r.ID == keyID && r.Value == key.Value
	})
}

// checkResponse judges the answer by what the carrier wants.
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

// checkLeft judges which messages of a batch leave the queue, and which come again.
// Nothing is lost: a message leaves that is done, or that is rejected and lies in the
// dead-letter queue.
func (h *history) checkLeft(e *environment, inv *invocation, again map[string]bool, outcomes map[*message]line) {
	const held = "an earlier message of its group"
	stopped, retried := map[string]bool{}, map[string]bool{} // groups with a message that comes again; by itself
	for _, m := range inv.messages {
		l := outcomes[m]
		behind := inv.messages[0].carrier == fifoQueue && stopped[m.group]
		rejected := l.Outcome == "rejected"
		switch {
		case l.done() == again[m.id] && !rejected:
			h.violate(honest, "%s is %s, and comes again: %t", m.id, l.Outcome, again[m.id])
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
		// Where no letters are sent, a rejected message leaves the queue by its receive count.
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

// checkSilence looks for every value that ever was, or was sent, in all that was printed.
func (h *history) checkSilence() {
	for _, event := range h.server.Events() {
		h.printed = append(h.printed, event.Detail...)
	}
	for _, letter := range h.server.Messages() { // but for the body, which is the sender's
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
