package provision_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

// The calls of the two shortest paths.
const (
	newKeyCalls = "CreateSecret CreateApiKey PutSecretValue"
	repeatCalls = "CreateSecret GetSecretValue GetApiKey"
)

// A scenario is one branch of the algorithm: one delivery in a given state.
type scenario struct {
	name    string
	given   func(w *world)
	request apikey.Request
	want    string // the outcome, and a part of its reason
	calls   string // exactly these
	leaves  string // the final state of the request's key and secret
	plans   []string
}

func run(t *testing.T, scenarios []scenario) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				if s.given != nil {
					s.given(w)
				}
				wasFinished := strings.HasSuffix(w.state(s.request), ", finished")
				was := w.all()
				w.wantOutcome(w.provision(s.request), s.want)
				w.wantCalls(s.calls)
				if got := w.state(s.request); got != s.leaves {
					w.Errorf("leaves %q, want %q", got, s.leaves)
				}
				if s.want == "created" {
					w.wantComplete(s.request, s.plans...)
				}
				if wasFinished && !reflect.DeepEqual(w.all(), was) {
					w.Error("promise 4 (a finished record and its key are never changed): something was")
				}
			})
		})
	}
}

func TestNewKey(t *testing.T) {
	run(t, []scenario{{
		name:    "costs three calls, and the secret comes first",
		request: request(), want: "created", calls: newKeyCalls, leaves: "1 key, finished",
	}, {
		name:    "bears the value that the sender gives",
		request: request(withValue(explicit)), want: "created", calls: newKeyCalls, leaves: "1 key, finished",
	}, {
		name: "has every member that the sender writes",
		request: request(withDescription("what <it> is for"), func(r *apikey.Request) {
			r.GenerateDistinctID = true
			r.StageKeys = []apikey.StageKey{{RestAPIID: "api1", StageName: "prod"}, {RestAPIID: "api2", StageName: "test"}}
			r.Tags = map[string]string{"team": "platform", "cost": ""}
		}),
		want: "created", calls: newKeyCalls, leaves: "1 key, finished",
	}, {
		name:    "needs neither a name nor a switch",
		request: apikey.Request{CustomerID: "acme"}, want: "created", calls: newKeyCalls, leaves: "1 key, finished",
	}, {
		name: "of another identity is not in the way",
		given: func(w *world) {
			w.finished(request(func(r *apikey.Request) { r.CustomerID = "other" }))
			w.finished(request(func(r *apikey.Request) { r.Name = "Dev" }))
		},
		request: request(), want: "created", calls: newKeyCalls, leaves: "1 key, finished",
	}, {
		name: "is not made when its record could not be stored",
		request: request(func(r *apikey.Request) {
			r.Description = strings.Repeat("d", 65_000)
		}),
		want: "rejected: its record would take up to", calls: "GetSecretValue", leaves: "no key, no secret",
	}, {
		name:    "is not made without random bytes",
		given:   func(w *world) { w.p.Random = noEntropy{} },
		request: request(), want: "retried: no random bytes", calls: "", leaves: "no key, no secret",
	}})
}

type noEntropy struct{}

func (noEntropy) Read([]byte) (int, error) { return 0, errors.New("out of entropy") }

func TestSecretIsEncryptedWithTheDeploymentsKey(t *testing.T) {
	for _, key := range []string{"", "alias/customers"} {
		inWorld(t, func(w *world) {
			w.p.KMSKeyID = key
			w.finished(request())
			if s, _ := w.secret(request()); s.KMSKeyID != key {
				w.Errorf("the secret's KMS key is %q, want %q", s.KMSKeyID, key)
			}
		})
	}
}

// The pending record stays the secret's first version forever, so it must hold nothing that
// could become wrong.
func TestPendingRecordHoldsFormatAndValueAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.interrupted(after, "CreateSecret", request(withValue(explicit), withDescription("d")))
		s, _ := w.secret(request())
		if string(s.Current().String) != `{"format":"createkey/1","value":"`+explicit+`"}` {
			w.Error("the pending record is not its format and its value (not shown)")
		}
	})
}

func TestSecretsDescriptionExplainsItAndItsDeletion(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finished(request(withValue(explicit)))
		s, _ := w.secret(request())
		for _, part := range []string{"API Gateway key", "createkey", "not delete", "second"} {
			if !strings.Contains(s.Description, part) {
				w.Errorf("the secret's description does not say %q: %q", part, s.Description)
			}
		}
		if len(s.Tags) > 0 {
			w.Errorf("the secret has tags %v, want none: the deployment sets none", s.Tags)
		}
	})
}

