package provision_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

// signUp returns a request that was made from an AWS Marketplace message.
func signUp(name string, changes ...func(*apikey.Request)) apikey.Request {
	return request(append([]func(*apikey.Request){func(r *apikey.Request) {
		r.Name, r.ProductCode = name, "prod"
		r.AddedTags = map[string]string{"marketplace:offer-id": "offer-1"}
	}}, changes...)...)
}

func addProductPlan(w *world) {
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "other", ProductCode: "other"})
	w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "market", ProductCode: "prod"})
}

func TestPlanOfAProductIsFoundByItsCode(t *testing.T) {
	run(t, []scenario{{
		name:    "and needs no further check",
		given:   addProductPlan,
		request: signUp("n"), want: "created", plans: []string{"market"},
		calls: "GetUsagePlans CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue", leaves: "1 key, finished",
	}, {
		name:    "even beside a default",
		given:   func(w *world) { addProductPlan(w); addPlans(w); w.p.DefaultPlan = "plan1" },
		request: signUp("n"), want: "created", plans: []string{"market"},
		calls: "GetUsagePlans CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue", leaves: "1 key, finished",
	}, {
		name: "on whatever page it is",
		given: func(w *world) {
			for i := range 501 {
				w.aws.AddUsagePlan(awslocal.UsagePlan{ID: fmt.Sprint("p", i)})
			}
			addProductPlan(w)
		},
		request: signUp("n"), want: "created", plans: []string{"market"},
		calls: "GetUsagePlans GetUsagePlans CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue", leaves: "1 key, finished",
	}, {
		name:    "else the default serves",
		given:   func(w *world) { addPlans(w); w.p.DefaultPlan = "plan1" },
		request: signUp("n"), want: "created", plans: []string{"plan1"},
		calls: "GetUsagePlans GetUsagePlan CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue", leaves: "1 key, finished",
	}, {
		name:    "which has to exist",
		given:   func(w *world) { w.p.DefaultPlan = "plan1" },
		request: signUp("n"), want: "retried: GetUsagePlan: the deployment's default usage plan plan1 does not exist",
		calls: "GetUsagePlans GetUsagePlan GetSecretValue", leaves: "no key, no secret",
	}, {
		name:    "and where there is none either, the key is in no plan",
		given:   func(*world) {},
		request: signUp("n"), want: "created",
		calls: "GetUsagePlans CreateSecret CreateApiKey PutSecretValue", leaves: "1 key, finished",
	}, {
		name:    "a plan that the request names comes first",
		given:   func(w *world) { addProductPlan(w); addPlans(w) },
		request: signUp("n", withPlans("plan1")), want: "created", plans: []string{"plan1"},
		calls: "GetUsagePlan CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue", leaves: "1 key, finished",
	}, {
		name: "two plans of one code are a fault of the deployment",
		given: func(w *world) {
			addProductPlan(w)
			w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "too", ProductCode: "prod"})
		},
		request: signUp("n"), want: `retried: GetUsagePlans: usage plans market, too have the same product code "prod"`,
		calls: "GetUsagePlans GetSecretValue", leaves: "no key, no secret",
	}, {
		name:    "a list that is refused makes nothing",
		given:   func(w *world) { w.fail(before, "GetUsagePlans", always, awslocal.AccessDenied) },
		request: signUp("n"), want: "retried: GetUsagePlans: AccessDeniedException",
		calls: "GetUsagePlans GetSecretValue", leaves: "no key, no secret",
	}})
}

// If a plan is deleted while its product is cached, one delivery fails, and not every sign-up
// of the next minute.
func TestPlanOfAProductThatIsDeletedIsNoticed(t *testing.T) {
	inWorld(t, func(w *world) {
		addProductPlan(w)
		w.finished(signUp("n"))
		w.operatorDeletesPlan("market")
		w.wantOutcome(w.provision(signUp("o")), "retried (unfinished): CreateUsagePlanKey (market): NotFoundException")
		w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "market2", ProductCode: "prod"})
		for _, name := range []string{"o", "p"} {
			w.wantOutcome(w.provision(signUp(name)), "created")
			w.wantComplete(signUp(name), "market2")
		}
	})
}

