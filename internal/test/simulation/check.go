package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"createkey/internal/test/awslocal"
)

// The promises are judged by what the local AWS holds, never by what the program
// says of itself.

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

// A record is what a secret holds, read as any other reader would.
type record struct {
	Format       string
	Value        awslocal.Sensitive
	ID           string
	Name         string
	CustomerID   string
	Description  string
	Enabled      bool
	CreatedDate  time.Time
	StageKeys    []string
	Tags         map[string]string
	UsagePlanIDs []string
}

func parse(v awslocal.SecretVersion) record {
	var r record
	if json.Unmarshal([]byte(v.String), &r) != nil {
		return record{}
	}
	return r
}

// pending reports whether a version holds a format marker and a value, and
// nothing else.
func pending(v awslocal.SecretVersion) bool {
	var members object
	r := parse(v)
	return r.ours() && r.Value != "" && json.Unmarshal([]byte(v.String), &members) == nil && len(members) == 2
}

func (r record) ours() bool     { return r.Format == "createkey/1" }
func (r record) finished() bool { return r.ID != "" }

// finished is when the secret's record was finished; zero if it is not.
func finished(s awslocal.Secret) time.Time {
	for _, v := range s.Versions {
		if r := parse(v); r.ours() && r.finished() {
			return v.Created
		}
	}
	return time.Time{}
}

// recordedKey is the key that a finished record names, if it still exists.
func (h *history) recordedKey(s awslocal.Secret) (awslocal.Key, bool) {
	key, ok := h.snapshot().key(parse(s.Current()).ID)
	return key, ok && key.Deleted.IsZero()
}

// violate notes the first broken promise. What it is told holds no value.
func (h *history) violate(promise, format string, args ...any) {
	if h.broken == "" {
		h.broken = promise + ": " + fmt.Sprintf(format, args...)
		h.tell("BROKEN", "%s", h.broken)
	}
}

const (
	once       = "promise 1 (at most one key)"
	writeAhead = "promise 2 (the secret comes first)"
	complete   = "promise 3 (one key, completely described)"
	untouched  = "promise 4 (a finished record and its key are left alone)"
	honest     = "answers agree with the state"
	told       = "an outcome is final when the bus was told of it"
	silent     = "no value is printed"
)

// checkWrite judges the step from before to after, which one call of the
// program made.
func (h *history) checkWrite(before, after snapshot) {
	for _, key := range after.keys {
		if was, existed := before.key(key.ID); !existed {
			h.checkNewKey(key, after)
		} else if !reflect.DeepEqual(was, key) {
			h.violate(untouched, "key %s was changed", key.ID)
		}
	}
	for _, i := range h.identities {
		was, existed := before.secrets[i.secret]
		is, exists := after.secrets[i.secret]
		switch {
		case existed && !exists:
			h.violate(untouched, "secret %s was deleted", i.secret)
		case !exists || existed && reflect.DeepEqual(was, is):
		case !existed:
			if len(is.Versions) != 1 || !pending(is.Current()) {
				h.violate(writeAhead, "secret %s was not made with a pending record of format and value", i.secret)
			}
		default:
			h.checkNewVersion(was, is, after)
		}
	}
	if len(after.secrets) > len(h.identities) {
		h.violate(once, "there is a secret of nobody's")
	}
	for _, key := range after.keys {
		recorded := parse(after.secrets[key.Tags["createkey:secret"]].Current()).ID == key.ID
		if recorded && !slices.Equal(h.known(after.plans[key.ID], nil), h.known(before.plans[key.ID], nil)) {
			h.violate(untouched, "key %s of a finished record was attached to a plan", key.ID)
		}
	}
	h.noteReasons()
}

func (h *history) checkNewKey(key awslocal.Key, now snapshot) {
	n := slices.IndexFunc(h.identities, func(i *identity) bool { return i.secret == key.Tags["createkey:secret"] })
	if n < 0 {
		h.violate(complete, "key %s is tagged for no secret of anybody's", key.ID)
		return
	}
	i := h.identities[n]
	if !slices.ContainsFunc(now.secrets[i.secret].Versions, func(v awslocal.SecretVersion) bool { return parse(v).Value == key.Value }) {
		h.violate(writeAhead, "key %s bears a value that secret %s does not hold", key.ID, i.secret)
		return
	}
	// The operator re-issues a key by deleting it and its secret, which then
	// begins another life: one key for each.
	life, made := now.secrets[i.secret].Created, 0
	for _, other := range now.keys {
		if other.Tags["createkey:secret"] == i.secret && !other.Created.Before(life) {
			made++
		}
	}
	if made > 1 {
		h.violate(once, "key %s is number %d of %s", key.ID, made, i.secret)
	}
	if !slices.ContainsFunc(h.messages, func(m *message) bool { return m.identity == i && m.made(key) }) {
		h.violate(complete, "key %s of %s is not what any request said", key.ID, i.secret)
	}
}

// made reports whether a key is what the message's request asks for, be it
// enabled still or not.
func (m *message) made(key awslocal.Key) bool {
	return !m.malformed && key.Tags["content"] == m.letter && key.Name == m.identity.name &&
		key.CustomerID == m.identity.customer && key.Description == m.description && (m.value == "" || m.value == key.Value)
}

