package function

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/test/awslocal"
)

// The stack of a burst, as the template configures it.
const (
	burstEnvironments = 2 // MaximumConcurrency of the event source
	burstBatch        = 2
	burstTimeout      = 30 * time.Second
	burstVisibility   = 6 * burstTimeout
	burstMaxReceives  = 480
	burstLatency      = 40 * time.Millisecond // of an AWS call
)

// signUps is the number of sign-ups in a burst. make simulate plays 10,000.
var signUps = flag.Int("burst", 400, "sign-ups in a burst")

// queue is a standard queue: a received message is invisible for a while, and comes again
// unless it is deleted.
type queue struct {
	mu       sync.Mutex
	settings Settings // of the environments
	receives int      // after which a message is dead
	messages []*queued
	dead     int           // messages whose receives were used up
	most     int           // receives of the message that needed most
	received int           // by all messages
	done     int           // messages
	last     time.Time     // when the last message was done
	billed   time.Duration // of all invocations
}

type queued struct {
	body     string
	visible  time.Time
	receives int
	done     bool
}

// receive returns a batch of visible messages or, if there is none, how long to wait for
// one; neither if the queue is empty.
func (q *queue) receive() (batch []*queued, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	kept := q.messages[:0]
	for _, m := range q.messages {
		switch {
		case m.done:
			continue
		case !m.visible.After(now) && m.receives == q.receives:
			q.dead++
			continue
		case !m.visible.After(now) && len(batch) < burstBatch:
			m.receives++
			m.visible = now.Add(burstVisibility)
			q.most = max(q.most, m.receives)
			q.received++
			batch = append(batch, m)
		case wait == 0 || m.visible.Sub(now) < wait:
			wait = m.visible.Sub(now)
		}
		kept = append(kept, m)
	}
	q.messages = kept
	return batch, wait
}

// delete deletes the messages of a batch, except for the failed ones.
func (q *queue) delete(batch []*queued, failed map[string]bool, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.billed += took
	for i, m := range batch {
		m.done = !failed[fmt.Sprint("m", i)]
		if m.done {
			q.done++
			q.last = time.Now()
		}
	}
}

// drain lets the environments work until the queue is empty, and returns how long it took
// until the last message was done.
func (q *queue) drain(t *testing.T, server *awslocal.Server, keysPerSecond float64) (took time.Duration) {
	start := time.Now()
	var environments sync.WaitGroup
	for range burstEnvironments {
		environments.Go(func() {
			settings := q.settings
			settings.SecretPrefix, settings.CreateKeyRate = "apikeys/", keysPerSecond
			h := New(server.Config(), settings, NewLogger(io.Discard, ""))
			for {
				batch, wait := q.receive()
				switch {
				case batch != nil:
					begin := time.Now()
					q.delete(batch, invokeBurst(t, h, batch), time.Since(begin))
				case wait > 0:
					time.Sleep(wait)
				default:
					return
				}
			}
		})
	}
	environments.Wait()
	return q.last.Sub(start)
}

// invokeBurst invokes the handler with a batch, whose messages have the ids m0, m1 …
func invokeBurst(t *testing.T, h *Handler, batch []*queued) (failed map[string]bool) {
	ctx, cancel := context.WithTimeout(context.Background(), burstTimeout)
	defer cancel()
	var bodies []string
	for _, m := range batch {
		bodies = append(bodies, m.body)
	}
	answer, err := h.Invoke(ctx, []byte(sqsBatch(bodies...)))
	if err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("the batch was not answered in time")
	}
	var response batchResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Error(err)
	}
	failed = map[string]bool{}
	for _, f := range response.Failures {
		failed[f.ID] = true
	}
	return failed
}

func newQueue(messages int) *queue {
	q := &queue{receives: burstMaxReceives}
	for i := range messages {
		q.messages = append(q.messages, &queued{body: fmt.Sprintf(`{"customerId": "c%05d", "name": "k"}`, i), visible: time.Now()})
	}
	return q
}

// newQuotaServer returns an account with AWS's quotas, whose calls take time.
func newQuotaServer() *awslocal.Server {
	return &awslocal.Server{
		Quotas: awslocal.AWSQuotas,
		Before: func(ctx context.Context, _ awslocal.Call) error {
			select {
			case <-time.After(burstLatency):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}

// otherTools makes calls in the same account until the context ends.
func otherTools(ctx context.Context, cfg aws.Config, callsPerSecond float64) {
	client := apigateway.NewFromConfig(cfg, func(o *apigateway.Options) { o.Retryer = aws.NopRetryer{} })
	for ctx.Err() == nil {
		key, err := client.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{Name: aws.String("other")})
		if err == nil { // deleted at once, so that the quota of 10,000 keys is not reached
			_, _ = client.DeleteApiKey(ctx, &apigateway.DeleteApiKeyInput{ApiKey: key.Id})
		}
		time.Sleep(time.Duration(float64(time.Second) / callsPerSecond))
	}
}

func TestPace_BurstDrainsAtTheSetRate(t *testing.T) {
	if testing.Short() {
		t.Skip("drains two bursts: run without -short")
	}
	for _, test := range []struct {
		name   string
		rate   float64 // of each of the two environments
		others float64
	}{
		{name: "the account to itself", rate: 2},
		{name: "other tools eat half the quota", rate: 1.1, others: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				messages := *signUps
				server := newQuotaServer()
				server.Quotas.MaxKeys = 0
				ctx, cancel := context.WithCancel(context.Background())
				var others sync.WaitGroup
				if test.others > 0 {
					others.Go(func() { otherTools(ctx, server.Config(), test.others) })
				}
				q := newQueue(messages)
				took := q.drain(t, server, test.rate)
				cancel()
				others.Wait()

				created, wasted := createCalls(server)
				reached := float64(messages) / took.Seconds() / (burstEnvironments * test.rate)
				t.Logf("%.1f %% of the set rate, %d wasted CreateApiKey calls of %d, at most %d receives", 100*reached, wasted, created+wasted, q.most)
				if q.dead > 0 {
					t.Errorf("%d messages reached the dead-letter queue, want none", q.dead)
				}
				if reached < 0.98 {
					t.Errorf("drained at %.1f %% of the set rate, want at least 98 %%", 100*reached)
				}
				if wasted > created/100 {
					t.Errorf("%d CreateApiKey calls were wasted, want at most 1 %% of the %d that made a key", wasted, created)
				}
				if keys := len(server.Keys()); keys != messages {
					t.Errorf("%d keys exist for %d sign-ups, want one each", keys, messages)
				}
			})
		})
	}
}

