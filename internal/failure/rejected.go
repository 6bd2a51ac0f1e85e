package failure

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RejectedError says that the message must change before it can succeed: delivering it
// again gives the same answer until somebody acts.
type RejectedError struct {
	// Reasons has one sentence per fault, never empty, each beginning with the path
	// of the member at fault: "stageKeys[0].stageName: must not be empty".
	Reasons []string
}

// Reject returns a RejectedError with one reason. The text must be fit to print: what a
// sender wrote goes through [Quote] or [Name] first, and a key's value never goes in.
func Reject(format string, args ...any) *RejectedError {
	return &RejectedError{Reasons: []string{fmt.Sprintf(format, args...)}}
}

// Join returns a RejectedError with the reasons of both errors, of which either may be nil; of
// any other error it returns the first.
func Join(first, second error) error {
	a, isA := errors.AsType[*RejectedError](first)
	b, isB := errors.AsType[*RejectedError](second)
	if isA && isB {
		return &RejectedError{Reasons: slices.Concat(a.Reasons, b.Reasons)}
	}
	return cmp.Or(first, second)
}

func (e *RejectedError) Error() string { return strings.Join(e.Reasons, "; ") }

// IsRejected reports whether err is, or wraps, a *RejectedError.
func IsRejected(err error) bool {
	_, ok := errors.AsType[*RejectedError](err)
	return ok
}
