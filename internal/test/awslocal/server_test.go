package awslocal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"createkey/internal/test/awslocal"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
)

const value = "not-a-real-api-key-value-0001"

// clients returns SDK clients that do not retry.
func clients(cfg aws.Config) (*apigateway.Client, *secretsmanager.Client) {
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)
}

// code returns an error's AWS error code, "" for nil.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	default:
		return "not an AWS error"
	}
}

func create(t *testing.T, gw *apigateway.Client, in *apigateway.CreateApiKeyInput) *apigateway.CreateApiKeyOutput {
	t.Helper()
	out, err := gw.CreateApiKey(t.Context(), in)
	if err != nil {
		t.Fatalf("CreateApiKey: %v", err)
	}
	return out
}

func TestHooks(t *testing.T) {
	tests := []struct {
		name          string
		before, after error
		wantCode      string // of the SDK's error
		wantCall      string // Call.Code
		wantKeys      int
	}{
		{name: "none", wantKeys: 1},
		{name: "refused before", before: awslocal.AccessDenied, wantCode: "AccessDeniedException", wantCall: "AccessDeniedException"},
		{name: "throttled before", before: awslocal.TooManyRequests, wantCode: "TooManyRequestsException", wantCall: "TooManyRequestsException"},
		{name: "wrapped", before: fmt.Errorf("wrapped: %w", awslocal.ConcurrentModification), wantCode: "ConflictException", wantCall: "ConflictException"},
		{name: "lost before", before: awslocal.ErrConnectionLost, wantCode: "not an AWS error", wantCall: awslocal.ConnectionLost},
		{name: "wrong answer after", after: awslocal.InternalFailure, wantCode: "InternalFailure", wantCall: "InternalFailure", wantKeys: 1},
		{name: "lost after", after: awslocal.ErrConnectionLost, wantCode: "not an AWS error", wantCall: awslocal.ConnectionLost, wantKeys: 1},
	}
	for _, transport := range []string{"in process", "over HTTP"} {
		for _, tt := range tests {
			t.Run(transport+"/"+tt.name, func(t *testing.T) {
				s := &awslocal.Server{
					Before: func(context.Context, awslocal.Call) error { return tt.before },
					After:  func(context.Context, awslocal.Call) error { return tt.after },
				}
				cfg := s.Config()
				if transport == "over HTTP" {
					srv := httptest.NewServer(s)
					defer srv.Close()
					cfg.BaseEndpoint, cfg.HTTPClient = &srv.URL, srv.Client()
				}
				gw, _ := clients(cfg)
				_, err := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{})
				if got := code(err); got != tt.wantCode {
					t.Errorf("error code %q, want %q", got, tt.wantCode)
				}
				if got := len(s.Keys()); got != tt.wantKeys {
					t.Errorf("%d keys, want %d", got, tt.wantKeys)
				}
				// net/http may retry after an earlier cut: the last call counts.
				calls := s.Calls()
				if len(calls) == 0 {
					t.Fatal("no call recorded")
				}
				if last := calls[len(calls)-1]; last.Operation != "CreateApiKey" || last.Code != tt.wantCall {
					t.Errorf("recorded %s %q, want CreateApiKey %q", last.Operation, last.Code, tt.wantCall)
				}
			})
		}
	}
}

func TestAfterSeesTheOutcome(t *testing.T) {
	var seen []string
	s := &awslocal.Server{
		Quotas: awslocal.Quotas{CreateApiKeyPerSecond: 2},
		After: func(_ context.Context, c awslocal.Call) error {
			seen = append(seen, fmt.Sprintf("%s %t", c.Code, c.Throttled))
			return nil
		},
	}
	gw, _ := clients(s.Config())
	for range 3 {
		_, _ = gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{Value: aws.String(value)})
	}
	want := []string{" false", "ConflictException false", "TooManyRequestsException true"}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("After saw %q, want %q", seen, want)
	}
}

