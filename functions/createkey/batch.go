package main

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"createkey/internal/apikey"
	"createkey/internal/event"
	"createkey/internal/failure"
)

const (
	// mostInFlight bounds the messages worked on at once, and with them memory
	// and connections. It is the SDK's number of idle connections for a host.
	mostInFlight = 10
	// answerReserve is the time kept back for the answer.
	answerReserve = time.Second
)

// withReserve returns a context that ends by a reserve earlier, or by a fifth of the
// time that is left where that is less.
func withReserve(ctx context.Context, reserve time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(reserve, time.Until(deadline)/5)))
}

// handleAll handles the messages of a batch, side by side, and returns their
// outcomes in the batch's order while there is time left to tell of them.
func (h *handler) handleAll(ctx context.Context, batch event.Batch) []outcome {
	if h.events != nil {
		var cancel context.CancelFunc
		ctx, cancel = withReserve(ctx, busReserve)
		defer cancel()
	}
	outcomes := make([]outcome, len(batch.Messages))
	work := func(lane []int) {
		failed := false
		for _, i := range lane {
			m := batch.Messages[i]
			if m.Ordered && failed {
				m.Err = failure.Retry("not started: an earlier message of its group failed")
			}
			outcomes[i] = h.handle(ctx, m)
			failed = failed || outcomes[i].err != nil
		}
	}
	lanes := h.lanes(batch.Messages)
	if len(lanes) == 1 { // mostly: handing it to another goroutine would add a tenth to the call's own time
		work(lanes[0])
		return outcomes
	}
	var group errgroup.Group
	group.SetLimit(mostInFlight)
	for _, lane := range lanes {
		group.Go(func() error {
			work(lane)
			return nil
		})
	}
	_ = group.Wait() // no lane returns an error
	return outcomes
}

// keepOrder fails what comes after a failure in its message group of a FIFO
// queue. The messages were worked on in that order already; but events are sent
// after that, and some may not have been taken.
func keepOrder(messages []event.Message, outcomes []outcome) {
	failed := map[string]bool{}
	for i, m := range messages {
		if o := &outcomes[i]; m.Ordered {
			if failed[m.Group] && o.err == nil {
				o.err = failure.Retry("not done: an earlier message of its group failed")
			}
			failed[m.Group] = failed[m.Group] || o.err != nil
		}
	}
}

// lanes sorts the messages of a batch into lanes, in the order of their first
// messages. A lane is worked through one message after the other: it is a
// message group of a FIFO queue, or all that is said of one key, where working
// side by side would only cost a Conflict.
func (h *handler) lanes(messages []event.Message) [][]int {
	var lanes [][]int
	byName := map[string]int{}
	for i, m := range messages {
		name := "message " + strconv.Itoa(i)
		if m.Ordered {
			name = "group " + m.Group
		} else if secret := h.secretName(m); secret != "" {
			name = "secret " + secret
		}
		lane, ok := byName[name]
		if !ok {
			lane = len(lanes)
			byName[name] = lane
			lanes = append(lanes, nil)
		}
		lanes[lane] = append(lanes[lane], i)
	}
	return lanes
}

// secretName is the identity of a message's request, or empty where it has none.
func (h *handler) secretName(m event.Message) string {
	name, err := apikey.SecretName(h.settings.SecretPrefix, m.Request.GetText("customerId"), m.Request.GetText("name"), m.DeliveryID)
	if err != nil {
		return ""
	}
	return name
}

// panicSite names the function and line of this program in which the running
// panic began. Not what was panicked with: that could be anything.
func panicSite() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicking := false
	for {
		frame, more := frames.Next()
		if panicking && !strings.HasPrefix(frame.Function, "runtime.") {
			return frame.Function + ":" + strconv.Itoa(frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
