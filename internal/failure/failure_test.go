package failure

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
)

func TestRejectedError(t *testing.T) {
	var err error = &RejectedError{Reasons: []string{"name: must be a string, not null", "tags: unknown member"}}
	if got, want := err.Error(), "name: must be a string, not null; tags: unknown member"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := Reject("%s: %d", "a", 1).Reasons; !slices.Equal(got, []string{"a: 1"}) {
		t.Errorf("Reject: %q", got)
	}
}

func TestRetryableError(t *testing.T) {
	var err error = &RetryableError{Reason: "CreateApiKey: throttled", Code: CodeQuota}
	if got, want := err.Error(), "CreateApiKey: throttled"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := *Retry("%s: %d", "a", 1); got != (RetryableError{Reason: "a: 1"}) {
		t.Errorf("Retry: %+v", got)
	}
}

// Lambda answers the name of the error's Go type, and metric filters look for
// the codes.
func TestNamesThatOthersRelyOn(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{reflect.TypeFor[RejectedError]().Name(), "RejectedError"},
		{reflect.TypeFor[RetryableError]().Name(), "RetryableError"},
		{CodeQuota, "quota"},
		{CodeUnfinished, "unfinished"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestClassesAreToldApart(t *testing.T) {
	var rejected *RejectedError
	var again *RetryableError
	if err := fmt.Errorf("message: %w", Reject("x")); !errors.As(err, &rejected) || errors.As(err, &again) {
		t.Error("a RejectedError, wrapped, is not told")
	}
	if err := fmt.Errorf("message: %w", Retry("x")); !errors.As(err, &again) || errors.Unwrap(again) != nil {
		t.Error("a RetryableError, wrapped, is not told, or wraps another")
	}
}
