package failure

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// maxText is how long the reasons of a failure may be together, in bytes. A document of
// 64 KiB can have ten thousand faults, and a log line and an event have to hold them.
const maxText = 16 << 10

// Bound shortens a failure's text to the 16 KiB that a log line and an event can hold,
// and adds how many reasons it left out. It returns a new failure of the same class; nil
// and errors of neither class are returned as they are.
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
		if i == 0 { // one reason alone is too long
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
