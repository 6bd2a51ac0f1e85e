package function

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"createkey/internal/test/awslocal"
)

// hang makes an operation, or every operation if it is "", never answer.
func (e *environment) hang(operation string) {
	e.aws.Before = func(ctx context.Context, c awslocal.Call) error {
		if operation == "" || c.Operation == operation {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
}

func batchOf(messages int) string {
	bodies := make([]string, messages)
	for i := range bodies {
		bodies[i] = named(fmt.Sprint("key", i))
	}
	return sqsBatch(bodies...)
}

// The answer comes a second before the function's timeout, or a fifth of the timeout before
// it if that is less.
func TestBatchIsAnsweredInTimeThoughAnEndpointHangs(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		30 * time.Second: 29 * time.Second,
		3 * time.Second:  2400 * time.Millisecond,
	} {
		for _, operation := range []string{"", "CreateSecret", "CreateApiKey", "PutSecretValue"} {
			t.Run(fmt.Sprint(operation, timeout), func(t *testing.T) {
				inEnvironment(t, func(e *environment) {
					e.timeout = timeout
					e.hang(operation)
					start := time.Now()
					answer, _, _ := e.invoke(batchOf(12))
					if took := time.Since(start); took != want {
						e.Errorf("answered after %v, want %v", took, want)
					}
					if got := strings.Count(answer, "itemIdentifier"); got != 12 {
						e.Errorf("%d messages are to be delivered again, want all 12", got)
					}
					for id, l := range e.lines() {
						if l.Outcome != "retried" || !strings.HasSuffix(l.Reason, ": no answer in time") && !strings.HasPrefix(l.Reason, "not started") {
							e.Errorf("message %s: %s: %q, want retried: no answer in time, or not started", id, l.Outcome, l.Reason)
						}
						if (l.Code == "unfinished") != (operation == "PutSecretValue" && !strings.HasPrefix(l.Reason, "not started")) {
							e.Errorf("message %s: the code is %q for reason %q", id, l.Code, l.Reason)
						}
					}
				})
			})
		}
	}
}

func TestMessageIsNotStartedWhenTooLittleTimeIsLeft(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.timeout = time.Second
		e.invoke(batchOf(2))
		e.wantLog("m0 retried: not started: too little time is left", "m1 retried: not started: too little time is left")
		if calls := e.calls(); calls != "" {
			e.Errorf("AWS was called: %s, want no call", calls)
		}
	})
}

// Messages that a batch has no time for are left untouched for the next delivery; started
// ones are finished.
func TestBatchThatIsTooLongIsDoneInParts(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.settings.CreateKeyRate = 1
		e.timeout = 6 * time.Second // five to work in, the last of which starts nothing
		start := time.Now()
		e.invoke(batchOf(10))
		if took := time.Since(start); took > e.timeout-time.Second {
			e.Errorf("answered after %v, want at most %v", took, e.timeout-time.Second)
		}
		created := 0
		for id, l := range e.lines() {
			switch {
			case l.Outcome == "created":
				created++
			case l.Outcome != "retried" || l.Reason != "not started: too little time is left":
				e.Errorf("message %s: %s: %q, want created, or not started", id, l.Outcome, l.Reason)
			}
		}
		if created < 4 || created > 5 || len(e.aws.Keys()) != created || len(e.aws.Secrets()) != created {
			e.Errorf("%d were created, %d keys and %d secrets exist, want 4 or 5 of each", created, len(e.aws.Keys()), len(e.aws.Secrets()))
		}
		e.timeout = 30 * time.Second
		e.invoke(batchOf(10))
		e.lines()
		if got := len(e.aws.Keys()); got != 10 {
			e.Errorf("%d keys exist after the next delivery, want 10", got)
		}
	})
}

// tenPlans adds ten usage plans, the most that a key can have, and returns their ids.
func (e *environment) tenPlans() []string {
	var plans []string
	for range 10 {
		plans = append(plans, e.aws.AddUsagePlan(awslocal.UsagePlan{}))
	}
	return plans
}

