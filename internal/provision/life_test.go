package provision_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/provision"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// at is a minute on the sender's clock.
func at(minute int) time.Time {
	return time.Date(2026, 11, 27, 12, minute, 0, 0, time.UTC)
}

func signUpAt(minute int, changes ...func(*apikey.Request)) apikey.Request {
	r := request(changes...)
	r.Time = at(minute)
	return r
}

func endAt(minute int) apikey.Request {
	return apikey.Request{Kind: apikey.End, CustomerID: "acme", Name: "Dev Key", Time: at(minute), Agreement: apikey.EveryHold}
}

func rotationAt(minute int) apikey.Request {
	return apikey.Request{Kind: apikey.Rotation, CustomerID: "acme", Name: "Dev Key", Time: at(minute)}
}

func ofAgreement(r apikey.Request, id string) apikey.Request {
	r.Agreement = id
	return r
}

// enabled returns the ids of the account's enabled keys.
func (w *world) enabled() (ids []string) {
	for _, k := range w.aws.Keys() {
		if k.Enabled {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// record returns the record of the requests' secret.
func (w *world) record() promise.Record {
	s, _ := w.secret(request())
	return promise.Decode(s.Current())
}

// A life, message by message, with the AWS calls.
func TestLife(t *testing.T) {
	planned := withPlans("plan1")
	inWorld(t, func(w *world) {
		addPlans(w)
		for _, step := range []struct {
			what       string
			message    apikey.Request
			want       string
			calls      string
			generation int
			enabled    int
		}{
			{"sign-up", signUpAt(1, planned), "created", "GetUsagePlan CreateSecret CreateApiKey CreateUsagePlanKey PutSecretValue", 1, 1},
			{"its repeat", signUpAt(1, planned), "existing", repeatCalls + " GetUsagePlans", 1, 1},
			{"a newer sign-up is one step more", signUpAt(2, planned), "existing", repeatCalls + " GetUsagePlans PutSecretValue", 1, 1},
			{"rotation", rotationAt(3), "rotated",
				"GetSecretValue GetApiKey GetUsagePlans PutSecretValue CreateApiKey CreateUsagePlanKey PutSecretValue", 2, 2},
			{"its repeat", rotationAt(3), "rotated", "GetSecretValue GetApiKey GetUsagePlans", 2, 2},
			{"an earlier rotation", rotationAt(2), "rotated", "GetSecretValue GetApiKey GetUsagePlans", 2, 2},
			{"a repeat of the sign-up", signUpAt(1, planned), "existing", repeatCalls + " GetUsagePlans", 2, 2},
			{"the next rotation disables the key before", rotationAt(4), "rotated",
				"GetSecretValue GetApiKey GetUsagePlans PutSecretValue UpdateApiKey CreateApiKey CreateUsagePlanKey PutSecretValue", 3, 2},
			{"an end that is older than the sign-up is noted", endAt(1), "existing", "GetSecretValue PutSecretValue GetApiKey GetUsagePlans", 3, 2},
			{"end", endAt(5), "ended", "GetSecretValue PutSecretValue UpdateApiKey UpdateApiKey", 3, 0},
			{"its repeat", endAt(5), "ended", "GetSecretValue UpdateApiKey UpdateApiKey", 3, 0},
			{"a late repeat of the sign-up", signUpAt(2, planned), "ended", "CreateSecret GetSecretValue", 3, 0},
			{"a rotation of what has ended", rotationAt(6), "rejected: the key of this customerId and name has ended", "GetSecretValue GetSecretValue", 0, 0},
			{"a sign-up without a time", request(planned), "rejected: a message without a time cannot bring it back", "CreateSecret GetSecretValue", 0, 0},
			{"return", signUpAt(7, planned), "created",
				"CreateSecret GetSecretValue UpdateApiKey UpdateApiKey PutSecretValue CreateApiKey CreateUsagePlanKey PutSecretValue", 4, 1},
			{"a late repeat of the end", endAt(5), "existing", "GetSecretValue GetApiKey GetUsagePlans", 4, 1},
			{"a late repeat of the first sign-up", signUpAt(2, planned), "ended", "CreateSecret GetSecretValue", 3, 1},
		} {
			w.forgetCalls()
			w.wantOutcome(w.provision(step.message), step.want)
			w.wantCalls(step.calls)
			if got := w.result.Generation; got != step.generation {
				w.Errorf("%s: generation %d, want %d", step.what, got, step.generation)
			}
			if got := w.enabled(); len(got) != step.enabled {
				w.Errorf("%s: keys %v are enabled, want %d", step.what, got, step.enabled)
			}
			if told := w.result; told.Status == provision.Ended && slices.Contains(w.enabled(), told.Key.ID) {
				w.Errorf("%s: key %s is told as ended, and is enabled", step.what, told.Key.ID)
			}
			if w.Failed() {
				w.Fatalf("at: %s", step.what)
			}
		}
	})
}

// The AWS calls of each message, as docs/design.md lists them, in an environment that has
// looked up the usage plan before.
func TestCallsOfAMessage(t *testing.T) {
	planned := withPlans("plan1")
	for _, test := range []struct {
		what    string
		given   []apikey.Request
		message apikey.Request
		calls   int
	}{
		{"a sign-up", nil, signUpAt(1), 3},
		{"a sign-up with a plan", nil, signUpAt(1, planned), 4},
		{"a repeat", []apikey.Request{signUpAt(1)}, signUpAt(1), 3},
		{"a repeat where the record names plans", []apikey.Request{signUpAt(1, planned)}, signUpAt(1, planned), 4},
		{"a newer start, one more", []apikey.Request{signUpAt(1)}, signUpAt(2), 4},
		{"an end of a living key", []apikey.Request{signUpAt(1, planned)}, endAt(2), 3},
		{"an end after a rotation", []apikey.Request{signUpAt(1, planned), rotationAt(2)}, endAt(3), 4},
		{"an end before its sign-up", nil, endAt(1), 2},
		{"a sign-up that is over", []apikey.Request{endAt(2)}, signUpAt(1), 2},
		{"a return with a plan", []apikey.Request{signUpAt(1, planned), endAt(2)}, signUpAt(3, planned), 7},
		{"a rotation", []apikey.Request{signUpAt(1)}, rotationAt(2), 6},
		{"a rotation with a plan", []apikey.Request{signUpAt(1, planned)}, rotationAt(2), 7},
		{"a rotation with a plan, after another", []apikey.Request{signUpAt(1, planned), rotationAt(2)}, rotationAt(3), 8},
	} {
		t.Run(test.what, func(t *testing.T) {
			inWorld(t, func(w *world) {
				addPlans(w)
				seen := signUpAt(1, planned)
				seen.CustomerID = "another"
				for _, m := range append([]apikey.Request{seen}, test.given...) {
					w.provision(m)
				}
				w.forgetCalls()
				if outcome := w.provision(test.message); strings.HasPrefix(outcome, "re") {
					w.Errorf("outcome is %q, want the message done", outcome)
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				if len(w.calls) != test.calls {
					w.Errorf("%d calls, want %d: %q", len(w.calls), test.calls, w.calls)
				}
			})
		})
	}
}

func TestAgreementsHoldTheKeyEach(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, step := range []struct {
			message apikey.Request
			want    string
			enabled int
		}{
			{ofAgreement(signUpAt(1), "agr-1"), "created", 1},
			{ofAgreement(signUpAt(2), "agr-2"), "existing", 1}, // the renewal
			{ofAgreement(endAt(3), "agr-1"), "existing", 1},
			{ofAgreement(endAt(3), "agr-1"), "existing", 1},
			{ofAgreement(signUpAt(1), "agr-1"), "ended", 1},
			{ofAgreement(endAt(4), "agr-3"), "existing", 1}, // of one that was never heard of
			{ofAgreement(endAt(5), "agr-2"), "ended", 0},
			{ofAgreement(signUpAt(4), "agr-3"), "ended", 0}, // a tie is an end
			{ofAgreement(signUpAt(6), "agr-4"), "created", 1},
		} {
			w.wantOutcome(w.provision(step.message), step.want)
			if got := w.enabled(); len(got) != step.enabled {
				w.Errorf("%+v: keys %v are enabled, want %d", step.message, got, step.enabled)
			}
		}
	})
}

// An end of one agreement releases its hold, whatever somebody did to the key.
func TestEndOfOneAgreementWhenTheKeyIsRevoked(t *testing.T) {
	for name, revoke := range map[string]func(w *world, id string){
		"taken out of its plan": func(w *world, id string) { w.operatorMovesKey(id, "plan1", "") },
		"disabled":              func(w *world, id string) { w.operatorEnablesKey(id, false) },
		"deleted":               func(w *world, id string) { w.operatorDeletesKey(id) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				addPlans(w)
				id := w.finishedAt(ofAgreement(signUpAt(1, withPlans("plan1")), "agr-1"))
				w.wantOutcome(w.provision(ofAgreement(signUpAt(2, withPlans("plan1")), "agr-2")), "existing")
				wait(10 * time.Minute)
				revoke(w, id)
				w.wantOutcome(w.provision(ofAgreement(endAt(3), "agr-1")), "existing")
				w.wantOutcome(w.provision(ofAgreement(endAt(4), "agr-2")), "ended")
			})
		})
	}
}

