// Package simulation plays the whole handler, as it ships and with the real AWS
// clients, through seeded histories of deliveries, faults and people, and checks
// the four promises after every step, by the oracle (internal/test/promise).
//
// It is a deterministic simulation, in virtual time (testing/synctest). Every
// AWS call of every environment waits at one bus, in front of one local AWS
// (internal/test/awslocal). When all else is idle, the seed picks what happens next:
//
//   - a call goes on: it takes effect, or is lost, throttled, denied or answered
//     with an error, before or after its effect; or its answer is delayed; or a
//     read shows what was so a while ago;
//   - a batch is delivered to an idle environment, in any of the forms that the
//     docs list, again or for the first time, out of order (but for
//     FIFO queues), to several environments at once: sign-ups and, in every second
//     history, ends, returns, renewals and rotations, each sent at a time of its own
//     or at that of the one before;
//   - an environment is killed, and a cold one takes its place. It makes no call
//     any more; those that are under way are lost or take effect late;
//   - time passes, until clients and invocations time out, lag is over, or
//     people may act;
//   - the operator does something that docs/operations.md allows, no sooner than it
//     allows, or deploys other settings.
//
// At the end the faults stop, and everything is delivered again until repeats change
// nothing: the first round has to settle every sign-up and end, which may make room for a
// rotation in the second. Then each identity must be what the times of its messages tell,
// in whatever order they came.
//
// It is played from a test, with a [Factory] that makes the handler as it ships:
//
//	simulation.Run(t, newEnvironment, simulation.Options{Seeds: 250})
//
// The promises are judged by what AWS holds, from the outside; what the function
// answers and logs is then held against that (check.go): where it has a bus, a
// final outcome has its event among those that the bus has taken, and a rejected message
// that leaves its queue lies in the dead-letter queue as it was sent. The program has
// no hooks for it, and no switches.
//
// # Reading a failure
//
// A failure names its seed and the promise, and lists the history: the step, the
// virtual time since the start, who did something, and what: the call, [what was
// done to it], and how AWS decided. Its first lines are the requests, of which
// those with the same letter have the same content. The history has been cut to
// the first steps that still fail, and steps were left out whose loss changes
// nothing. `go test ./internal/test/simulation -run TestSimulation -simulate.seed=N`
// plays all of it again: the same seed is the same history, as long as neither
// the code nor the simulation changes. Only the values differ, and nothing rests
// on them.
//
// # What it proves
//
// The explorer (internal/test/explore) drives the algorithm through every order of a
// few calls; this package samples what lies beyond its bounds: the whole handler, with
// all its parsing, batching, pacing, caching, retrying and timing out, every carrier
// and redeployments. A long run fails if one of its faults or of the handler's branches
// was never reached: a fault that was never reached proves nothing.
//
// # What it leaves out
//
// The quotas, which the bursts of internal/function's tests cover. A key that
// is deleted, or a secret that is purged, before its record is finished, and a
// usage plan that is deleted while an unfinished key is to be in it. A secret that is
// purged while a rotation is under way. A key that an end made, disabled, and that
// somebody deletes: a repeat of the end makes it again. A default
// plan that is replaced by another one of the same API stage while a key made
// under the first is unfinished: API Gateway does not let the key into both, and
// its message is not settled before somebody takes the key out of the first.
// Where the new default is of another stage, the key ends up in both, and its
// record names the default of the delivery that finished it; the checks allow
// for just that. For the same reason nobody asks with a bare request for the very
// key that an AWS Marketplace sign-up asks for, whose plan is another.
package simulation
