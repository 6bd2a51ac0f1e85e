package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"createkey/events"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/lambdalocal"
	"createkey/internal/test/sandbox"
)

// A side is one executable in a local Lambda, with its own local AWS.
type side struct {
	name     string
	box      *sandbox.Sandbox
	requests int       // sent so far, each for another customer
	callsAWS bool      // exactly once for each step of each request
	firsts   []float64 // seconds
}

// options configure a side.
type options struct {
	delay  time.Duration // added to each of its AWS calls
	tls    string        // folder for certificates; empty: no TLS
	env    []string
	before func(pid int) // called between a process's start and its first invocation
	idle   bool          // it makes no AWS calls
}

// newSide starts an executable. Close its box in the end.
func newSide(name, executable string, o options) (*side, error) {
	aws := &awslocal.Server{}
	if o.delay > 0 {
		aws.Before = func(ctx context.Context, _ awslocal.Call) error {
			select {
			case <-time.After(o.delay):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	env := append([]string{"CREATE_KEY_RATE=1000000"}, o.env...) // high enough that the pace has no effect
	var box *sandbox.Sandbox
	var err error
	if o.tls != "" {
		box, err = sandbox.StartTLS(executable, o.tls, aws, env...)
	} else {
		box, err = sandbox.Start("127.0.0.1", executable, aws, env...)
	}
	if err != nil {
		return nil, err
	}
	box.Function.Initialised = o.before
	return &side{name: name, box: box, callsAWS: !o.idle}, nil
}

// start returns the seconds from spawning a new process until it asks for work,
// and adds those of its first invocation to firsts.
func (s *side) start(ctx context.Context) (float64, error) {
	s.box.Function.Kill()
	r, err := s.send(ctx, 1)
	s.firsts = append(s.firsts, r.Duration.Seconds())
	return r.InitDuration.Seconds(), err
}

// call returns the seconds that a warm process takes for a batch of requests.
func (s *side) call(ctx context.Context, requests int) (float64, error) {
	r, err := s.send(ctx, requests)
	if err == nil && r.ColdStart {
		err = fmt.Errorf("%s: process had ended, want a warm one", s.name)
	}
	return r.Duration.Seconds(), err
}

// peakMemory returns the peak memory of a new process, in bytes, after a batch of
// requests. It needs Linux.
func (s *side) peakMemory(ctx context.Context, requests int) (float64, error) {
	s.box.Function.Kill()
	if _, err := s.send(ctx, requests); err != nil {
		return 0, err
	}
	return s.highWaterMark()
}

func (s *side) highWaterMark() (float64, error) {
	pids := s.box.Function.Processes()
	if len(pids) != 1 {
		return 0, fmt.Errorf("%s: %d processes run, want 1", s.name, len(pids))
	}
	return highWaterMark(pids[0])
}

// highWaterMark reads the VmHWM of a running process. wait4(2)'s maxrss would not do: it
// starts from the parent's.
func highWaterMark(pid int) (float64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kibibytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kibibytes * 1024, err
		}
	}
	return 0, errors.New("no VmHWM in /proc/PID/status")
}

// send invokes the function with a batch of new requests.
func (s *side) send(ctx context.Context, requests int) (lambdalocal.Response, error) {
	payload, err := batch(s.requests, requests)
	if err != nil {
		return lambdalocal.Response{}, err
	}
	s.requests += requests
	r, err := s.box.Function.Invoke(ctx, payload)
	if err != nil {
		return r, fmt.Errorf("%s: %w", s.name, err)
	}
	if r.FunctionError != "" {
		return r, fmt.Errorf("%s: the function failed", s.name)
	}
	return r, nil
}

// check returns an error unless the side made each key with exactly the three calls of a
// new key: otherwise it did other work than its peers.
func (s *side) check() error {
	counts := map[string]int{}
	if !s.callsAWS {
		return nil
	}
	for _, call := range s.box.AWS.Calls() {
		if call.Operation == "" { // opening a connection
			continue
		}
		counts[call.Operation]++
		if call.Code != "" {
			return fmt.Errorf("%s: %s answered %s", s.name, call.Operation, call.Code)
		}
	}
	for _, operation := range []string{"CreateSecret", "CreateApiKey", "PutSecretValue"} {
		if counts[operation] != s.requests {
			return fmt.Errorf("%s: %d times %s for %d requests", s.name, counts[operation], operation, s.requests)
		}
		delete(counts, operation)
	}
	if len(counts) > 0 {
		return fmt.Errorf("%s: makes calls that a new key does not need: %v", s.name, counts)
	}
	return nil
}

// batch returns an SQS batch of requests, the first from customer number first. Its
// messages have all the members that Lambda sends.
func batch(first, requests int) ([]byte, error) {
	sample := events.Samples[slices.IndexFunc(events.Samples, func(s events.Sample) bool { return s.File == "sqs.json" })]
	var payload struct{ Records []map[string]any }
	if err := json.Unmarshal(sample.Payload(), &payload); err != nil {
		return nil, fmt.Errorf("reading %s: %w", sample.File, err)
	}
	message := payload.Records[0]
	payload.Records = nil
	for n := range requests {
		customer := strconv.Itoa(first + n)
		next := maps.Clone(message)
		next["messageId"] = "message-" + customer
		next["body"] = `{"name": "Standard", "customerId": "cust-` + customer + `", "enabled": true}`
		payload.Records = append(payload.Records, next)
	}
	return json.Marshal(payload)
}
