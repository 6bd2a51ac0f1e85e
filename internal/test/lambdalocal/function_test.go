package lambdalocal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// newFunction returns a function whose child behaves as mode says.
func newFunction(t *testing.T, mode string) *Function {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &Function{Path: path, Env: []string{childMode + "=" + mode}, Timeout: time.Minute, InitTimeout: time.Minute}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func event(t *testing.T, o order) []byte {
	t.Helper()
	p, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func invoke(t *testing.T, f *Function, o order) Response {
	t.Helper()
	r, err := f.Invoke(t.Context(), event(t, o))
	if err != nil {
		t.Fatalf("Invoke: %v", err)
	}
	return r
}

// answer invokes and returns the child's reply.
func answer(t *testing.T, f *Function, o order) (Response, reply) {
	t.Helper()
	r := invoke(t, f, o)
	return r, decode(t, r)
}

func decode(t *testing.T, r Response) reply {
	t.Helper()
	if r.FunctionError != "" {
		t.Fatalf("function error %s: %s\n%s", r.FunctionError, r.Payload, r.Log)
	}
	var a reply
	if err := json.Unmarshal(r.Payload, &a); err != nil {
		t.Fatalf("payload %q: %v", r.Payload, err)
	}
	return a
}

// A gate is a server that children call: each call is announced on arrived and waits until
// the gate opens or the caller is gone, which is announced on gone.
type gate struct {
	url     string
	arrived chan struct{}
	gone    chan struct{}
	open    chan struct{}
}

func newGate(t *testing.T) *gate {
	g := &gate{arrived: make(chan struct{}), gone: make(chan struct{}, 10), open: make(chan struct{})}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		g.arrived <- struct{}{}
		select {
		case <-g.open:
		case <-r.Context().Done():
			g.gone <- struct{}{}
		}
	}))
	t.Cleanup(s.Close)
	g.url = s.URL
	return g
}

type outcome struct {
	Response
	err error
}

// inFlight starts an invocation and returns when its child is at the gate.
func inFlight(t *testing.T, f *Function, g *gate, do string) <-chan outcome {
	t.Helper()
	done := make(chan outcome, 1)
	go func() {
		r, err := f.Invoke(context.Background(), event(t, order{Do: do, Text: g.url}))
		done <- outcome{r, err}
	}()
	select {
	case <-g.arrived:
	case o := <-done:
		t.Fatalf("answered before it called: %s %v\n%s", o.Payload, o.err, o.Log)
	}
	return done
}

