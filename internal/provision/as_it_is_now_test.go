package provision_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

// Section 3 of the contract: the answer to a repeat of a finished request describes the key
// as it is in API Gateway, and a revoked key is neither restored nor made again.
func TestRepeatAnswersTheKeyAsItIsNow(t *testing.T) {
	planned, disabled := request(withPlans("plan1")), request(func(r *apikey.Request) { r.Enabled = false })
	const later = 6 * time.Minute
	finished := func(r apikey.Request, age time.Duration, then func(w *world, id string)) func(*world) {
		return func(w *world) {
			addPlans(w)
			id := w.finished(r).ID
			wait(age)
			then(w, id)
		}
	}
	tests := map[string]struct {
		given   func(w *world)
		request apikey.Request
		want    string
		asks    string // in addition to the three calls of a repeat
		enabled bool
		plans   []string
	}{
		"untouched":             {finished(planned, later, func(*world, string) {}), planned, "existing", " GetUsagePlans", true, []string{"plan1"}},
		"untouched, in no plan": {finished(request(), later, func(*world, string) {}), request(), "existing", "", true, nil},
		"moved to another plan": {
			finished(planned, later, func(w *world, id string) { w.operatorMovesKey(id, "plan1", "plan2") }),
			planned, "existing", " GetUsagePlans", true, []string{"plan2"},
		},
		"requested disabled, enabled since": {
			finished(disabled, later, func(w *world, id string) { w.operatorEnablesKey(id, true) }),
			disabled, "existing", "", true, nil,
		},
		"requested disabled": {finished(disabled, later, func(*world, string) {}), disabled, "existing", "", false, nil},
		"revoked: disabled": {
			finished(request(), 0, func(w *world, id string) { w.operatorEnablesKey(id, false) }),
			request(), "rejected: was revoked: it is disabled in API Gateway, and the request asks for an enabled one", " GetSecretValue", false, nil,
		},
		"revoked: in no plan": {
			finished(planned, later, func(w *world, id string) { w.operatorMovesKey(id, "plan1", "") }),
			planned, "rejected: was revoked: it is in no usage plan, and secret test/acme/Dev+Key records plan1", " GetUsagePlans GetUsagePlan GetSecretValue", true, nil,
		},
		"in no plan yet, as far as can be seen": {
			finished(planned, 0, func(w *world, id string) { w.operatorMovesKey(id, "plan1", "") }),
			planned, "retried: GetUsagePlans: key", " GetUsagePlans GetUsagePlan", true, nil,
		},
		"its plans cannot be asked for": {
			finished(planned, later, func(w *world, _ string) { w.fail(before, "GetUsagePlans", always, awslocal.AccessDenied) }),
			planned, "retried: GetUsagePlans: AccessDeniedException", " GetUsagePlans", true, []string{"plan1"},
		},
		"whether its plan exists cannot be asked for": {
			finished(planned, later, func(w *world, id string) {
				w.operatorMovesKey(id, "plan1", "")
				w.fail(before, "GetUsagePlan", always, awslocal.AccessDenied)
			}),
			planned, "retried: GetUsagePlan: AccessDeniedException", " GetUsagePlans GetUsagePlan", true, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				test.given(w)
				was := w.all()
				w.forgetCalls()
				w.wantOutcome(w.provision(test.request), test.want)
				w.wantCalls(repeatCalls + test.asks)
				if got := w.result.Key; got.Enabled != test.enabled || !slices.Equal(got.UsagePlanIDs, test.plans) {
					w.Errorf("the answer says enabled %t, plans %q; want %t, %q", got.Enabled, got.UsagePlanIDs, test.enabled, test.plans)
				}
				if !reflect.DeepEqual(w.all(), was) {
					w.Error("promise 4: the repeat changed something")
				}
			})
		})
	}
}

// The reason says how to undo by hand what was done by hand.
func TestRevokedKeyIsGivenBackByHand(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		r := request(withPlans("plan1"))
		id := w.finished(r).ID
		wait(6 * time.Minute)
		w.operatorEnablesKey(id, false)
		w.operatorMovesKey(id, "plan1", "")
		for _, remedy := range []struct {
			reason string
			do     func()
		}{
			{"to give it back, enable it", func() { w.operatorEnablesKey(id, true) }},
			{"to give it back, attach it to a usage plan", func() { w.operatorMovesKey(id, "", "plan2") }},
		} {
			if got := w.provision(r); !strings.Contains(got, remedy.reason) {
				w.Errorf("outcome is %q, want it to say: %s", got, remedy.reason)
			}
			remedy.do()
		}
		w.wantOutcome(w.provision(r), "existing")
	})
}
