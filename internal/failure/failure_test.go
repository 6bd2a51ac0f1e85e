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
		t.Errorf("Reject: wrong reasons %q", got)
	}
}

func TestRetryableError(t *testing.T) {
	var err error = &RetryableError{Reason: "CreateApiKey: throttled", Code: CodeQuota}
	if got, want := err.Error(), "CreateApiKey: throttled"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := *Retry("%s: %d", "a", 1); got != (RetryableError{Reason: "a: 1"}) {
		t.Errorf("Retry: wrong error %+v", got)
	}
}

// Lambda answers with the name of the error's Go type, and metric filters match the codes.
func TestPinnedNames(t *testing.T) {
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

func TestClassesWhenWrapped(t *testing.T) {
	for name, test := range map[string]struct {
		err                 error
		rejected, retryable bool
	}{
		"rejected":  {fmt.Errorf("message: %w", Reject("x")), true, false},
		"retryable": {fmt.Errorf("message: %w", Retry("x")), false, true},
		"neither":   {errors.New("x"), false, false},
		"nil":       {nil, false, false},
	} {
		if got := IsRejected(test.err); got != test.rejected {
			t.Errorf("%s: IsRejected: got %t, want %t", name, got, test.rejected)
		}
		if got := IsRetryable(test.err); got != test.retryable {
			t.Errorf("%s: IsRetryable: got %t, want %t", name, got, test.retryable)
		}
	}
}

func TestFaults(t *testing.T) {
	var faults Faults
	if err := faults.Err(); err != nil {
		t.Errorf("without a fault: got %v, want nil", err)
	}
	faults.Add("name", "must be a string")
	faults.Add("tags.a", "repeated member")
	for path, want := range map[string]bool{"name": true, "tags.a": true, "tags": false, "nam": false} {
		if got := faults.Has(path); got != want {
			t.Errorf("Has(%q): got %t, want %t", path, got, want)
		}
	}
	if got, want := faults.Err().Error(), "name: must be a string; tags.a: repeated member"; !IsRejected(faults.Err()) || got != want {
		t.Errorf("got %q, want a RejectedError that says %q", got, want)
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
			t.Errorf("%s: got a %T, want a %T", name, got, test.err)
		}
		if got == nil {
			continue
		}
		if text := got.Error(); len(text) > maxText+maxText/4 || !utf8.ValidString(text) || !test.want(text) {
			t.Errorf("%s: got %d bytes, a wrong ending or invalid UTF-8: %.60s", name, len(text), text)
		}
	}
	if again, ok := errors.AsType[*RetryableError](Bound(&RetryableError{Code: CodeQuota, Reason: long})); !ok || again.Code != CodeQuota {
		t.Errorf("got %+v, want code %q", again, CodeQuota)
	}
	rejected := &RejectedError{Reasons: many}
	if _ = Bound(rejected); len(rejected.Reasons) != len(many) || slices.Contains(rejected.Reasons, "and") {
		t.Errorf("Bound changed its argument: got %d reasons, want %d", len(rejected.Reasons), len(many))
	}
}

func TestJoin(t *testing.T) {
	a, b, other := Reject("a: is wrong"), Reject("b: is wrong"), errors.New("other")
	for name, test := range map[string]struct {
		first, second error
		want          string
	}{
		"both":            {a, b, "a: is wrong; b: is wrong"},
		"the first":       {a, nil, "a: is wrong"},
		"the second":      {nil, b, "b: is wrong"},
		"of another kind": {other, b, "other"},
	} {
		if got := Join(test.first, test.second); got == nil || got.Error() != test.want {
			t.Errorf("%s: got %v, want %s", name, got, test.want)
		}
	}
	if got := Join(nil, nil); got != nil || len(a.Reasons) != 1 {
		t.Errorf("got %v of no errors, and %v", got, a)
	}
}