// A value that a key already has, be it disabled or foreign, begins no generation.
func TestReturnWithAValueThatIsTaken(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finishedAt(signUpAt(1, withValue(explicit)))
		w.wantOutcome(w.provision(endAt(2)), "ended")
		w.wantOutcome(w.provision(signUpAt(3, withValue(explicit))), "rejected: value: is that of the key that has ended")
		w.finishedAt(signUpAt(3, withValue(another)))
		w.wantOutcome(w.provision(endAt(4)), "ended")
		theirs := w.aws.AddKey(awslocal.Key{Name: "theirs"})
		for value, id := range map[string]string{explicit: first, string(theirs.Value): theirs.ID} {
			w.forgetCalls()
			w.p.ForgetLists()
			w.wantOutcome(w.provision(signUpAt(5, withValue(value))), "rejected: value: is that of key "+id+": leave it out, or give another")
			calls := "CreateSecret GetSecretValue UpdateApiKey GetApiKeys GetApiKey"
			if id == first { // which another delivery could have made
				calls += " GetSecretValue"
			}
			w.wantCalls(calls)
		}
		w.wantOutcome(w.provision(signUpAt(5)), "created")
	})
}

// The key with a return's value may come from another delivery of the same message.
func TestReturnWithAValueDuringAnother(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finishedAt(signUpAt(1))
		w.wantOutcome(w.provision(endAt(2)), "ended")
		w.meanwhile("GetApiKeys", signUpAt(3, withValue(explicit)))
		w.wantOutcome(w.provision(signUpAt(3, withValue(explicit))), "created") // both are: their records are the same
		if got := w.enabled(); len(got) != 1 {
			w.Errorf("keys %v are enabled, want one", got)
		}
	})
}

