package provision

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/smithy-go"

	"createkey/internal/apikey"
	"createkey/internal/failure"
	"createkey/internal/pace"
)

// The error codes that mean something to the algorithm. Everything else, a
// denial or an unmodelled error included, is not known to be the message's
// fault, and is retried.
const (
	noError    = ""
	otherError = "other"

	codeBadRequest    = "BadRequestException"
	codeConflict      = "ConflictException"
	codeLimitExceeded = "LimitExceededException"
	codeNotFound      = "NotFoundException" // API Gateway's

	codeInvalidRequest   = "InvalidRequestException" // the secret is scheduled for deletion
	codeResourceExists   = "ResourceExistsException"
	codeResourceNotFound = "ResourceNotFoundException" // Secrets Manager's
)

func errorCode(err error) string {
	if err == nil {
		return noError
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return otherError
}

func retryable(call string, err error, values ...apikey.Value) *failure.RetryableError {
	return failure.Retry("%s: %s", call, describe(err, values...))
}

// describe says of an SDK error what is safe to print. Only text of known
// origin goes through: an answer that cannot be read, or a connection that
// breaks in the middle, is quoted by the errors of the SDK and of net/http, and
// every list of keys has values in it. AWS's own message is kept unless it
// holds a part of one of the values.
func describe(err error, values ...apikey.Value) string {
	var api smithy.APIError
	var dial *net.OpError
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &api):
		message := api.ErrorMessage()
		for _, v := range values {
			if quotes(message, v) {
				message = "(withheld: it quotes the value)"
			}
		}
		return strings.TrimSuffix(api.ErrorCode()+": "+message, ": ")
	case errors.Is(err, pace.ErrNoTime):
		return pace.ErrNoTime.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "no answer in time"
	case errors.As(err, &lookup):
		return lookup.Error()
	case errors.As(err, &dial):
		return dial.Error()
	case errors.As(err, &certificate):
		return certificate.Error()
	}
	return "the call failed, or its answer could not be read"
}

// quotes tells whether a text holds eight characters of a value in a row.
func quotes(text string, v apikey.Value) bool {
	const telling = 8
	value := v.Reveal()
	for i := 0; i+telling <= len(value); i++ {
		if strings.Contains(text, value[i:i+telling]) {
			return true
		}
	}
	return false
}

// keyFrom takes all that API Gateway says of a key, but its value. Its list of
// stages is never nil: the function's answer shows it as [], as the record does.
func keyFrom(out apigateway.GetApiKeyOutput) apikey.Key {
	return apikey.Key{
		ID:              aws.ToString(out.Id),
		Name:            aws.ToString(out.Name),
		CustomerID:      aws.ToString(out.CustomerId),
		Description:     aws.ToString(out.Description),
		Enabled:         out.Enabled,
		CreatedDate:     aws.ToTime(out.CreatedDate).UTC(),
		LastUpdatedDate: aws.ToTime(out.LastUpdatedDate).UTC(),
		StageKeys:       append([]string{}, out.StageKeys...),
		Tags:            out.Tags,
	}
}

func stageKeys(stages []apikey.StageKey) []types.StageKey {
	var list []types.StageKey
	for _, s := range stages {
		list = append(list, types.StageKey{RestApiId: &s.RestAPIID, StageName: &s.StageName})
	}
	return list
}

// optional is nil for the empty string, so that the member is not sent.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
