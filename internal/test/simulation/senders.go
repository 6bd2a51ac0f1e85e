package simulation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
	"createkey/internal/test/promise"
)

// An identity is the owner of a key. Its secret's name is spelled out here, not computed,
// because senders were promised that name.
type identity struct {
	customer, name string
	event          string // of what carries it, for one that has neither
	bought         bool   // through AWS Marketplace
	secret         string
}

const prefix = "sim/"

var identities = []identity{
	{customer: "c1", name: "Dev API Key", secret: prefix + "c1/Dev+API+Key"},
	{customer: "c2", secret: prefix + "c2/_"},
	{name: "Dev_1", secret: prefix + "_/Dev=5F1"},
	{event: "event-1", secret: prefix + "_/_/event-1"},
	{customer: "c1", name: product, bought: true, secret: prefix + "c1/prod"},
	{customer: "444455556666", name: "other", bought: true, secret: prefix + "444455556666/other"},
}

// A content is all that a request says besides identity and value. The letter is sent as a
// tag, so that a key shows which request made it.
type content struct {
	letter      string
	description string
	enabled     bool
	plans       []string
	malformed   bool
	bought      bool // a message of AWS Marketplace, without a letter
}

var contents = map[byte]content{
	'a': {letter: "a", enabled: true},
	'b': {letter: "b", description: "a correction"},
	'c': {letter: "c", enabled: true, plans: []string{planTwo}},
	'd': {letter: "d", enabled: true, plans: []string{planTwo, planOne}},
	'e': {letter: "e", enabled: true, plans: []string{"mistyped"}},
	'f': {letter: "f", enabled: true, plans: []string{planOne, planOneToo}},
	'g': {letter: "g", malformed: true},
}

// The usage plans: the first two can be combined, the third shares the first one's API stage.
const planOne, planTwo, planOneToo = "plan1", "plan2", "plan1too"

// AWS Marketplace's products: one that has a plan, and another. Their sign-ups ask for an
// enabled key and nothing else.
const product, planProduct = "prod", "market"

// outcomes is the bus for outcome events, if any.
const outcomes = "outcomes"

// lettersURL is the queue for rejected messages, if any.
const lettersURL = "https://sqs.us-east-1.amazonaws.com/123456789012/letters"

// The carriers of messages, as listed in docs/sending.md.
const (
	standardQueue = "SQS"
	fifoQueue     = "SQS FIFO"
	pipe          = "Pipes"
	topic         = "SNS"
	eventBus      = "EventBridge"
	direct        = "direct"
)

// marketplace stands for any of the carriers, with a message for a product's seller.
const marketplace = "AWS Marketplace"

// The kinds of requests.
type kind string

const (
	signUp        kind = "sign-up"
	end           kind = "end"
	rotation      kind = "rotation"
	endOfPrevious kind = "end of the key before" // alone, by its id
)

// A message is a request that somebody sent. It is delivered until it is answered as done,
// and sometimes afterwards.
type message struct {
	id       string
	kind     kind
	at       time.Time // by its sender's clock
	identity *identity
	content
	value     awslocal.Sensitive // explicit; empty: none
	padded    bool               // spelled with empty members, which say nothing
	agreement string             // of AWS Marketplace
	keyID     string             // of an end of the key before; known once there is one
	carrier   string
	wrapped   string // its envelope inside an SQS message: "", topic or eventBus
	group     string // of a FIFO queue

	last         line      // the latest outcome
	done         bool      // has a final answer, or was set aside
	heard        bool      // an end with a final answer since its secret was made
	against      bool      // the request must be rejected
	againstUntil time.Time // when that last was so
}

// firstSent is the senders' clock when the first message is sent.
var firstSent = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// sent returns the time in the message's envelope; zero: it has none.
func (m *message) sent() time.Time {
	isEvent := m.carrier == eventBus || m.wrapped == eventBus || m.bought && m.identity.name != product
	if isEvent || m.carrier == topic || m.wrapped == topic {
		return m.at
	}
	return time.Time{}
}

// faulty reports whether the message must always be rejected: an end or a rotation without a
// time must.
func (m *message) faulty() bool { return m.malformed || m.kind != signUp && m.sent().IsZero() }

// hold returns the name of the hold that the message begins or ends.
func (m *message) hold() string {
	if m.kind == end && !m.bought {
		return promise.EveryHold
	}
	return m.agreement
}

// tell returns the holds after the message.
func (m *message) tell(h promise.Holds) promise.Holds {
	switch {
	case m.faulty():
	case m.kind == signUp:
		return h.Started(m.hold(), m.sent())
	case m.kind == end:
		return h.Ended(m.hold(), m.sent())
	}
	return h
}

func (m *message) String() string {
	text := fmt.Sprintf("%s by %s, %s", m.id, strings.TrimSuffix(m.carrier+" with "+m.wrapped, " with "), m.kind)
	if sent := m.sent(); !sent.IsZero() {
		text += " at " + sent.Format("15:04")
	}
	if m.agreement != "" {
		text += " of " + m.agreement
	}
	if m.letter != "" {
		text += ", content " + m.letter
	}
	if m.value != "" {
		text += ", value " + m.valueLetter()
	}
	return text + " for " + m.identity.secret
}

