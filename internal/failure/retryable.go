package failure

import (
	"errors"
	"fmt"
)

// RetryableError says that delivering the same message again can succeed. It stands for
// everything that is not known to be the message's own fault.
type RetryableError struct {
	// Reason says what went wrong, and in which call.
	Reason string
	// Code is empty, or one of the Code constants, which alarms match.
	Code string
}

// The codes that alarms match.
const (
	// CodeQuota: API Gateway refused another key (LimitExceededException).
	CodeQuota = "quota"
	// CodeUnfinished: a key was made, and its record could not be finished, or is
	// not known to be.
	CodeUnfinished = "unfinished"
)

// Retry returns a RetryableError without a code. Its text must be as fit to print as
// that of [Reject].
func Retry(format string, args ...any) *RetryableError {
	return &RetryableError{Reason: fmt.Sprintf(format, args...)}
}

func (e *RetryableError) Error() string { return e.Reason }

// IsRetryable reports whether err is, or wraps, a *RetryableError.
func IsRetryable(err error) bool {
	_, ok := errors.AsType[*RetryableError](err)
	return ok
}
