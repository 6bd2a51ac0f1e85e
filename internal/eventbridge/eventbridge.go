// Package eventbridge calls the one operation of Amazon EventBridge that sends
// events, PutEvents.
//
// It guarantees that what it sends, and where to, is what the SDK's own client would
// send (its tests hold it to that client), and that whoever calls it hears of every
// event whether the bus has taken it, or gets an error. It is made of the SDK's parts:
// its signer, its retries, its user agent, its credentials and HTTP client, its
// settings of endpoints. What it spares is the SDK's client, whose import alone costs a
// tenth of the function's start, for deployments without a bus as well (docs/design.md
// has the figures).
//
// A call takes up to [MaxEntries] entries of [MaxSize] together, and the caller sees to
// that. It succeeds even if entries were refused, so each [Result] has to be looked at;
// and a bus that does not exist takes every event, and loses it:
//
//	results, err := eventbridge.New(cfg).PutEvents(ctx, entries)
package eventbridge

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/restjson"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The limits of one PutEvents call
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html).
const (
	MaxEntries = 10
	// MaxSize is what the entries may have together, in bytes. AWS takes a
	// megabyte since January 2026; this is the limit before, which not every
	// partition and emulator has left behind.
	MaxSize = 256 << 10
)

// Entry is an event to be sent. All of its members are required.
type Entry struct {
	EventBusName string // a name or an ARN
	Source       string // anything but aws.*, which is AWS's own
	DetailType   string
	Detail       string // a JSON object
}

// Size is what the entry counts of [MaxSize], generously: one page of AWS's counts
// the JSON around the members, another does not.
func (e Entry) Size() int {
	const around = 512
	return around + len(e.Source) + len(e.DetailType) + len(e.Detail)
}

// Result tells what became of an entry: it was taken if it has an id and no code.
type Result struct {
	EventID      string `json:"EventId"`
	ErrorCode    string // such as InternalFailure, ThrottlingException or NotAuthorizedForSourceException
	ErrorMessage string
}

// Client calls EventBridge in one account and Region. Use New.
type Client struct {
	cfg aws.Config
	// sdk is how the SDK's client of another JSON 1.1 service has settled the
	// configuration.
	sdk secretsmanager.Options
}

// New returns a client. It makes no connection.
func New(cfg aws.Config) *Client {
	return &Client{cfg, secretsmanager.NewFromConfig(cfg).Options()}
}

// PutEvents sends events, and returns as many results in the same order
// (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html).
// Its error is of the call as a whole, which may have taken effect all the same: to
// repeat it can send the events twice. It is not to be printed as it is, but through
// awserror.Describe.
func (c *Client) PutEvents(ctx context.Context, entries []Entry) ([]Result, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // the SDK spends one byte on each of < > &, too
	if err := encoder.Encode(struct{ Entries []Entry }{entries}); err != nil {
		return nil, fmt.Errorf("encoding the events: %w", err)
	}
	endpoint, err := c.Endpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the endpoint: %w", err)
	}
	stack := middleware.NewStack("PutEvents", smithyhttp.NewStackRequest)
	err = errors.Join(
		stack.Initialize.Add(&awsmiddleware.RegisterServiceMetadata{
			ServiceID: "EventBridge", SigningName: "events", Region: c.sdk.Region, OperationName: "PutEvents",
		}, middleware.Before),
		stack.Serialize.Add(serialize{endpoint, body.Bytes()}, middleware.After),
		awsmiddleware.AddRequestUserAgentMiddleware(stack),
		stack.Finalize.Add(retry.NewAttemptMiddleware(c.sdk.Retryer, smithyhttp.RequestCloner), middleware.After),
		stack.Finalize.Add(sign{c.sdk, sha256.Sum256(body.Bytes())}, middleware.After),
		stack.Deserialize.Add(deserialize{}, middleware.After),
	)
	for _, option := range c.cfg.APIOptions {
		err = errors.Join(err, option(stack))
	}
	if err != nil {
		return nil, err
	}
	out, _, err := middleware.DecorateHandler(smithyhttp.NewClientHandlerWithOptions(c.sdk.HTTPClient), stack).Handle(ctx, nil)
	if err != nil {
		return nil, err
	}
	answer := out.(*putEventsOutput)
	failed := 0
	for _, r := range answer.Entries {
		if r.EventID == "" || r.ErrorCode != "" {
			failed++
		}
	}
	if len(answer.Entries) != len(entries) || answer.FailedEntryCount > failed {
		return nil, errors.New("the answer does not say of every event what became of it")
	}
	return answer.Entries, nil
}

type putEventsOutput struct {
	FailedEntryCount int
	Entries          []Result
}

// HTTPClient returns what the calls are sent with.
func (c *Client) HTTPClient() aws.HTTPClient { return c.sdk.HTTPClient }