// A client that gives up gets its context's error at once, although the hook still holds the
// call; the call may take effect afterwards.
func TestHungCall(t *testing.T) {
	tests := []struct {
		name     string
		hook     func(ctx context.Context) error
		wantKeys int
	}{
		{"hook gives up with the client", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, 0},
		{"hook lets it pass later", func(context.Context) error { time.Sleep(time.Hour); return nil }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &awslocal.Server{Before: func(ctx context.Context, _ awslocal.Call) error { return tt.hook(ctx) }}
				gw, _ := clients(s.Config())
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := gw.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the deadline's error", err)
				}
				if waited := time.Since(start); waited != time.Minute {
					t.Errorf("waited %v, want 1m", waited)
				}
				time.Sleep(2 * time.Hour)
				if got := len(s.Keys()); got != tt.wantKeys {
					t.Errorf("%d keys, want %d", got, tt.wantKeys)
				}
			})
		})
	}
}

// A hook in process gets the caller's own context.
func TestHookContext(t *testing.T) {
	type caller struct{}
	var got any
	s := &awslocal.Server{Before: func(ctx context.Context, _ awslocal.Call) error {
		got = ctx.Value(caller{})
		return nil
	}}
	gw, _ := clients(s.Config())
	if _, err := gw.GetApiKeys(context.WithValue(t.Context(), caller{}, "one"), &apigateway.GetApiKeysInput{}); err != nil {
		t.Fatal(err)
	}
	if got != "one" {
		t.Errorf("hook saw %v, want the caller's value", got)
	}
}

// No lock is held while a hook runs: a hanging call does not block others.
func TestHookBlocksNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &awslocal.Server{Before: func(_ context.Context, c awslocal.Call) error {
			if c.Seq == 1 {
				<-release
			}
			return nil
		}}
		gw, _ := clients(s.Config())
		done := make(chan error)
		go func() {
			_, err := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{})
			done <- err
		}()
		synctest.Wait()
		create(t, gw, &apigateway.CreateApiKeyInput{})
		if got := len(s.Keys()); got != 1 {
			t.Errorf("%d keys while the first call hangs, want 1", got)
		}
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if calls := s.Calls(); len(calls) != 2 || calls[0].Seq != 1 {
			t.Errorf("calls are not in order of arrival: %v", calls)
		}
	})
}

func TestQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &awslocal.Server{Quotas: awslocal.AWSQuotas}
		gw, sm := clients(s.Config())
		// burst returns how many of n simultaneous calls pass.
		burst := func(n int, call func() error) (passed int) {
			for range n {
				switch err := call(); code(err) {
				case "":
					passed++
				case "TooManyRequestsException":
					if !strings.Contains(err.Error(), "Too Many Requests") {
						t.Errorf("throttle reads %v, want Too Many Requests", err)
					}
				default:
					t.Fatal(err)
				}
			}
			return passed
		}
		createKey := func() error {
			_, err := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{})
			return err
		}
		getKeys := func() error {
			_, err := gw.GetApiKeys(t.Context(), &apigateway.GetApiKeysInput{})
			return err
		}
		steps := []struct {
			name string
			wait time.Duration
			n    int
			call func() error
			want int
		}{
			{"five keys at once", 0, 20, createKey, 5},
			{"then five a second", time.Second, 20, createKey, 5},
			{"a burst of 40 control-plane calls", time.Minute, 60, getKeys, 40},
			{"then ten a second", time.Second, 60, getKeys, 10},
			{"of which creating keys is one", 100 * time.Millisecond, 5, createKey, 1},
		}
		for _, st := range steps {
			time.Sleep(st.wait)
			if got := burst(st.n, st.call); got != st.want {
				t.Errorf("%s: %d of %d passed, want %d", st.name, got, st.n, st.want)
			}
		}
		if got := len(s.Keys()); got != 11 {
			t.Errorf("%d keys, want 11: a throttled call takes no effect", got)
		}
		_, err := sm.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
		if err != nil {
			t.Errorf("Secrets Manager is not under API Gateway's quota: %v", err)
		}
	})
}

