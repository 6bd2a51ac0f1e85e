// Package awslocal is an embedded local AWS for tests and the local runner: an http.Handler
// for API Gateway's API keys and usage plans (REST-JSON 1), Secrets Manager and EventBridge's
// PutEvents (JSON 1.1), and for sending to an SQS queue and reading it (JSON 1.0). The
// unmodified Go SDK clients, boto3 and the AWS CLI work with it.
//
// It guarantees:
//
//   - An operation takes effect completely or not at all, and operations take
//     effect one after another.
//   - It answers as AWS does where AWS's behaviour is known. The cases of package
//     conformance list those behaviours with their sources; where AWS's answer is
//     not known, the comment beside it says "unconfirmed".
//   - Faults are hooks and fields of the [Server]: refusals, lost answers, delays,
//     stale reads and quotas are all off in its zero value.
//   - It logs nothing, and the state that it returns prints key values and secrets
//     as REDACTED (see [Sensitive]).
//
// Signatures and permissions are not checked: any credentials work. The SDK's clients reach it
// in process, so that testing/synctest's virtual time works, and all others over HTTP:
//
//	var account awslocal.Server
//	client := apigateway.NewFromConfig(account.Config())
//	server := httptest.NewServer(&account) // AWS_ENDPOINT_URL is server.URL
package awslocal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Region and AccountID are those of every ARN.
	Region    = "us-east-1"
	AccountID = "123456789012"

	// maxBody bounds a request body. API Gateway's largest member, a description, has 125,000
	// characters; a secret 65,536 bytes, each up to six in JSON; the events or messages of a
	// call a megabyte, most of it JSON in JSON.
	maxBody = 8 << 20
)

// A Server is a local AWS. Its zero value is an empty account without faults.
// Exported fields are set before first use and not changed afterwards. Its methods
// may be called concurrently; it must not be copied.
//
// Before, After and Lag are called without any lock held, and may block. Before and After get
// the request's context: over HTTP it ends when the client goes away; in process (Transport)
// it is the caller's own, so a hook can tell callers apart by a context value.
type Server struct {
	// Before is called before an operation takes effect. If it returns an error, there is no
	// effect; an *Error is the answer, any other error cuts the connection.
	Before func(ctx context.Context, c Call) error
	// After is called once the service has decided: the call has taken effect, or was
	// refused (c.Code says so). An error replaces the answer, as with Before.
	After func(ctx context.Context, c Call) error
	// Lag returns how stale a read is: the read sees no creation, change or deletion younger
	// than that. Writes and their checks always see everything.
	Lag func(c Call) time.Duration
	// Quotas throttles API Gateway. Zero means unlimited; AWSQuotas has AWS's own.
	Quotas Quotas
	// PlanKeyWindow is how long after a CreateUsagePlanKey that took effect the next is refused
	// with ConcurrentModification: about a second, AWS support says
	// (https://github.com/serverless/serverless/issues/12065).
	PlanKeyWindow time.Duration
	// ListTags makes GetApiKeys return the keys' tags. AWS has been seen to do so, but does
	// not document it: nothing may rely on either.
	ListTags bool
	// NameRelease is how long the name of a secret that was deleted without a recovery window
	// stays taken: AWS frees it asynchronously. Until then the secret counts as scheduled for
	// deletion.
	NameRelease time.Duration
	// Stages are the known API stages, as "restApiId/stage". Nil: every stage is known.
	Stages map[string]bool
	// Buses are the names of the known event buses; "default" always is known. An event for
	// any other is answered as accepted, and lost. Nil: every bus is known.
	Buses map[string]bool
	// RefuseEvent is called, under a lock, before a bus accepts an event. An error is that
	// entry's ErrorCode and ErrorMessage; the other entries are not affected.
	RefuseEvent func(e Event) *Error
	// Queues are the names of the known queues, in addition to those that CreateQueue makes.
	// Nil: every queue is known. A queue whose name ends in .fifo is FIFO.
	Queues map[string]bool
	// RefuseMessage is called, under a lock, before a queue accepts a message. An error is that
	// entry's Code and Message, the sender's fault unless its Status is 500 or more; the other
	// entries are not affected.
	RefuseMessage func(m Message) *Error
	// Now is the clock. It is called under a lock. Nil: time.Now.
	Now func() time.Time
	// Rand is the source of ids, ARN suffixes and generated values. It is read under a lock.
	// Nil: crypto/rand.
	Rand io.Reader

	mu           sync.Mutex // guards all below
	seq          int
	calls        []Call
	keys         table[Key]
	keyIDs       map[string]string // value of every key that exists -> its id
	plans        table[UsagePlan]
	planKeys     table[planKey]
	planKeyMade  time.Time // when CreateUsagePlanKey last took effect
	secrets      table[Secret]
	events       []Event
	queues       map[string]bool // made by CreateQueue
	messages     []Message
	createKeys   *rate.Limiter
	controlPlane *rate.Limiter
}

