// Package awserr describes a failed AWS call in text that is safe to print.
//
// It guarantees that only text of known origin goes through: an error code, AWS's own
// message unless it quotes a key's value, an address that could not be reached, a
// certificate that was refused. Never print an SDK error itself: errors about an answer
// that cannot be read, or about a connection that broke halfway, quote what was
// received, and every list of API keys has values in it.
//
//	failure.Retry("CreateApiKey: %s", awserr.Describe(err, value))
package awserr

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/aws/smithy-go"

	"createkey/internal/apikey"
	"createkey/internal/pace"
)

// NoCode stands for the code of an error that has none: AWS was not reached, or its
// answer could not be read.
const NoCode = "none"

// Code returns the code of the error that AWS answered, NoCode where the error has none,
// and "" for nil.
func Code(err error) string {
	if err == nil {
		return ""
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != "" {
		return api.ErrorCode()
	}
	return NoCode
}

// Describe returns what is safe to print of an SDK error, which must not be nil; values
// are those that the call sent. AWS's own message is withheld where it holds eight
// bytes in a row of one of them.
func Describe(err error, values ...apikey.Value) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() != "" {
		message := api.ErrorMessage()
		for _, v := range values {
			if v.QuotedIn(message) {
				message = "(withheld: it quotes the value)"
			}
		}
		return strings.TrimSuffix(api.ErrorCode()+": "+message, ": ")
	}
	if errors.Is(err, pace.ErrNoTime) {
		return pace.ErrNoTime.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return "no answer in time"
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return lookup.Error()
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok {
		return dial.Error()
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate.Error()
	}
	return "the call failed, or its answer could not be read"
}