// checkNewVersion judges what a call did to a secret that was there.
func (h *history) checkNewVersion(was, is awslocal.Secret, now snapshot) {
	old, r := parse(was.Current()), parse(is.Current())
	switch {
	case !old.ours():
		h.violate(complete, "secret %s, which is somebody else's, was changed", is.Name)
		return
	case old.finished():
		h.violate(untouched, "the finished record of %s was superseded", is.Name)
		return
	case len(is.Versions) != len(was.Versions)+1 || !r.ours() || !r.finished() || r.Value != old.Value || !is.DeletionDate.Equal(was.DeletionDate):
		h.violate(complete, "secret %s got something else than the finished record of its value", is.Name)
		return
	}
	key, _ := now.key(r.ID)
	plans := slices.Sorted(slices.Values(r.UsagePlanIDs))
	attached := h.known(now.plans[r.ID], plans)
	switch {
	case key.ID == "" || !key.Deleted.IsZero():
		h.violate(complete, "the record of %s names key %s, which does not exist", is.Name, r.ID)
	case key.Value != r.Value:
		h.violate(complete, "the record of %s and its key %s bear different values", is.Name, r.ID)
	case key.Tags["createkey:secret"] != is.Name:
		h.violate(complete, "the record of %s names key %s, which is not its own", is.Name, r.ID)
	case key.Name != r.Name, key.CustomerID != r.CustomerID, key.Description != r.Description,
		r.Enabled != key.Enabled && !h.disabled[key.ID], key.Created.Unix() != r.CreatedDate.Unix(),
		!slices.Equal(key.StageKeys, r.StageKeys), !maps.Equal(key.Tags, r.Tags):
		h.violate(complete, "the record of %s does not describe key %s as it is", is.Name, r.ID)
	case !slices.Equal(plans, attached):
		h.violate(complete, "the record of %s names plans %q, and its key is in %q", is.Name, plans, now.plans[r.ID])
	case !slices.ContainsFunc(h.messages, func(m *message) bool {
		return m.made(key) && (m.plans == nil || slices.Equal(plans, slices.Sorted(slices.Values(m.plans))))
	}):
		h.violate(complete, "the record of %s is not what any request said", is.Name)
	}
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

// scheduled keeps a message from being done as long as it lasts: Secrets Manager refuses
// every call on the secret, and answers the same for a while after a deletion without a
// window, so that the message is retried and never rejected.
const scheduled = "the secret is scheduled for deletion"

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
	r := parse(secret.Current())
	switch {
	case !exists:
		return fault
	case !secret.DeletionDate.IsZero():
		return scheduled
	case !r.ours():
		return "the secret is somebody else's"
	case !r.finished() && fault != "":
		return fault
	case m.value != "" && m.value != r.Value:
		return "the secret holds another value"
	}
	key, exists := now.bearer(r.Value)
	switch {
	case !exists && r.finished():
		return "the key was revoked"
	case !exists:
		return ""
	case key.Tags["createkey:secret"] != secret.Name:
		return "somebody else's key has the value"
	case !m.made(key):
		return "the key says something else"
	}
	return ""
}

func (h *history) planExists(id string) bool {
	return slices.ContainsFunc(h.server.UsagePlans(), func(p awslocal.UsagePlan) bool { return p.ID == id })
}

// noteReasons remembers which messages had something against them. Reads lag,
// so that a rejection may be for what was so a while ago.
func (h *history) noteReasons() {
	now := h.snapshot()
	for _, m := range h.messages {
		m.against = m.against || h.against(m, now) != ""
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
	var failed []string
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
		if !l.done() {
			failed = append(failed, m.id)
		}
	}
	h.checkResponse(inv, failed, outcomes)
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

// wasEver reports whether a finished record of the message's secret ever named
// the key, and whether that is a key that its request asks for.
func (h *history) wasEver(m *message, keyID string) bool {
	key, ok := h.snapshot().key(keyID)
	if !ok || !m.made(key) {
		return false
	}
	return slices.ContainsFunc(h.server.SecretEver(m.identity.secret), func(s awslocal.Secret) bool {
		r := parse(s.Current())
		return r.ours() && r.ID == keyID && r.Value == key.Value
	})
}

// checkResponse judges the answer by what the carrier wants.
func (h *history) checkResponse(inv *invocation, failed []string, outcomes map[*message]line) {
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
		var told []string
		for _, f := range response.BatchItemFailures {
			told = append(told, f.ItemIdentifier)
		}
		if !slices.Equal(told, failed) {
			h.violate(honest, "the answer names failures %q, and the log %q", told, failed)
		}
		if carrier == fifoQueue {
			stopped := map[string]bool{}
			for _, m := range inv.messages {
				// Only what is to come again holds up its group: a rejected message
				// leaves the queue for the dead-letter queue.
				switch held := strings.Contains(outcomes[m].Reason, "an earlier message of its group"); {
				case outcomes[m].done() && stopped[m.group]:
					h.violate(honest, "%s was done although an earlier message of its group is to come again", m.id)
				case held && !stopped[m.group]:
					h.violate(honest, "%s was held up although no earlier message of its group is to come again", m.id)
				}
				stopped[m.group] = stopped[m.group] || outcomes[m].Outcome == "retried"
			}
		}
		return
	}
	if (inv.err != nil) != (failed != nil) {
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

// checkSilence looks for every value that ever was in all that was printed.
func (h *history) checkSilence() {
	var values []awslocal.Sensitive
	for _, key := range h.server.KeysEver() {
		values = append(values, key.Value)
	}
	for _, i := range h.identities {
		for _, s := range h.server.SecretEver(i.secret) {
			for _, v := range s.Versions {
				if r := parse(v); r.ours() {
					values = append(values, r.Value)
				}
			}
		}
	}
	for _, event := range h.server.Events() {
		h.printed = append(h.printed, event.Detail...)
	}
	for _, v := range values {
		const telling = 12 // characters of either end are as good as all of them
		if bytes.Contains(h.printed, []byte(v[:telling])) || bytes.Contains(h.printed, []byte(v[len(v)-telling:])) {
			h.violate(silent, "an answer, an error, an event or a log line holds a value")
		}
	}
}
