package executable_test

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/lambdalocal"
	"createkey/internal/test/payload"
	"createkey/internal/test/promise"
	"createkey/internal/test/sandbox"
)

var wholeCrowd = flag.Bool("executable.crowd", false, "deliver the same thousand messages to eight executables, instead of a hundred to two")

// A crowd is several executables that share an AWS, and get the same messages.
type crowd struct {
	aws   awslocal.Server
	boxes []*sandbox.Sandbox
	calls atomic.Int64
	kills atomic.Int64
}

// An asked message is a customer's, sent at a minute of its sender's clock.
type asked struct {
	id, detailType string
	customer       int
	minute         int
}

func (m asked) sent() time.Time {
	return time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC).Add(time.Duration(m.minute) * time.Minute)
}

func (m asked) message() payload.Message {
	detail := fmt.Sprintf(`{"customerId":"cust-%d","name":"Gold"}`, m.customer)
	if m.detailType == payload.Requested {
		detail = strings.TrimSuffix(detail, "}") + `,"enabled":true`
		if m.customer%2 == 0 {
			detail += `,"usagePlanIds":["plan"]`
		}
		detail += "}"
	}
	return payload.Message{ID: m.id, Body: payload.EventAt(m.id, m.detailType, detail, m.sent())}
}

func secretOf(customer int) string { return fmt.Sprintf("apikeys/cust-%d/Gold", customer) }

// drawLives draws the messages of n customers, five each. One in five is sent twice: as another
// message with the same time.
func drawLives(random *rand.Rand, customers int) (messages []asked) {
	kinds := []string{payload.Requested, payload.Requested, payload.EndRequested, payload.RotationRequested}
	for customer := range customers {
		for n := range 4 {
			detailType := kinds[random.IntN(len(kinds))]
			messages = append(messages, asked{fmt.Sprintf("m-%d-%d", customer, n), detailType, customer, 10*n + random.IntN(11)})
		}
		again := messages[len(messages)-1-random.IntN(4)]
		again.id += "-again"
		messages = append(messages, again)
	}
	return messages
}