// value returns one of an identity's explicit values, which a letter names; z is common to
// all. In the history the letter stands for the value.
func (i *identity) value(letter byte) awslocal.Sensitive {
	of := "everybody"
	if letter != 'z' {
		of = i.secret
	}
	// No part of it occurs in anything else that is printed: the oracle looks for eight
	// consecutive characters.
	sum := sha256.Sum256([]byte(string(letter) + of))
	return awslocal.Sensitive(string(letter) + hex.EncodeToString(sum[:]))
}

func (m *message) valueLetter() string { return string(m.value[0]) }

// sendMessages draws who asks for what. In one history of four every request is for the same
// key, where deliveries interfere the most; in every second one, keys are ended and rotated,
// too.
func (h *history) sendMessages() {
	likely, most, explicit, messages := "aaaaaaabbbccddefg", 3, 3, 2+h.rng.IntN(4) // contents, identities, one in so many
	kinds := []kind{signUp}
	lives := h.oneIn(2)
	same := !lives && h.oneIn(2)
	switch {
	case lives:
		likely, most, explicit, messages = pick(h, "a", "a", "d", "aaaac"), 2, 6, 3+h.rng.IntN(5)
		kinds = []kind{signUp, signUp, signUp, end, end, rotation, rotation, endOfPrevious}
		if h.oneIn(3) {
			most, kinds = 1, []kind{signUp, end, rotation, rotation, rotation, endOfPrevious}
		}
	case same:
		likely, most, explicit = "a", 1, 1000
	}
	for _, i := range h.rng.Perm(len(identities))[:1+h.rng.IntN(most)] {
		h.identities = append(h.identities, &identities[i])
	}
	oneGroup, at := h.oneIn(2), firstSent
	for n := range messages {
		i := pick(h, h.identities...)
		m := &message{
			id: fmt.Sprintf("m%d", n+1), kind: pick(h, kinds...), at: at, identity: i, content: contents[likely[h.rng.IntN(len(likely))]], padded: h.oneIn(4),
			carrier: pick(h, standardQueue, standardQueue, standardQueue, fifoQueue, fifoQueue, pipe, topic, eventBus, direct),
			group:   i.secret,
		}
		if !h.oneIn(6) { // otherwise the next is sent at the same time
			at = at.Add(time.Minute)
		}
		if oneGroup {
			m.group = "everybody"
		}
		if i.event != "" || n == 0 && !h.oneIn(4) { // what has no name cannot be named; most lives begin with a sign-up
			m.kind = signUp
		}
		switch wrapped := pick(h, "", "", topic, eventBus); {
		case m.carrier == eventBus, m.carrier == direct:
		case i.event != "": // only events can carry one id for all of its messages
			m.wrapped = eventBus
		case lives && wrapped == "" && !h.oneIn(4):
			m.wrapped = eventBus
		case m.carrier != wrapped:
			m.wrapped = wrapped
		}
		switch {
		case i.bought && (m.kind == signUp || m.kind == end && h.oneIn(2)):
			m.buy(pick(h, "agmt-1", "agmt-2"))
		case m.kind != signUp:
			m.askByEvent()
		case h.oneIn(explicit):
			m.value = i.value(pick[byte](h, 'x', 'x', 'y', 'z'))
		}
		h.messages = append(h.messages, m)
		h.tell("sender", "%s", m)
	}
}

// askByEvent makes a message an event with a detail-type of its own, as ends and rotations
// must be.
func (m *message) askByEvent() {
	m.content = content{}
	if m.wrapped = eventBus; m.carrier == direct || m.carrier == eventBus {
		m.carrier, m.wrapped = eventBus, ""
	}
}

// buy makes a message one of AWS Marketplace. Each has another offer.
func (m *message) buy(agreement string) {
	m.content = content{bought: true, enabled: true}
	if m.wrapped == eventBus {
		m.wrapped = "" // an agreement's event is one already, and a notification is never in one
	}
	alone := m.carrier == direct || m.carrier == eventBus
	switch isNotification := m.identity.name == product; {
	case isNotification:
		m.plans = []string{planProduct}
		if alone {
			m.carrier = direct
		} else if m.carrier != topic && m.id[len(m.id)-1]%4 != 0 {
			m.wrapped = topic // otherwise it was delivered raw, and has no time
		}
	case alone:
		m.carrier, m.agreement = eventBus, agreement
	default:
		m.agreement = agreement
	}
}

// marketplaceDocument returns the document of a sign-up or an end: a notification of the
// product's topic, or the event of an agreement.
func (m *message) marketplaceDocument() object {
	action, detailType := "subscribe-success", "License Updated - Manufacturer"
	if m.kind == end {
		action, detailType = "unsubscribe-success", "License Deprovisioned - Manufacturer"
	}
	if m.identity.name == product {
		return object{"action": action, "customer-identifier": " " + m.identity.customer, "product-code": product, "offer-identifier": m.id}
	}
	return object{"id": m.eventID(), "source": "aws.agreement-marketplace", "detail-type": detailType, "time": m.at, "detail": object{
		"acceptor": object{"accountId": m.identity.customer}, "product": object{"code": m.identity.name}, "agreement": object{"id": m.agreement}, "offer": object{"id": m.id},
	}}
}

