package apikey

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Keys in production carry these digests: a change that breaks one of these tests breaks
// every deployment.

func digested() Request {
	return Request{
		CustomerID: "cust-1", Description: "d", Enabled: true, GenerateDistinctID: true, Name: "n",
		StageKeys:    []StageKey{{"api", "prod"}},
		Tags:         map[string]string{"b": "2", "a": "1"},
		UsagePlanIDs: []string{"p2", "p1"},
	}
}

func TestDigest(t *testing.T) {
	const (
		full = "v1:d33ac2bceb42385bc8df4dfa3a3e45d2823d364825bd075dcfedee73be243620"
		none = "v1:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	)
	const canonical = "customerId=6:cust-1\ndescription=1:d\nenabled=4:true\ngenerateDistinctId=4:true\nname=1:n\n" +
		"stageKeys.restApiId=3:api\nstageKeys.stageName=4:prod\n" +
		"tags.key=1:a\ntags.value=1:1\ntags.key=1:b\ntags.value=1:2\nusagePlanIds=2:p1\nusagePlanIds=2:p2\n"
	if got := digested().Digest(); got != full {
		t.Errorf("full: %s, want %s", got, full)
	}
	if got := "v1:" + hexSHA256(canonical); got != full {
		t.Errorf("canonical form as documented: %s, want %s", got, full)
	}
	if got := (Request{}).Digest(); got != none {
		t.Errorf("empty: %s, want %s", got, none)
	}
	if len(full) > MaxTagValueLength {
		t.Errorf("digest has %d characters, want at most %d, to fit a tag", len(full), MaxTagValueLength)
	}
}

func TestDigestCoversEveryMember(t *testing.T) {
	changes := map[string]func(*Request){
		"customerId":          func(r *Request) { r.CustomerID = "cust-2" },
		"no customerId":       func(r *Request) { r.CustomerID = "" },
		"description":         func(r *Request) { r.Description = "e" },
		"no description":      func(r *Request) { r.Description = "" },
		"enabled":             func(r *Request) { r.Enabled = false },
		"generateDistinctId":  func(r *Request) { r.GenerateDistinctID = false },
		"name":                func(r *Request) { r.Name = "m" },
		"no name":             func(r *Request) { r.Name = "" },
		"swapped members":     func(r *Request) { r.Name, r.Description = r.Description, r.Name },
		"restApiId":           func(r *Request) { r.StageKeys = []StageKey{{"ipa", "prod"}} },
		"stageName":           func(r *Request) { r.StageKeys = []StageKey{{"api", "beta"}} },
		"stage parts":         func(r *Request) { r.StageKeys = []StageKey{{"prod", "api"}} },
		"one more stage":      func(r *Request) { r.StageKeys = append(r.StageKeys, StageKey{"api", "beta"}) },
		"stage order":         func(r *Request) { r.StageKeys = append([]StageKey{{"api", "beta"}}, r.StageKeys...) },
		"no stages":           func(r *Request) { r.StageKeys = nil },
		"tag key":             func(r *Request) { r.Tags = map[string]string{"a": "1", "c": "2"} },
		"tag value":           func(r *Request) { r.Tags = map[string]string{"a": "1", "b": "3"} },
		"tags swapped":        func(r *Request) { r.Tags = map[string]string{"a": "2", "b": "1"} },
		"empty tag":           func(r *Request) { r.Tags = map[string]string{"a": "1", "b": ""} },
		"no tag b":            func(r *Request) { r.Tags = map[string]string{"a": "1"} },
		"no tags":             func(r *Request) { r.Tags = nil },
		"plan":                func(r *Request) { r.UsagePlanIDs = []string{"p1", "p3"} },
		"one plan":            func(r *Request) { r.UsagePlanIDs = []string{"p1"} },
		"no plans":            func(r *Request) { r.UsagePlanIDs = nil },
		"text across members": func(r *Request) { r.Name = "n\nusagePlanIds=2:p1"; r.UsagePlanIDs = r.UsagePlanIDs[:1] },
	}
	seen := map[string]string{digested().Digest(): "no change"}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		r := digested()
		changes[name](&r)
		if other, ok := seen[r.Digest()]; ok {
			t.Errorf("%s: got the digest of %s, want another", name, other)
		}
		seen[r.Digest()] = name
	}
}

