package function

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// connectTimeout is the longest that the start waits for connections.
const connectTimeout = time.Second

// A service is how one of the SDK's clients reaches AWS.
type service struct {
	client   aws.HTTPClient // shared or not: that depends on the SDK's defaults mode
	endpoint func(context.Context) (*url.URL, error)
}

// Connect opens a connection to each service that the handler calls, and waits for
// them, a second at most. Call it while the environment starts: Lambda gives it a whole
// processor then, and 7 % of one to a function of 128 MB later, where the TLS handshakes
// and reading the root certificates take a quarter of a second of the first message's
// time.
//
// The requests are unsigned: they cost nothing, need no permission, and any answer will
// do. A failure is not reported: the first call meets it again, with the SDK's retries.
// Plain HTTP has nothing to gain.
func (h *Handler) Connect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var all sync.WaitGroup
	for _, s := range h.services {
		if endpoint, err := s.endpoint(ctx); err == nil && endpoint.Scheme == "https" {
			all.Go(func() { s.connect(ctx, endpoint) })
		}
	}
	all.Wait()
}

func (s service) connect(ctx context.Context, endpoint *url.URL) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint.String(), nil)
	if err != nil {
		return
	}
	if response, err := s.client.Do(request); err == nil {
		_ = response.Body.Close() // the answer to HEAD has no body that had to be read first
	}
}

// keysService, secretsService, busService and deadLetterService resolve the endpoint as the
// SDK's clients do for each call: by Region, FIPS, dual-stack and the configured endpoints.

func keysService(o apigateway.Options) service {
	return service{o.HTTPClient, func(ctx context.Context) (*url.URL, error) {
		resolved, err := o.EndpointResolverV2.ResolveEndpoint(ctx, apigateway.EndpointParameters{
			Region:       &o.Region,
			UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
			UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
			Endpoint:     o.BaseEndpoint,
		})
		return &resolved.URI, err
	}}
}

func secretsService(o secretsmanager.Options) service {
	return service{o.HTTPClient, func(ctx context.Context) (*url.URL, error) {
		resolved, err := o.EndpointResolverV2.ResolveEndpoint(ctx, secretsmanager.EndpointParameters{
			Region:       &o.Region,
			UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
			UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
			Endpoint:     o.BaseEndpoint,
		})
		return &resolved.URI, err
	}}
}

func busService(o eventbridge.Options) service {
	return service{o.HTTPClient, func(ctx context.Context) (*url.URL, error) {
		resolved, err := o.EndpointResolverV2.ResolveEndpoint(ctx, eventbridge.EndpointParameters{
			Region:       &o.Region,
			UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
			UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
			Endpoint:     o.BaseEndpoint,
		})
		return &resolved.URI, err
	}}
}

func deadLetterService(o sqs.Options) service {
	return service{o.HTTPClient, func(ctx context.Context) (*url.URL, error) {
		resolved, err := o.EndpointResolverV2.ResolveEndpoint(ctx, sqs.EndpointParameters{
			Region:       &o.Region,
			UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
			UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
			Endpoint:     o.BaseEndpoint,
		})
		return &resolved.URI, err
	}}
}