// eventID is the same for all messages of a request without identity, and otherwise the
// message's own.
func (m *message) eventID() string {
	if m.identity.event != "" {
		return m.identity.event
	}
	return m.id
}

// logID is the message's id in the function's log.
func (m *message) logID() string {
	if m.carrier == eventBus || m.carrier == direct {
		return m.eventID()
	}
	return m.id
}

type object = map[string]any

func text(document any) string { return payload.JSON(document) }

func (m *message) document() object {
	if m.bought {
		return m.marketplaceDocument()
	}
	doc := object{}
	if m.kind == signUp {
		doc["tags"] = object{"content": m.letter}
	}
	add := func(member, value string) {
		if value != "" || m.padded {
			doc[member] = value
		}
	}
	add("customerId", m.identity.customer)
	add("name", m.identity.name)
	if m.kind != signUp {
		if m.kind == endOfPrevious {
			doc["keyId"] = m.keyID
		}
		return doc
	}
	add("description", m.description)
	add("value", string(m.value))
	if m.enabled || m.padded {
		doc["enabled"] = m.enabled
	}
	if m.plans != nil || m.padded {
		doc["usagePlanIds"] = append([]string{}, m.plans...)
	}
	if m.malformed {
		doc["enabled"] = "yes"
	}
	return doc
}

func (m *message) event() string {
	if m.bought {
		return text(m.marketplaceDocument())
	}
	detailType := map[kind]string{
		signUp: payload.Requested, rotation: payload.RotationRequested,
		end: payload.EndRequested, endOfPrevious: payload.EndRequested,
	}[m.kind]
	return payload.EventAt(m.eventID(), detailType, text(m.document()), m.at)
}

// body returns the message's content inside its carrier.
func (m *message) body() string {
	switch m.wrapped {
	case topic:
		return payload.NotificationAt(m.eventID(), text(m.document()), m.at)
	case eventBus:
		return m.event()
	}
	return text(m.document())
}

// attributes are those of every second message of a queue.
func (m *message) attributes() map[string]payload.Attribute {
	if m.id[len(m.id)-1]%2 == 0 {
		return nil
	}
	return map[string]payload.Attribute{
		"trace": {DataType: "String", StringValue: "of " + m.id},
		"bytes": {DataType: "Binary.raw", BinaryValue: "AP8f"},
	}
}

// payloadOf returns the payload of an invocation. All messages have one carrier, and only
// queues and topics carry several.
func payloadOf(messages []*message) []byte {
	var batch []payload.Message
	for _, m := range messages {
		batch = append(batch, payload.Message{ID: m.id, Body: m.body(), Attributes: m.attributes(), Sent: m.at})
		if m.carrier == fifoQueue {
			batch[len(batch)-1].Group = m.group
		}
	}
	switch first := messages[0]; first.carrier {
	case eventBus:
		return []byte(first.event())
	case direct:
		return []byte(text(first.document()))
	case topic:
		return []byte(payload.SNS(batch...))
	case pipe:
		return []byte(payload.Pipe(payload.QueueARN, batch...))
	case fifoQueue:
		return []byte(payload.SQS(payload.FIFOQueueARN, batch...))
	default:
		return []byte(payload.SQS(payload.QueueARN, batch...))
	}
}

// chooseBatch draws what is delivered next: mostly messages that are not done yet, in any
// order except that of a FIFO queue.
func (h *history) chooseBatch() (batch []*message) {
	most := 1 + h.rng.IntN(3)
	for _, n := range h.rng.Perm(len(h.messages)) {
		m := h.messages[n]
		switch {
		case m.done && !h.oneIn(4), !h.named(m):
		case len(batch) == 0:
			batch = append(batch, m)
			if m.carrier == eventBus || m.carrier == direct {
				return batch
			}
		case len(batch) < most && m.carrier == batch[0].carrier:
			batch = append(batch, m)
		}
	}
	if len(batch) == 0 {
		return h.messages[:1]
	}
	if batch[0].carrier == fifoQueue {
		slices.SortFunc(batch, func(x, y *message) int { return strings.Compare(x.id, y.id) })
	}
	return batch
}

// named reports whether the key that a message names is known: an end of the previous key is
// sent once there is one, or with a mistyped id.
func (h *history) named(m *message) bool {
	if m.kind != endOfPrevious || m.keyID != "" {
		return true
	}
	if secret, exists := h.snapshot().secrets[m.identity.secret]; exists {
		m.keyID = promise.Decode(secret.Current()).Previous
	}
	if m.keyID == "" && h.oneIn(16) {
		m.keyID = mistypedID
	}
	return m.keyID != ""
}

// mistypedID is an id that no key has.
const mistypedID = "mistyped"