func TestWarmEnvironmentIsReused(t *testing.T) {
	f := newFunction(t, "handler")
	cold, first := answer(t, f, order{Text: "first"})
	warm, second := answer(t, f, order{Text: "second"})

	if first.Text != "first" || second.Text != "second" {
		t.Errorf("wrong texts %q and %q", first.Text, second.Text)
	}
	if first.PID != second.PID {
		t.Errorf("processes %d and %d, want the same", first.PID, second.PID)
	}
	if !cold.ColdStart || cold.InitDuration <= 0 || cold.Duration <= 0 {
		t.Errorf("first invocation: cold start %v, init %v, duration %v; want a cold start", cold.ColdStart, cold.InitDuration, cold.Duration)
	}
	if warm.ColdStart || warm.InitDuration != 0 || warm.Duration <= 0 {
		t.Errorf("second invocation: cold start %v, init %v, duration %v; want a warm start", warm.ColdStart, warm.InitDuration, warm.Duration)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !uuid.MatchString(cold.RequestID) || cold.RequestID == warm.RequestID {
		t.Errorf("request ids %q and %q, want two UUIDs", cold.RequestID, warm.RequestID)
	}
}

func TestChildSeesWhatLambdaShows(t *testing.T) {
	t.Setenv("PARENTS_SECRET", "1")
	t.Setenv("AWS_PROFILE", "1")
	f := newFunction(t, "handler")
	f.Name, f.MemoryMB, f.Timeout = "Other", 512, 20*time.Second
	f.Env = append(f.Env, "AWS_REGION=eu-central-1", "MINE=1", "AWS_LAMBDA_FUNCTION_NAME=forged", "_HANDLER=forged")

	before := time.Now()
	r, a := answer(t, f, order{Do: "describe"})

	got := map[string]string{}
	for _, v := range a.Environ {
		name, value, _ := strings.Cut(v, "=")
		got[name] = value
	}
	want := map[string]string{
		childMode:                         "handler",
		"AWS_CONFIG_FILE":                 "/dev/null",
		"AWS_DEFAULT_REGION":              "eu-central-1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
		"AWS_LAMBDA_FUNCTION_NAME":        "Other",
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/Other",
		"AWS_LAMBDA_LOG_STREAM_NAME":      "*",
		"AWS_LAMBDA_RUNTIME_API":          "*",
		"AWS_REGION":                      "eu-central-1",
		"AWS_SHARED_CREDENTIALS_FILE":     "/dev/null",
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LAMBDA_TASK_ROOT":                filepath.Dir(f.Path),
		"LANG":                            "en_US.UTF-8",
		"MINE":                            "1",
		"PATH":                            "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"TZ":                              ":UTC",
		"_HANDLER":                        filepath.Base(f.Path),
		"_X_AMZN_TRACE_ID":                "*", // aws-lambda-go sets it
		"PWD":                             "*", // os/exec sets it with the working directory
	}
	for name, value := range got {
		switch w, ok := want[name]; {
		case !ok:
			t.Errorf("%s is set", name)
		case w != "*" && value != w:
			t.Errorf("%s is %q, want %q", name, value, w)
		}
		delete(want, name)
	}
	delete(want, "PWD") // not on every system
	for name := range want {
		t.Errorf("%s is not set", name)
	}

	least, most := before.Add(f.Timeout).UnixMilli(), time.Now().Add(f.Timeout).UnixMilli()
	if a.Deadline < least || a.Deadline > most {
		t.Errorf("deadline %d is not between %d and %d", a.Deadline, least, most)
	}
	if a.Context.AwsRequestID != r.RequestID {
		t.Errorf("request id %q, want %q", a.Context.AwsRequestID, r.RequestID)
	}
	if want := "arn:aws:lambda:eu-central-1:123456789012:function:Other"; a.Context.InvokedFunctionArn != want {
		t.Errorf("ARN %q, want %q", a.Context.InvokedFunctionArn, want)
	}
	if !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`).MatchString(a.TraceID) {
		t.Errorf("trace id %q, want the form of an unsampled one", a.TraceID)
	}
}

func TestFunctionErrors(t *testing.T) {
	tests := []struct {
		name    string
		order   order
		timeout time.Duration
		want    string // type and message, ID in place of the request id
		log     string // is in the log
		warm    bool   // the environment survives
	}{
		{name: "error", order: order{Do: "fail", Text: "no"},
			want: "childError: no", log: `"errorMessage":"no"`, warm: true},
		{name: "panic", order: order{Do: "panic", Text: "oh"},
			want: "errorString: oh", log: "the process should exit"},
		{name: "exit", order: order{Do: "exit", Size: 3},
			want: "Runtime.ExitError: RequestId: ID Error: Runtime exited with error: exit status 3", log: "exiting"},
		{name: "exit without a reason", order: order{Do: "exit"},
			want: "Runtime.ExitError: RequestId: ID Error: Runtime exited without providing a reason", log: "exiting"},
		{name: "signal", order: order{Do: "kill"},
			want: "Runtime.ExitError: RequestId: ID Error: Runtime exited with error: signal: killed"},
		{name: "timeout", order: order{Do: "hang"}, timeout: 200 * time.Millisecond,
			want: "Sandbox.Timedout: RequestId: ID Error: Task timed out after 0.20 seconds", log: "hanging"},
		{name: "answer too big", order: order{Do: "answer big", Size: maxResponse},
			want: "Function.ResponseSizeTooLarge: Response payload size exceeded maximum allowed payload size (6291556 bytes)."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFunction(t, "handler")
			if tt.timeout != 0 {
				f.Timeout = tt.timeout
			}
			r := invoke(t, f, tt.order)
			if r.FunctionError != "Unhandled" {
				t.Errorf("FunctionError is %q, want Unhandled", r.FunctionError)
			}
			if got := errorOf(t, r); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if !strings.Contains(string(r.Log), tt.log) {
				t.Errorf("%q is not in the log:\n%s", tt.log, r.Log)
			}
			if r.Duration < tt.timeout {
				t.Errorf("took %v, want at least its timeout", r.Duration)
			}
			f.Timeout = time.Minute // no race: the test is the only caller
			if next, _ := answer(t, f, order{}); next.ColdStart == tt.warm {
				t.Errorf("the next invocation's cold start is %v, want %v", next.ColdStart, !tt.warm)
			}
			if len(f.all) != 1 {
				t.Errorf("%d environments, want 1", len(f.all))
			}
		})
	}
}

// errorOf returns the type and message of a function error, with ID instead of the request's id.
func errorOf(t *testing.T, r Response) string {
	t.Helper()
	var e struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(r.Payload, &e); err != nil {
		t.Fatalf("payload %q: %v", r.Payload, err)
	}
	return e.ErrorType + ": " + strings.ReplaceAll(e.ErrorMessage, r.RequestID, "ID")
}

func TestAnswerCountsThoughTheTimeRunsOut(t *testing.T) {
	f := newFunction(t, "answers and hangs")
	f.Timeout = 200 * time.Millisecond
	for range 2 {
		r := invoke(t, f, order{})
		if string(r.Payload) != `"answer"` || r.FunctionError != "" {
			t.Errorf("got %s (%s), want the answer", r.Payload, r.FunctionError)
		}
		if !r.ColdStart || r.Duration < f.Timeout {
			t.Errorf("cold start %v, duration %v; want a cold start of at least %v", r.ColdStart, r.Duration, f.Timeout)
		}
	}
}

func TestLargestAnswerPasses(t *testing.T) {
	f := newFunction(t, "handler")
	r, a := answer(t, f, order{Do: "answer big", Size: maxResponse - 1000})
	if len(a.Text) != maxResponse-1000 || len(r.Payload) > maxResponse {
		t.Errorf("got %d bytes with a text of %d, want all of the text", len(r.Payload), len(a.Text))
	}
}

func TestInitFailures(t *testing.T) {
	tests := []struct {
		mode    string
		timeout time.Duration
		want    string
		log     []string
	}{
		{mode: "init exits",
			want: "Runtime.ExitError: RequestId: ID Error: Runtime exited with error: exit status 7",
			log:  []string{"init: on stdout\n", "init: on stderr\n"}},
		{mode: "init hangs", timeout: 200 * time.Millisecond,
			want: "Sandbox.Timedout: RequestId: ID Error: Task timed out after 0.20 seconds"},
		{mode: "init reports", want: "Child.Broken: cannot start", log: []string{"init: 202 403 403\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			f := newFunction(t, tt.mode)
			if tt.timeout != 0 {
				f.InitTimeout = tt.timeout
			}
			for range 2 { // the second invocation starts again
				r := invoke(t, f, order{})
				if got := errorOf(t, r); got != tt.want || r.FunctionError != "Unhandled" {
					t.Errorf("got  %s (%s)\nwant %s", got, r.FunctionError, tt.want)
				}
				if !r.ColdStart || r.InitDuration < tt.timeout || r.Duration != 0 {
					t.Errorf("cold start %v, init %v, duration %v; want a cold start with init of at least %v, no duration", r.ColdStart, r.InitDuration, r.Duration, tt.timeout)
				}
				for _, line := range tt.log {
					if !strings.Contains(string(r.Log), line) {
						t.Errorf("%q is not in the log:\n%s", line, r.Log)
					}
				}
			}
		})
	}
}

func TestMissingExecutable(t *testing.T) {
	f := &Function{Path: filepath.Join(t.TempDir(), "bootstrap")}
	defer f.Close()
	r := invoke(t, f, order{})
	want := "Runtime.InvalidEntrypoint: RequestId: ID Error: fork/exec " + f.Path + ": no such file or directory"
	if got := errorOf(t, r); got != want || r.FunctionError != "Unhandled" {
		t.Errorf("got  %s (%s)\nwant %s", got, r.FunctionError, want)
	}
}

func TestLogIsCompleteWhenAnswered(t *testing.T) {
	f := newFunction(t, "handler")
	f.Concurrency = 1 // and each invocation may follow at once
	var stdout, stderr bytes.Buffer
	f.Stdout, f.Stderr = &stdout, &stderr
	var allOut, allErr string
	for i := range 100 {
		line := fmt.Sprintf("line %d\n", i)
		allOut, allErr = allOut+line, allErr+strings.ToUpper(line)
		r, _ := answer(t, f, order{Do: "write", Text: line})
		upper := strings.ToUpper(line)
		if l := string(r.Log); l != line+upper && l != upper+line {
			t.Fatalf("the log is %q, want %q and %q", l, line, upper)
		}
		if stdout.String() != allOut || stderr.String() != allErr {
			t.Fatalf("invocation %d: Stdout and Stderr do not hold what was written", i)
		}
	}
}

func TestLogIsCompleteAfterAnExit(t *testing.T) {
	f := newFunction(t, "handler")
	for range 20 {
		if r := invoke(t, f, order{Do: "exit"}); string(r.Log) != "exiting\n" {
			t.Fatalf("the log is %q, want exiting", r.Log)
		}
	}
}

func TestOutputIsReadBeforeItIsClosed(t *testing.T) {
	o, err := newOutput(new(sync.Mutex), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, errOut := o.stdout.w.WriteString("last ")
	_, errErr := o.stderr.w.WriteString("words")
	if err := errors.Join(errOut, errErr); err != nil {
		t.Fatal(err)
	}
	o.close() // nobody else has read
	if got := string(o.takeTail()); got != "last words" {
		t.Errorf("got %q, want last words", got)
	}
}

func TestLogIsTheLast4KB(t *testing.T) {
	f := newFunction(t, "handler")
	text := strings.Repeat("0123456789", 50_000) // more than a pipe holds
	r, _ := answer(t, f, order{Do: "write", Text: text})
	if len(r.Log) != 4096 || !strings.HasSuffix(text, string(r.Log)) {
		t.Errorf("the log has %d bytes, want the last 4 KB of the output", len(r.Log))
	}
}

func TestOutputIsPassedOnAtOnce(t *testing.T) {
	f, g := newFunction(t, "handler"), newGate(t)
	written := make(chan string, 10)
	f.Stdout = writerFunc(func(p []byte) { written <- string(p) })
	done := inFlight(t, f, g, "call")
	if got := <-written; got != "calling\n" {
		t.Errorf("got %q, want calling", got)
	}
	close(g.open)
	<-done
}

type writerFunc func([]byte)

func (w writerFunc) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

func TestKill(t *testing.T) {
	f, g := newFunction(t, "handler"), newGate(t)
	f.Kill() // must do nothing

	done := inFlight(t, f, g, "call")
	f.Kill()
	r := <-done
	want := "Runtime.ExitError: RequestId: ID Error: Runtime exited with error: signal: killed"
	if got := errorOf(t, r.Response); r.err != nil || got != want {
		t.Errorf("in flight: got %s (%v)\nwant %s", got, r.err, want)
	}
	if !strings.Contains(string(r.Log), "calling") {
		t.Errorf("the log is %q, want calling in it", r.Log)
	}

	next, first := answer(t, f, order{})
	if !next.ColdStart {
		t.Error("after a kill in flight: not a cold start")
	}
	f.Kill()
	next, second := answer(t, f, order{})
	if !next.ColdStart || first.PID == second.PID {
		t.Error("after a kill while idle: not a new environment")
	}
	if got := f.Processes(); !slices.Equal(got, []int{second.PID}) {
		t.Errorf("running processes %v, want %d alone", got, second.PID)
	}
	f.Kill()
	if got := f.Processes(); len(got) != 0 {
		t.Errorf("processes %v run after a kill, want none", got)
	}
}

func TestIdleEnvironmentThatEndsIsReplaced(t *testing.T) {
	f := newFunction(t, "handler")
	_, first := answer(t, f, order{})
	e := f.idle[0]
	e.kill()
	<-e.exited
	if next, second := answer(t, f, order{}); !next.ColdStart || first.PID == second.PID {
		t.Error("not a new environment")
	}
}

func TestConcurrency(t *testing.T) {
	f, g := newFunction(t, "handler"), newGate(t)
	f.Concurrency = 2
	one, two := inFlight(t, f, g, "call"), inFlight(t, f, g, "call")

	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, ErrTooManyRequests) {
		t.Errorf("the third: %v, want ErrTooManyRequests", err)
	}
	close(g.open)
	first, second := decode(t, (<-one).Response), decode(t, (<-two).Response)
	if first.PID == second.PID {
		t.Error("two invocations at once in one environment")
	}
	r, third := answer(t, f, order{})
	if r.ColdStart || third.PID != first.PID && third.PID != second.PID {
		t.Error("the third, repeated: not in a warm environment")
	}
}

func TestCallerWhoGivesUp(t *testing.T) {
	f, g := newFunction(t, "handler"), newGate(t)
	f.Concurrency = 1
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := f.Invoke(ctx, event(t, order{Do: "call", Text: g.url}))
		done <- err
	}()
	<-g.arrived
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, ErrTooManyRequests) {
		t.Errorf("meanwhile: %v, want ErrTooManyRequests: the function runs on", err)
	}
	close(g.open)
	f.slots <- struct{}{} // when the function has answered
	<-f.slots
	if r := invoke(t, f, order{}); r.ColdStart || r.FunctionError != "" {
		t.Errorf("afterwards: cold start %v, %s; want a warm answer", r.ColdStart, r.Payload)
	}
	if _, err := f.Invoke(ctx, []byte(`{}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: got %v, want context.Canceled", err)
	}
}

