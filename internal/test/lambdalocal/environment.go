package lambdalocal

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxResponse is the maximum size of an answer in bytes: the 6 MB of Quotas, as Lambda's own
// error message counts them.
const maxResponse = 6291556

// An environment is one execution environment: a process and its own Runtime API.
type environment struct {
	f       *Function
	out     *output
	started time.Time
	calls   chan *call    // holds at most the current one
	ready   chan struct{} // closed by the first request for work
	exited  chan struct{} // closed once the process is gone and its output has been read

	state *os.ProcessState // set before exited is closed

	mu        sync.Mutex
	pid       int           // 0 when there is no process to kill
	readyIn   time.Duration // 0 until ready is closed
	initError []byte        // what the child reported, or nil
	current   *call         // or nil
}

// A call is one invocation as an environment sees it. answer and failed may be read once
// environment.invoke has returned it.
type call struct {
	requestID string
	payload   []byte
	deadline  time.Time
	over      chan struct{} // closed by the request for work that follows the answer

	answered bool
	answer   []byte
	failed   bool
	duration time.Duration
}

// A startError reports that the executable could not be started.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }

// start starts the process with its own Runtime API. The error is a *startError if the
// executable is at fault.
func (f *Function) start() (*environment, error) {
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", f.Path, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the Runtime API: %w", err)
	}
	out, err := newOutput(&f.outputMu, f.Stdout, f.Stderr)
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	e := &environment{
		f:       f,
		out:     out,
		started: time.Now(),
		calls:   make(chan *call, 1),
		ready:   make(chan struct{}),
		exited:  make(chan struct{}),
	}
	server := &http.Server{
		Handler:           e.runtimeAPI(),
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(listener) }() // until run closes it

	started := make(chan error)
	go e.run(&exec.Cmd{
		Path:        path,
		Args:        []string{path},
		Dir:         filepath.Dir(path),
		Env:         f.environ(listener.Addr().String(), filepath.Dir(path)),
		Stdout:      out.stdout.w,
		Stderr:      out.stderr.w,
		SysProcAttr: sysProcAttr(),
	}, server, started)
	if err := <-started; err != nil {
		return nil, &startError{err}
	}
	return e, nil
}

// run waits for the process. It reports to started whether there is one.
func (e *environment) run(cmd *exec.Cmd, server *http.Server, started chan<- error) {
	// The parent-death signal is sent when the thread that made the child ends (prctl(2),
	// PR_SET_PDEATHSIG), so the thread is kept until then.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := cmd.Start()
	e.out.started()
	if err == nil {
		e.setPID(cmd.Process.Pid)
		started <- nil
		_ = cmd.Wait() // the state says more than the error
		e.kill()       // what the process left behind in its group
		e.setPID(0)
		e.state = cmd.ProcessState
	}
	_ = server.Close()
	e.out.close()
	close(e.exited)
	if err != nil {
		started <- err
	}
}

// kill ends the process and its group, if any, and does not wait.
func (e *environment) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pid != 0 {
		_ = syscall.Kill(-e.pid, syscall.SIGKILL) // fails only if there is nobody left
	}
}

func (e *environment) setPID(pid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pid = pid
}

// processID returns 0 if there is no process.
func (e *environment) processID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pid
}

func (e *environment) alive() bool {
	select {
	case <-e.exited:
		return false
	default:
		return true
	}
}

// awaitReady waits for the first request for work and returns how long it took. If there is
// none, the process is gone, and failure is the invocation's answer: what the child reported,
// or how it ended.
func (e *environment) awaitReady(requestID string, timeout time.Duration) (took time.Duration, failure []byte, ready bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	timedOut := false
	select {
	case <-e.ready:
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.readyIn, nil, true
	case <-e.exited:
	case <-timer.C:
		timedOut = true
		e.kill()
		<-e.exited
	}
	took = time.Since(e.started)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.initError != nil:
		return took, e.initError, false
	case timedOut:
		return took, timeoutPayload(requestID, timeout), false
	default:
		return took, exitPayload(requestID, e.state), false
	}
}

// invoke hands one event to the process and waits until it asks for the next one,
// exits or has used up its time, in which case it is killed.
//
// An answer counts even if the child fails before it asks again: aws-lambda-go reports a
// panic and then exits.
func (e *environment) invoke(requestID string, payload []byte, timeout time.Duration) *call {
	begin := time.Now()
	c := &call{
		requestID: requestID,
		payload:   payload,
		deadline:  begin.Add(timeout),
		over:      make(chan struct{}),
	}
	e.mu.Lock()
	e.current = c
	e.mu.Unlock()
	e.calls <- c

	timer := time.NewTimer(timeout)
	defer timer.Stop()
	timedOut := false
	select {
	case <-c.over:
		e.out.drain()
	case <-e.exited:
	case <-timer.C:
		e.mu.Lock()
		timedOut = !c.answered
		e.current = nil // an answer from now on is too late
		e.mu.Unlock()
		e.kill()
		<-e.exited
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	e.current = nil
	c.duration = time.Since(begin)
	switch {
	case c.answered:
	case timedOut:
		c.answer, c.failed = timeoutPayload(requestID, timeout), true
	default:
		c.answer, c.failed = exitPayload(requestID, e.state), true
	}
	return c
}

func timeoutPayload(requestID string, timeout time.Duration) []byte {
	return errorPayload(requestID, "Sandbox.Timedout",
		fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds()))
}