// This message's plans need more calls than there is time for: a call whose turn would come
// too late is not sent, and the batch is answered in time.
func TestTurnThatWouldComeTooLateIsRefused(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.settings.CreateKeyRate = 2
		e.timeout = 2 * time.Second
		start := time.Now()
		e.invoke(sqsBatch(asJSON(map[string]any{"name": "Gold", "usagePlanIds": e.tenPlans()})))
		if took := time.Since(start); took > e.timeout {
			e.Errorf("answered after %v, want at most %v", took, e.timeout)
		}
		if reason := e.lines()["m0"].Reason; reason != "GetUsagePlan: too little time is left to wait for a turn" {
			e.Errorf("the reason is %q, want that of GetUsagePlan without time for a turn", reason)
		}
	})
}

// After a refusal for the quota the SDK retries until the time is up. The log line has the
// quota's code even so, because an alarm depends on it.
func TestQuotaCodeIsLoggedAfterATimeout(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.settings.CreateKeyRate = 0.5
		e.timeout = 3 * time.Second
		e.aws.Quotas.MaxKeys = 1
		e.aws.AddKey(awslocal.Key{})
		e.invoke(batchOf(1))
		if l := e.lines()["m0"]; l.Code != "quota" || !strings.HasPrefix(l.Reason, "CreateApiKey: LimitExceededException") {
			e.Errorf("code %q, reason %q, want code quota and CreateApiKey: LimitExceededException", l.Code, l.Reason)
		}
	})
}

// In parallel, each of these messages would make some of its calls, and none all of them.
// The first is finished; the others are not started.
func TestMessageIsNotStartedWithoutTimeForAllItsCalls(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.settings.CreateKeyRate = 2
		e.timeout = 8 * time.Second
		plans := e.tenPlans()
		var bodies []string
		for i := range 4 {
			bodies = append(bodies, asJSON(map[string]any{"name": fmt.Sprint(i), "usagePlanIds": plans}))
		}
		e.invoke(sqsBatch(bodies...))
		outcomes := map[string]int{}
		for _, l := range e.lines() {
			outcomes[l.Outcome+l.Reason]++
		}
		if outcomes["created"] != 1 || outcomes["retriednot started: too little time is left"] != 3 {
			e.Errorf("the outcomes are %v, want one created, and three not started", outcomes)
		}
	})
}

// One message after the other is enough for AWS's rates: at 50 ms a call, an environment
// makes 2.5 keys a second with a usage plan each, half of the account's quota.
func TestAnEnvironmentReachesItsRateOneMessageAfterTheOther(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.settings.CreateKeyRate, e.settings.UsagePlanID = 2.5, "plan1"
		e.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan1"})
		e.aws.Before = func(context.Context, awslocal.Call) error { <-time.After(50 * time.Millisecond); return nil }
		start := time.Now()
		e.invoke(batchOf(10))
		// The first key does not wait for its turn; after the last one come two more calls.
		if took, most := time.Since(start), 9*400*time.Millisecond+time.Second; took > most {
			e.Errorf("ten messages took %v, want %v at most", took, most)
		}
		if got := len(e.aws.Keys()); got != 10 {
			e.Errorf("%d keys exist, want 10", got)
		}
	})
}

func TestKeysOfABatchAreMadeAtTheRate(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.settings.CreateKeyRate = 2
		e.invoke(batchOf(10))
		var last time.Time
		for _, c := range e.aws.Calls() {
			if c.Operation != "CreateApiKey" {
				continue
			}
			if apart := c.At.Sub(last); apart < 500*time.Millisecond-time.Microsecond {
				e.Errorf("two CreateApiKey calls were %v apart, want at least 500ms", apart)
			}
			last = c.At
		}
		if got := len(e.aws.Keys()); got != 10 {
			e.Errorf("%d keys exist, want 10", got)
		}
	})
}