// A Call describes one request.
type Call struct {
	Seq       int // 1, 2, 3 … in order of arrival
	At        time.Time
	Service   string // "apigateway", "secretsmanager", "events" or "sqs"; "" if unknown
	Operation string // such as "CreateApiKey"; "" when unknown
	Method    string
	Path      string // escaped
	Query     string // encoded, without position, which holds a key's value
	Resource  string // Secrets Manager: the secret's name or ARN as sent; EventBridge: the first entry's bus; SQS: the queue's name
	// Tagged reports whether the request creates something with tags, for which IAM requires
	// a separate permission.
	Tagged bool

	// The outcome; not yet set in Before's argument.
	Throttled bool   // by Server.Quotas
	Code      string // the error code answered, ConnectionLost, or "" on success
}

// ConnectionLost is the Code of a call whose connection was cut.
const ConnectionLost = "ConnectionLost"

// A service recognises its requests, and encodes its errors.
type service struct {
	name        string
	contentType string
	// find returns the operation that r asks for, or false.
	find func(r *http.Request) (operation, bool)
	// describe adds to the call what only the body says. May be nil.
	describe func(body []byte, c *Call)
	// fault encodes an error: its HTTP status and body.
	fault func(e *Error) (status int, body any)
	// queryCode returns the code that AWS sends in X-Amzn-Query-Error beside an error's, or
	// "". May be nil.
	queryCode func(code string) string
}

// byTarget finds the operations of a service whose calls name them in a header, after a prefix
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html). It takes the table by
// address, because the table is filled in after the services are made.
func byTarget(prefix string, operations *map[string]func(*Server, *request) (any, error)) func(*http.Request) (operation, bool) {
	return func(r *http.Request) (operation, bool) {
		name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), prefix)
		run := (*operations)[name]
		return operation{name: name, status: http.StatusOK, run: run}, ok && run != nil
	}
}

// services are asked in this order. A new service is one more file.
var services = []service{secretsManager, eventBridge, sqs, apiGateway}

// An operation is one AWS operation, found by its request.
type operation struct {
	name   string
	status int               // of a success
	params map[string]string // of the path
	run    func(s *Server, r *request) (any, error)
}

// A request is an operation's input. Operations run under the Server's lock.
type request struct {
	operation
	http *http.Request
	body []byte
	now  time.Time // when it takes effect
	asOf time.Time // what a read sees: nothing younger
}

// A response is an encoded answer.
type response struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP answers one AWS request. If a hook cuts the connection it panics with
// http.ErrAbortHandler, as net/http expects.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := s.serve(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body) // the client may be gone
}