func TestResourceTagsAreOnSecretAndKey(t *testing.T) {
	inWorld(t, func(w *world) {
		w.p.ResourceTags = map[string]string{"CostCentre": "42", "plan": "deployment's"}
		w.interrupted(after, "CreateSecret", request()) // set by CreateSecret itself: organisations deny a secret without them
		if s, _ := w.secret(request()); !maps.Equal(s.Tags, w.p.ResourceTags) {
			w.Errorf("the secret has tags %v, want %v", s.Tags, w.p.ResourceTags)
		}
		w.wantOutcome(w.provision(request(withTags(map[string]string{"plan": "sender's"}))), "created")
		tags := w.key(request()).Tags
		if tags["CostCentre"] != "42" || tags["plan"] != "sender's" {
			w.Errorf("the key has tags %v, want the deployment's, and the sender's where both have one", tags)
		}
		w.wantOutcome(w.provision(request(withTags(map[string]string{"plan": "sender's"}))), "existing")
		w.wantOutcome(w.provision(request(withTags(map[string]string{"plan": "sender's"}), withDescription("d"))), "rejected: and differs in description")
	})
}

// API Gateway allows 50 tags; the sender has up to 48, and the deployment adds its own.
func TestTooManyTagsWithTheDeploymentsMakeNothing(t *testing.T) {
	many := map[string]string{}
	for i := range 48 {
		many[strconv.Itoa(i)] = ""
	}
	inWorld(t, func(w *world) {
		w.wantOutcome(w.provision(request(withTags(many))), "created")
		w.p.ResourceTags = map[string]string{"CostCentre": "42", "0": "the sender has it, too"}
		w.wantOutcome(w.provision(request(withTags(many))), "existing") // it was made before the deployment had tags
		w.forgetCalls()
		other := request(withTags(many))
		other.Name = "another"
		w.wantOutcome(w.provision(other), "rejected: tags: the key would have 51 tags, with those that the deployment and createkey add, "+
			"and API Gateway allows 50: leave out 1")
		w.wantCalls("GetSecretValue")
		delete(many, "1")
		w.wantOutcome(w.provision(other), "created")
	})
}

func TestRepeatIsExistingAndChangesNothing(t *testing.T) {
	run(t, []scenario{{
		name:    "at three calls",
		given:   func(w *world) { w.finished(request()) },
		request: request(), want: "existing", calls: repeatCalls, leaves: "1 key, finished",
	}, {
		name:    "when the key is older than five minutes",
		given:   func(w *world) { w.finished(request()); wait(6 * time.Minute) },
		request: request(), want: "existing", calls: repeatCalls, leaves: "1 key, finished",
	}, {
		name:    "when the sender leaves out the value that it gave",
		given:   func(w *world) { w.finished(request(withValue(explicit))) },
		request: request(), want: "existing", calls: repeatCalls, leaves: "1 key, finished",
	}, {
		name:    "when the sender gives the same value again",
		given:   func(w *world) { w.finished(request(withValue(explicit))) },
		request: request(withValue(explicit)), want: "existing", calls: repeatCalls, leaves: "1 key, finished",
	}, {
		name: "when the default plan changed",
		given: func(w *world) {
			w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "old"})
			w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "new"})
			w.p.DefaultPlan = "old"
			w.finished(request())
			w.p.DefaultPlan = "new"
		},
		request: request(), want: "existing", calls: "GetUsagePlan " + repeatCalls + " GetUsagePlans", leaves: "1 key, finished",
	}, {
		name: "when its plan is gone",
		given: func(w *world) {
			w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "gone"})
			w.finished(request(withPlans("gone")))
			w.operatorDeletesPlan("gone")
			w.newEnvironment()
		},
		request: request(withPlans("gone")),
		want:    "existing", calls: "GetUsagePlan GetSecretValue GetApiKey GetUsagePlans GetUsagePlan", leaves: "1 key, finished",
	}, {
		name: "when the default plan is gone",
		given: func(w *world) {
			w.finished(request())
			w.p.DefaultPlan = "never"
		},
		request: request(), want: "existing", calls: "GetUsagePlan GetSecretValue GetApiKey", leaves: "1 key, finished",
	}, {
		name:    "when somebody took our tags off the key: the record has them still",
		given:   func(w *world) { w.operatorUntagsKey(w.finished(request()).ID, apikey.TagRequest, apikey.TagSecret) },
		request: request(), want: "existing", calls: repeatCalls, leaves: "no key, finished", // no key has the tag
	}})
}