func TestCloseLeavesNoProcess(t *testing.T) {
	f, g := newFunction(t, "handler"), newGate(t)
	f.Concurrency = 3
	plain := inFlight(t, f, g, "call")
	family := inFlight(t, f, g, "spawn")
	<-g.arrived // the child's child
	if err := f.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, done := range []<-chan outcome{plain, family} {
		if o := <-done; o.FunctionError != "Unhandled" {
			t.Errorf("in flight: got %s %v, want Unhandled", o.Payload, o.err)
		}
	}
	<-g.gone
	<-g.gone
	<-g.gone
	if _, err := f.Invoke(t.Context(), []byte(`{}`)); !errors.Is(err, ErrClosed) {
		t.Errorf("Invoke after Close: %v, want ErrClosed", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

func TestChildrenDieWithTheParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent-death signal")
	}
	g := newGate(t)
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(path)
	parent.Env = []string{childMode + "=parent", "EVENT=" + string(event(t, order{Do: "call", Text: g.url}))}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	<-g.arrived
	_ = parent.Process.Kill()
	_ = parent.Wait()
	<-g.gone
}

func TestRuntimeAPI(t *testing.T) {
	f := newFunction(t, "raw")
	r := invoke(t, f, order{})
	if string(r.Payload) != `"first"` || r.FunctionError != "" {
		t.Fatalf("first answer %s (%s)\n%s", r.Payload, r.FunctionError, r.Log)
	}
	r = invoke(t, f, order{})
	got := strings.Split(strings.Trim(string(r.Payload), `"`), "; ")
	want := []string{
		"next before the answer 403",
		"init error after init 403",
		"wrong id 400",
		"wrong id, error 400",
		"answer 202",
		"second answer 403",
		"error after the answer 403",
		"unknown path 404",
		"late answer 400",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