func exitPayload(requestID string, state *os.ProcessState) []byte {
	message := "Runtime exited with error: " + state.String()
	if state.Success() {
		message = "Runtime exited without providing a reason"
	}
	return errorPayload(requestID, "Runtime.ExitError", message)
}

// runtimeAPI serves the four paths of the Runtime API.
func (e *environment) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.serveNext)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		e.serveAnswer(w, r, false)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		e.serveAnswer(w, r, true)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", e.serveInitError)
	return mux
}

// serveNext ends the current phase, initialisation or an invocation, and blocks until there
// is an event.
func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	if !e.endPhase() {
		writeStatus(w, http.StatusForbidden, "InvalidStateTransition")
		return
	}
	select {
	case c := <-e.calls:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", c.requestID)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", e.f.arn())
		h.Set("Lambda-Runtime-Trace-Id", newTraceID())
		_, _ = w.Write(c.payload) // a child that cannot read it will time out
	case <-r.Context().Done():
	}
}

// endPhase records that the child asks for work and reports whether it may: not after it
// reported a failed initialisation, nor before it has answered.
func (e *environment) endPhase() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.initError != nil:
		return false
	case e.readyIn == 0:
		e.readyIn = time.Since(e.started)
		close(e.ready)
	case e.current == nil: // asks again
	case !e.current.answered:
		return false
	default:
		close(e.current.over)
		e.current = nil
	}
	return true
}

// serveAnswer accepts the answer to the current invocation, once.
func (e *environment) serveAnswer(w http.ResponseWriter, r *http.Request, failed bool) {
	body, err := readAtMost(r.Body, maxResponse)
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.current
	switch {
	case c == nil || c.requestID != r.PathValue("id"):
		writeStatus(w, http.StatusBadRequest, "InvalidRequestID")
	case c.answered:
		writeStatus(w, http.StatusForbidden, "InvalidStateTransition")
	case err != nil: // the child died or gave up half-way: no answer at all
		writeStatus(w, http.StatusBadRequest, "TruncatedHTTPRequest")
	case len(body) > maxResponse:
		c.answered, c.failed = true, true
		c.answer = []byte(fmt.Sprintf(`{"errorType":"Function.ResponseSizeTooLarge","errorMessage":`+
			`"Response payload size exceeded maximum allowed payload size (%d bytes)."}`, maxResponse))
		writeStatus(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
	default:
		c.answered, c.failed, c.answer = true, failed, body
		writeStatus(w, http.StatusAccepted, "")
	}
}

// serveInitError accepts the child's report that initialisation failed. The child should then
// exit; InitTimeout ends one that does not.
func (e *environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := readAtMost(r.Body, maxResponse)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.readyIn != 0 || e.initError != nil:
		writeStatus(w, http.StatusForbidden, "InvalidStateTransition")
	case err != nil:
		writeStatus(w, http.StatusBadRequest, "TruncatedHTTPRequest")
	case len(body) > maxResponse:
		writeStatus(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
	default:
		e.initError = body
		writeStatus(w, http.StatusAccepted, "")
	}
}

// writeStatus writes a response of the Runtime API: an error type, or none.
func writeStatus(w http.ResponseWriter, status int, errorType string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	answer := map[string]string{"status": "OK"}
	if errorType != "" {
		answer = map[string]string{"errorType": errorType, "errorMessage": http.StatusText(status)}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// readAtMost reads r to its end and returns its content or, if that is more than limit bytes,
// the first limit+1. It drops the rest rather than cut the sender off, who might then see a
// broken connection instead of the response.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	return body, err
}

// environ returns the child's environment (Environment variables, "Defined runtime environment
// variables", without those that OS-only runtimes lack). The last of several values counts.
func (f *Function) environ(runtimeAPI, taskRoot string) []string {
	name := f.name()
	env := []string{
		"AWS_REGION=" + defaultRegion,
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin",
	}
	env = append(env, f.Env...)
	return append(env,
		"AWS_DEFAULT_REGION="+f.region(),
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(cmp.Or(f.MemoryMB, 128)),
		"AWS_LAMBDA_FUNCTION_NAME="+name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/"+name,
		"AWS_LAMBDA_LOG_STREAM_NAME="+time.Now().UTC().Format("2006/01/02/[$LATEST]")+randomHex(16),
		"AWS_LAMBDA_RUNTIME_API="+runtimeAPI,
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"LAMBDA_TASK_ROOT="+taskRoot,
		"TZ=:UTC",
		"_HANDLER="+filepath.Base(f.Path),
	)
}

const (
	defaultRegion = "us-east-1"
	accountID     = "123456789012" // the account of AWS's own examples
)

func (f *Function) name() string { return cmp.Or(f.Name, "CreateKeyFunction") }

func (f *Function) arn() string {
	return "arn:aws:lambda:" + f.region() + ":" + accountID + ":function:" + f.name()
}

func (f *Function) region() string {
	region := defaultRegion
	for _, v := range f.Env {
		if r, ok := strings.CutPrefix(v, "AWS_REGION="); ok {
			region = r
		}
	}
	return region
}

// newTraceID returns the X-Ray tracing header of a trace that is not sampled.
func newTraceID() string {
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", time.Now().Unix(), randomHex(12), randomHex(8))
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails, as documented
	return hex.EncodeToString(b)
}