// That key may be disabled already: because the message asks for one that is, or because its
// end came, too.
func TestReturnWithAValueWhoseKeyIsDisabledMeanwhile(t *testing.T) {
	disabled := signUpAt(3, withValue(explicit))
	disabled.Enabled = false
	for name, test := range map[string]struct {
		message   apikey.Request
		meanwhile []apikey.Request
		want      string
	}{
		"as the message asks": {disabled, []apikey.Request{disabled}, "existing"},
		"by its end":          {signUpAt(3, withValue(explicit)), []apikey.Request{signUpAt(3, withValue(explicit)), endAt(4)}, "ended"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.wantOutcome(w.provision(endAt(2)), "ended")
				w.meanwhile("GetApiKeys", test.meanwhile...)
				w.wantOutcome(w.provision(test.message), test.want)
			})
		})
	}
}

func TestEndThatComesBeforeItsSignUp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.wantOutcome(w.provision(endAt(2)), "ended")
		w.wantCalls("GetSecretValue CreateSecret")
		if r := w.record(); !r.HasEnded() || r.Value != "" {
			w.Error("the record does not say that it ended, or holds a value (not shown)")
		}
		w.wantOutcome(w.provision(signUpAt(1)), "ended")
		w.wantOutcome(w.provision(signUpAt(2)), "ended") // a tie is an end
		if keys := w.aws.Keys(); len(keys) > 0 {
			w.Errorf("%d keys exist, want none", len(keys))
		}
		w.wantOutcome(w.provision(signUpAt(3)), "created")
		if got := w.result.Generation; got != 1 {
			w.Errorf("generation %d, want 1", got)
		}
	})
}