func TestContradictionIsRejectedByTheMembersThatDiffer(t *testing.T) {
	tests := map[string]struct {
		change func(*apikey.Request)
		want   string
	}{
		"description": {withDescription("other"), "differs in description"},
		"enabled":     {func(r *apikey.Request) { r.Enabled = false }, "differs in enabled"},
		"stageKeys": {func(r *apikey.Request) {
			r.StageKeys = []apikey.StageKey{{RestAPIID: "a", StageName: "s"}}
		}, "differs in stageKeys"},
		"tags":         {func(r *apikey.Request) { r.Tags = map[string]string{"a": "b"} }, "differs in tags"},
		"usagePlanIds": {withPlans("plan2"), "differs in usagePlanIds"},
		"value":        {withValue(another), "differs in value"},
		"several": {func(r *apikey.Request) {
			withDescription("other")(r)
			withValue(another)(r)
			r.Enabled = false
		}, "differs in description, enabled, value"},
		"generateDistinctId, which no description tells": {
			func(r *apikey.Request) { r.GenerateDistinctID = true }, "differs in a member that the key does not show: generateDistinctId",
		},
	}
	for name, test := range tests {
		run(t, []scenario{{
			name: name,
			given: func(w *world) {
				w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan2"})
				w.finished(request())
			},
			request: request(test.change), want: "rejected: " + test.want, leaves: "1 key, finished",
			calls: map[bool]string{true: "GetUsagePlan "}[name == "usagePlanIds"] + repeatCalls,
		}})
	}
}

func TestContradictionNamesThePlansThatTheSenderLeftOut(t *testing.T) {
	inWorld(t, func(w *world) {
		w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan1"})
		w.finished(request(withPlans("plan1")))
		w.wantOutcome(w.provision(request()), "rejected: differs in usagePlanIds")
	})
}

// Only what the sender wrote counts.
func TestContradictionDoesNotNameADefaultThatTheDeploymentChanged(t *testing.T) {
	inWorld(t, func(w *world) {
		w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "old"})
		w.aws.AddUsagePlan(awslocal.UsagePlan{ID: "new"})
		w.p.DefaultPlan = "old"
		w.finished(request())
		w.p.DefaultPlan = "new"
		got := w.provision(request(withDescription("other")))
		w.wantOutcome(got, "rejected: differs in description")
		if strings.Contains(got, "usagePlanIds") {
			w.Errorf("outcome is %q, and the sender wrote no usagePlanIds", got)
		}
	})
}

func TestPendingRecordIsFinishedByAnyLaterRequest(t *testing.T) {
	const resumed = "CreateSecret GetSecretValue CreateApiKey PutSecretValue"
	run(t, []scenario{{
		name:    "with its value",
		given:   func(w *world) { w.interrupted(after, "CreateSecret", request()) },
		request: request(), want: "created", calls: resumed, leaves: "1 key, finished",
	}, {
		name:    "also by a corrected request",
		given:   func(w *world) { w.interrupted(after, "CreateSecret", request(withDescription("wrong"))) },
		request: request(withDescription("right")), want: "created", calls: resumed, leaves: "1 key, finished",
	}, {
		name:    "also by a request that leaves out the value",
		given:   func(w *world) { w.interrupted(after, "CreateSecret", request(withValue(explicit))) },
		request: request(), want: "created", calls: resumed, leaves: "1 key, finished",
	}, {
		name:    "also by a request that gives the same value",
		given:   func(w *world) { w.interrupted(after, "CreateSecret", request(withValue(explicit))) },
		request: request(withValue(explicit)), want: "created", calls: resumed, leaves: "1 key, finished",
	}, {
		name:    "but a correction cannot change the value that the sender gave",
		given:   func(w *world) { w.interrupted(after, "CreateSecret", request(withValue(explicit))) },
		request: request(withValue(another)),
		want:    "rejected: value: differs from the one in secret test/acme/Dev+Key, which is final",
		calls:   "CreateSecret GetSecretValue", leaves: "no key, pending",
	}, {
		name:    "but a correction cannot change the value that the program drew",
		given:   func(w *world) { w.interrupted(after, "CreateSecret", request()) },
		request: request(withValue(another)), want: "rejected: value: differs",
		calls: "CreateSecret GetSecretValue", leaves: "no key, pending",
	}})
}

