package lambdalocal

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const invocations = "/2015-03-31/functions/CreateKeyFunction/invocations"

type request struct {
	method, path string // by default POST to invocations
	header       map[string]string
	body         []byte
}

type answered struct {
	status int
	header http.Header
	body   string
}

func (q request) send(t *testing.T, server *httptest.Server) answered {
	t.Helper()
	method, path := q.method, q.path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = invocations
	}
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, bytes.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header, string(body)}
}

func serve(t *testing.T, f *Function) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func TestInvokeAPI(t *testing.T) {
	server := serve(t, newFunction(t, "handler"))
	tail := map[string]string{"X-Amz-Log-Type": "Tail"}
	tests := []struct {
		name    string
		request request
		status  int
		errType string // X-Amzn-ErrorType
		failed  string // X-Amz-Function-Error
		body    string // is part of the answer's body
		log     string // is part of X-Amz-Log-Result
	}{
		{name: "RequestResponse is the default",
			request: request{body: []byte(`{"text":"hello"}`)},
			status:  200, body: `"text":"hello"`},
		{name: "RequestResponse",
			request: request{body: []byte(`{"text":"hello"}`), header: map[string]string{"X-Amz-Invocation-Type": "RequestResponse"}},
			status:  200, body: `"text":"hello"`},
		{name: "no body is an empty event", request: request{}, status: 200, body: `"text":""`},
		{name: "Tail",
			request: request{body: []byte(`{"do":"write","text":"hello"}`), header: tail},
			status:  200, log: "hello"},
		{name: "function error",
			request: request{body: []byte(`{"do":"fail","text":"no"}`), header: tail},
			status:  200, failed: "Unhandled", body: `{"errorMessage":"no","errorType":"childError"}`, log: `"errorMessage":"no"`},
		{name: "DryRun",
			request: request{body: []byte(`{"do":"exit"}`), header: map[string]string{"X-Amz-Invocation-Type": "DryRun"}},
			status:  204},
		{name: "LATEST", request: request{path: invocations + "?Qualifier=%24LATEST"}, status: 200},
		{name: "LATEST in the name", request: request{path: strings.Replace(invocations, "/inv", ":$LATEST/inv", 1)}, status: 200},
		{name: "ARN",
			request: request{path: "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3ACreateKeyFunction/invocations"},
			status:  200},
		{name: "partial ARN",
			request: request{path: "/2015-03-31/functions/123456789012:function:CreateKeyFunction/invocations"},
			status:  200},

		{name: "unknown function", request: request{path: "/2015-03-31/functions/Other/invocations"},
			status: 404, errType: "ResourceNotFoundException", body: `{"Message":"Function not found: Other","Type":"User"}`},
		{name: "unknown qualifier", request: request{path: invocations + "?Qualifier=live"},
			status: 404, errType: "ResourceNotFoundException"},
		{name: "unknown qualifier in the name", request: request{path: strings.Replace(invocations, "/inv", ":7/inv", 1)},
			status: 404, errType: "ResourceNotFoundException"},
		{name: "unknown path", request: request{path: "/2015-03-31/functions"},
			status: 404, errType: "UnknownOperationException"},
		{name: "wrong method", request: request{method: http.MethodGet},
			status: 404, errType: "UnknownOperationException"},
		{name: "unknown invocation type", request: request{header: map[string]string{"X-Amz-Invocation-Type": "Later"}},
			status: 400, errType: "InvalidParameterValueException"},
		{name: "not JSON", request: request{body: []byte(`{"do"`)},
			status: 400, errType: "InvalidRequestContentException", body: `"Type":"User"`},
		{name: "largest event", request: request{body: spaces(maxEvent)}, status: 200},
		{name: "event too large", request: request{body: spaces(maxEvent + 1)},
			status: 413, errType: "RequestTooLargeException",
			body: "Request must be smaller than 6291456 bytes for the InvokeFunction operation"},
		{name: "far too large", request: request{body: spaces(4 * maxEvent)},
			status: 413, errType: "RequestTooLargeException"},
		{name: "asynchronous event too large",
			request: request{body: spaces(maxAsyncEvent + 1), header: map[string]string{"X-Amz-Invocation-Type": "Event"}},
			status:  413, errType: "RequestTooLargeException", body: "smaller than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.request.send(t, server)
			if a.status != tt.status {
				t.Errorf("status %d, want %d", a.status, tt.status)
			}
			for name, want := range map[string]string{"X-Amzn-ErrorType": tt.errType, "X-Amz-Function-Error": tt.failed} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			version := ""
			if tt.status == 200 {
				version = "$LATEST"
			}
			if got := a.header.Get("X-Amz-Executed-Version"); got != version {
				t.Errorf("X-Amz-Executed-Version is %q, want %q", got, version)
			}
			if a.header.Get("X-Amzn-RequestId") == "" {
				t.Error("no X-Amzn-RequestId")
			}
			if !strings.Contains(a.body, tt.body) {
				t.Errorf("%q is not in the body:\n%.1000s", tt.body, a.body)
			}
			log, err := base64.StdEncoding.DecodeString(a.header.Get("X-Amz-Log-Result"))
			if err != nil {
				t.Errorf("X-Amz-Log-Result: %v", err)
			}
			if !strings.Contains(string(log), tt.log) || tt.request.header["X-Amz-Log-Type"] == "" && len(log) > 0 {
				t.Errorf("the log is %q, want %q in it", log, tt.log)
			}
		})
	}
}

