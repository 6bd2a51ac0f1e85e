package eventbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"createkey/internal/awslocal"
)

var entries = []Entry{
	{"bus", "createkey", "API Key Ready", `{"name":"<é>","n":1}`},
	{"bus", "createkey", "API Key Rejected", `{}`},
}

// sdkEntries are the entries as the SDK's client wants them.
func sdkEntries() *sdk.PutEventsInput {
	in := &sdk.PutEventsInput{}
	for _, e := range entries {
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{
			EventBusName: &e.EventBusName, Source: &e.Source, DetailType: &e.DetailType, Detail: &e.Detail,
		})
	}
	return in
}

// recorder is an http.RoundTripper that answers nothing of use.
type recorder struct {
	requests []*http.Request
	bodies   []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	r.requests, r.bodies = append(r.requests, request), append(r.bodies, string(body))
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: request,
		Body: io.NopCloser(strings.NewReader(`{"FailedEntryCount":0,"Entries":[{"EventId":"1"},{"EventId":"2"}]}`)),
	}, err
}

func TestRequestIsThatOfTheSDKsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that both sign at the same time
		r := &recorder{}
		cfg := (&awslocal.Server{}).Config()
		cfg.HTTPClient = &http.Client{Transport: r}
		if _, err := New(cfg).PutEvents(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		if _, err := sdk.NewFromConfig(cfg).PutEvents(t.Context(), sdkEntries()); err != nil {
			t.Fatal(err)
		}
		ours, theirs := r.requests[0], r.requests[1]
		if ours.URL.String() != theirs.URL.String() || ours.Method != theirs.Method || ours.ContentLength != int64(len(r.bodies[0])) {
			t.Errorf("%s %s of %d bytes, want %s %s", ours.Method, ours.URL, ours.ContentLength, theirs.Method, theirs.URL)
		}
		for _, name := range []string{"Content-Type", "X-Amz-Target", "X-Amz-Date", "Amz-Sdk-Request"} {
			if got, want := ours.Header.Get(name), theirs.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		scope := func(r *http.Request) string {
			scope, _, _ := strings.Cut(r.Header.Get("Authorization"), ",")
			return scope
		}
		if scope(ours) != scope(theirs) || !strings.Contains(scope(ours), "/us-east-1/events/aws4_request") {
			t.Errorf("signed as %q, want %q", scope(ours), scope(theirs))
		}
		if !strings.HasPrefix(ours.Header.Get("User-Agent"), "aws-sdk-go-v2/") {
			t.Error("the user agent is not the SDK's")
		}
		if strings.TrimSpace(r.bodies[0]) == "" || len(r.bodies[0]) > len(r.bodies[1])+1 {
			t.Errorf("the body has %d bytes, want %d", len(r.bodies[0]), len(r.bodies[1]))
		}
		var got, want any
		if err := errors.Join(json.Unmarshal([]byte(r.bodies[0]), &got), json.Unmarshal([]byte(r.bodies[1]), &want)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the body is %s, want %s", r.bodies[0], r.bodies[1])
		}
	})
}

// Every partition, and one Region that nobody knows yet.
var regions = []string{
	"us-east-1", "eu-central-1", "ap-southeast-7", "mx-central-1", "us-gov-east-1", "us-gov-west-1", "cn-north-1", "cn-northwest-1",
	"us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1", "eusc-de-east-1", "us-east-99",
}

func TestEndpointIsThatOfTheSDKsClient(t *testing.T) {
	for _, region := range regions {
		for _, fips := range []aws.FIPSEndpointState{aws.FIPSEndpointStateDisabled, aws.FIPSEndpointStateEnabled} {
			for _, dual := range []aws.DualStackEndpointState{aws.DualStackEndpointStateDisabled, aws.DualStackEndpointStateEnabled} {
				isFIPS, isDual := fips == aws.FIPSEndpointStateEnabled, dual == aws.DualStackEndpointStateEnabled
				want, wantErr := sdk.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), sdk.EndpointParameters{Region: &region, UseFIPS: &isFIPS, UseDualStack: &isDual})
				c := New(aws.Config{Region: region})
				c.sdk.EndpointOptions.UseFIPSEndpoint, c.sdk.EndpointOptions.UseDualStackEndpoint = fips, dual
				got, err := c.Endpoint(t.Context())
				if (err != nil) != (wantErr != nil) || err == nil && got.String() != want.URI.String() {
					t.Errorf("%s, FIPS %t, dual stack %t: %v, %v, want %v, %v", region, isFIPS, isDual, got, err, want.URI.String(), wantErr)
				}
			}
		}
	}
}

