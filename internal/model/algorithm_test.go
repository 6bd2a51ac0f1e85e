package model

import (
	"fmt"
	"slices"
)

// A value is an API key's value. Only equality matters: x and y are explicit ones, theirs is what
// a foreign secret holds, and those from generated on are generated.
type value uint8

const (
	none value = iota
	x
	y
	theirs
	generated
)

// A request is its explicit value, if any, and the digest of everything else.
type request struct {
	value  value
	digest byte
}

func (r request) String() string {
	return fmt.Sprintf("{value %s, digest %c}", [...]string{"none", "x", "y"}[r.value], r.digest)
}

// A key is one that was ever made: it stays in the world when it is deleted.
type key struct {
	value    value // none: no such key
	digest   byte  // tag createkey:request
	ours     bool  // tag createkey:secret
	attached bool  // to the usage plan
	disabled bool
	deleted  bool
	young    bool // under five minutes: reads may not show it yet
}

// A version of the secret is a record: pending, or finished and then naming a key.
type version struct {
	value value
	key   int8 // index into world.keys; pending: -1
}

// A world is what AWS holds for one identity.
type world struct {
	versions  [5]version // of the secret; the last of the first n is current
	n         int8       // 0: no secret
	oldest    int8       // the least n that a read may still show, for lag; 0 shows NotFound
	maker     int8       // the delivery in flight, counted from 1, whose token made the secret
	foreign   bool       // the secret lacks the marker
	scheduled bool       // the secret is scheduled for deletion
	keys      [3]key
}

// current is the secret's current version. Without a secret it is pending and has no value.
func (w *world) current() version {
	if w.n == 0 {
		return version{none, -1}
	}
	return w.versions[w.n-1]
}

// put and addKey panic where the model's bounds are too small for what the algorithm does.
func (w *world) put(v version) {
	w.versions[w.n] = v
	w.n++
}

func (w *world) addKey(k key) (index int8) {
	for w.keys[index].value != none {
		index++
	}
	w.keys[index] = k
	return index
}

// stored tells whether Secrets Manager was ever given the value.
func (w *world) stored(v value) bool {
	return slices.ContainsFunc(w.versions[:w.n], func(stored version) bool { return stored.value == v })
}

// fresh is a generated value, the first that is nowhere in the world.
func (w *world) fresh() value {
	v := generated
	for w.stored(v) || slices.ContainsFunc(w.keys[:], func(k key) bool { return k.value == v }) {
		v++
	}
	return v
}

// bearer is the existing key with the value, of which API Gateway allows one; -1 if there is none.
func (w *world) bearer(v value) int8 {
	for i, k := range w.keys {
		if k.value == v && !k.deleted {
			return int8(i)
		}
	}
	return -1
}

// sights are the answers that a read of the key may give, the true one first.
func (k key) sights() (seen []bool) {
	switch {
	case k.deleted:
		return []bool{false, true}
	case k.young:
		return []bool{true, false}
	}
	return []bool{true}
}

// A call is what a delivery does next.
type call uint8

const (
	idle         call = iota // not in flight
	createSecret             // the write-ahead record
	createKey
	findKey     // by its value, upon Conflict
	describeKey // the found key's tags
	attach
	finish
	readSecret  // it exists already
	changeValue // only CorrectionChangesValue
	checkKey    // the finished record's
	readBack    // finish was refused
)

var callNames = [...]string{"stops", "CreateSecret", "CreateApiKey", "GetApiKeys", "GetApiKey", "CreateUsagePlanKey",
	"PutSecretValue", "GetSecretValue", "PutSecretValue of another pending value", "GetApiKey", "GetSecretValue"}

type delivery struct {
	next  call
	value value
	key   int8
}

// holdsValue tells whether the delivery may still make or finish a key. (One is in flight before
// CreateSecret only if it made the secret and lost the answer.)
func (d delivery) holdsValue() bool { return createSecret <= d.next && d.next <= finish }

type outcome uint8

const (
	running    outcome = iota
	accepted           // created or existing
	rejected           // the message must change
	retried            // to be delivered again
	unfinished         // likewise, under that code: the key just made is not the one that the record names
)

// An answer is one way in which a call may go.
type answer struct {
	what  string
	world world
	then  delivery
	end   outcome
}

type algorithm struct{ mistake Mistake }

// begin is a delivery before its first call.
func (a algorithm) begin(w *world, r request) delivery {
	d := delivery{next: createSecret, value: r.value}
	if d.value == none {
		d.value = w.fresh()
	}
	if a.mistake == KeyBeforeSecret {
		d.next = createKey
	}
	return d
}

