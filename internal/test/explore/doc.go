// Package explore drives the Provision that ships through every interleaving of up to
// four deliveries of two or three messages of one identity, within stated bounds, and
// checks the promises of sections 3 and 3a of the contract in every state.
//
// There are two kinds of scenes (scenes.go). In the first, two sign-ups without a time
// differ in every way in which they can. In the second, a life, the messages are
// sign-ups, ends and rotations with times: "S1 E2 S3" is a sign-up, an end and a return,
// each of which comes once to three times, in any order.
//
// A history is made of these steps, in every order:
//   - a delivery's next AWS call takes effect and is answered. A delivery that never gets
//     its next step has stopped for good there: before that call, or after the one before;
//   - or it goes wrong: it is refused without effect; it takes effect and the answer is
//     lost or incomplete, or the SDK's own retry then gets a Conflict; it reads what is not
//     true any more, or not yet; it gets a Conflict that means nothing;
//   - the operator does what section "What is not promised" of docs/exactly-once.md leaves
//     him: he disables a key, takes it out of its plans, takes its tags off, deletes it a
//     minute after its record was finished, writes to the secret; and, but in a life,
//     deletes the secret after the key, schedules its deletion, restores it, deletes a
//     usage plan;
//   - minutes pass, and whatever was in flight has stopped.
//
// How many faults, acts and such pauses a history may have is bounded (see [Bounds]);
// stops are not. In one scene the operator does not wait: promise 1 is not given there,
// and the others are checked.
//
// # Method
//
// A delivery does nothing but by the answers that it gets: time and randomness are
// injected. So it is run from its start against the answers so far, up to the first call
// that has none, and the call is noted in place of being made. What a delivery does after
// the same answers is run once, and states are remembered: an account (account.go), and
// for each delivery which answers it got. They are visited nearest first, so that the
// history that breaks a promise has the fewest steps. From every account that is reached,
// everything in flight is stopped, and deliveries without faults must settle both
// messages; these are run twice, once with every call disturbed as often as a retry must
// overcome it.
//
// In a life only those messages come again that no delivery has answered for good, for
// nobody would deliver another, and they come in every order. What the account must be
// then is told by the messages alone: the key is held if a start is newer than every end
// of its hold (lives.go).
//
// # What it leaves out
//
// What is below the two interfaces: the SDK's retries but for their effects, the pace,
// timeouts. Every delivery has a Provisioner of its own: what one remembers of plans and
// of lists of keys is never old. Lists have one page. Stages, and plans that cover the
// same one; two plans of one product; the size of a record; the KMS key. Of lives: sign-ups
// that differ in content, two messages of one time, the end of the previous key alone, and
// deleted secrets.
package explore