// createCalls counts the CreateApiKey calls that made a key, and those that did not.
func createCalls(server *awslocal.Server) (created, wasted int) {
	for _, call := range server.Calls() {
		switch {
		case call.Operation != "CreateApiKey":
		case call.Code == "":
			created++
		default:
			wasted++
		}
	}
	return created, wasted
}

// If nobody lowers the rate, calls are wasted, but no sign-up is lost.
func TestPace_NoSignUpIsLostWhenOtherToolsUseHalfTheQuota(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		server := newQuotaServer()
		ctx, cancel := context.WithCancel(context.Background())
		var others sync.WaitGroup
		others.Go(func() { otherTools(ctx, server.Config(), 2.5) })
		q := newQueue(*signUps)
		took := q.drain(t, server, 2)
		cancel()
		others.Wait()
		t.Logf("%.2f keys a second, at most %d receives", float64(*signUps)/took.Seconds(), q.most)
		if q.dead > 0 {
			t.Errorf("%d messages reached the dead-letter queue, want none", q.dead)
		}
	})
}

// At the lowest rate that the template allows, such a key takes a third of the function's
// time. A message must not be left unstarted five times.
func TestPace_KeysOfManyUsagePlansGetDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newQuotaServer()
		var plans []string
		for i := range 10 {
			stage := awslocal.APIStage{APIID: fmt.Sprintf("api%d", i), Stage: "prod"}
			plans = append(plans, server.AddUsagePlan(awslocal.UsagePlan{APIStages: []awslocal.APIStage{stage}}))
		}
		ids, err := json.Marshal(plans)
		if err != nil {
			t.Fatal(err)
		}
		const messages = 60
		q := newQueue(messages)
		for _, m := range q.messages {
			m.body = strings.Replace(m.body, "}", `, "usagePlanIds": `+string(ids)+"}", 1)
		}
		took := q.drain(t, server, 0.5)
		t.Logf("%d keys of %d plans each in %s, at most %d receives", messages, len(plans), took, q.most)
		if q.dead > 0 {
			t.Errorf("%d messages reached the dead-letter queue, want none", q.dead)
		}
		for _, key := range server.Keys() {
			if got := len(server.UsagePlanKeys(key.ID)); got != len(plans) {
				t.Errorf("a key is in %d plans, want %d", got, len(plans))
			}
		}
		for _, call := range server.Calls() {
			if call.Operation == "GetApiKeys" {
				t.Fatal("GetApiKeys was called: a key was begun in one delivery and finished in another")
			}
		}
	})
}

// Most customers' keys have the product's name, so that the name does not narrow a list: a
// batch that was stopped after CreateApiKey, in a full account, has 20 pages to search.
func TestPace_StoppedMessagesGetDoneInAFullAccount(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 10,000 keys twenty times over: run without -short")
	}
	synctest.Test(t, func(t *testing.T) {
		server := newQuotaServer()
		var stopped atomic.Bool
		stopped.Store(true)
		wait := server.Before
		server.Before = func(ctx context.Context, c awslocal.Call) error {
			if c.Operation == "PutSecretValue" && stopped.Load() {
				return awslocal.AccessDenied
			}
			return wait(ctx, c)
		}
		const messages = 20
		for range awslocal.AWSQuotas.MaxKeys - messages {
			server.AddKey(awslocal.Key{Name: "k"})
		}
		stop := newQueue(messages)
		stop.receives = 1
		stop.drain(t, server, 2)
		stopped.Store(false)
		server.ResetCalls()

		q := newQueue(messages)
		took := q.drain(t, server, 0.5)
		t.Logf("%d keys found in %s, at most %d receives", messages, took, q.most)
		if q.dead > 0 || q.done != messages {
			t.Errorf("%d messages reached the dead-letter queue, and %d are done, want 0 and %d", q.dead, q.done, messages)
		}
		if got := len(server.Keys()); got != awslocal.AWSQuotas.MaxKeys {
			t.Errorf("%d keys exist, want %d as before", got, awslocal.AWSQuotas.MaxKeys)
		}
	})
}

func TestPace_ReplayOfFinishedRequestsStaysInTheControlPlanesQuota(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		messages := *signUps
		server := newQuotaServer()
		server.Quotas = awslocal.Quotas{}
		newQueue(messages).drain(t, server, 1e6)
		server.ResetCalls()
		server.Quotas = awslocal.AWSQuotas

		replay := newQueue(messages)
		replay.drain(t, server, 2)
		for _, call := range server.Calls() {
			if call.Throttled {
				t.Fatalf("%s was throttled", call.Operation)
			}
			if call.Operation == "CreateApiKey" || call.Operation == "PutSecretValue" {
				t.Fatalf("a replay called %s", call.Operation)
			}
		}
		if replay.most > 1 {
			t.Errorf("a message was received %d times, want once", replay.most)
		}
	})
}
