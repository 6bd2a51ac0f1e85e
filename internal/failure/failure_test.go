package failure

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
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

func TestBound(t *testing.T) {
	long := strings.Repeat("é", maxText)
	many := slices.Repeat([]string{"a: must be b"}, maxText)
	for name, test := range map[string]struct {
		err  error
		want func(text string) bool
	}{
		"nothing":      {nil, nil},
		"short":        {Reject("a: b"), func(s string) bool { return s == "a: b" }},
		"short, coded": {&RetryableError{Code: CodeQuota, Reason: "a"}, func(s string) bool { return s == "a" }},
		"many reasons": {&RejectedError{Reasons: many}, func(s string) bool {
			return strings.HasSuffix(s, " more: they are left out here") && strings.HasPrefix(s, many[0]+"; "+many[1])
		}},
		"a long reason": {&RejectedError{Reasons: []string{long, "a: b"}}, func(s string) bool { return strings.HasSuffix(s, "…; and 1 more: they are left out here") }},
		"a long text":   {Retry("%s", long), func(s string) bool { return strings.HasSuffix(s, "é…") }},
	} {
		got := Bound(test.err)
		if reflect.TypeOf(got) != reflect.TypeOf(test.err) {
			t.Errorf("%s: is a %T, was a %T", name, got, test.err)
		}
		if got == nil {
			continue
		}
		if text := got.Error(); len(text) > maxText+maxText/4 || !utf8.ValidString(text) || !test.want(text) {
			t.Errorf("%s: %d bytes: %.60s", name, len(text), text)
		}
	}
	var again *RetryableError
	if errors.As(Bound(&RetryableError{Code: CodeQuota, Reason: long}), &again); again.Code != CodeQuota {
		t.Error("the code is lost")
	}
	rejected := &RejectedError{Reasons: many}
	if _ = Bound(rejected); len(rejected.Reasons) != len(many) || slices.Contains(rejected.Reasons, "and") {
		t.Error("the error itself was changed")
	}
}