// spaces returns an empty event of n bytes.
func spaces(n int) []byte {
	return append(bytes.Repeat([]byte(" "), n-2), "{}"...)
}

func TestInvokeAPIRequestIDIsTheFunctions(t *testing.T) {
	a := request{body: []byte(`{"do":"describe"}`)}.send(t, serve(t, newFunction(t, "handler")))
	if id := a.header.Get("X-Amzn-RequestId"); !strings.Contains(a.body, `"AwsRequestID":"`+id+`"`) {
		t.Errorf("%s is not in the body:\n%s", id, a.body)
	}
}

func TestInvokeAPIThrottlesAndQueues(t *testing.T) {
	f, g := newFunction(t, "handler"), newGate(t)
	f.Concurrency = 1
	server := serve(t, f)
	first := inFlight(t, f, g, "call")

	a := request{}.send(t, server)
	want := `{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}`
	if a.status != 429 || a.header.Get("X-Amzn-ErrorType") != "TooManyRequestsException" || strings.TrimSpace(a.body) != want {
		t.Errorf("synchronous: got %d %s\n%s, want 429 TooManyRequestsException\n%s", a.status, a.header.Get("X-Amzn-ErrorType"), a.body, want)
	}

	later := request{
		header: map[string]string{"X-Amz-Invocation-Type": "Event"},
		body:   event(t, order{Do: "call", Text: g.url}),
	}
	if a := later.send(t, server); a.status != 202 || a.body != "" || a.header.Get("X-Amzn-RequestId") == "" {
		t.Errorf("asynchronous: got %d %q, want 202, no body and a request id", a.status, a.body)
	}
	select {
	case <-g.arrived:
		t.Error("the event ran without a free environment")
	default:
	}
	close(g.open)
	decode(t, (<-first).Response)
	<-g.arrived // the event's turn
}

func TestInvokeAPIAfterClose(t *testing.T) {
	f := newFunction(t, "handler")
	server := serve(t, f)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if a := (request{}).send(t, server); a.status != 500 || a.header.Get("X-Amzn-ErrorType") != "ServiceException" {
		t.Errorf("synchronous: got %d %s, want 500 ServiceException", a.status, a.header.Get("X-Amzn-ErrorType"))
	}
	if a := (request{header: map[string]string{"X-Amz-Invocation-Type": "Event"}}).send(t, server); a.status != 202 {
		t.Errorf("asynchronous: got %d, want 202", a.status)
	}
}