// meanwhile delivers messages in another environment before the next call of an operation.
func (w *world) meanwhile(operation string, messages ...apikey.Request) {
	other := w.p
	w.newEnvironment()
	w.on(before, operation, 1, func() error {
		for _, m := range messages {
			if _, err := other.Provision(w.ctx, m, secretName(m)); err != nil {
				w.Errorf("the message in between: %v", err)
			}
		}
		return nil
	})
}

// A key that turns out to be disabled may have been disabled by createkey after the record was
// read.
func TestEndDuringASignUp(t *testing.T) {
	for want, signUp := range map[string]apikey.Request{"ended": signUpAt(1), "created": signUpAt(3)} {
		t.Run(want, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.finishedAt(signUpAt(1))
				w.meanwhile("GetApiKey", endAt(2))
				w.wantOutcome(w.provision(signUp), want)
			})
		})
	}
}

// During a sign-up a newer one finishes the record, and an end that is newer than the first
// arrives.
func TestSignUpThatIsOverWhenItsRecordIsRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		w.meanwhile("PutSecretValue", ofAgreement(signUpAt(3), "agr-2"), ofAgreement(endAt(2), "agr-1"))
		w.wantOutcome(w.provision(ofAgreement(signUpAt(1), "agr-1")), "ended")
		if got := w.enabled(); len(got) != 1 {
			w.Errorf("keys %v are enabled, want one", got)
		}
	})
}

func TestEndOfThePreviousKeyAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		first := w.finishedAt(signUpAt(1))
		w.wantOutcome(w.provision(rotationAt(2)), "rotated")
		if w.result.PreviousKeyID != first || w.result.Key.ID == first {
			w.Errorf("previous key %s, key %s; want %s and another", w.result.PreviousKeyID, w.result.Key.ID, first)
		}
		second, end := w.result.Key.ID, endAt(3)
		for keyID, want := range map[string]string{second: "rejected: keyId", "unknown": "rejected: keyId"} {
			end.KeyID = keyID
			w.wantOutcome(w.provision(end), want)
		}
		if got := w.enabled(); len(got) != 2 {
			w.Errorf("keys %v are enabled, want both", got)
		}
		end.KeyID = first
		for range 2 {
			w.wantOutcome(w.provision(end), "ended")
			if got := w.enabled(); !slices.Equal(got, []string{second}) {
				w.Errorf("keys %v are enabled, want %s", got, second)
			}
		}
	})
}

// An end that names a key ends nothing else: if there is no such key, the id is mistyped, and
// must not keep a later sign-up from making a key.
func TestEndOfAnUnknownKeyChangesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		end := endAt(2)
		end.KeyID = "mistyped"
		w.wantOutcome(w.provision(end), "rejected: keyId")
		w.wantCalls("GetSecretValue GetSecretValue") // which may not be seen yet
		w.wantOutcome(w.provision(signUpAt(1)), "created")
	})
}

func (w *world) finishedAt(r apikey.Request) string {
	w.wantOutcome(w.provision(r), "created")
	return w.result.Key.ID
}

// An emulator answers UpdateApiKey with "enabled":"false", which the SDK cannot read, although
// the key is disabled.
func TestEndWhoseAnswerCannotBeReadIsDone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finishedAt(signUpAt(1))
		w.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err == nil && r.Method == http.MethodPatch {
				response.Body = io.NopCloser(strings.NewReader(`{"enabled":"false"}`))
			}
			return response, err
		})
		w.wantOutcome(w.provision(endAt(2)), "ended")
	})
}

func TestRotationNeedsAFinishedKey(t *testing.T) {
	inWorld(t, func(w *world) {
		w.wantOutcome(w.provision(rotationAt(1)), "rejected: there is no key of this customerId and name to rotate")
		w.interrupted(after, "CreateSecret", signUpAt(1))
		w.wantOutcome(w.provision(rotationAt(2)), "retried: the key is still being made")
	})
}