// Endpoint returns EventBridge's, as the SDK's own client would find it.
func (c *Client) Endpoint(ctx context.Context) (*url.URL, error) {
	if base := baseEndpoint(ctx, c.cfg); base != "" {
		return url.Parse(base)
	}
	fips := c.sdk.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled
	dualStack := c.sdk.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled
	// EventBridge's plain endpoint is the FIPS one in GovCloud.
	fips = fips && !strings.HasPrefix(c.sdk.Region, "us-gov-")
	// The SDK's table of partitions is inside of its clients. API Gateway's
	// endpoints differ from EventBridge's in the service's name alone.
	resolved, err := apigateway.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, apigateway.EndpointParameters{
		Region: &c.sdk.Region, UseFIPS: &fips, UseDualStack: &dualStack,
	})
	if err != nil {
		return nil, err
	}
	resolved.URI.Host = "events" + strings.TrimPrefix(resolved.URI.Host, "apigateway")
	return &resolved.URI, nil
}

// baseEndpoint returns the endpoint that is configured for EventBridge or for all
// services, or nothing. It follows the SDK's clients.
func baseEndpoint(ctx context.Context, cfg aws.Config) string {
	base := aws.ToString(cfg.BaseEndpoint)
	_, forAll := os.LookupEnv("AWS_ENDPOINT_URL")
	_, forThis := os.LookupEnv("AWS_ENDPOINT_URL_EVENTBRIDGE")
	if forAll && !forThis {
		return base
	}
	for _, source := range cfg.ConfigSources {
		if s, ok := source.(interface {
			GetIgnoreConfiguredEndpoints(context.Context) (bool, bool, error)
		}); ok {
			if ignore, found, err := s.GetIgnoreConfiguredEndpoints(ctx); found && err == nil {
				if ignore {
					return base
				}
				break
			}
		}
	}
	for _, source := range cfg.ConfigSources {
		if s, ok := source.(interface {
			GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
		}); ok {
			if endpoint, found, err := s.GetServiceBaseEndpoint(ctx, "EventBridge"); found && err == nil {
				return endpoint
			}
		}
	}
	return base
}

// serialize is the step of the middleware stack that writes the request.
type serialize struct {
	endpoint *url.URL
	body     []byte
}

func (serialize) ID() string { return "OperationSerializer" }

func (s serialize) HandleSerialize(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (
	middleware.SerializeOutput, middleware.Metadata, error,
) {
	request, err := in.Request.(*smithyhttp.Request).SetStream(bytes.NewReader(s.body))
	if err != nil {
		return middleware.SerializeOutput{}, middleware.Metadata{}, err
	}
	request.Method = http.MethodPost
	request.URL = s.endpoint
	request.URL.Path = cmp.Or(request.URL.Path, "/")
	request.ContentLength = int64(len(s.body))
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	in.Request = request
	return next.HandleSerialize(ctx, in)
}

// sign is the step that signs each attempt.
type sign struct {
	sdk  secretsmanager.Options
	hash [sha256.Size]byte
}

func (sign) ID() string { return "Signing" }

func (s sign) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	credentials, err := s.sdk.Credentials.Retrieve(ctx)
	if err == nil {
		err = s.sdk.HTTPSignerV4.SignHTTP(ctx, credentials, in.Request.(*smithyhttp.Request).Request,
			hex.EncodeToString(s.hash[:]), "events", s.sdk.Region, time.Now())
	}
	if err != nil {
		return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("signing: %w", err)
	}
	return next.HandleFinalize(ctx, in)
}

// deserialize is the step that reads the answer.
type deserialize struct{}

func (deserialize) ID() string { return "OperationDeserializer" }

func (deserialize) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	if err != nil {
		return out, metadata, err
	}
	response := out.RawResponse.(*smithyhttp.Response)
	const longest = 1 << 20 // an answer has a few hundred bytes for each of ten events
	body, err := io.ReadAll(io.LimitReader(response.Body, longest))
	err = errors.Join(err, response.Body.Close())
	switch {
	case err != nil:
		err = fmt.Errorf("reading the answer: %w", err)
	case response.StatusCode != http.StatusOK:
		err = apiError(response, body)
	default:
		answer := &putEventsOutput{}
		if err = json.Unmarshal(body, answer); err == nil {
			out.Result = answer
			return out, metadata, nil
		}
		err = errors.New("the answer is not what PutEvents answers")
	}
	// With the status, by which the SDK decides on a retry.
	return out, metadata, &smithyhttp.ResponseError{Response: response, Err: err}
}

// apiError reads an error's code and message.
func apiError(response *smithyhttp.Response, body []byte) error {
	code, message, err := restjson.GetErrorInfo(json.NewDecoder(bytes.NewReader(body)))
	if named := response.Header.Get("X-Amzn-Errortype"); named != "" {
		code = named
	}
	if code = restjson.SanitizeErrorCode(code); code == "" || err != nil {
		code = fmt.Sprintf("HTTP status %d", response.StatusCode)
	}
	return &smithy.GenericAPIError{Code: code, Message: message}
}
