// Package lambdalocal runs a Lambda function's real executable on this machine as Lambda
// does: with the Runtime API for the child process, and the Invoke API in front. It is for
// tests and the local runner, never for the function.
//
// It guarantees:
//   - The executable is the one that ships. It sees the Runtime API of version
//     2018-06-01, the environment variables that Lambda sets and those in
//     [Function.Env], and nothing of the parent's environment.
//   - One execution environment is one process and handles one invocation at a
//     time. It stays warm until it exits, times out or is killed; in each case the
//     invocation answers as in Lambda and the next one starts a new process.
//   - A process ends by SIGKILL, at any instruction, with its whole process
//     group. None outlives [Function.Close]; on Linux none outlives the parent.
//
// A [Function] is invoked directly, or serves Lambda's Invoke API for the AWS CLI and
// the SDKs:
//
//	f := &lambdalocal.Function{Path: "bootstrap", Env: []string{"AWS_ENDPOINT_URL=" + url}}
//	defer f.Close()
//	response, err := f.Invoke(ctx, payload)
//	http.ListenAndServe("127.0.0.1:9001", f)
//
// Not covered: environments are not frozen between invocations, memory and CPU are not
// limited (but see [Function.Initialised]), and there are no extensions, no response
// streaming, no aliases, no client context and no log lines of Lambda's own (START, END,
// REPORT). It needs a Unix system.
//
// The AWS pages, which comments cite by these names:
//   - Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
//   - Lifecycle: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
//   - Environment variables: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
//   - Concurrency: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
//   - Quotas: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
//   - Asynchronous: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
//   - Invoke: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
package lambdalocal

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

var (
	// ErrTooManyRequests is returned by Invoke when every environment that Concurrency allows is
	// busy. Lambda answers TooManyRequestsException; the caller may retry.
	ErrTooManyRequests = errors.New("lambdalocal: too many requests: every environment is busy")

	// ErrClosed is returned by Invoke after Close.
	ErrClosed = errors.New("lambdalocal: function is closed")
)

// A Function is one Lambda function. Set the exported fields before the first use and do not
// change them afterwards; only Path is required. Its methods may be called concurrently.
// Close it when done.
type Function struct {
	// Path is the executable, which Lambda calls "bootstrap". Its folder is the working
	// directory and LAMBDA_TASK_ROOT.
	Path string

	// Name is the function's name; "" means CreateKeyFunction.
	Name string

	// Env is the child's environment ("NAME=value") without what Lambda sets itself, which
	// cannot be changed here either. AWS_REGION, LANG and PATH have defaults; so have
	// AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, because otherwise the SDK would find
	// the developer's own files, which Lambda lacks.
	Env []string

	// Timeout is the time limit of an invocation; 0 means 3 s, as in Lambda. Initialisation does
	// not count.
	Timeout time.Duration

	// InitTimeout is the time limit of initialisation; 0 means 10 s. Lambda would then
	// initialise a second time within Timeout; here the invocation fails.
	InitTimeout time.Duration

	// MemoryMB is what the child is told; it is not enforced. 0 means 128.
	MemoryMB int

	// Concurrency is the maximum number of environments; 0 means 10, as in a new AWS account.
	// As in Lambda, a synchronous invocation beyond it is refused (ErrTooManyRequests), not
	// queued, and an asynchronous one waits.
	Concurrency int

	// Initialised is called with the id of each process that has initialised, before it gets its
	// first event: to reduce its share of the machine, as Lambda does then.
	Initialised func(pid int)

	// Stdout and Stderr receive the child's output as it is written; nil means that it is
	// kept for Response.Log only. Writes are never concurrent, even to one writer for both,
	// but the lines of two environments may be interleaved.
	Stdout, Stderr io.Writer

	setUpOnce, closeOnce sync.Once

	slots  chan struct{} // holds one element for each running invocation
	closed chan struct{} // closed by Close, under mu

	outputMu sync.Mutex // held while writing to Stdout and Stderr

	mu   sync.Mutex
	all  map[*environment]bool
	idle []*environment // warm ones, the last used last
}

// A Response is what Lambda returns for one invocation.
type Response struct {
	// Payload is the function's answer or, if FunctionError is set, an object with errorType and
	// errorMessage.
	Payload []byte

	// FunctionError is "" or "Unhandled". The only other value that Lambda
	// documents, Handled, belongs to runtimes of the past.
	FunctionError string

	RequestID string

	// Log is the last 4 KB of what the child wrote to its standard output and error since its
	// last invocation ended, including initialisation. It is complete up to the child's next
	// request for work, or its end; the order between the two streams is approximate.
	Log []byte

	// ColdStart reports whether the invocation was the first of its environment.
	ColdStart bool

	// InitDuration is the time from starting the process to its first request for work, or to
	// its end if that came first; 0 for a warm start.
	InitDuration time.Duration

	// Duration is the time from handing over the event to the child's next request for work
	// (Lifecycle, "Invoke phase"), or to its end.
	Duration time.Duration
}