func TestFinishedSignUpIsExistingWhateverBecameOfItsPlan(t *testing.T) {
	for name, fault := range map[string]func(w *world){
		"gone":              func(w *world) { w.operatorDeletesPlan("market") },
		"no longer the one": func(w *world) { w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "too", ProductCode: "prod"}) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				addProductPlan(w)
				w.finished(signUp("n"))
				w.newEnvironment()
				fault(w)
				w.wantOutcome(w.provision(signUp("n")), "existing")
			})
		})
	}
}

// A sign-up is repeated whenever entitlements or the offer change, and a sender may have
// requested the key without Marketplace before.
func TestMembersThatASignUpAddsAreNoDifference(t *testing.T) {
	bare := request(func(r *apikey.Request) { r.Name = "n" })
	renewed := signUp("n", func(r *apikey.Request) { r.AddedTags = map[string]string{"marketplace:offer-id": "offer-2"} })
	for name, pair := range map[string][2]apikey.Request{
		"another offer":       {signUp("n"), renewed},
		"a bare repeat":       {signUp("n"), bare},
		"a sign-up afterward": {bare, signUp("n")},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.finished(pair[0])
				was := w.all()
				w.wantOutcome(w.provision(pair[1]), "existing")
				if !reflect.DeepEqual(w.all(), was) {
					w.Error("promise 4: a repeat changed something")
				}
			})
		})
	}
	inWorld(t, func(w *world) {
		w.finished(signUp("n"))
		other := bare
		other.Enabled = false
		if got := w.provision(other); !strings.Contains(got, "and differs in enabled: ") {
			w.Errorf("outcome is %q, want no difference in what the sign-up added", got)
		}
		other = bare
		other.Tags = map[string]string{"marketplace:offer-id": "offer-2"}
		if got := w.provision(other); !strings.Contains(got, "and differs in tags: ") {
			w.Errorf("outcome is %q, want a difference in what the sender wrote", got)
		}
	})
}

// A list that changes while its pages are read may repeat a plan.
func TestPlanThatIsListedTwiceIsOne(t *testing.T) {
	inWorld(t, func(w *world) {
		addProductPlan(w)
		w.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/usageplans") {
				var list map[string][]any
				if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
					return nil, err
				}
				list["item"] = slices.Concat(list["item"], list["item"])
				answer, _ := json.Marshal(list)
				resp.ContentLength, resp.Body = int64(len(answer)), io.NopCloser(bytes.NewReader(answer))
			}
			return resp, err
		})
		w.wantOutcome(w.provision(signUp("a")), "created")
		w.wantComplete(signUp("a"), "market")
	})
}

func TestProductCodesAreListedOnceAMinute(t *testing.T) {
	inWorld(t, func(w *world) {
		addProductPlan(w)
		w.finished(signUp("a"))
		w.wantOutcome(w.provision(signUp("a")), "existing")
		w.wantCalls("CreateSecret GetSecretValue GetApiKey GetUsagePlans") // the key's, not the products'

		// That a product has no plan is not remembered.
		other := func(name string) apikey.Request {
			return signUp(name, func(r *apikey.Request) { r.ProductCode = "later" })
		}
		w.finished(other("b"))
		w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "late", ProductCode: "later"})
		w.wantOutcome(w.provision(other("c")), "created")
		w.wantCalls("GetUsagePlans CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue")
		w.wantComplete(other("c"), "late")

		wait(time.Minute)
		w.forgetCalls()
		w.wantOutcome(w.provision(other("d")), "created")
		w.wantCalls("GetUsagePlans CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue")
	})
}
