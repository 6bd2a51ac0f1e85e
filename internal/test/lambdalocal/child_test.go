package lambdalocal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// childMode is the variable that makes the test binary behave as a bootstrap.
const childMode = "LAMBDALOCAL_CHILD"

func TestMain(m *testing.M) {
	switch mode := os.Getenv(childMode); mode {
	case "":
		os.Exit(m.Run())
	case "handler":
		lambda.Start(handle)
	case "raw":
		rawRuntime()
	case "init exits":
		fmt.Println("init: on stdout")
		fmt.Fprintln(os.Stderr, "init: on stderr")
		os.Exit(7)
	case "init hangs":
		fmt.Println("init: hanging")
		hang()
	case "init reports":
		status, _ := post("init/error", `{"errorType":"Child.Broken","errorMessage":"cannot start"}`)
		again, _ := post("init/error", `{}`)
		work, _ := next()
		fmt.Println("init:", status, again, work)
		os.Exit(1)
	case "answers and hangs":
		_, h := next()
		_, _ = post("invocation/"+h.Get("Lambda-Runtime-Aws-Request-Id")+"/response", `"answer"`)
		hang()
	case "caller": // a child's child
		_, _ = status(http.Get(os.Getenv("URL")))
	case "parent": // of a bootstrap
		f := &Function{Path: os.Args[0], Env: []string{childMode + "=handler"}}
		_, _ = f.Invoke(context.Background(), []byte(os.Getenv("EVENT")))
	default:
		panic("unknown mode " + mode)
	}
}

// An order is the event, and tells the child what to do.
type order struct {
	Do   string `json:"do"`
	Text string `json:"text,omitempty"`
	Size int    `json:"size,omitempty"`
}

type reply struct {
	PID      int      `json:"pid"`
	Text     string   `json:"text"`
	Environ  []string `json:"environ,omitempty"`
	Deadline int64    `json:"deadline"` // milliseconds
	Context  *lambdacontext.LambdaContext
	TraceID  string `json:"traceId"`
}

type childError struct{ message string }

func (e childError) Error() string { return e.message }

func handle(ctx context.Context, o order) (reply, error) {
	r := reply{PID: os.Getpid(), Text: o.Text}
	switch o.Do {
	case "": // answer
	case "describe":
		deadline, _ := ctx.Deadline()
		r.Deadline = deadline.UnixMilli()
		r.Environ = os.Environ()
		r.Context, _ = lambdacontext.FromContext(ctx)
		r.TraceID, _ = ctx.Value("x-amzn-trace-id").(string)
	case "write":
		fmt.Fprint(os.Stdout, o.Text)
		fmt.Fprint(os.Stderr, strings.ToUpper(o.Text))
	case "call": // tells the test that it has arrived, and waits to be released
		fmt.Println("calling")
		response, err := http.Get(o.Text)
		if err != nil {
			return r, err
		}
		return r, response.Body.Close()
	case "spawn": // like "call", but first starts a process that calls, too
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{childMode + "=caller", "URL=" + o.Text}
		if err := cmd.Start(); err != nil {
			return r, err
		}
		return handle(ctx, order{Do: "call", Text: o.Text})
	case "answer big":
		r.Text = strings.Repeat("x", o.Size)
	case "fail":
		return r, childError{o.Text}
	case "panic":
		panic(errors.New(o.Text))
	case "exit":
		fmt.Println("exiting")
		syscall.Exit(o.Size) // os.Exit(0) takes a second under the race detector
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		hang()
	case "hang":
		fmt.Println("hanging")
		hang()
	default:
		return r, childError{"unknown order " + o.Do}
	}
	return r, nil
}

// hang blocks until the process is killed. Go would end a process in which every goroutine is
// blocked.
func hang() {
	never := make(chan os.Signal, 1)
	signal.Notify(never, syscall.SIGUSR1)
	<-never
}

// rawRuntime is a runtime that breaks the protocol. It answers its second event with the
// statuses that it got.
func rawRuntime() {
	_, first := next()
	id := first.Get("Lambda-Runtime-Aws-Request-Id")
	var seen []string
	note := func(what string, status int, _ http.Header) { seen = append(seen, fmt.Sprint(what, " ", status)) }
	expect := func(what, path, body string) {
		status, h := post(path, body)
		note(what, status, h)
	}
	status, h := next()
	note("next before the answer", status, h)
	expect("init error after init", "init/error", `{}`)
	expect("wrong id", "invocation/not-an-id/response", `"lost"`)
	expect("wrong id, error", "invocation/not-an-id/error", `{}`)
	if err := postHalf("invocation/" + id + "/response"); err != nil {
		seen = append(seen, err.Error())
	}
	expect("answer", "invocation/"+id+"/response", `"first"`)
	expect("second answer", "invocation/"+id+"/response", `"second"`)
	expect("error after the answer", "invocation/"+id+"/error", `{}`)
	expect("unknown path", "restore/next", ``)

	_, second := next()
	expect("late answer", "invocation/"+id+"/response", `"late"`)
	answer := `"` + strings.Join(seen, "; ") + `"`
	_, _ = post("invocation/"+second.Get("Lambda-Runtime-Aws-Request-Id")+"/response", answer)
	_, _ = next()
}

func runtimeURL(path string) string {
	return "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/" + path
}

func next() (int, http.Header) {
	return status(http.Get(runtimeURL("invocation/next")))
}

func post(path, body string) (int, http.Header) {
	return status(http.Post(runtimeURL(path), "application/json", strings.NewReader(body)))
}

// postHalf breaks off a request in its body.
func postHalf(path string) error {
	body := io.MultiReader(strings.NewReader(`"half`), brokenReader{})
	if code, _ := status(http.Post(runtimeURL(path), "application/json", body)); code != 0 {
		return fmt.Errorf("half a request was answered with %d", code)
	}
	return nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken off") }

func status(r *http.Response, err error) (int, http.Header) {
	if err != nil {
		return 0, nil
	}
	_ = r.Body.Close()
	return r.StatusCode, r.Header
}