// serve answers r. An error means that there is no answer: the connection is lost.
func (s *Server) serve(r *http.Request) (*response, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading request: %w", err)
	}
	svc, op := find(r)
	call := s.arrive(r, svc, op, body)

	out, err := s.perform(r.Context(), &call, &request{operation: op, http: r, body: body})
	var fault *Error
	switch {
	case err == nil:
		call.Code = ""
	case errors.As(err, &fault):
		call.Code = fault.Code
	default:
		call.Code = ConnectionLost
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	s.mu.Unlock()

	status, answer := op.status, out
	if fault != nil {
		status, answer = svc.fault(fault)
	} else if err != nil {
		return nil, err
	}
	resp := &response{status: status, header: http.Header{}}
	resp.header.Set("Content-Type", svc.contentType)
	resp.header.Set("X-Amzn-Requestid", fmt.Sprintf("00000000-0000-4000-8000-%012d", call.Seq))
	if fault != nil {
		resp.header.Set("X-Amzn-Errortype", fault.Code)
		if svc.queryCode != nil && svc.queryCode(fault.Code) != "" {
			resp.header.Set("X-Amzn-Query-Error", svc.queryCode(fault.Code)+";Sender")
		}
		if status == http.StatusTooManyRequests {
			resp.header.Set("Retry-After", "1")
		}
	}
	if answer != nil {
		if resp.body, err = json.Marshal(answer); err != nil {
			return nil, fmt.Errorf("%s: %w", op.name, err)
		}
	}
	return resp, nil
}

// find returns the service and the operation of a request. An unknown operation always
// refuses.
func find(r *http.Request) (service, operation) {
	for _, svc := range services {
		if op, ok := svc.find(r); ok {
			return svc, op
		}
	}
	svc := apiGateway
	if r.Header.Get("X-Amz-Target") != "" {
		svc = secretsManager // unknown, but answered in the same JSON 1.1
	}
	svc.name, svc.describe = "", nil
	return svc, operation{run: func(_ *Server, r *request) (any, error) {
		return nil, &Error{
			Status:  http.StatusNotFound,
			Code:    "UnknownOperationException",
			Message: fmt.Sprintf("awslocal does not know %s %s %s", r.http.Method, r.http.URL.EscapedPath(), r.http.Header.Get("X-Amz-Target")),
		}
	}}
}

func (s *Server) arrive(r *http.Request, svc service, op operation, body []byte) Call {
	call := Call{
		Service:   svc.name,
		Operation: op.name,
		Method:    r.Method,
		Path:      r.URL.EscapedPath(),
		Query:     withoutPosition(r.URL.Query()),
	}
	if svc.describe != nil {
		svc.describe(body, &call)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	call.Seq = s.seq
	call.At = s.now()
	return call
}

func withoutPosition(query url.Values) string {
	query.Del("position")
	return query.Encode()
}

// perform calls the hooks, and between them lets the operation take effect.
func (s *Server) perform(ctx context.Context, call *Call, r *request) (any, error) {
	if s.Before != nil {
		if err := s.Before(ctx, *call); err != nil {
			return nil, err
		}
	}
	out, err := s.effect(call, r)
	if fault := (*Error)(nil); errors.As(err, &fault) {
		call.Code = fault.Code
	}
	if s.After != nil {
		if err := s.After(ctx, *call); err != nil {
			return nil, err
		}
	}
	return out, err
}

func (s *Server) effect(call *Call, r *request) (any, error) {
	var lag time.Duration
	if s.Lag != nil {
		lag = max(0, s.Lag(*call))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.now = s.now()
	r.asOf = r.now.Add(-lag)
	if len(r.body) > maxBody {
		return nil, &Error{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request body is over 8 MiB"}
	}
	if call.Service == apiGateway.name && !s.admit(call.Operation, r.now) {
		call.Throttled = true
		return nil, TooManyRequests
	}
	return r.run(s, r)
}

// Calls returns every call answered or cut since the last ResetCalls, in order of arrival.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := slices.Clone(s.calls)
	slices.SortFunc(calls, func(a, b Call) int { return a.Seq - b.Seq })
	return calls
}

// ResetCalls forgets the calls so far. Seq continues.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

func (s *Server) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// decode decodes a request body. An empty one is an empty document.
func decode[T any](body []byte) (T, error) {
	var v T
	if len(body) == 0 {
		return v, nil
	}
	err := json.Unmarshal(body, &v)
	if err == nil {
		return v, nil
	}
	// The decoder's own message may quote the input, which may hold a key's value.
	fault := &Error{http.StatusBadRequest, "SerializationException", "Request body is not valid JSON"}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		fault.Message = fmt.Sprintf("%s: wrong type, want %s", mismatch.Field, mismatch.Type.Kind())
	}
	return v, fault
}