func TestDigestIgnores(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"the value":          func(r *Request) { r.Value = NewValue("fake-value-0123456789") },
		"the order of plans": func(r *Request) { r.UsagePlanIDs = []string{"p1", "p2"} },
		"the order of tags":  func(r *Request) { r.Tags = map[string]string{"a": "1", "b": "2"} },
	} {
		r := digested()
		change(&r)
		if r.Digest() != digested().Digest() {
			t.Errorf("%s: got another digest, want the same", name)
		}
	}
	empty := Request{StageKeys: []StageKey{}, Tags: map[string]string{}, UsagePlanIDs: []string{}, Value: NewValue("")}
	if empty.Digest() != (Request{}).Digest() {
		t.Error("empty members: got another digest, want that of absent ones")
	}
	r := digested()
	r.Digest()
	if !slices.Equal(r.UsagePlanIDs, []string{"p2", "p1"}) {
		t.Errorf("Digest reordered the request's own list: got %q", r.UsagePlanIDs)
	}
}

// drawRequest draws from a few awkward texts, so that two requests are often equal.
func drawRequest(t *rapid.T, label string) Request {
	text := rapid.SampledFrom([]string{"", "a", "b", "a\nname=1:b", "1:a", "\n"})
	r := Request{
		Name:        text.Draw(t, label+" name"),
		Description: text.Draw(t, label+" description"),
		Enabled:     rapid.Bool().Draw(t, label+" enabled"),
		CustomerID:  text.Draw(t, label+" customerId"),
		Tags:        rapid.MapOfN(text, text, 0, 2).Draw(t, label+" tags"),
	}
	r.UsagePlanIDs = rapid.SliceOfN(text, 0, 2).Draw(t, label+" plans")
	for range rapid.IntRange(0, 2).Draw(t, label+" stages") {
		r.StageKeys = append(r.StageKeys, StageKey{text.Draw(t, "api"), text.Draw(t, "stage")})
	}
	return r
}

func TestDigestIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRequest(t, "a"), drawRequest(t, "b")
		if rapid.Bool().Draw(t, "nearly the same") {
			b.Name, b.Description, b.Enabled, b.CustomerID = a.Name, a.Description, a.Enabled, a.CustomerID
		}
		same := a.Name == b.Name && a.Description == b.Description && a.Enabled == b.Enabled && a.CustomerID == b.CustomerID &&
			maps.Equal(a.Tags, b.Tags) && slices.Equal(a.StageKeys, b.StageKeys) &&
			slices.Equal(slices.Sorted(slices.Values(a.UsagePlanIDs)), slices.Sorted(slices.Values(b.UsagePlanIDs)))
		if (a.Digest() == b.Digest()) != same {
			t.Fatalf("same request: %t, same digest: %t", same, !same)
		}
	})
}

// What an AWS Marketplace sign-up adds goes on the key and counts towards the record's
// size, but not into the digest.
func TestDigestIgnoresSignUp(t *testing.T) {
	bare := Request{CustomerID: "c", Name: "p", Enabled: true}
	signUp := bare
	signUp.ProductCode, signUp.AddedTags = "p", map[string]string{"marketplace:product-code": "p"}
	if bare.Digest() != signUp.Digest() {
		t.Error("the digests differ, want the same")
	}
	if signUp.AllTags("s")["marketplace:product-code"] != "p" {
		t.Error("the key lacks the added tag")
	}
	if signUp.RecordSize("s", nil) <= bare.RecordSize("s", nil) {
		t.Error("the added tag does not count in the record")
	}
}
