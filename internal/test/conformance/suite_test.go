package conformance

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCasesAreNamedAndSourced(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range Cases() {
		if seen[c.Name] {
			t.Errorf("%s: name used twice", c.Name)
		}
		seen[c.Name] = true
		if tag, _, _ := strings.Cut(c.Source, " "); tag != "V" && tag != "D" && tag != "U" {
			t.Errorf("%s: source %q has no tag V, D or U", c.Name, c.Source)
		}
		if c.Behaviour == "" || c.run == nil {
			t.Errorf("%s: no behaviour or nothing to run", c.Name)
		}
	}
}

func TestList(t *testing.T) {
	var out bytes.Buffer
	err := List(&out, Target{Prefix: "prefix/", RunID: "run", KnownDepartures: map[string]string{"key/get": "the reason"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Cases() {
		if !strings.Contains(out.String(), c.Name+" ["+c.Source+"]\n") {
			t.Errorf("%s is not listed", c.Name)
		}
	}
	for _, want := range []string{"prefix/run/key-get*", "known departure: the reason", "skipped: needs an API stage"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the list lacks %q", want)
		}
	}
}

func TestVerdict(t *testing.T) {
	target := Target{KnownDepartures: map[string]string{"departs": "the reason"}}
	failed := errors.New("failed")
	tests := []struct {
		name string
		err  error
		want bool // that something is wrong
	}{
		{"conforms", nil, false},
		{"conforms", failed, true},
		{"departs", failed, false},
		{"departs", nil, true},
	}
	for _, tt := range tests {
		if got := target.verdict(Case{Name: tt.name}, tt.err); (got != nil) != tt.want {
			t.Errorf("%s, outcome %v: verdict %v, want a fault: %t", tt.name, tt.err, got, tt.want)
		}
	}
}

// No failure may show a value that the suite made up.
func TestRedact(t *testing.T) {
	e := &env{name: "case"}
	value := e.value(40)
	if err := e.redact(errors.New("got " + value + ", want another")); strings.Contains(err.Error(), value) {
		t.Error("the value is in the error")
	}
	if e.value(40) == value {
		t.Error("two values are the same")
	}
}