// answers are all the ways in which the delivery's next call may go, the one without a fault first.
// The delivery is number me, counted from 1, of the request r.
func (a algorithm) answers(w world, me int8, r request, d delivery) (all []answer) {
	then := func(what string, next delivery) { all = append(all, answer{what, w, next, running}) }
	end := func(what string, o outcome) { all = append(all, answer{what, w, delivery{}, o}) }
	unless := func(m Mistake, right, wrong outcome) outcome {
		if a.mistake == m {
			return wrong
		}
		return right
	}

	switch d.next {
	case createSecret:
		switch {
		case w.scheduled:
			end("scheduled for deletion", rejected)
		case w.n == 0:
			w.put(version{d.value, -1})
			w.maker = me
			then("made", delivery{createKey, d.value, 0})
		case w.maker == me: // the same token
			then("made before", delivery{createKey, d.value, 0})
		case a.mistake == ValueAfterLostLock:
			then("exists", delivery{createKey, d.value, 0})
		default:
			then("exists", delivery{next: readSecret})
		}

	case readSecret:
		if w.scheduled {
			end("scheduled for deletion", rejected)
		}
		for n := w.n; n >= w.oldest; n-- {
			if n == 0 {
				end("NotFound", unless(NotFoundTakenAsFinal, retried, rejected))
				break
			}
			v := w.versions[n-1]
			differs := r.value != none && r.value != v.value && a.mistake != ValueDifferenceIgnored
			switch {
			case w.foreign && a.mistake != ForeignSecretAdopted:
				end("no marker", rejected)
			case v.key >= 0 && differs:
				end("finished, another value", rejected)
			case v.key >= 0:
				then("finished", delivery{checkKey, v.value, v.key})
			case differs && a.mistake == CorrectionChangesValue:
				then("pending, another value", delivery{changeValue, r.value, 0})
			case differs:
				end("pending, another value", rejected)
			default:
				then("pending", delivery{createKey, v.value, 0})
			}
		}

	case changeValue:
		w.put(version{d.value, -1})
		then("changed", delivery{createKey, d.value, 0})

	case createKey:
		if w.bearer(d.value) < 0 {
			made := w
			i := made.addKey(key{value: d.value, digest: r.digest, ours: true, young: true})
			all = append(all, answer{"made", made, delivery{attach, d.value, i}, running})
		}
		// Conflict: the value is taken, or API Gateway is busy with another change.
		if a.mistake == ConflictTakenAsSuccess {
			end("Conflict", accepted)
		} else {
			then("Conflict", delivery{findKey, d.value, 0})
		}

	case findKey:
		i := w.bearer(d.value)
		if i >= 0 {
			then("found", delivery{describeKey, d.value, i})
		}
		if i < 0 || w.keys[i].young {
			end("not found", unless(UnseenKeyTakenAsForeign, retried, rejected))
		}
		for i, k := range w.keys {
			if k.value == d.value && k.deleted {
				then("found, though deleted", delivery{describeKey, d.value, int8(i)})
			}
		}

	case describeKey:
		k := w.keys[d.key]
		for _, seen := range k.sights() {
			switch {
			case !seen:
				end("NotFound", retried)
			case !k.ours && a.mistake != ForeignKeyAdopted:
				end("without our tag", rejected)
			case k.ours && k.digest != r.digest && a.mistake != DigestIgnored:
				end("another digest", rejected)
			case a.mistake == FoundKeyNotAttached:
				then("ours", delivery{finish, d.value, d.key})
			default:
				then("ours", delivery{attach, d.value, d.key})
			}
		}

	case attach:
		if w.keys[d.key].deleted {
			end("NotFound", retried)
			break
		}
		w.keys[d.key].attached = true // already so: done
		then("attached", delivery{finish, d.value, d.key})

	case finish:
		v := w.current()
		switch {
		case w.scheduled:
			end("scheduled for deletion", retried)
		case v.key < 0 || a.mistake == PutWithoutFixedToken:
			w.put(version{d.value, d.key})
			end("finished", accepted)
		default:
			if v.key == d.key {
				end("same token, same content", accepted)
			}
			// Even the same key may read differently by now: it may be disabled.
			then("same token, other content", delivery{readBack, d.value, d.key})
		}

	case readBack:
		if w.scheduled {
			end("scheduled for deletion", retried)
		}
		for n := w.n; n >= w.oldest; n-- {
			switch {
			case n == 0 || w.versions[n-1].key < 0:
				end("not finished yet", retried)
			case w.versions[n-1].key == d.key:
				end("finished with our key", accepted)
			default:
				end("finished with another key", unfinished)
			}
		}

	case checkKey:
		k := w.keys[d.key]
		for _, seen := range k.sights() {
			switch {
			case seen && k.digest != r.digest && a.mistake != DigestIgnored:
				end("another digest", rejected)
			case seen:
				end("there", accepted)
			case k.young:
				end("NotFound, young", unless(YoungKeyTakenAsRevoked, retried, rejected))
			case a.mistake == RevokedKeyMadeAgain:
				then("NotFound", delivery{createKey, d.value, 0})
			default:
				end("NotFound, revoked", rejected)
			}
		}
	}
	return all
}