// testCrowd delivers the same messages to several executables at once: sign-ups, ends, returns
// and rotations, some sent twice, to each executable in a different order. The executables are
// killed at any call, and get again what they have not answered. In the end every customer has
// what the newest message says.
func testCrowd(t *testing.T, executable string) {
	executables, customers := 2, 20
	if *wholeCrowd {
		executables, customers = 8, 200
	}
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any seed will do
	t.Logf("the messages are those of seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	messages := drawLives(random, customers)

	c := &crowd{}
	c.aws.AddUsagePlan(awslocal.UsagePlan{ID: "plan"})
	for range executables {
		box, err := sandbox.Start("127.0.0.1", executable, &c.aws, "CREATE_KEY_RATE=1000000", "AWS_MAX_ATTEMPTS=2", "AWS_NEW_RETRIES_2026=true")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = box.Close() })
		c.boxes = append(c.boxes, box)
	}
	c.killOften(random)

	var group errgroup.Group
	for i, box := range c.boxes {
		group.Go(func() error { return c.deliverAll(t, box, messages, rand.New(rand.NewPCG(seed, uint64(i)+1))) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d executables got %d messages each; %d calls of AWS, %d kills", executables, len(messages), c.calls.Load(), c.kills.Load())
	if c.kills.Load() == 0 {
		t.Error("no executable was killed")
	}
	c.check(t, messages, customers)
}

// killOften kills one of the executables now and then, whatever it is doing.
func (c *crowd) killOften(random *rand.Rand) {
	const every = 200 // calls, or so
	var mu sync.Mutex
	next := int64(every)
	strike := func() {
		mu.Lock()
		due := c.calls.Load() >= next
		var victim int
		if due {
			next, victim = next+every/2+random.Int64N(every), random.IntN(len(c.boxes))
		}
		mu.Unlock()
		if due {
			c.kills.Add(1)
			c.boxes[victim].Function.Kill()
		}
	}
	c.aws.Before = func(_ context.Context, _ awslocal.Call) error { c.calls.Add(1); strike(); return nil }
	c.aws.After = func(_ context.Context, _ awslocal.Call) error { strike(); return nil }
}

// deliverAll delivers the messages in a random order, and repeats those without a final answer.
func (c *crowd) deliverAll(t *testing.T, box *sandbox.Sandbox, messages []asked, random *rand.Rand) error {
	const batch, most = 10, 50
	left := slices.Clone(messages)
	for round := 0; len(left) > 0; round++ {
		if round == most {
			return fmt.Errorf("%d messages are not done after %d deliveries, %s for one", len(left), most, left[0].id)
		}
		random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		var again []asked
		for some := range slices.Chunk(left, batch) {
			failed, err := c.deliver(t, box, some)
			if err != nil {
				return err
			}
			again = append(again, failed...)
		}
		left = again
	}
	return nil
}

// deliver delivers a batch, and returns what must be delivered again. Only a rotation may be
// rejected: it came before its key, or after its end.
func (c *crowd) deliver(t *testing.T, box *sandbox.Sandbox, batch []asked) (again []asked, err error) {
	var sent []payload.Message
	for _, m := range batch {
		sent = append(sent, m.message())
	}
	response, err := box.Function.Invoke(t.Context(), []byte(payload.SQS(payload.QueueARN, sent...)))
	if err != nil {
		return nil, err
	}
	if response.FunctionError != "" {
		if !killedBy(response) {
			return nil, fmt.Errorf("a batch was answered with %s", errorTypeOf(response))
		}
		return batch, nil
	}
	outcome, failed := map[string]sandbox.Line{}, failuresOf(response)
	for line := range strings.Lines(string(box.Output())) {
		var l sandbox.Line
		if json.Unmarshal([]byte(line), &l) == nil && l.MessageID != "" {
			outcome[l.MessageID] = l
		}
	}
	for _, m := range batch {
		l := outcome[m.id]
		switch rejected := l.Outcome == "rejected"; {
		case rejected && m.detailType != payload.RotationRequested:
			return nil, fmt.Errorf("%s, %s, was rejected: %s", m.id, m.detailType, l.Reason)
		case slices.Contains(failed, m.id) == slices.Contains([]string{"created", "existing", "ended", "rotated"}, l.Outcome):
			return nil, fmt.Errorf("%s is %s, and comes again: %t", m.id, cmp.Or(l.Outcome, "not logged"), slices.Contains(failed, m.id))
		case l.Outcome == "retried":
			again = append(again, m)
		}
	}
	return again, nil
}

// killedBy reports whether an invocation was answered as one whose process was killed, even if
// during its start.
func killedBy(r lambdalocal.Response) bool {
	return strings.Contains(string(r.Payload), "signal: killed")
}

// check compares every customer's key with what the times of the messages say.
func (c *crowd) check(t *testing.T, messages []asked, customers int) {
	faults := promise.Check(&c.aws)
	secrets := 0
	for customer := range customers {
		told := promise.Holds{}
		for _, m := range messages {
			switch {
			case m.customer != customer:
			case m.detailType == payload.Requested:
				told = told.Started("", m.sent())
			case m.detailType == payload.EndRequested:
				told = told.Ended(promise.EveryHold, m.sent())
			}
		}
		if len(told) > 0 {
			secrets++
			faults = append(faults, promise.Lives(&c.aws, secretOf(customer), told)...)
		}
	}
	for _, fault := range faults {
		t.Error(fault)
	}
	if got := len(c.aws.Secrets()); got != secrets {
		t.Errorf("there are %d secrets, want %d", got, secrets)
	}
	for i, box := range c.boxes {
		if promise.Leaks(&c.aws, box.Output()) {
			t.Errorf("executable %d wrote part of a value", i)
		}
	}
}
