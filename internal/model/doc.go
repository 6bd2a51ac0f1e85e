// Package model checks the idea of the exactly-once algorithm completely: its tests walk through
// every state that any interleaving of deliveries, faults and an operator can reach.
//
// The algorithm is the one of internal/provision, written again as states and steps, where one step
// is one AWS call that takes effect atomically. Nothing of the code is imported: the model shows
// that the idea is right, and internal/simulation, by sampling, that the code carries it out.
//
// In the model:
//   - One identity, and three deliveries at a time: two of a request A and one of a request B that
//     corrects or contradicts it, in its explicit value, in another member or in both. A delivery that
//     has ended may come again, so the number of deliveries has no bound.
//   - Every delivery may stop after any call; any call may take effect and lose its answer, upon
//     which the SDK makes it again. A call that takes effect after its function was killed is a
//     delivery that stops later. A call that fails without effect is one that is not made.
//   - CreateApiKey answers Conflict for no reason; reads of a secret show any state it had within
//     the lag; keys appear late and vanish late; a key or a secret of somebody else is in the way.
//   - An operator disables or deletes the key of a finished record, and schedules the secret's
//     deletion and restores it. Before he deletes the key he waits the minute of docs/exactly-once.md: until every
//     read shows the finished record and no delivery holds the value. A test shows what each half is for.
//
// Not in the model: what precedes the first call (parsing, checking the usage plans); more than one
// usage plan; what a record holds beyond value and key; a secret that is purged, which begins a new
// life; a key that is deleted before its record is finished, or foreign keys that come and go.
//
// The promises are those of internal/provision, judged in every reached state by the world's keys and
// secret versions, never by what the algorithm believes:
//
//  1. At most one API key is ever made.
//  2. Secrets Manager has the value before the key that bears it exists.
//  3. An accepted request has its key and a record that describes it, and a rejected one had
//     something against it; from every state, deliveries without faults settle which it is.
//  4. A finished record, and its key, are left alone. (That the key is not made again is promise 1.)
package model

// A Mistake is a deliberate error in the algorithm: the loss of one rule. The tests show which
// promise each one breaks, that is, why the rule is there and that the search would notice its loss.
// Its text names the same error in internal/simulation.
type Mistake string

// The mistakes.
const (
	ValueAfterLostLock      Mistake = "a delivery that finds the secret there carries on with a value of its own"
	CorrectionChangesValue  Mistake = "a corrected request changes the value of a pending record"
	ValueDifferenceIgnored  Mistake = "an explicit value other than the stored one is ignored"
	KeyBeforeSecret         Mistake = "the key is made before the secret"
	PutWithoutFixedToken    Mistake = "the finished record is put under a token of the delivery's own"
	ConflictTakenAsSuccess  Mistake = "a Conflict is taken as success without finding the key and its tags"
	UnseenKeyTakenAsForeign Mistake = "a Conflict without a visible key is taken for somebody else's key"
	ForeignKeyAdopted       Mistake = "a key without our tag is adopted"
	ForeignSecretAdopted    Mistake = "a secret without our marker is adopted"
	DigestIgnored           Mistake = "the digest on the key is ignored"
	FoundKeyNotAttached     Mistake = "a key that was found is not attached to its usage plan"
	NotFoundTakenAsFinal    Mistake = "NotFound right after 'already exists' is taken as final"
	YoungKeyTakenAsRevoked  Mistake = "a key too young to be seen is taken as revoked"
	RevokedKeyMadeAgain     Mistake = "the key of a finished record is made again after its deletion"
)