func TestMaxKeys(t *testing.T) {
	s := &awslocal.Server{Quotas: awslocal.Quotas{MaxKeys: 2}}
	s.AddKey(awslocal.Key{})
	gw, _ := clients(s.Config())
	second := create(t, gw, &apigateway.CreateApiKeyInput{Value: aws.String(value)})
	_, err := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{})
	if code(err) != "LimitExceededException" {
		t.Errorf("third key: %v, want LimitExceededException", err)
	}
	// A taken value is checked first: a repeat learns that it is one.
	_, err = gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{Value: aws.String(value)})
	if code(err) != "ConflictException" {
		t.Errorf("same value: %v, want ConflictException", err)
	}
	if _, err := gw.DeleteApiKey(t.Context(), &apigateway.DeleteApiKeyInput{ApiKey: second.Id}); err != nil {
		t.Fatal(err)
	}
	create(t, gw, &apigateway.CreateApiKeyInput{})
}

// Whatever differs per request must come from the Server's source alone, in the order of calls,
// so that a seed replays a run.
func TestDeterminism(t *testing.T) {
	run := func() string {
		clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		s := &awslocal.Server{
			Rand: rand.NewChaCha8([32]byte{1}),
			Now:  func() time.Time { clock = clock.Add(time.Second); return clock },
		}
		gw, sm := clients(s.Config())
		plan, err := gw.CreateUsagePlan(t.Context(), &apigateway.CreateUsagePlanInput{Name: aws.String("plan")})
		if err != nil {
			t.Fatal(err)
		}
		key := create(t, gw, &apigateway.CreateApiKeyInput{})
		secret, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: aws.String("a"), SecretString: aws.String("b"), ClientRequestToken: aws.String(token(1)),
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(*plan.Id, *key.Id, *key.Value, *secret.ARN, key.CreatedDate)
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs from one seed differ")
	}
}

// token returns a valid ClientRequestToken.
func token(n int) string { return fmt.Sprintf("token-%032d", n) }

func TestConcurrency(t *testing.T) {
	s := &awslocal.Server{}
	gw, sm := clients(s.Config())
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := make(map[string]int)
	for i := range 20 {
		wg.Go(func() {
			_, keyErr := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{Value: aws.String(value)})
			_, secretErr := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
				Name: aws.String("one"), SecretString: aws.String("x"), ClientRequestToken: aws.String(token(i)),
			})
			_, _ = s.Keys(), s.Secrets()
			mu.Lock()
			defer mu.Unlock()
			codes["key "+code(keyErr)]++
			codes["secret "+code(secretErr)]++
		})
	}
	wg.Wait()
	want := map[string]int{"key ": 1, "key ConflictException": 19, "secret ": 1, "secret ResourceExistsException": 19}
	if !reflect.DeepEqual(codes, want) {
		t.Errorf("got %v, want %v", codes, want)
	}
	if got := len(s.Calls()); got != 40 {
		t.Errorf("%d calls recorded, want 40", got)
	}
}

// send sends a raw request and returns status, headers and body.
func send(t *testing.T, s *awslocal.Server, method, path, target, body string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}