// A repeat that reads the record again before it rejects a key as revoked may find a record
// that another message began, with another value, after an operator issued the key again.
func TestRepeatFindsARecordOfAnotherValue(t *testing.T) {
	inWorld(t, func(w *world) {
		r := request(withValue(explicit))
		key := w.finished(r)
		wait(5 * time.Minute)
		w.on(before, "GetApiKey", 1, func() error {
			w.operatorDeletesKey(key.ID)
			w.operatorDeletesSecret(secretName(r), false)
			w.somebodyMakesSecret(secretsmanager.CreateSecretInput{
				Name: aws.String(secretName(r)), SecretString: aws.String(`{"format": "createkey/1", "value": "` + another + `"}`),
			})
			return nil
		})
		w.wantOutcome(w.provision(r), "rejected: value: differs from the one in secret "+secretName(r)+", which is final")
		if n := len(w.aws.Keys()); n != 0 {
			t.Errorf("%d keys exist, want none", n)
		}
	})
}

func TestForeignSecretIsNeverAdopted(t *testing.T) {
	name := aws.String(secretName(request()))
	secrets := map[string]secretsmanager.CreateSecretInput{
		"JSON without the marker":    {Name: name, SecretString: aws.String(`{"value":"` + explicit + `"}`)},
		"with another marker":        {Name: name, SecretString: aws.String(`{"format":"other/1","value":"` + explicit + `"}`)},
		"with the marker, no value":  {Name: name, SecretString: aws.String(`{"format":"createkey/1"}`)},
		"with members of wrong type": {Name: name, SecretString: aws.String(`{"format":"createkey/1","value":["` + explicit + `"]}`)},
		"no JSON":                    {Name: name, SecretString: aws.String("hunter2 " + explicit)},
		"binary":                     {Name: name, SecretBinary: []byte(explicit)},
	}
	for what, secret := range secrets {
		run(t, []scenario{{
			name:    what,
			given:   func(w *world) { w.somebodyMakesSecret(secret) },
			request: request(), want: "rejected: secret test/acme/Dev+Key, which belongs to this customerId and name, exists already and was not made by createkey",
			calls: "CreateSecret GetSecretValue", leaves: "no key, foreign",
		}})
	}
	run(t, []scenario{{
		name: "one of a later version is left to a deployment",
		given: func(w *world) {
			w.somebodyMakesSecret(secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String(`{"format":"createkey/2","value":{"sealed":"` + explicit + `"}}`)})
		},
		request: request(), want: "retried: has a format that this version does not know",
		calls: "CreateSecret GetSecretValue", leaves: "no key, foreign",
	}, {
		name:    "one that has no version yet may get one",
		given:   func(w *world) { w.somebodyMakesSecret(secretsmanager.CreateSecretInput{Name: name}) },
		request: request(), want: "retried: or it has no value at all, and was not made by createkey",
		calls: "CreateSecret GetSecretValue GetSecretValue GetSecretValue", leaves: "no key, foreign",
	}})
}

