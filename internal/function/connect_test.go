package function

import (
	"context"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"createkey/internal/test/awslocal"
)

// overTLS serves a local AWS over TLS.
func overTLS(t *testing.T, server *awslocal.Server, http2 bool) aws.Config {
	endpoint := httptest.NewUnstartedServer(server)
	endpoint.EnableHTTP2 = http2
	endpoint.Config.ErrorLog = log.New(io.Discard, "", 0) // silences rejected handshakes
	endpoint.StartTLS()
	t.Cleanup(endpoint.Close)
	cfg := server.Config()
	cfg.BaseEndpoint = &endpoint.URL
	cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		// The SDK closes a request's body when the answer is there, and net/http then drops a
		// connection that is still writing its request: a race that a server in the same
		// process wins now and then, and AWS never.
		written := make(chan struct{})
		ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			WroteRequest: func(httptrace.WroteRequestInfo) { close(written) },
		})
		response, err := endpoint.Client().Transport.RoundTrip(r.WithContext(ctx))
		if err == nil {
			<-written
		}
		return response, err
	})}
	return cfg
}

func TestConnect_TheFirstMessageUsesTheConnections(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			server := &awslocal.Server{}
			h := New(overTLS(t, server, http2), Settings{SecretPrefix: "test/", CreateKeyRate: 1e6, OutcomeBus: "bus", DeadLetterQueueURL: lettersURL}, NewLogger(io.Discard, ""))
			h.Connect(t.Context())
			for _, c := range server.Calls() {
				if c.Operation != "" {
					t.Errorf("connecting called %s", c.Operation)
				}
			}
			reused := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
				if c.Reused {
					reused++
				}
			}})
			if _, err := h.Invoke(ctx, []byte(sqsBatch(named("k"), faulty("k")))); err != nil {
				t.Fatal(err)
			}
			if reused != 5 {
				t.Errorf("%d of the messages' 5 calls reused a connection, want all", reused)
			}
		})
	}
}

// Nobody answers, the certificate is unknown, the endpoint does not resolve: the function
// starts all the same, and handles messages once the fault is gone.
func TestConnect_FailureIsHarmless(t *testing.T) {
	server := &awslocal.Server{}
	trusting := overTLS(t, server, false)
	refused, untrusting, unresolved := trusting.Copy(), trusting.Copy(), trusting.Copy()
	refused.BaseEndpoint = aws.String("https://127.0.0.1:1")
	untrusting.HTTPClient = awshttp.NewBuildableClient()
	unresolved.BaseEndpoint = aws.String("https://%zz")
	for name, cfg := range map[string]aws.Config{"refused": refused, "untrusted": untrusting, "unresolved": unresolved} {
		t.Run(name, func(t *testing.T) {
			h := New(cfg, Settings{SecretPrefix: "test/", CreateKeyRate: 1e6, OutcomeBus: "bus"}, NewLogger(io.Discard, ""))
			h.Connect(t.Context())
			if calls := server.Calls(); len(calls) > 0 {
				t.Errorf("AWS was called while unreachable: %v", calls)
			}
		})
	}
}

func TestConnect_AHangIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := (&awslocal.Server{}).Config()
		cfg.BaseEndpoint = aws.String("https://awslocal.invalid")
		var hanging atomic.Int32
		cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			hanging.Add(1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		h := New(cfg, Settings{SecretPrefix: "test/", CreateKeyRate: 1e6}, NewLogger(io.Discard, ""))
		start := time.Now()
		h.Connect(t.Context())
		if took := time.Since(start); took != connectTimeout || hanging.Load() != 2 {
			t.Errorf("%d requests took %s, want 2 that take %s", hanging.Load(), took, connectTimeout)
		}
	})
}

func TestConnect_PlainHTTPIsLeftAlone(t *testing.T) {
	server := &awslocal.Server{}
	h := New(server.Config(), Settings{SecretPrefix: "test/", CreateKeyRate: 1e6, OutcomeBus: "bus"}, NewLogger(io.Discard, ""))
	h.Connect(t.Context())
	if calls := server.Calls(); len(calls) > 0 {
		t.Errorf("AWS was called over plain HTTP: %v", calls)
	}
}

// Whatever is configured, connections go to the hosts that the calls go to.
func TestConnect_EndpointsAreThoseOfTheCalls(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"plain":            {},
		"China":            {"AWS_REGION": "cn-north-1"},
		"FIPS":             {"AWS_USE_FIPS_ENDPOINT": "true"},
		"dual-stack":       {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
		"own, for all":     {"AWS_ENDPOINT_URL": "https://aws.invalid:4566"},
		"own, for one":     {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://vpce.invalid"},
		"own, but ignored": {"AWS_ENDPOINT_URL": "https://aws.invalid", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range map[string]string{
				"AWS_REGION": awslocal.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_CA_BUNDLE": "",
				"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
			} {
				t.Setenv(name, value)
			}
			for name, value := range env {
				t.Setenv(name, value)
			}
			server := &awslocal.Server{}
			connected, called := make(chan string, 10), map[string]bool{}
			cfg, err := config.LoadDefaultConfig(context.Background(), config.WithHTTPClient(&http.Client{
				Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodHead {
						if r.Header.Get("Authorization") != "" {
							t.Error("a connecting request is signed")
						}
						connected <- r.URL.Host
					} else {
						called[r.URL.Host] = true
					}
					return server.Transport().RoundTrip(r)
				}),
			}))
			if err != nil {
				t.Fatal(err)
			}
			h := New(cfg, Settings{SecretPrefix: "test/", CreateKeyRate: 1e6, OutcomeBus: "bus"}, NewLogger(io.Discard, ""))
			h.Connect(t.Context())
			close(connected)
			if _, err := h.Invoke(t.Context(), []byte(sqsBatch(named("k")))); err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for host := range connected {
				got[host] = true
			}
			if !maps.Equal(got, called) {
				t.Errorf("connected to %q, want the hosts of the calls, %q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(called)))
			}
		})
	}
}
