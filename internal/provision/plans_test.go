package provision_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

// addPlans adds usage plans, of which prod and prod-too cover the same API stage.
func addPlans(w *world) {
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan1"})
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan2"})
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "prod", APIStages: []awslocal.APIStage{{APIID: "api1", Stage: "test"}, {APIID: "api1", Stage: "prod"}}})
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "prod-too", APIStages: []awslocal.APIStage{{APIID: "api2", Stage: "prod"}, {APIID: "api1", Stage: "prod"}}})
}

func TestPlansCostOneCallEachAndOneCheckInAnEnvironmentsLife(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		first := request(withPlans("plan2", "plan1"))
		w.wantExpected(first, 5)
		w.wantOutcome(w.provision(first), "created")
		w.wantCalls("GetUsagePlan GetUsagePlan CreateSecret CreateApiKey CreateUsagePlanKey CreateUsagePlanKey PutSecretValue")

		w.forgetCalls()
		second := request(withPlans("plan1"), func(r *apikey.Request) { r.Name = "second" })
		w.wantExpected(second, 2)
		w.wantOutcome(w.provision(second), "created")
		w.wantCalls("CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue")
		w.wantComplete(second, "plan1")
	})
}

// wantExpected checks the expected number of API Gateway calls of a new key.
func (w *world) wantExpected(r apikey.Request, calls int) {
	w.Helper()
	if got := w.p.Calls(r); got != calls {
		w.Errorf("%d API Gateway calls are expected, want %d", got, calls)
	}
}

func TestDefaultPlanIsForRequestsThatNameNone(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		w.p.DefaultPlan = "plan1"
		w.finished(request())
		w.wantComplete(request(), "plan1")
		named := request(withPlans("plan2"), func(r *apikey.Request) { r.Name = "second" })
		w.finished(named)
		w.wantComplete(named, "plan2")
	})
}

func TestPlansThatCannotBeAttachedMakeNoKey(t *testing.T) {
	run(t, []scenario{{
		name:    "missing ones, all named",
		given:   addPlans,
		request: request(withPlans("plan1", "plan-1", "plan-2")),
		want:    "rejected: usagePlanIds[1]: there is no usage plan \"plan-1\"; usagePlanIds[2]: there is no usage plan \"plan-2\"",
		calls:   "GetUsagePlan GetUsagePlan GetUsagePlan GetSecretValue", leaves: "no key, no secret",
	}, {
		name:    "two that cover the same API stage",
		given:   addPlans,
		request: request(withPlans("prod", "plan1", "prod-too")),
		want:    "rejected: usagePlanIds[2]: covers API stage api1/prod, as usagePlanIds[0] does",
		calls:   "GetUsagePlan GetUsagePlan GetUsagePlan GetSecretValue", leaves: "no key, no secret",
	}, {
		name: "also while a pending record waits for the corrected request",
		given: func(w *world) {
			w.interrupted(after, "CreateSecret", request())
		},
		request: request(withPlans("plan-1")), want: "rejected: usagePlanIds[0]: there is no usage plan",
		calls: "GetUsagePlan GetSecretValue", leaves: "no key, pending",
	}, {
		name:    "a missing default is a fault of the deployment, and retried",
		given:   func(w *world) { w.p.DefaultPlan = "plan-1" },
		request: request(), want: "retried: GetUsagePlan: the deployment's default usage plan plan-1 does not exist",
		calls: "GetUsagePlan GetSecretValue", leaves: "no key, no secret",
	}})
}

// A plan that is deleted after it was checked leaves one key without its plan, not one for
// each message.
func TestPlanThatIsDeletedLaterIsNoticed(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		of := func(customer string) apikey.Request {
			return request(withPlans("plan1"), func(r *apikey.Request) { r.CustomerID = customer })
		}
		w.wantOutcome(w.provision(of("first")), "created")
		w.operatorDeletesPlan("plan1")
		w.wantOutcome(w.provision(of("second")), "retried (unfinished): CreateUsagePlanKey (plan1): NotFoundException")
		for _, customer := range []string{"second", "third"} {
			w.wantOutcome(w.provision(of(customer)), "rejected: usagePlanIds[0]: there is no usage plan")
		}
		if got := w.state(of("third")); got != "no key, no secret" {
			w.Errorf("leaves %q, want no key, no secret", got)
		}
	})
}

// A message that was rejected for its plans is redriven after the operator has fixed them.
func TestPlansThatAreFixedLaterAreSeen(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		r := request(withPlans("prod", "prod-too"))
		w.wantOutcome(w.provision(r), "rejected: covers API stage api1/prod")
		w.operatorDeletesPlan("prod-too")
		w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "prod-too"})
		w.wantOutcome(w.provision(r), "created")
		w.wantComplete(r, "prod", "prod-too")
	})
}