func TestForeignKeyIsNeverAdopted(t *testing.T) {
	foreign := func(k awslocal.Key) func(w *world) {
		return func(w *world) { k.Value = explicit; w.aws.AddKey(k) }
	}
	refused := "rejected: value: key foreign, which this request did not make, has the same value already"
	found := "CreateSecret CreateApiKey GetApiKeys GetApiKey"
	run(t, []scenario{{
		name:    "without tags",
		given:   foreign(awslocal.Key{ID: "foreign", Name: "theirs"}),
		request: request(withValue(explicit)), want: refused, calls: found, leaves: "no key, pending",
	}, {
		name:    "without tags, of the same name and customer",
		given:   foreign(awslocal.Key{ID: "foreign", Name: "Dev Key", CustomerID: "acme", Enabled: true}),
		request: request(withValue(explicit)), want: refused, calls: found, leaves: "no key, pending",
	}, {
		name: "with the tags of another secret",
		given: foreign(awslocal.Key{ID: "foreign", Name: "Dev Key", Tags: map[string]string{
			apikey.TagSecret: "test/other/Dev+Key", apikey.TagRequest: request().Digest(),
		}}),
		request: request(withValue(explicit)), want: refused, calls: found, leaves: "no key, pending",
	}, {
		name: "with the tag of our request alone",
		given: foreign(awslocal.Key{ID: "foreign", Name: "Dev Key", Tags: map[string]string{
			apikey.TagRequest: request().Digest(),
		}}),
		request: request(withValue(explicit)), want: refused, calls: found, leaves: "no key, pending",
	}, {
		// Its name differs, so that a list narrowed by our name would not show it.
		name: "when an earlier message gave the value, and this one leaves it out",
		given: func(w *world) {
			foreign(awslocal.Key{ID: "foreign", Name: "theirs"})(w)
			w.interrupted(after, "CreateSecret", request(withValue(explicit)))
		},
		request: request(), want: refused,
		calls: "CreateSecret GetSecretValue CreateApiKey GetApiKeys GetApiKeys GetApiKey", leaves: "no key, pending",
	}})
}

func TestConflictIsFollowedToTheKeyThatBearsTheValue(t *testing.T) {
	found := "CreateSecret GetSecretValue CreateApiKey GetApiKeys GetApiKey PutSecretValue"
	run(t, []scenario{{
		name:    "our own",
		given:   func(w *world) { w.interrupted(after, "CreateApiKey", request()) },
		request: request(), want: "created", calls: found, leaves: "1 key, finished",
	}, {
		name:    "our own with a given value",
		given:   func(w *world) { w.interrupted(after, "CreateApiKey", request(withValue(explicit))) },
		request: request(withValue(explicit)), want: "created", calls: found, leaves: "1 key, finished",
	}, {
		name: "our own without a name",
		given: func(w *world) {
			w.interrupted(after, "CreateApiKey", apikey.Request{CustomerID: "acme"})
		},
		request: apikey.Request{CustomerID: "acme"}, want: "created", calls: found, leaves: "1 key, finished",
	}, {
		name: "our own, unfinished, with another value than the sender gives",
		given: func(w *world) {
			w.interrupted(after, "CreateApiKey", request())
		},
		request: request(withValue(another)), want: "rejected: value: differs",
		calls: "CreateSecret GetSecretValue", leaves: "1 key, pending",
	}, {
		name:    "of another request, which alone may finish it",
		given:   func(w *world) { w.interrupted(after, "CreateApiKey", request(withDescription("first"))) },
		request: request(withDescription("second")), want: "rejected: differs in description",
		calls: "CreateSecret GetSecretValue CreateApiKey GetApiKeys GetApiKey", leaves: "1 key, pending",
	}, {
		name:    "a Conflict without any such key proves nothing",
		given:   func(w *world) { w.fail(before, "CreateApiKey", 1, awslocal.ConcurrentModification) },
		request: request(), want: "retried: CreateApiKey: ConflictException, and no key with this value can be seen yet",
		calls: "CreateSecret CreateApiKey GetApiKeys", leaves: "no key, pending",
	}, {
		name: "the list does not show it yet",
		given: func(w *world) {
			w.interrupted(after, "CreateApiKey", request(withValue(explicit)))
			w.lag["GetApiKeys"] = time.Minute
		},
		request: request(withValue(explicit)), want: "retried: no key with this value can be seen yet",
		calls: "CreateSecret GetSecretValue CreateApiKey GetApiKeys", leaves: "1 key, pending",
	}, {
		name: "its description cannot be seen yet",
		given: func(w *world) {
			w.interrupted(after, "CreateApiKey", request())
			w.lag["GetApiKey"] = time.Minute
		},
		request: request(), want: "retried: GetApiKey: NotFoundException",
		calls: "CreateSecret GetSecretValue CreateApiKey GetApiKeys GetApiKey", leaves: "1 key, pending",
	}})
}

