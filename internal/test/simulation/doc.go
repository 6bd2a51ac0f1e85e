// Package simulation runs the whole handler, as it ships and with the real AWS clients,
// through seeded histories of deliveries, faults and people's acts, and has the oracle
// (internal/test/promise) check the four promises after every step.
//
// It is a deterministic simulation, in virtual time (testing/synctest). Every AWS call of
// every environment waits at one bus, in front of one local AWS (internal/test/awslocal).
// When everything else is idle, the seed picks what happens next:
//
//   - a call goes on: it takes effect, or is lost, throttled, denied or answered
//     with an error, before or after its effect; or its answer is delayed; or a
//     read is stale;
//   - a batch is delivered to an idle environment, in any of the documented forms,
//     again or for the first time, out of order (except in FIFO queues), to several
//     environments at once: sign-ups and, in every second history, ends, returns,
//     renewals and rotations, each sent at a new time or at that of the previous one;
//   - an environment is killed, and a cold one replaces it. It makes no more calls;
//     those under way are lost or take effect late;
//   - time passes, until clients and invocations time out, lag is over, or
//     people may act;
//   - the operator does something that docs/operations.md allows, no sooner than it
//     allows, or deploys other settings.
//
// At the end the faults stop, and everything is redelivered until repeats change nothing: the
// first round must settle every sign-up and end, which may make room for a rotation in the
// second. Then each identity must match the times of its messages, whatever order they came
// in.
//
// It is run from a test, with a [Factory] that makes the handler as it ships:
//
//	simulation.Run(t, newEnvironment, simulation.Options{Seeds: 250})
//
// Promises are judged by what AWS holds; the function's answers and log are then compared
// with that (check.go): if it has a bus, a final outcome has its event among those that the
// bus accepted, and a rejected message that leaves its queue is in the dead-letter queue as
// it was sent. The program has no hooks and no switches for the simulation.
//
// # Reading a failure
//
// A failure names its seed and the promise, and lists the history: the step, the virtual time
// since the start, the actor, and the act: the call, [what was done to it], and AWS's
// decision. Its first lines are the requests; those with the same letter have the same
// content. The history is cut to the first steps that still fail, without steps that are not
// needed for the failure. `go test ./internal/test/simulation -run TestSimulation
// -simulate.seed=N` plays all of it again: the same seed gives the same history, as long as
// neither the code nor the simulation changes. Only the values differ, and nothing depends on
// them.
//
// # What it proves
//
// The explorer (internal/test/explore) runs the algorithm through every order of a few calls;
// this package samples what lies beyond its bounds: the whole handler with its parsing,
// batching, pacing, caching, retries and timeouts, every carrier and redeployments. A long
// run fails if one of its faults, or a branch of the handler, was never reached, because then
// it proves nothing about it.
//
// # What it leaves out
//
// The quotas, which the bursts of internal/function's tests cover. A key that is deleted, or
// a secret that is purged, before its record is finished, and a usage plan that is deleted
// while an unfinished key is to be in it. A secret that is purged during a rotation. A
// disabled key that an end made, and that somebody deletes: a repeat of the end makes it
// again. A default plan that is replaced by another of the same API stage while a key made
// under the first is unfinished: API Gateway does not allow the key in both, and its message
// is not settled until somebody takes the key out of the first. If the new default has
// another stage, the key ends up in both, and its record names the default of the delivery
// that finished it, which the checks allow. For the same reason no bare request asks for the
// key of an AWS Marketplace sign-up, whose plan differs. key that an AWS Marketplace sign-up
// asks for, whose plan is another.
package simulation