// NotFound for a key that was rotated soon after it was made does not prove that it is gone.
func TestPreviousKeyThatCannotBeSeenYet(t *testing.T) {
	for name, m := range map[string]apikey.Request{"end": endAt(3), "rotation": rotationAt(3)} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				first := w.finishedAt(signUpAt(1))
				w.wantOutcome(w.provision(rotationAt(2)), "rotated")
				w.operatorDeletesKey(first)
				w.wantOutcome(w.provision(m), "retried: UpdateApiKey ("+first+"): NotFoundException")
				wait(5 * time.Minute)
				w.wantOutcome(w.provision(m), map[string]string{"end": "ended", "rotation": "rotated"}[name])
			})
		})
	}
}

// A rotation copies the usage plans of the living key, which lists may lack at first.
func TestRotationOfAKeyThatCannotBeSeenInItsPlansYet(t *testing.T) {
	for name, plans := range map[string][]string{"in none": {"plan1"}, "in one of two": {"plan1", "plan2"}} {
		t.Run(name, func(t *testing.T) { rotateUnseenInPlan1(t, signUpAt(1, withPlans(plans...))) })
	}
}

func rotateUnseenInPlan1(t *testing.T, planned apikey.Request) {
	inWorld(t, func(w *world) {
		addPlans(w)
		id := w.finishedAt(planned)
		w.operatorMovesKey(id, "plan1", "")
		w.wantOutcome(w.provision(rotationAt(2)), "retried: GetUsagePlans: key "+id+", just made, cannot be seen in a usage plan yet")
		wait(5 * time.Minute)
		w.wantOutcome(w.provision(rotationAt(2)), "rotated")
	})
}

// A rotation that was stopped after attaching a usage plan is finished although the living key
// has left the plan: the next key is in it already, and its record says so.
func TestRotationRecordsThePlanThatItsKeyIsInAlready(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		id := w.finishedAt(signUpAt(1, withPlans("plan1")))
		wait(5 * time.Minute)
		w.interrupted(after, "CreateUsagePlanKey", rotationAt(2))
		w.operatorMovesKey(id, "plan1", "")
		w.wantOutcome(w.provision(rotationAt(2)), "rotated")
		if got, want := w.result.Key.UsagePlanIDs, w.aws.UsagePlanKeys(w.result.Key.ID); !slices.Equal(got, want) {
			t.Errorf("the result has the new key in the plans %q, want %q", got, want)
		}
	})
}

// A key that its record has in no plan, and an operator attached to one, is rotated into one in
// that plan, wherever the rotation was stopped.
func TestRotationKeepsThePlanThatAnOperatorAttached(t *testing.T) {
	for _, stop := range []string{"", "CreateApiKey", "CreateUsagePlanKey"} {
		t.Run(stop, func(t *testing.T) {
			inWorld(t, func(w *world) {
				addPlans(w)
				id := w.finishedAt(signUpAt(1))
				wait(5 * time.Minute)
				w.operatorMovesKey(id, "", "plan1")
				if stop != "" {
					w.interrupted(after, stop, rotationAt(2))
				}
				w.wantOutcome(w.provision(rotationAt(2)), "rotated")
				if got := w.aws.UsagePlanKeys(w.result.Key.ID); !slices.Equal(got, []string{"plan1"}) {
					t.Errorf("the new key is in the plans %q, want plan1", got)
				}
				if got := w.record().UsagePlanIDs; !slices.Equal(got, []string{"plan1"}) {
					t.Errorf("the record names the plans %q, want plan1", got)
				}
			})
		})
	}
}

// A record that is read before its last step can be seen rejects nothing
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html: all operations
// are eventually consistent).
func TestStaleRecordRejectsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		given   []apikey.Request
		message apikey.Request
		want    string
	}{
		"rotation behind its sign-up":      {[]apikey.Request{signUpAt(1)}, rotationAt(2), "rotated"},
		"rotation behind a return":         {[]apikey.Request{signUpAt(1), endAt(2), signUpAt(3)}, rotationAt(4), "rotated"},
		"return with other content":        {[]apikey.Request{signUpAt(1), endAt(2)}, signUpAt(3, withDescription("other")), "created"},
		"end of the key before a rotation": {[]apikey.Request{signUpAt(1), rotationAt(2)}, endAt(3), "ended"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			inWorld(t, func(w *world) {
				for i, m := range test.given {
					if i == len(test.given)-1 {
						wait(time.Minute) // all before it can be seen
					}
					w.provision(m)
				}
				if test.message.Kind == apikey.End {
					test.message.KeyID = w.result.PreviousKeyID
				}
				w.mu.Lock()
				w.lag["GetSecretValue"] = 900 * time.Millisecond
				w.mu.Unlock()
				w.wantOutcome(w.provision(test.message), test.want)
			})
		})
	}
}

