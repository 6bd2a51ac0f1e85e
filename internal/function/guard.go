package function

import (
	"runtime"
	"strconv"
	"strings"

	"createkey/internal/failure"
)

// guard calls f, and returns a *failure.RetryableError in place of a panic. The error
// says where the panic began, never what was panicked with: that could hold a value.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = failure.Retry("internal error: panic in %s", panicSite())
		}
	}()
	return f()
}

// panicSite returns the innermost function and line of this program that the running
// panic came through: a library that panics was called from there.
func panicSite() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicking := false
	for {
		frame, more := frames.Next()
		if panicking && strings.HasPrefix(frame.Function, "createkey/") {
			return frame.Function + ":" + strconv.Itoa(frame.Line)
		}
		panicking = panicking || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
