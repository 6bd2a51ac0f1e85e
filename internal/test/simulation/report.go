package simulation

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// A tally counts what was reached: faults, answers, outcomes, acts.
type tally map[reached]int

// A reached thing has a kind, a name and, possibly, an operation.
type reached struct{ kind, name, operation string }

func (h *history) reach(kind, name, operation string) { h.reached[reached{kind, name, operation}]++ }

func (t tally) add(other tally) {
	for r, n := range other {
		t[r] += n
	}
}

// branches are the ways in which a message can end, identified by the reason in its log line.
// Together with the answers to its calls they show which path it took.
var branches = []struct{ outcome, reason string }{
	{"created", "the key is in no usage plan"},
	{"created", ""},
	{"existing", ""},
	{"ended", ""},
	{"rotated", ""},
	{"rejected", "was not set aside: SendMessageBatch: "},
	{"rejected", "event: was not sent"},
	{"rejected", "must be a boolean"},
	{"rejected", "there is no usage plan"},
	{"rejected", "covers API stage"},
	{"rejected", "was not made by createkey"},
	{"rejected", "which is final"},
	{"rejected", "which this request did not make"},
	{"rejected", "exists already for this customerId and name, and differs in"},
	{"rejected", "was revoked: it is gone from API Gateway, and secret"},
	{"rejected", "was revoked: it is disabled in API Gateway, and the request"},
	{"rejected", "was revoked: it is in no usage plan"},
	{"rejected", "was revoked: it is gone from API Gateway, and cannot be rotated"},
	{"rejected", "was revoked: it is disabled in API Gateway, and cannot be rotated"},
	{"rejected", "has ended, and a message without a time cannot bring it back"},
	{"rejected", "has ended: there is nothing to rotate"},
	{"rejected", "there is no key of this customerId and name to rotate"},
	{"rejected", "is not the key before the last rotation"},
	{"rejected", "its envelope has no time"},
	{"rejected", "is that of the key that has ended"},
	{"rejected", "is that of key"},
	{"retried", "PutEvents: "},
	{"retried", "scheduled for deletion"},
	{"retried", "not done: an earlier message of its group is to come again"},
	{"retried", "default usage plan mistyped does not exist"},
	{"retried", "default usage plan"}, // a deleted one
	{"retried", "no key with this value can be seen yet"},
	{"retried", "no key with the value to be ended can be seen yet"},
	{"retried", "no key with the next value can be seen yet"},
	{"retried", "the key is still being made: it cannot be rotated yet"},
	{"retried", "just made, cannot be seen in a usage plan yet"},
	{"retried", "UpdateApiKey ("},
	{"retried", "just made, cannot be seen yet"},
	{"retried", "the finished record of key"},
	{"retried", "not started: an earlier message of its group is to come again"},
	{"retried", "not started: too little time is left"},
	{"retried", "no answer in time"},
	{"retried", "the call failed"}, // the connection was lost
	{"retried", "GetSecretValue: ResourceNotFoundException"},
	{"retried", "GetSecretValue: InvalidRequestException"}, // scheduled for deletion
	{"retried", "PutSecretValue: ResourceNotFoundException"},
	{"retried", "PutSecretValue: InvalidRequestException"},
	{"retried", "GetApiKey: NotFoundException"},
	{"retried", "ConflictException"}, // CreateUsagePlanKey's
	{"retried", "NotFoundException"}, // likewise
	{"retried", "LimitExceededException"},
	{"retried", "TooManyRequestsException"},
	{"retried", "ThrottlingException"},
	{"retried", "AccessDeniedException"},
	{"retried", "DecryptionFailure"},
	{"retried", "ServiceUnavailableException"},
	{"retried", "InternalServiceError"},
	{"retried", "InternalFailure"},
}

func (h *history) reachOutcome(l line) {
	for _, b := range branches {
		if l.Outcome == b.outcome && strings.Contains(l.Reason, b.reason) {
			h.reach("outcome", b.outcome, b.reason)
			return
		}
	}
	h.reach("outcome", l.Outcome, "for another reason")
}

// answers are AWS's answers when nothing is wrong with it, by operation: together they are
// the algorithm's branches after each call.
var answers = map[string][]string{
	"GetUsagePlan":       {"ok", "NotFoundException"},
	"GetUsagePlans":      {"ok"},
	"PutEvents":          {"ok"},
	"SendMessageBatch":   {"ok"},
	"CreateSecret":       {"ok", "ResourceExistsException", "InvalidRequestException"},
	"GetSecretValue":     {"ok", "ResourceNotFoundException", "InvalidRequestException"},
	"CreateApiKey":       {"ok", "ConflictException"},
	"GetApiKeys":         {"ok"},
	"GetApiKey":          {"ok", "NotFoundException"},
	"UpdateApiKey":       {"ok", "NotFoundException"},
	"CreateUsagePlanKey": {"ok", "ConflictException"},
	"GetUsagePlanKey":    {"ok", "NotFoundException"},
	"PutSecretValue":     {"ok", "ResourceExistsException", "InvalidRequestException"},
}