// Nor does a read that still shows a pending record behind an end.
func TestStalePendingRecordRejectsNoReturn(t *testing.T) {
	for name, test := range map[string]struct{ stopped, end, back apikey.Request }{
		"another value": {signUpAt(1, withValue(explicit)), endAt(2), signUpAt(3, withValue(another))},
		"other content": {signUpAt(1), endAt(2), signUpAt(3, withDescription("other"))},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.interrupted(after, "CreateApiKey", test.stopped)
				wait(time.Minute)
				w.wantOutcome(w.provision(test.end), "ended")
				w.newEnvironment()
				w.mu.Lock()
				w.lag["GetSecretValue"] = 900 * time.Millisecond
				w.mu.Unlock()
				w.wantOutcome(w.provision(test.back), "created")
			})
		})
	}
}

// API Gateway may refuse a fence for what is sent beside the value: the key that a stopped
// sign-up made is disabled all the same.
func TestFenceThatIsRefusedDisablesTheKey(t *testing.T) {
	inWorld(t, func(w *world) {
		w.interrupted(after, "CreateApiKey", signUpAt(1))
		w.fail(before, "CreateApiKey", 1, &awslocal.Error{Status: 400, Code: "BadRequestException", Message: "Invalid tag"})
		w.wantOutcome(w.provision(endAt(2)), "ended")
		if got := w.enabled(); len(got) > 0 {
			t.Errorf("keys %v are enabled after the end", got)
		}
	})
}

// A sign-up whose plan is gone is a repeat only while its record is finished: behind an end that
// arrives meanwhile it must make no key.
func TestSignUpWithoutItsPlanBehindAnEndMakesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		w.finishedAt(signUpAt(1, withPlans("plan1")))
		w.operatorDeletesPlan("plan1")
		w.newEnvironment()
		w.on(before, "GetApiKey", 1, func() error {
			if _, err := w.anotherEnvironment().Provision(w.ctx, endAt(3), "test/acme/Dev+Key"); err != nil {
				t.Error(err)
			}
			return nil
		})
		w.wantOutcome(w.provision(signUpAt(5, withPlans("plan1"))), "rejected: usagePlanIds[0]: there is no usage plan")
		if got := len(w.aws.KeysEver()); got != 1 {
			t.Errorf("%d keys were made, want 1", got)
		}
	})
}

// A start is recorded although the key was revoked: an older end does not end what it began.
func TestStartOfARevokedKeyIsRecorded(t *testing.T) {
	inWorld(t, func(w *world) {
		w.operatorEnablesKey(w.finishedAt(signUpAt(1)), false)
		w.wantOutcome(w.provision(signUpAt(3)), "rejected: was revoked")
		w.wantOutcome(w.provision(endAt(2)), "existing")
	})
}

// A generation begins at the time of its sign-up: an older rotation is a repeat.
func TestRotationThatIsOlderThanTheSignUpMakesNoKey(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finishedAt(signUpAt(2))
		w.wantOutcome(w.provision(rotationAt(1)), "rotated")
		if got := len(w.aws.KeysEver()); got != 1 {
			t.Errorf("%d keys were made, want 1", got)
		}
	})
}

// No sender ever had a value that was drawn, and no reason tells one to change it.
func TestRefusedReturnIsNotToldOfAValueThatWasDrawn(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finishedAt(signUpAt(1))
		w.wantOutcome(w.provision(endAt(2)), "ended")
		w.fail(before, "CreateApiKey", 1, &awslocal.Error{Status: 400, Code: "BadRequestException", Message: "Invalid tag"})
		got := w.provision(signUpAt(3))
		w.wantOutcome(got, "rejected: API Gateway refused it")
		if strings.Contains(got, "delete secret") {
			t.Errorf("the reason is %q, want no advice about the value", got)
		}
	})
}