func TestPlanThatIsMadeLaterIsFound(t *testing.T) {
	inWorld(t, func(w *world) {
		r := request(withPlans("plan1"))
		for range 2 { // what is missing is asked for again
			w.wantOutcome(w.provision(r), "rejected: there is no usage plan")
			if got := w.state(r); got != "no key, no secret" {
				w.Errorf("leaves %q, want no key, no secret", got)
			}
		}
		addPlans(w)
		w.wantOutcome(w.provision(r), "created")
		w.wantComplete(r, "plan1")
	})
}

func TestPlanKey(t *testing.T) {
	attached := request(withPlans("plan1"))
	const made = "GetUsagePlan CreateSecret CreateApiKey CreateUsagePlanKey"
	const found = "CreateSecret GetSecretValue CreateApiKey GetApiKeys GetApiKey CreateUsagePlanKey"
	gone := &awslocal.Error{Status: http.StatusNotFound, Code: "NotFoundException", Message: "Invalid Usage Plan ID specified"}
	tests := []struct {
		name  string
		given func(w *world)
		want  string
		calls string
	}{
		{"attached already counts as done",
			func(w *world) { w.interrupted(after, "CreateUsagePlanKey", attached) },
			"created", found + " GetUsagePlanKey PutSecretValue"},
		{"a Conflict with a change close by passes",
			func(w *world) { w.fail(before, "CreateUsagePlanKey", 2, awslocal.ConcurrentModification) },
			"created", made + " GetUsagePlanKey CreateUsagePlanKey GetUsagePlanKey CreateUsagePlanKey PutSecretValue"},
		{"NotFound after all may be lag",
			func(w *world) { w.fail(before, "CreateUsagePlanKey", 1, gone) },
			"retried (unfinished): CreateUsagePlanKey (plan1): NotFoundException", made},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				addPlans(w)
				test.given(w)
				w.wantOutcome(w.provision(attached), test.want)
				w.wantCalls(test.calls)
				if test.want != "created" {
					w.wantOutcome(w.provision(attached), "created") // the next delivery
				}
				w.wantComplete(attached, "plan1")
			})
		})
	}
}

func TestRepeatIsNotRejectedForItsPlanWhileItsRecordCannotBeRead(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		r := request(withPlans("plan1"))
		w.finished(r)
		gone := &awslocal.Error{Status: http.StatusNotFound, Code: "NotFoundException", Message: "Invalid Usage Plan ID specified"}
		w.fail(before, "GetUsagePlan", always, gone)
		w.fail(before, "GetSecretValue", always, awslocal.AccessDenied)
		w.newEnvironment()
		w.wantOutcome(w.provision(r), "retried: GetSecretValue: AccessDeniedException")
	})
}

// quarter is a source of random bytes whose single bytes, which are those of the jitter, are a
// quarter of 256.
type quarter struct{}

func (quarter) Read(p []byte) (int, error) {
	if len(p) == 1 {
		p[0] = 64
		return 1, nil
	}
	return apikey.Random.Read(p)
}

// Behind a Conflict the call is made again after once to twice a second, doubled each time, and a
// second at least after the environment's last; without one, keys wait for nothing.
func TestPlanKeysAreSpacedBehindAConflict(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		w.p.Random = quarter{}
		took := func(customer string) time.Duration {
			began := time.Now()
			r := request(withPlans("plan1"))
			r.CustomerID = customer
			w.wantOutcome(w.provision(r), "created")
			return time.Since(began)
		}
		steps := []struct {
			conflicts int
			after     time.Duration // since the step before
			want      time.Duration
		}{
			{0, 0, 0},
			{0, 0, 0},
			{2, 0, 3750 * time.Millisecond}, // 1.25 s, and 2.5 s
			{0, 300 * time.Millisecond, 700 * time.Millisecond},
			{0, 2 * time.Second, 0},
			{0, 594 * time.Second, 0},
			{0, 500 * time.Millisecond, 0}, // ten minutes after the Conflict, none is expected
		}
		for i, step := range steps {
			wait(step.after)
			if step.conflicts > 0 {
				w.fail(before, "CreateUsagePlanKey", step.conflicts, awslocal.ConcurrentModification)
			}
			if got := took(strconv.Itoa(i)); got != step.want {
				t.Errorf("step %d took %s, want %s", i, got, step.want)
			}
		}
	})
}