// Every page of the list is read. The name narrows the list only if no key with another name
// can have the value.
func TestConflictIsFollowedThroughAllPages(t *testing.T) {
	tests := map[string]struct {
		request apikey.Request
		given   moment // in which the first delivery dies, and the key is made or not
		others  string // the name of 1,100 other keys
		pages   int
		queries string // the names that the list was narrowed by
	}{
		"drawn in an earlier delivery, narrowed":           {request(), after, "Other", 1, `["Dev Key"]`},
		"drawn in an earlier delivery, names with our own": {request(), after, "Dev Key 2", 3, `["Dev Key"]`},
		"given by the sender, not narrowed":                {request(withValue(explicit)), after, "Other", 3, `[""]`},
		"no key, drawn by whom is not known":               {request(), before, "Other", 1 + 3, `["Dev Key" ""]`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				for range 1100 {
					w.aws.AddKey(awslocal.Key{Name: test.others})
				}
				w.interrupted(test.given, "CreateApiKey", test.request)
				w.aws.ResetCalls()
				if test.given == before {
					w.fail(before, "CreateApiKey", 1, awslocal.ConcurrentModification)
					w.wantOutcome(w.provision(test.request), "retried: no key")
				} else {
					w.wantOutcome(w.provision(test.request), "created")
					w.wantComplete(test.request)
				}
				pages, queries := 0, []string(nil)
				for _, c := range w.aws.Calls() {
					if c.Operation != "GetApiKeys" {
						continue
					}
					pages++
					q, _ := url.ParseQuery(c.Query)
					if q.Get("limit") != "500" || q.Get("includeValues") != "true" || q.Has("customerId") {
						w.Errorf("a page was asked for with %s", c.Query)
					}
					queries = append(queries, q.Get("name"))
				}
				if got := fmt.Sprintf("%q", slices.Compact(queries)); pages != test.pages || got != test.queries {
					w.Errorf("%d pages, narrowed by %s; want %d, %s", pages, got, test.pages, test.queries)
				}
			})
		})
	}
}

func TestRevokedKeyIsNeverMadeAgain(t *testing.T) {
	deletedAt := func(age time.Duration) func(w *world) {
		return func(w *world) {
			w.operatorDeletesKey(w.finished(request()).ID)
			wait(age)
		}
	}
	run(t, []scenario{{
		name:    "once it is five minutes old",
		given:   deletedAt(5 * time.Minute),
		request: request(), want: "rejected: was revoked: it is gone from API Gateway, and secret test/acme/Dev+Key records it",
		calls: repeatCalls + " GetSecretValue", leaves: "no key, finished",
	}, {
		name:    "nor before, when it may only not be seen yet",
		given:   deletedAt(5*time.Minute - time.Second),
		request: request(), want: "retried: just made, cannot be seen yet",
		calls: repeatCalls, leaves: "no key, finished",
	}, {
		name: "and one that exists and cannot be seen is not taken for revoked",
		given: func(w *world) {
			w.finished(request())
			w.lag["GetApiKey"] = time.Minute
		},
		request: request(), want: "retried: just made, cannot be seen yet",
		calls: repeatCalls, leaves: "1 key, finished",
	}})
}

func TestKeyIsIssuedAnewOnceKeyAndSecretAreDeleted(t *testing.T) {
	inWorld(t, func(w *world) {
		old := w.finished(request())
		wait(time.Hour)
		w.operatorDeletesKey(old.ID)
		w.operatorDeletesSecret(secretName(request()), false)
		issued := w.finished(request())
		if issued.Value == old.Value {
			w.Error("the new key has the old one's value")
		}
		w.wantComplete(request())
	})
}

// A batch that was stopped after CreateApiKey gets a Conflict for each message. If each read
// the list by itself, none would be done in time in a full account.
func TestAListOfKeysIsReadOnceInAnInvocation(t *testing.T) {
	inWorld(t, func(w *world) {
		const messages, pages = 5, 3
		requests := make([]apikey.Request, messages)
		for range pages * 500 {
			w.aws.AddKey(awslocal.Key{})
		}
		for i := range requests {
			requests[i] = apikey.Request{CustomerID: fmt.Sprint("customer ", i)} // without a name there is but one list
			w.interrupted(after, "CreateApiKey", requests[i])
		}
		read := func() int { return strings.Count(strings.Join(w.calls, " "), "GetApiKeys") }
		w.newEnvironment()
		w.on(before, "GetApiKeys", 1, func() error { return awslocal.AccessDenied })
		w.wantOutcome(w.provision(requests[0]), "retried: GetApiKeys: AccessDeniedException")
		w.calls = nil
		for _, r := range requests {
			w.wantOutcome(w.provision(r), "created") // the list resumes where it failed
			w.wantComplete(r)
		}
		if got := read(); got != pages+1 {
			t.Errorf("%d pages were read for %d messages, want %d", got, messages, pages+1)
		}

		late := apikey.Request{CustomerID: "late"}
		sameEnvironment := w.p
		w.newEnvironment()
		w.interrupted(after, "CreateApiKey", late)
		w.p = sameEnvironment
		w.wantOutcome(w.provision(late), "retried: CreateApiKey: ConflictException, and no key")
		w.p.ForgetLists() // as the next invocation does
		w.wantOutcome(w.provision(late), "created")
	})
}

