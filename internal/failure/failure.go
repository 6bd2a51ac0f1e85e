// Package failure holds the two classes of failure that a sender has to
// distinguish: a message that must change, and one that need only come again.
//
// It guarantees that neither class wraps another error. Their text reaches logs,
// answers and events, and an error of the SDK's can quote what a service answered, an
// API key's value included; only text that was made for a reader goes in (package
// awserror makes it of an AWS error).
//
// [Reject] and [Retry] make them, errors.AsType distinguishes them, and [Bound] shortens
// what a sender can make arbitrarily long:
//
//	if rejected, ok := errors.AsType[*failure.RejectedError](err); ok {
//		// report rejected.Reasons to the sender of the message
//	}
//
// The type names are part of the program's interface: AWS Lambda answers a
// failed direct invocation with the Go type's name as errorType
// (https://docs.aws.amazon.com/lambda/latest/dg/golang-exceptions.html).
package failure

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// RejectedError says that the message must change before it can succeed. The
// decoder, the validator and the provisioner return it; delivering the same
// message again gives the same answer until somebody acts.
type RejectedError struct {
	// Reasons has one sentence per fault, never empty, each opening with the
	// path of the member at fault: "stageKeys[0].stageName: must not be empty".
	Reasons []string
}

// Reject returns a RejectedError with one reason. What it is given must be fit to be
// printed: a text of the sender's goes through [Quote], and a key's value nowhere.
func Reject(format string, args ...any) *RejectedError {
	return &RejectedError{Reasons: []string{fmt.Sprintf(format, args...)}}
}

func (e *RejectedError) Error() string { return strings.Join(e.Reasons, "; ") }

// Faults collects the faults of a document, so that all are reported at once. Its zero
// value is ready for use.
type Faults struct{ reasons []string }

// Add adds a fault: the path of a member, and the rule that it breaks.
func (f *Faults) Add(path, rule string) { f.reasons = append(f.reasons, path+": "+rule) }

// Has reports whether a member has a fault.
func (f *Faults) Has(path string) bool {
	return slices.ContainsFunc(f.reasons, func(reason string) bool { return strings.HasPrefix(reason, path+": ") })
}

// Len returns the number of faults.
func (f *Faults) Len() int { return len(f.reasons) }

// Err returns a *RejectedError with all faults, or nil if there are none.
func (f *Faults) Err() error {
	if f.reasons == nil {
		return nil
	}
	return &RejectedError{Reasons: f.reasons}
}

// RetryableError says that delivering the same message again can succeed: it
// stands for everything that is not known to be the message's own fault.
type RetryableError struct {
	// Reason is what went wrong, and with which call.
	Reason string
	// Code is empty, or one of the Code constants, on which alarms hang.
	Code string
}

// The codes on which alarms hang.
const (
	// CodeQuota: API Gateway refused another key (LimitExceededException).
	CodeQuota = "quota"
	// CodeUnfinished: a key was made, and its record could not be finished, or is
	// not known to be.
	CodeUnfinished = "unfinished"
)

// Retry returns a RetryableError without a code. The rule for [Reject]'s text holds
// for its.
func Retry(format string, args ...any) *RetryableError {
	return &RetryableError{Reason: fmt.Sprintf(format, args...)}
}

func (e *RetryableError) Error() string { return e.Reason }

// IsRejected reports whether err is, or wraps, a *RejectedError.
func IsRejected(err error) bool {
	_, ok := errors.AsType[*RejectedError](err)
	return ok
}

// IsRetryable reports whether err is, or wraps, a *RetryableError.
func IsRetryable(err error) bool {
	_, ok := errors.AsType[*RetryableError](err)
	return ok
}

// maxText is how long the reasons of a failure may be together, in bytes. A
// document of 64 KiB can have ten thousand faults, and a log line and an event
// have to hold them.
const maxText = 16 << 10

// Bound shortens what a failure says to what a log line and an event can hold, 16
// KiB, and then says how many reasons it leaves out. It returns a new failure of the
// same class; an error of neither class, or nil, comes back as it is.
func Bound(err error) error {
	if rejected, ok := errors.AsType[*RejectedError](err); ok {
		return &RejectedError{Reasons: bound(rejected.Reasons)}
	}
	if again, ok := errors.AsType[*RetryableError](err); ok {
		return &RetryableError{Reason: bound([]string{again.Reason})[0], Code: again.Code}
	}
	return err
}

func bound(reasons []string) []string {
	left := maxText
	for i, reason := range reasons {
		if left -= len(reason); left >= 0 {
			continue
		}
		if i == 0 { // one text alone is too long
			return append([]string{strings.ToValidUTF8(reason[:maxText], "") + "…"}, more(len(reasons)-1)...)
		}
		return append(slices.Clone(reasons[:i]), more(len(reasons)-i)...)
	}
	return reasons
}

func more(n int) []string {
	if n == 0 {
		return nil
	}
	return []string{"and " + strconv.Itoa(n) + " more: they are left out here"}
}

// Quote shows the first 64 bytes of a string of an envelope's, which holds no
// request. Half a character at its end is shown as an escape.
func Quote(text string) string {
	const longest = 64 // bytes
	return strconv.Quote(text[:min(len(text), longest)])
}
