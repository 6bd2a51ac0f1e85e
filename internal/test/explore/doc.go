// Package explore runs the shipped Provision through every interleaving of up to four
// deliveries of two or three messages of one identity, within stated bounds, and checks the
// promises of sections 3 and 3a of the contract in every state.
//
// There are two kinds of scenes (scenes.go). In the first, two sign-ups without a time differ
// in every possible way. In the second, a life, the messages are sign-ups, ends and rotations
// with times: "S1 E2 S3" is a sign-up, an end and a return, each delivered one to three times,
// in any order.
//
// A history is made of these steps, in every order:
//   - a delivery's next AWS call takes effect and is answered. A delivery that never takes
//     its next step has stopped for good: before that call, or after the previous one;
//   - or it goes wrong: it is refused without effect; it takes effect and the answer is
//     lost or incomplete, or the SDK's retry then gets a Conflict; it reads stale data; it
//     gets a spurious Conflict;
//   - the operator does something that section "What is not promised" of docs/exactly-once.md
//     allows: disables a key, takes it out of its plans, takes its tags off, deletes it a
//     minute after its record was finished, writes to the secret; and, except in a life,
//     deletes the secret after the key, schedules its deletion, restores it, deletes a
//     usage plan;
//   - minutes pass, and every delivery in flight has stopped.
//
// The number of faults, acts and such pauses in a history is bounded (see [Bounds]); stops are
// not. In one scene the operator does not wait: promise 1 is not given there, and the others
// are checked.
//
// # Method
//
// A delivery depends on nothing but its answers: time and randomness are injected. So it is run
// from its start against the answers so far, up to the first call without one, which is noted
// instead of made. What a delivery does after the same answers is computed once, and states are
// remembered: an account (account.go), and each delivery's answers. The search is breadth-first,
// so that the history that breaks a promise is the shortest. From every account that is reached,
// everything in flight is stopped, and deliveries without faults must settle both messages; they
// run twice, the second time with every call disturbed as often as a retry must overcome.
//
// In a life only messages without a final answer come again, because nobody would deliver
// another, and they come in every order. The messages alone say what the account must be then:
// the key is held if a start is newer than every end of its hold (lives.go).
//
// # What it leaves out
//
// What is below the two interfaces: the SDK's retries, except for their effects; the pace;
// timeouts. Every delivery has its own Provisioner, so that cached plans and lists of keys are
// never old. Lists have one page. Stages, and plans that cover the same one; two plans of one
// product; the size of a record; the KMS key. Of lives: sign-ups that differ in content, two
// messages with the same time, the end of the previous key alone, and deleted secrets.
package explore
