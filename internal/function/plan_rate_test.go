package function

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"createkey/internal/test/awslocal"
)

// planFigure is the result of a burst of sign-ups with a usage plan, in virtual time.
// internal/cmd/bench reads it.
type planFigure struct {
	Window  float64 // seconds within which AWS refuses another CreateUsagePlanKey
	SignUps int
	Seconds float64 // until the last was done
	Wasted  int     // CreateUsagePlanKey calls that attached no key
	Most    int     // receives of the message that needed most
	Dead    int     // messages that reached the dead-letter queue
}

// playPlans lets two environments handle sign-ups with a default plan.
func playPlans(t *testing.T, window time.Duration, signUps int) (f planFigure) {
	synctest.Test(t, func(t *testing.T) {
		server := newQuotaServer()
		server.PlanKeyWindow = window
		plan := server.AddUsagePlan(awslocal.UsagePlan{Name: "default"})
		q := newQueue(signUps)
		q.settings.UsagePlanID = plan
		took := q.drain(t, server, 2)
		f = planFigure{Window: window.Seconds(), SignUps: signUps, Seconds: took.Seconds(), Most: q.most, Dead: q.dead}
		for _, call := range server.Calls() {
			if call.Operation == "CreateUsagePlanKey" && call.Code != "" {
				f.Wasted++
			}
		}
		keys := server.Keys()
		if len(keys) != signUps {
			t.Errorf("%d keys exist for %d sign-ups", len(keys), signUps)
		}
		for _, key := range keys {
			if len(server.UsagePlanKeys(key.ID)) != 1 {
				t.Fatal("a key is in no plan")
			}
		}
	})
	return f
}

// AWS support says that CreateUsagePlanKey calls less than about a second apart conflict
// (https://github.com/serverless/serverless/issues/12065), but not how much less.
func TestPace_KeysOfAUsagePlanDrainWhateverTheWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("drains a burst for each window: run without -short")
	}
	for _, test := range []struct {
		window   time.Duration
		keys     float64 // a second, at least
		wasted   float64 // calls a key, at most
		receives int     // of one message, at most
	}{
		{0, 3.9, 0, 1},
		{300 * time.Millisecond, 1.8, 0.1, 2},
		{time.Second, 0.7, 1, 6},
		{2500 * time.Millisecond, 0.2, 3, 10},
	} {
		t.Run(fmt.Sprint(test.window), func(t *testing.T) {
			t.Parallel()
			f := playPlans(t, test.window, min(*signUps, 1_000))
			rate, wasted := float64(f.SignUps)/f.Seconds, float64(f.Wasted)/float64(f.SignUps)
			t.Logf("%.2f keys a second, %.2f wasted calls a key, at most %d receives", rate, wasted, f.Most)
			if f.Dead > 0 || rate < test.keys || wasted > test.wasted || f.Most > test.receives {
				t.Errorf("want no dead letter, at least %.2f keys a second, at most %.2f wasted calls a key and %d receives; %d are dead",
					test.keys, test.wasted, test.receives, f.Dead)
			}
		})
	}
}