func TestSecretScheduledForDeletion(t *testing.T) {
	name := secretName(request())
	schedule := func(w *world) func() error {
		return func() error { w.operatorDeletesSecret(name, true); return nil }
	}
	run(t, []scenario{{
		name:    "is told by CreateSecret",
		given:   func(w *world) { w.finished(request()); _ = schedule(w)() },
		request: request(), want: "retried: CreateSecret: InvalidRequestException: You can't create this secret because a secret with this name is already scheduled for deletion.",
		calls: "CreateSecret", leaves: "1 key, scheduled for deletion",
	}, {
		name: "is told by GetSecretValue",
		given: func(w *world) {
			w.interrupted(after, "CreateSecret", request())
			w.on(before, "GetSecretValue", 1, schedule(w))
		},
		request: request(), want: "retried: GetSecretValue: InvalidRequestException: You can't perform this operation on the secret because it was marked for deletion.",
		calls: "CreateSecret GetSecretValue", leaves: "no key, scheduled for deletion",
	}, {
		name:    "under a key just made is unfinished",
		given:   func(w *world) { w.on(before, "PutSecretValue", 1, schedule(w)) },
		request: request(), want: "retried (unfinished): PutSecretValue: InvalidRequestException: You can't perform this operation on the secret because it was marked for deletion.",
		calls: newKeyCalls, leaves: "1 key, scheduled for deletion",
	}})
	inWorld(t, func(w *world) {
		w.on(before, "PutSecretValue", 1, schedule(w))
		w.provision(request())
		w.operatorRestoresSecret(name)
		w.wantOutcome(w.provision(request()), "created") // once it is restored
		w.wantComplete(request())
	})
}

func wait(d time.Duration) { <-time.After(d) }

// Every test of this package also checks that the value is stored before the key exists, and
// that no second key appears: see world. Packages explore and executable test deliveries that
// are stopped or run concurrently.

// Two deliveries hold the same key; the first to finish the record wins.
func TestLateDeliveryDoesNotOverwriteTheRecord(t *testing.T) {
	inWorld(t, func(w *world) {
		w.interrupted(after, "CreateApiKey", request())
		// An operator disables the key in between, so that the two records differ: AWS
		// ignores an identical second put, and refuses a different one.
		w.on(after, "GetApiKey", 1, func() error {
			w.operatorEnablesKey(w.key(request()).ID, false)
			w.finished(request())
			return nil
		})
		w.wantOutcome(w.provision(request()), "existing")
		if w.key(request()).Enabled {
			w.Error("promise 4 (the key of a finished record is never enabled): it was")
		}
	})
}

// An operator deletes the key too early, while a delivery that holds its value is in flight:
// the only way to get a stray key, which is reported and never adopted.
func TestStrayKeyIsUnfinishedAndNeverAdopted(t *testing.T) {
	inWorld(t, func(w *world) {
		var first awslocal.Key
		w.on(before, "CreateApiKey", 1, func() error {
			first = w.finished(request())
			w.operatorDeletesKey(first.ID)
			return nil
		})
		w.wantOutcome(w.provision(request()), "retried (unfinished): is a stray: secret test/acme/Dev+Key records key")
		stray := w.key(request())
		s, _ := w.secret(request())
		record, err := apikey.ParseRecord(string(s.Current().String))
		if err != nil || record.Key.ID != first.ID || stray.ID == first.ID {
			w.Error("promise 4 (a finished record is never overwritten): it names the stray")
		}
	})
}