// Invoke runs the function once and waits for its answer. Failures of the function (an error
// that it returns, a crash, a timeout, an executable that cannot be started) are in
// Response.FunctionError, not in the error.
//
// The error is ErrTooManyRequests, ErrClosed, that of ctx, or a fault of the machine (no
// port, no pipe). When ctx ends first the function keeps running, as in Lambda, and its
// environment is busy until it answers or times out.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Response, error) {
	return f.invoke(ctx, newRequestID(), payload)
}

func (f *Function) invoke(ctx context.Context, requestID string, payload []byte) (Response, error) {
	f.setUpOnce.Do(f.setUp)
	if err := ctx.Err(); err != nil {
		return Response{}, err
	}
	select {
	case f.slots <- struct{}{}:
	case <-f.closed:
		return Response{}, ErrClosed
	default:
		return Response{}, ErrTooManyRequests
	}
	type result struct {
		response Response
		err      error
	}
	results := make(chan result, 1)
	go func() {
		response, err := f.run(requestID, payload)
		<-f.slots // before the caller is told, so that it can invoke again at once
		results <- result{response, err}
	}()
	select {
	case r := <-results:
		return r.response, r.err
	case <-ctx.Done():
		return Response{}, ctx.Err()
	}
}

// invokeAsync queues an event and returns. The event runs once, when an environment is free:
// Lambda would retry it twice after a function error (Asynchronous), which a test can do
// itself. Close drops events that have not begun.
func (f *Function) invokeAsync(requestID string, payload []byte) {
	f.setUpOnce.Do(f.setUp)
	go func() {
		select {
		case f.slots <- struct{}{}:
			_, _ = f.run(requestID, payload) // nobody waits for the result
			<-f.slots
		case <-f.closed:
		}
	}()
}

// Kill ends every environment at once, even during an invocation, which then answers with
// Runtime.ExitError. It returns when the processes are gone. The next invocation starts a new
// environment.
func (f *Function) Kill() {
	f.mu.Lock()
	killed := f.all
	f.all, f.idle = make(map[*environment]bool), nil
	for e := range killed {
		e.kill()
	}
	f.mu.Unlock()
	for e := range killed {
		<-e.exited
	}
}

// Processes returns the ids of the running processes, one for each environment, in no particular
// order, so that they can be measured.
func (f *Function) Processes() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var pids []int
	for e := range f.all {
		if pid := e.processID(); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Close ends every environment like Kill and waits until all invocations have answered.
// Invoke then returns ErrClosed. Its error is always nil.
func (f *Function) Close() error {
	f.setUpOnce.Do(f.setUp)
	f.closeOnce.Do(func() {
		f.mu.Lock()
		close(f.closed)
		f.mu.Unlock()
		f.Kill()
		for range cap(f.slots) {
			f.slots <- struct{}{} // never released: nothing runs any more
		}
	})
	return nil
}

func (f *Function) setUp() {
	f.slots = make(chan struct{}, cmp.Or(f.Concurrency, 10))
	f.closed = make(chan struct{})
	f.all = make(map[*environment]bool)
}

// run handles one invocation. The caller holds a slot.
func (f *Function) run(requestID string, payload []byte) (Response, error) {
	r := Response{RequestID: requestID, FunctionError: "Unhandled"}
	e, cold, err := f.acquire()
	if start, ok := errors.AsType[*startError](err); ok {
		r.ColdStart = true
		r.Payload = errorPayload(requestID, "Runtime.InvalidEntrypoint", start.Error())
		return r, nil
	}
	if err != nil {
		return Response{}, err
	}
	defer f.release(e)

	ready := true
	if cold {
		r.ColdStart = true
		r.InitDuration, r.Payload, ready = e.awaitReady(requestID, cmp.Or(f.InitTimeout, 10*time.Second))
		if ready && f.Initialised != nil {
			f.Initialised(e.processID())
		}
	}
	if ready {
		c := e.invoke(requestID, payload, cmp.Or(f.Timeout, 3*time.Second))
		r.Payload, r.Duration = c.answer, c.duration
		if !c.failed {
			r.FunctionError = ""
		}
	}
	r.Log = e.out.takeTail()
	return r, nil
}

// acquire returns a warm environment, or starts one and reports that it is cold.
func (f *Function) acquire() (e *environment, cold bool, err error) {
	// Held during the start as well, so that Kill and Close miss no process.
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.closed:
		return nil, false, ErrClosed
	default:
	}
	for len(f.idle) > 0 {
		last := len(f.idle) - 1
		e, f.idle = f.idle[last], f.idle[:last]
		if e.alive() {
			return e, false, nil
		}
		delete(f.all, e)
	}
	e, err = f.start()
	if err != nil {
		return nil, true, err
	}
	f.all[e] = true
	return e, true, nil
}

// release keeps an environment for the next invocation if it is still usable.
func (f *Function) release(e *environment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.all[e]: // killed meanwhile
	case e.alive():
		f.idle = append(f.idle, e)
	default:
		delete(f.all, e)
	}
}

// errorPayload returns the object with which Lambda itself reports a failure.
func errorPayload(requestID, errorType, message string) []byte {
	p, err := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{errorType, "RequestId: " + requestID + " Error: " + message})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return p
}

// newRequestID returns a random UUID, the form of Lambda's request ids.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, as documented
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
