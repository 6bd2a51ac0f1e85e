package awslocal

import (
	"errors"
	"net/http"
)

// An Error is an AWS error. If a hook returns one, the call is answered with it in the wire
// form of the service.
type Error struct {
	// Status is the HTTP status. Secrets Manager, like every JSON 1.1 service, answers 400
	// instead of any other below 500.
	Status  int
	Code    string // the error's type, such as "ConflictException"
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// ErrConnectionLost, like any other hook error that is no *Error, cuts the connection without
// an answer.
var ErrConnectionLost = errors.New("awslocal: connection lost")

// Errors for hooks to return. The SDK's standard retryer retries all but
// ConcurrentModification, AccessDenied and DecryptionFailure.
var (
	// TooManyRequests is API Gateway's throttle.
	TooManyRequests = &Error{http.StatusTooManyRequests, "TooManyRequestsException", "Too Many Requests"}
	// LimitExceeded is API Gateway's refusal of the 10,001st key. Its text is unconfirmed.
	LimitExceeded = &Error{http.StatusTooManyRequests, "LimitExceededException", "Maximum number of API Keys for this account has been reached"}
	// ConcurrentModification is the Conflict that says nothing about the key: API Gateway
	// answers it when changes are too close to each other.
	ConcurrentModification = &Error{http.StatusConflict, "ConflictException", "Unable to complete operation due to concurrent modification. Please try again later."}
	// ServiceUnavailable is API Gateway's 503.
	ServiceUnavailable = &Error{http.StatusServiceUnavailable, "ServiceUnavailableException", "Service Unavailable"}
	// InternalFailure is the common 500 of every service.
	InternalFailure = &Error{http.StatusInternalServerError, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure."}
	// InternalServiceError is Secrets Manager's own 500.
	InternalServiceError = &Error{http.StatusInternalServerError, "InternalServiceError", "An error occurred on the server side."}
	// RequestThrottled is SQS's throttle.
	RequestThrottled = &Error{http.StatusForbidden, "RequestThrottled", "Rate exceeded"}
	// Throttling is Secrets Manager's throttle.
	Throttling = &Error{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"}
	// AccessDenied is IAM's answer for every service; no service model has it.
	AccessDenied = &Error{http.StatusForbidden, "AccessDeniedException", "User: arn:aws:sts::" + AccountID + ":assumed-role/test/test is not authorized to perform this operation"}
	// DecryptionFailure is Secrets Manager's answer when KMS refuses the key.
	DecryptionFailure = &Error{http.StatusBadRequest, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key."}
)

func badRequest(message string) *Error {
	return &Error{http.StatusBadRequest, "BadRequestException", message}
}

func notFound(message string) *Error {
	return &Error{http.StatusNotFound, "NotFoundException", message}
}

func conflict(message string) *Error {
	return &Error{http.StatusConflict, "ConflictException", message}
}
