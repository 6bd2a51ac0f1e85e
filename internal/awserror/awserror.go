// Package awserror says of a failed AWS call what is safe to print.
package awserror

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

// Describe says of an SDK error what is safe to print. Only text of known
// origin goes through: an answer that cannot be read, or a connection that
// breaks in the middle, is quoted by the errors of the SDK and of net/http, and
// every list of keys has values in it. AWS's own message is kept unless it
// holds a part of one of the values.
func Describe(err error, values ...apikey.Value) string {
	var api smithy.APIError
	var dial *net.OpError
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &api):
		message := api.ErrorMessage()
		for _, v := range values {
			if v.QuotedIn(message) {
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