func TestWireErrors(t *testing.T) {
	const gw, sm = "application/json", "application/x-amz-json-1.1"
	tests := []struct {
		name, method, path, target, body string
		status                           int
		code, contentType                string
	}{
		{"unknown path", "GET", "/restapis", "", "", 404, "UnknownOperationException", gw},
		{"unknown method", "PUT", "/apikeys", "", "", 404, "UnknownOperationException", gw},
		{"ImportApiKeys", "POST", "/apikeys?mode=import&format=csv", "", "Name,Key", 404, "UnknownOperationException", gw},
		{"unknown operation", "POST", "/", "secretsmanager.RotateSecret", "{}", 400, "UnknownOperationException", sm},
		{"unknown service", "POST", "/", "AWSSecurityTokenServiceV20110615.GetCallerIdentity", "{}", 400, "UnknownOperationException", sm},
		{"no JSON", "POST", "/apikeys", "", "{", 400, "SerializationException", gw},
		{"text after the document", "POST", "/apikeys", "", "{} {}", 400, "SerializationException", gw},
		{"string for a boolean", "POST", "/apikeys", "", `{"enabled":"true"}`, 400, "SerializationException", gw},
		{"number for a string", "POST", "/apikeys", "", `{"value":12345678901234567890}`, 400, "SerializationException", gw},
		{"number for a string", "POST", "/", "secretsmanager.CreateSecret", `{"Name":"a","SecretString":1}`, 400, "SerializationException", sm},
		{"body over 8 MiB", "POST", "/apikeys", "", `{"name":"` + strings.Repeat("x", 8<<20) + `"}`, 413, "RequestEntityTooLargeException", gw},
		{"no token", "POST", "/", "secretsmanager.CreateSecret", `{"Name":"a","SecretString":"1"}`, 400, "InvalidRequestException", sm},
		{"bad limit", "GET", "/apikeys?limit=x", "", "", 400, "BadRequestException", gw},
		{"bad position", "GET", "/apikeys?position=x", "", "", 400, "BadRequestException", gw},
		{"bad page token", "POST", "/", "secretsmanager.ListSecrets", `{"NextToken":"x"}`, 400, "InvalidNextTokenException", sm},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &awslocal.Server{}
			status, header, body := send(t, s, tt.method, tt.path, tt.target, tt.body)
			if status != tt.status || header.Get("X-Amzn-Errortype") != tt.code || header.Get("Content-Type") != tt.contentType {
				t.Errorf("got %d %q %q, want %d %q %q", status, header.Get("X-Amzn-Errortype"), header.Get("Content-Type"),
					tt.status, tt.code, tt.contentType)
			}
			var doc map[string]string
			if err := json.Unmarshal([]byte(body), &doc); err != nil {
				t.Fatalf("body is no JSON object: %v", err)
			}
			if doc["message"]+doc["Message"] == "" || tt.contentType == sm && doc["__type"] != tt.code {
				t.Errorf("body %s lacks its message or type", body)
			}
			if strings.Contains(body, "1234567890") {
				t.Error("body quotes the request")
			}
			if len(s.Keys())+len(s.Secrets()) != 0 {
				t.Error("a refused request took effect")
			}
			if calls := s.Calls(); len(calls) != 1 || calls[0].Code != tt.code {
				t.Errorf("calls %v, want one with %s", calls, tt.code)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	s := &awslocal.Server{Quotas: awslocal.Quotas{MaxKeys: 1, CreateApiKeyPerSecond: 2}, Now: func() time.Time { return time.Unix(0, 0) }}
	for i, want := range []struct{ code, retryAfter string }{
		{"", ""}, {"LimitExceededException", "1"}, {"TooManyRequestsException", "1"},
	} {
		_, header, _ := send(t, s, "POST", "/apikeys", "", "{}")
		if header.Get("X-Amzn-Errortype") != want.code || header.Get("Retry-After") != want.retryAfter {
			t.Errorf("call %d: %q, Retry-After %q, want %v", i+1, header.Get("X-Amzn-Errortype"), header.Get("Retry-After"), want)
		}
	}
}

func TestCalls(t *testing.T) {
	s := &awslocal.Server{}
	key := s.AddKey(awslocal.Key{ID: "key"})
	gw, sm := clients(s.Config())
	_, _ = sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("a/b"), SecretString: aws.String(value), Tags: []smtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	})
	_, _ = sm.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("nowhere")})
	_, _ = gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{Value: aws.String(value), Tags: map[string]string{"k": "v"}})
	_, _ = gw.TagResource(t.Context(), &apigateway.TagResourceInput{
		ResourceArn: aws.String("arn:aws:apigateway:us-east-1::/apikeys/" + key.ID), Tags: map[string]string{"k": "v"},
	})
	_, _ = gw.GetApiKeys(t.Context(), &apigateway.GetApiKeysInput{IncludeValues: aws.Bool(true), NameQuery: aws.String("n")})

	var got []string
	for _, c := range s.Calls() {
		got = append(got, fmt.Sprint(c.Seq, " ", c.Service, " ", c.Operation, " ", c.Method, " ", c.Path, " ", c.Query, " ", c.Resource, " ", c.Tagged, " ", c.Code))
	}
	want := []string{
		"1 secretsmanager CreateSecret POST /  a/b true ",
		"2 secretsmanager GetSecretValue POST /  nowhere false ResourceNotFoundException",
		"3 apigateway CreateApiKey POST /apikeys   true ",
		"4 apigateway TagResource PUT /tags/arn%3Aaws%3Aapigateway%3Aus-east-1%3A%3A%2Fapikeys%2Fkey   true ",
		"5 apigateway GetApiKeys GET /apikeys includeValues=true&name=n  false ",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s.ResetCalls()
	_, _ = gw.GetApiKeys(t.Context(), &apigateway.GetApiKeysInput{})
	if calls := s.Calls(); len(calls) != 1 || calls[0].Seq != 6 {
		t.Errorf("after ResetCalls: %v, want one call with Seq 6", calls)
	}
}