// If the finished record is refused and cannot be read, the new key may be a stray that no
// later delivery would notice.
func TestRefusedRecordThatCannotBeReadIsUnfinished(t *testing.T) {
	deny := func(w *world) { w.fail(before, "GetSecretValue", always, awslocal.AccessDenied) }
	tests := map[string]struct {
		then func(w *world) // once the record is finished by another delivery
		want string
	}{
		"denied":                 {deny, "retried (unfinished): AccessDeniedException"},
		"stale":                  {func(w *world) { w.lag["GetSecretValue"] = time.Second }, "retried (unfinished): cannot be seen yet"},
		"scheduled for deletion": {func(w *world) { w.operatorDeletesSecret(secretName(request()), true) }, "retried (unfinished): "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.interrupted(after, "CreateSecret", request())
				wait(time.Hour) // longer than any lag
				w.on(before, "CreateApiKey", 1, func() error {
					w.operatorDeletesKey(w.finished(request()).ID)
					return nil
				})
				w.on(after, "PutSecretValue", 1, func() error { return nil }) // the other delivery's
				w.on(after, "PutSecretValue", 1, func() error { test.then(w); return nil })
				w.wantOutcome(w.provision(request()), test.want)
			})
		})
	}
}

// A secret that was deleted and re-created is another secret with the same name: the record of
// the earlier key does not belong in it.
func TestRecordGoesToTheSecretThatHoldsTheKeysValue(t *testing.T) {
	inWorld(t, func(w *world) {
		w.on(before, "PutSecretValue", 1, func() error {
			w.operatorDeletesKey(w.key(request()).ID)
			w.operatorDeletesSecret(secretName(request()), false)
			w.interrupted(after, "CreateSecret", request())
			return nil
		})
		w.wantOutcome(w.provision(request()), "retried (unfinished): PutSecretValue: ResourceNotFoundException")
		if got := w.state(request()); got != "no key, pending" {
			w.Errorf("the new secret is %q, want pending still", got)
		}
		w.wantOutcome(w.provision(request()), "created")
		w.wantComplete(request())
	})
}

// Secrets Manager is eventually consistent: "exists" followed by "not found" only means "not
// yet". https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func TestSecretThatCannotBeReadYetIsReadAgainWithinBounds(t *testing.T) {
	notYet := &awslocal.Error{Status: http.StatusBadRequest, Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	given := func(times int) func(w *world) {
		return func(w *world) {
			w.finished(request())
			w.fail(before, "GetSecretValue", times, notYet)
		}
	}
	run(t, []scenario{{
		name:    "twice",
		given:   given(2),
		request: request(), want: "existing",
		calls: "CreateSecret GetSecretValue GetSecretValue GetSecretValue GetApiKey", leaves: "1 key, finished",
	}, {
		name:    "but not forever",
		given:   given(3),
		request: request(), want: "retried: GetSecretValue: ResourceNotFoundException",
		calls: "CreateSecret GetSecretValue GetSecretValue GetSecretValue", leaves: "1 key, finished",
	}})
}

// The same holds for writes: PutSecretValue right after CreateSecret may not see the secret
// yet. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func TestSecretThatCannotBeWrittenYetIsWrittenAgainWithinBounds(t *testing.T) {
	notYet := &awslocal.Error{Status: http.StatusBadRequest, Code: "ResourceNotFoundException", Message: "Secrets Manager can't find the specified secret."}
	given := func(times int) func(w *world) {
		return func(w *world) { w.fail(before, "PutSecretValue", times, notYet) }
	}
	run(t, []scenario{{
		name:    "twice",
		given:   given(2),
		request: request(), want: "created",
		calls: "CreateSecret CreateApiKey PutSecretValue PutSecretValue PutSecretValue", leaves: "1 key, finished",
	}, {
		name:    "but not forever",
		given:   given(3),
		request: request(), want: "retried (unfinished): PutSecretValue: ResourceNotFoundException",
		calls: "CreateSecret CreateApiKey PutSecretValue PutSecretValue PutSecretValue", leaves: "1 key, pending",
	}})
}

// A stale read that shows a finished record as pending leads to the same key again.
func TestStaleReadOfAFinishedRecordMakesNoSecondKey(t *testing.T) {
	inWorld(t, func(w *world) {
		w.interrupted(after, "CreateSecret", request())
		wait(time.Hour)
		w.finished(request())
		w.lag["GetSecretValue"] = time.Minute
		was := w.all()
		// The record is put again, identical to the byte, and nothing changes.
		w.wantOutcome(w.provision(request()), "created")
		if !reflect.DeepEqual(w.all(), was) {
			w.Error("promise 4 (a finished record is never overwritten): something changed")
		}
		w.wantComplete(request())
	})
}