func TestConfiguredEndpointIsThatOfTheSDKsClient(t *testing.T) {
	for _, env := range []map[string]string{
		{},
		{"AWS_ENDPOINT_URL": "http://all:1"},
		{"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://events:2/path"},
		{"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://events:2"},
		{"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://secrets:3"},
		{"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://events:2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
		{"AWS_USE_FIPS_ENDPOINT": "true"},
		{"AWS_USE_DUALSTACK_ENDPOINT": "true"},
	} {
		t.Run(fmt.Sprint(env), func(t *testing.T) {
			t.Setenv("AWS_REGION", "eu-west-1")
			t.Setenv("AWS_ACCESS_KEY_ID", "test")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
			t.Setenv("AWS_CA_BUNDLE", "") // else only the SDK's own HTTP client would do
			t.Setenv("AWS_CONFIG_FILE", "none")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
			for name, value := range env {
				t.Setenv(name, value)
			}
			r := &recorder{}
			cfg, err := config.LoadDefaultConfig(t.Context(), config.WithHTTPClient(&http.Client{Transport: r}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = New(cfg).PutEvents(t.Context(), entries)
			_, sdkErr := sdk.NewFromConfig(cfg).PutEvents(t.Context(), sdkEntries())
			if err != nil || sdkErr != nil {
				t.Fatal(err, sdkErr)
			}
			if got, want := r.requests[0].URL.String(), r.requests[1].URL.String(); got != want {
				t.Errorf("called %s, want %s", got, want)
			}
		})
	}
}

func TestPutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &awslocal.Server{RefuseEvent: func(e awslocal.Event) *awslocal.Error {
			if e.DetailType == "API Key Rejected" {
				return &awslocal.Error{Code: "ThrottlingException", Message: "slow down"}
			}
			return nil
		}}
		results, err := New(server.Config()).PutEvents(t.Context(), entries)
		if err != nil || len(results) != 2 || results[0].EventID == "" || results[0].ErrorCode != "" ||
			results[1] != (Result{ErrorCode: "ThrottlingException", ErrorMessage: "slow down"}) {
			t.Errorf("answered %+v, %v", results, err)
		}
		taken := server.Events()
		if len(taken) != 1 || taken[0].Bus != "bus" || taken[0].Source != "createkey" || taken[0].Detail != entries[0].Detail {
			t.Errorf("the bus has taken %+v", taken)
		}
	})
}

// The SDK's own retry is at work, as for every other call.
func TestFailuresAreRetriedAsTheSDKDoes(t *testing.T) {
	for name, test := range map[string]struct {
		fault error
		calls int
		code  string
	}{
		"a lost connection": {awslocal.ErrConnectionLost, 3, ""},
		"500":               {awslocal.InternalFailure, 3, "InternalFailure"},
		"503":               {awslocal.ServiceUnavailable, 3, "ServiceUnavailableException"},
		"a throttle":        {awslocal.Throttling, 3, "ThrottlingException"},
		"a denial":          {awslocal.AccessDenied, 1, "AccessDeniedException"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &awslocal.Server{Before: func(context.Context, awslocal.Call) error { return test.fault }}
				_, err := New(server.Config()).PutEvents(t.Context(), entries)
				var api smithy.APIError
				if err == nil || errors.As(err, &api) != (test.code != "") || api != nil && api.ErrorCode() != test.code {
					t.Errorf("failed with %v, want code %q", err, test.code)
				}
				if calls := len(server.Calls()); calls != test.calls {
					t.Errorf("%d attempts, want %d", calls, test.calls)
				}
			})
		})
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &awslocal.Server{Before: func(ctx context.Context, _ awslocal.Call) error { <-ctx.Done(); return ctx.Err() }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := New(server.Config()).PutEvents(ctx, entries); err == nil || time.Since(start) != time.Second {
			t.Errorf("ended after %v with %v", time.Since(start), err)
		}
	})
}

// What does not say that an event was taken is no success.
func TestAnswerThatLeavesAnEventInDoubtIsAnError(t *testing.T) {
	for _, answer := range []string{
		``, `{`, `null`, `[]`, `{}`,
		`{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`,
		`{"FailedEntryCount":1,"Entries":[{"EventId":"1"},{"EventId":"2"}]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg := (&awslocal.Server{}).Config()
			cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(answer))}, nil
			})}
			if results, err := New(cfg).PutEvents(t.Context(), entries); err == nil {
				t.Errorf("%s: taken for %+v", answer, results)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
