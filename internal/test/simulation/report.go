package simulation

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// A tally counts what was reached: faults, answers, outcomes, acts.
type tally map[reached]int

// A reached thing is of a kind, has a name and may be about an operation.
type reached struct{ kind, name, operation string }

func (h *history) reach(kind, name, operation string) { h.reached[reached{kind, name, operation}]++ }

func (t tally) add(other tally) {
	for r, n := range other {
		t[r] += n
	}
}

// branches are the ways in which a message can end, told by the reason in its
// log line. Together with the answers to its calls they show which way it took.
var branches = []struct{ outcome, reason string }{
	{"created", "the key is in no usage plan"},
	{"created", ""},
	{"existing", ""},
	{"rejected", "was not set aside: SendMessageBatch: "},
	{"rejected", "event: was not sent"},
	{"rejected", "must be a boolean"},
	{"rejected", "there is no usage plan"},
	{"rejected", "covers API stage"},
	{"rejected", "was not made by createkey"},
	{"rejected", "which is final"},
	{"rejected", "which this request did not make"},
	{"rejected", "exists already for this customerId and name, and differs in"},
	{"rejected", "was revoked"},
	{"retried", "PutEvents: "},
	{"retried", "scheduled for deletion"},
	{"retried", "not done: an earlier message of its group is to come again"},
	{"retried", "default usage plan mistyped does not exist"},
	{"retried", "default usage plan"}, // one that was deleted
	{"retried", "no key with this value can be seen yet"},
	{"retried", "just made, cannot be seen yet"},
	{"retried", "the finished record of key"},
	{"retried", "not started: an earlier message of its group is to come again"},
	{"retried", "not started: too little time is left"},
	{"retried", "no answer in time"},
	{"retried", "the call failed"}, // its connection was lost
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

// answers are what AWS answers when nothing is wrong with it, by operation:
// together they are the branches that the algorithm has after each call.
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
	"CreateUsagePlanKey": {"ok", "ConflictException"},
	"GetUsagePlanKey":    {"ok", "NotFoundException"},
	"PutSecretValue":     {"ok", "ResourceExistsException", "InvalidRequestException"},
}

// required lists what a run must reach: a fault that was never reached proves
// nothing.
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
	for _, name := range []string{redeploys, foreignSecret, foreignKey} {
		all = append(all, reached{"operator", name, ""})
	}
	for _, carrier := range []string{standardQueue, fifoQueue, pipe, topic, eventBus, direct, marketplace} {
		all = append(all, reached{"delivered", carrier, ""})
	}
	return all
}

// missing returns those of the required that were never reached.
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
