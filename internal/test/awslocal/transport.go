package awslocal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/logging"
)

// Config returns a configuration for SDK clients that reach the Server in process. It reads
// nothing from the environment and logs nothing. The SDK's retries are on: a client that should
// see every fault needs RetryMaxAttempts 1.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String("http://awslocal.invalid"), // never resolved
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test", Source: "awslocal"}, nil
		}),
		HTTPClient: &http.Client{Transport: s.Transport()},
		Logger:     logging.Nop{},
	}
}

// Transport returns an http.RoundTripper that calls the Server in process, without sockets, so
// that testing/synctest's virtual time works.
//
// If the request's context ends first, RoundTrip returns its error at once, like a client that
// hangs up. The Server notices only through the hooks' context: if a hook then lets the call
// pass, the call takes effect.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("reading request: %w", err)
		}
	}
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := req.Clone(ctx)
	in.Body = io.NopCloser(bytes.NewReader(body))

	type result struct {
		resp *response
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := t.server.serve(in)
		done <- result{resp, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return &http.Response{
			Status:        fmt.Sprintf("%d %s", r.resp.status, http.StatusText(r.resp.status)),
			StatusCode:    r.resp.status,
			Proto:         "HTTP/1.1",
			ProtoMajor:    1,
			ProtoMinor:    1,
			Header:        r.resp.header,
			Body:          io.NopCloser(bytes.NewReader(r.resp.body)),
			ContentLength: int64(len(r.resp.body)),
			Request:       req,
		}, nil
	}
}