// Returned state is a copy, and prints without values.
func TestState(t *testing.T) {
	s := &awslocal.Server{}
	gw, sm := clients(s.Config())
	create(t, gw, &apigateway.CreateApiKeyInput{Value: aws.String(value), Tags: map[string]string{"k": "v"}})
	if _, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("a"), SecretString: aws.String(value)}); err != nil {
		t.Fatal(err)
	}
	keys, secrets := s.Keys(), s.Secrets()
	if string(keys[0].Value) != value || string(secrets[0].Current().String) != value {
		t.Fatal("value differs")
	}
	keys[0].Tags["k"] = "changed"
	secrets[0].Versions[0].Stages[0] = "changed"
	if s.Keys()[0].Tags["k"] != "v" || s.Secrets()[0].Versions[0].Stages[0] != "AWSCURRENT" {
		t.Error("changing a copy changed the Server")
	}

	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("", "keys", keys, "secrets", secrets, "value", keys[0].Value)
	}
	doc, err := json.Marshal([]any{keys, secrets})
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q %x", keys, secrets, secrets, keys[0].Value, keys[0].Value, keys[0].Value)
	for form, text := range map[string]string{"fmt": printed, "slog": log.String(), "JSON": string(doc)} {
		if strings.Contains(text, value) || strings.Contains(text, fmt.Sprintf("%x", value)) {
			t.Errorf("%s shows the value", form)
		}
	}
}

// On AWS a position of GetApiKeys holds a key's value, so that a leaked URL leaks a key. Tests
// that look for leaks need the same here, and the record of calls must not be one.
func TestPositionIsNotRecorded(t *testing.T) {
	s := &awslocal.Server{}
	s.AddKey(awslocal.Key{Value: value})
	s.AddKey(awslocal.Key{})
	gw, _ := clients(s.Config())
	in := &apigateway.GetApiKeysInput{Limit: aws.Int32(1)}
	for range 2 {
		out, err := gw.GetApiKeys(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		in.Position = out.Position
	}
	if in.Position != nil {
		t.Error("the second of two pages has a position, want none")
	}
	for i, c := range s.Calls() {
		if c.Query != "limit=1" {
			t.Errorf("call %d has query parameters other than limit", i+1)
		}
	}
}
