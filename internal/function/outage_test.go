package function

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"createkey/internal/test/awslocal"
)

// An outage is one way in which all operations of an AWS service fail.
type outage struct {
	Service string // as awslocal.Call has it
	How     string
	answer  func(ctx context.Context) error
}

// outages returns an outage of each service that the function calls, for each way in which
// AWS fails. If the secrets' KMS key fails, Secrets Manager does.
func outages() (all []outage) {
	refused := func(status int, code string) func(context.Context) error {
		return func(context.Context) error {
			return &awslocal.Error{Status: status, Code: code, Message: "try again later"}
		}
	}
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for _, service := range []string{"secretsmanager", "apigateway", "events"} {
		throttled := refused(http.StatusBadRequest, "ThrottlingException")
		if service == "apigateway" {
			throttled = refused(http.StatusTooManyRequests, "TooManyRequestsException")
		}
		all = append(all,
			outage{service, "refused", refused(http.StatusServiceUnavailable, "ServiceUnavailableException")},
			outage{service, "throttled", throttled},
			outage{service, "hanging", hang})
	}
	return append(all, outage{"secretsmanager", "its KMS key is disabled", func(context.Context) error { return awslocal.DecryptionFailure }})
}

// outageFigure is the result of an outage, in virtual time. internal/cmd/bench reads it.
type outageFigure struct {
	outage
	Hours     float64
	SignUps   int
	AtOnce    bool    // or spread over the outage
	Receives  int     // that the queue allows
	Dead      int     // messages that reached the dead-letter queue
	Most      int     // receives of the message that needed most
	Recovered float64 // seconds from the end of the outage until the last was done
}

// playOutage lets a service fail for hours while sign-ups arrive, and then recover.
func playOutage(t *testing.T, o outage, lasts time.Duration, signUps int, atOnce bool, receives int) (f outageFigure) {
	synctest.Test(t, func(t *testing.T) {
		server := newQuotaServer()
		server.Quotas.MaxKeys = 0
		start, latency := time.Now(), server.Before
		server.Before = func(ctx context.Context, c awslocal.Call) error {
			if c.Service == o.Service && time.Since(start) < lasts {
				return o.answer(ctx)
			}
			return latency(ctx, c)
		}
		q := newQueue(signUps)
		q.receives, q.settings.OutcomeBus = receives, "outcomes"
		if !atOnce {
			for i, m := range q.messages {
				m.visible = start.Add(lasts * time.Duration(i) / time.Duration(signUps))
			}
		}
		took := q.drain(t, server, 2)
		f = outageFigure{o, lasts.Hours(), signUps, atOnce, receives, q.dead, q.most, (took - lasts).Seconds()}
		if keys := len(server.Keys()); keys < signUps-q.dead || keys > signUps {
			t.Errorf("%d keys exist for %d sign-ups, of which %d are dead", keys, signUps, q.dead)
		}
		told := map[string]int{}
		for _, event := range server.Events() {
			var detail struct{ SecretName string }
			if err := json.Unmarshal([]byte(event.Detail), &detail); err != nil {
				t.Fatal(err)
			}
			if told[detail.SecretName]++; told[detail.SecretName] > 1 {
				t.Fatalf("%s was announced twice", detail.SecretName)
			}
		}
		if len(told) != signUps-q.dead {
			t.Errorf("%d sign-ups were announced, want %d", len(told), signUps-q.dead)
		}
	})
	return f
}

var (
	outageLasts  = flag.Duration("outage", time.Hour, "how long an outage lasts, 23h at most")
	outageAtOnce = flag.Int("outage.burst", 15, "sign-ups that come at once in an outage")
)

// A service may fail for a day without anybody having to act: the queue allows 480 receives,
// three minutes apart.
func TestOutageHealsByItself(t *testing.T) {
	if testing.Short() {
		t.Skip("plays twenty outages of an hour: run without -short")
	}
	for _, o := range outages() {
		for _, load := range []struct {
			name    string
			signUps int
			atOnce  bool
		}{{"20 an hour", int(20 * outageLasts.Hours()), false}, {"at once", *outageAtOnce, true}} {
			t.Run(o.Service+" "+o.How+" "+load.name, func(t *testing.T) {
				t.Parallel()
				f := playOutage(t, o, *outageLasts, load.signUps, load.atOnce, burstMaxReceives)
				t.Logf("recovered in %.0f s, at most %d receives", f.Recovered, f.Most)
				if f.Dead > 0 {
					t.Errorf("%d messages reached the dead-letter queue, want none", f.Dead)
				}
				// Twice the visibility timeout, for a failure just before the recovery, and
				// the drain at the set rate.
				if most := 2*180 + float64(load.signUps)/4; f.Recovered > most {
					t.Errorf("took %.0f s after the outage, want at most %.0f", f.Recovered, most)
				}
			})
		}
	}
}