// Of two returns at once, one begins the generation, and the other finds its key.
func TestReturnBehindAnotherReturnMakesNoKey(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finishedAt(signUpAt(1))
		w.wantOutcome(w.provision(endAt(2)), "ended")
		w.on(before, "PutSecretValue", 1, func() error {
			_, err := w.anotherEnvironment().Provision(w.ctx, signUpAt(3), "test/acme/Dev+Key")
			return err
		})
		w.wantOutcome(w.provision(signUpAt(3)), "existing")
		if got := len(w.aws.KeysEver()); got != 2 {
			t.Errorf("%d keys were made, want 2", got)
		}
	})
}

// An end is not done before each value that a delivery may hold is fenced.
func TestEndWhoseFenceFailsIsRetried(t *testing.T) {
	for name, given := range map[string]func(w *world){
		"pending": func(w *world) { w.interrupted(before, "CreateApiKey", signUpAt(1)) },
		"next": func(w *world) {
			w.finishedAt(signUpAt(1))
			w.interrupted(before, "CreateApiKey", rotationAt(2))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				given(w)
				w.fail(before, "CreateApiKey", 1, awslocal.AccessDenied)
				w.wantOutcome(w.provision(endAt(3)), "retried: CreateApiKey: AccessDenied")
				w.wantOutcome(w.provision(endAt(3)), "ended")
			})
		})
	}
}

// A rotation whose next value an end has fenced meanwhile rotates nothing.
func TestRotationBehindAFenceIsRejected(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finishedAt(signUpAt(1))
		w.on(before, "CreateApiKey", 1, func() error {
			_, err := w.anotherEnvironment().Provision(w.ctx, endAt(3), "test/acme/Dev+Key")
			return err
		})
		w.wantOutcome(w.provision(rotationAt(2)), "rejected: the key of this customerId and name has ended")
		if got := w.enabled(); len(got) > 0 {
			t.Errorf("keys %v are enabled after the end", got)
		}
	})
}

func TestRotationOfAHalfMadeKeyIsRetried(t *testing.T) {
	for name, minute := range map[string]int{"newer": 6, "older": 4} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.finishedAt(signUpAt(1))
				w.wantOutcome(w.provision(endAt(2)), "ended")
				w.interrupted(before, "CreateApiKey", signUpAt(5))
				w.wantOutcome(w.provision(rotationAt(minute)), "retried: the key is still being made")
			})
		})
	}
}

// A rotation hands on each of the two tags of createkey that somebody took off the living key.
func TestRotationRestoresTheTags(t *testing.T) {
	for _, tag := range []string{apikey.TagSecret, apikey.TagRequest} {
		t.Run(strings.TrimPrefix(tag, "createkey:"), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.operatorUntagsKey(w.finishedAt(signUpAt(1)), tag)
				w.wantOutcome(w.provision(rotationAt(2)), "rotated")
				w.wantOutcome(w.provision(signUpAt(1)), "existing")
			})
		})
	}
}

// AWS sets tags that nobody else may send, on a key that was imported into a stack of
// CloudFormation for one.
func TestRotationLeavesOutTheTagsOfAWS(t *testing.T) {
	inWorld(t, func(w *world) {
		w.finishedAt(signUpAt(1))
		key := w.aws.Keys()[0]
		key.Tags["aws:cloudformation:stack-name"] = "portal"
		w.aws.AddKey(key)
		w.wantOutcome(w.provision(rotationAt(2)), "rotated")
		w.wantOutcome(w.provision(signUpAt(1)), "existing")
	})
}

// TestAnyOrderAndAnyStopEndAsTheNewestSays shuffles and repeats the messages of a life, stops
// deliveries anywhere, and runs some in the middle of others. Then each message is delivered
// until it is done, and the account must be as the newest message says.
func TestAnyOrderAndAnyStopEndAsTheNewestSays(t *testing.T) {
	lives := [][]apikey.Request{
		{signUpAt(1), endAt(2)},
		{signUpAt(1), endAt(2), signUpAt(3)},
		{signUpAt(1), endAt(2), signUpAt(3), endAt(4)},
		{signUpAt(1), rotationAt(2)},
		{signUpAt(1), rotationAt(2), endAt(3)},
		{signUpAt(1), rotationAt(2), rotationAt(3)},
		{signUpAt(1), rotationAt(2), endAt(3), signUpAt(4)},
		{signUpAt(1), signUpAt(2), endAt(2), rotationAt(3)},
	}
	seeds := 40
	if testing.Short() {
		seeds = 5
	}
	for i, life := range lives {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%d/%d", i, seed), func(t *testing.T) {
				inWorld(t, func(w *world) { playLife(w, life, rand.New(rand.NewPCG(uint64(i), uint64(seed)))) })
			})
		}
	}
}