// The events of a key's life, derived from the records and the keys alone.
const (
	endedFirst     = "an end comes before its sign-up"
	endedHalfMade  = "an end comes while the key is half made"
	endedFinished  = "an end comes when the key is finished"
	fencedValue    = "a half-made value is fenced"
	fencedKey      = "a fence finds the key made, and disables it"
	fencedNext     = "the next value of a rotation is fenced"
	endedNextKey   = "a fence finds the next key made, and disables it"
	endedPrevious  = "an end disables the key before a rotation, too"
	endedOtherHold = "an end lets go, and something else holds the key"
	helped         = "a return does what a stopped end stands for"
	returned       = "a return begins the next generation"
	begunAfterEnd  = "a sign-up begins after an end that came before it"
	renewed        = "a newer start is written"
	rotationBegun  = "a rotation begins"
	rotated        = "a rotation is done"
	rotatedAgain   = "a second rotation disables the key before the first"
	overtaken      = "a rotation is overtaken by an end"
	endedAlone     = "the key before a rotation is ended alone"
)

var ofLives = []string{
	endedFirst, endedHalfMade, endedFinished, fencedValue, fencedKey, fencedNext, endedNextKey, endedPrevious, endedOtherHold, helped,
	returned, begunAfterEnd, renewed, rotationBegun, rotated, rotatedAgain, overtaken, endedAlone,
}

// reachStep tallies the meaning of a record's step.
func (h *history) reachStep(was, is promise.Record) {
	reach := func(name string, reached bool) {
		if reached {
			h.reach("life", name, "")
		}
	}
	begun := is.Number() > was.Number()
	switch {
	case is.HasEnded() && !was.HasEnded():
		reach(endedFirst, !was.Ours())
		reach(endedHalfMade, was.Ours() && !was.Finished())
		reach(endedFinished, was.Finished())
		reach(overtaken, was.Next.Value != "")
	case was.HasEnded() && begun:
		reach(returned, was.Value != "")
		reach(begunAfterEnd, was.Value == "")
	case was.Finished() && begun:
		reach(rotated, true)
	case was.Finished() && is.Finished():
		reach(rotationBegun, was.Next.Value == "" && is.Next.Value != "")
		for agreement, hold := range is.Heard() {
			reach(renewed, hold.Start.After(was.Heard()[agreement].Start))
			reach(endedOtherHold, hold.End.After(was.Heard()[agreement].End))
		}
	}
}

// reachDisabled tallies why a call made or left a key disabled, according to the record.
func (h *history) reachDisabled(c *call, key awslocal.Key, r promise.Record, fenced bool) {
	var name string
	switch {
	case r.HasEnded() && key.Value == r.Next.Value:
		name = map[bool]string{true: fencedNext, false: endedNextKey}[fenced]
	case r.HasEnded() && key.ID == r.Previous:
		name = endedPrevious
	case fenced:
		name = fencedValue
	case r.HasEnded() && r.ID == "":
		name = fencedKey
	case r.HasEnded():
		name = endedFinished
	case r.Next.Value != "":
		name = rotatedAgain
	default:
		name = endedAlone
	}
	h.reach("life", name, "")
	if c.asked != nil && !slices.ContainsFunc(c.asked.messages, func(m *message) bool { return m.kind != signUp }) {
		h.reach("life", helped, "")
	}
}

// required lists what a run must reach: a fault that was never reached proves nothing.
func required() (all []reached) {
	for _, f := range faults {
		for _, operation := range f.calls {
			all = append(all, reached{"fault", f.name, operation})
		}
	}
	for _, operation := range lagging {
		all = append(all, reached{"fault", staleRead, operation})
	}
	for _, operation := range allCalls {
		for _, moment := range []string{killedBefore, killedAfter, lateEffect} {
			all = append(all, reached{"fault", moment, operation})
		}
		for _, code := range answers[operation] {
			all = append(all, reached{"answer", code, operation})
		}
	}
	for _, b := range branches {
		all = append(all, reached{"outcome", b.outcome, b.reason})
	}
	for _, a := range acts {
		all = append(all, reached{"operator", a.name, ""})
	}
	for _, name := range ofLives {
		all = append(all, reached{"life", name, ""})
	}
	for _, k := range []kind{signUp, end, rotation, endOfPrevious} {
		all = append(all, reached{"delivered", string(k), ""})
	}
	for _, name := range []string{redeploys, foreignSecret, foreignKey} {
		all = append(all, reached{"operator", name, ""})
	}
	for _, carrier := range []string{standardQueue, fifoQueue, pipe, topic, eventBus, direct, marketplace} {
		all = append(all, reached{"delivered", carrier, ""})
	}
	return all
}

// missing returns the required things that were never reached.
func (t tally) missing() (names []string) {
	for _, r := range required() {
		if t[r] == 0 {
			names = append(names, r.String())
		}
	}
	return names
}

// print writes the tally: faults and answers as tables by call, the rest as a list.
func (t tally) print(w io.Writer) {
	all := slices.SortedFunc(maps.Keys(t), func(x, y reached) int {
		return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.name, y.name))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, kind := range []string{"fault", "answer"} {
		_, _ = fmt.Fprintf(table, "%s\t%s\t\n", kind, strings.Join(allCalls, "\t"))
		last := ""
		for _, r := range all {
			if r.kind != kind || r.name == last {
				continue
			}
			last = r.name
			_, _ = fmt.Fprint(table, r.name)
			for _, operation := range allCalls {
				_, _ = fmt.Fprintf(table, "\t%d", t[reached{kind, r.name, operation}])
			}
			_, _ = fmt.Fprint(table, "\t\n")
		}
		_, _ = fmt.Fprint(table, "\n")
	}
	_ = table.Flush()
	for _, r := range all {
		if r.kind != "fault" && r.kind != "answer" {
			_, _ = fmt.Fprintf(w, "%9d  %s\n", t[r], r)
		}
	}
}

func (r reached) String() string {
	return strings.TrimRight(r.kind+": "+r.name+": "+r.operation, ": ")
}