func playLife(w *world, life []apikey.Request, random *rand.Rand) {
	messages := slices.Repeat(life, 2)
	random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	var history []string
	for i, m := range messages {
		history = append(history, w.deliverBadly(m, messages[(i+1)%len(messages)], random))
		if random.IntN(3) == 0 {
			wait(10 * time.Minute)
		}
	}
	w.heal()
	wait(10 * time.Minute)
	w.newEnvironment()
	for left, try := life, 0; len(left) > 0; try++ {
		if try == 5 {
			w.Fatalf("never done:\n%s", strings.Join(history, "\n"))
		}
		var again []apikey.Request
		for _, m := range left {
			w.p.ForgetLists()
			outcome := w.provision(m)
			history = append(history, fmt.Sprintf("settling kind %d at %d: %s", m.Kind, m.Time.Minute(), outcome))
			if strings.HasPrefix(outcome, "retried") {
				again = append(again, m)
			}
		}
		left = again
		wait(3 * time.Minute)
	}
	newest := func(kind apikey.Kind) (t time.Time) {
		for _, m := range life {
			if m.Kind == kind && m.Time.After(t) {
				t = m.Time
			}
		}
		return t
	}
	held := newest(apikey.SignUp).After(newest(apikey.End))
	r, enabled := w.record(), w.enabled()
	rotated := slices.ContainsFunc(life, func(m apikey.Request) bool { return m.Kind == apikey.Rotation })
	switch {
	case !held && (len(enabled) > 0 || !r.HasEnded()):
		w.Errorf("nothing holds the key, want no key enabled and the record ended; enabled %v, ended %t", enabled, r.HasEnded())
	case held && (!r.Finished() || !slices.Contains(enabled, r.ID)):
		w.Errorf("the key is held, want the record's key %q among the enabled keys %v", r.ID, enabled)
	case held && len(enabled) > 1 && (!rotated || len(enabled) > 2 || !slices.Contains(enabled, r.Previous)):
		w.Errorf("the key is held, enabled are %v, want at most the record's %s and %s", enabled, r.ID, r.Previous)
	}
	if w.Failed() {
		w.Log(strings.Join(history, "\n"))
	}
}

// deliverBadly delivers a message that is stopped at a call, or interrupted by the delivery of
// another, or both.
func (w *world) deliverBadly(m, other apikey.Request, random *rand.Rand) string {
	ctx, kill := context.WithCancel(w.ctx)
	defer kill()
	w.newEnvironment()
	n, stopped := 0, false
	stopAt, otherAt, late := random.IntN(12), random.IntN(12), random.IntN(2) == 0
	story := fmt.Sprintf("kind %d at %d", m.Kind, m.Time.Minute())
	nested := w.anotherEnvironment()
	hook := func(stage moment) func(ctx context.Context, c awslocal.Call) error {
		return func(callCtx context.Context, c awslocal.Call) error {
			if stopped || callCtx.Value(operator{}) != nil {
				return nil
			}
			if stage == before {
				n++
			}
			if n == otherAt && stage == before {
				otherAt = -1
				inner := context.WithValue(w.ctx, operator{}, true)
				_, err := nested.Provision(inner, other, secretName(other))
				story += fmt.Sprintf("; before %s kind %d at %d is delivered: %v", c.Operation, other.Kind, other.Time.Minute(), err)
			}
			if n == stopAt && (stage == after) == late {
				story += fmt.Sprintf("; stopped at %s, effect %t", c.Operation, late)
				stopped = true
				kill()
				return awslocal.ErrConnectionLost
			}
			return nil
		}
	}
	w.aws.Before, w.aws.After = hook(before), hook(after)
	defer func() { w.aws.Before, w.aws.After = w.before, w.after }()
	result, err := w.p.Provision(ctx, m, secretName(m))
	return story + fmt.Sprintf(": %s %v", result.Status, err)
}
