package apikey

import (
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"createkey/internal/failure"

	"pgregory.net/rapid"
)

// These names and digests are on secrets and keys for ever: a change that
// breaks one of these tests breaks every deployment.

func TestSecretName(t *testing.T) {
	tests := map[string]struct{ customer, name, delivery, want string }{
		"both":               {"cust-1", "Dev API Key", "d-1", "apikeys/cust-1/Dev+API+Key"},
		"no customer":        {"", "n", "d-1", "apikeys/_/n"},
		"no name":            {"cust-1", "", "d-1", "apikeys/cust-1/_"},
		"neither":            {"", "", "d-1", "apikeys/_/_/d-1"},
		"delivery, encoded":  {"", "", "a/b_c", "apikeys/_/_/a=2Fb=5Fc"},
		"legal as they are":  {"AZaz09.-", "-.", "", "apikeys/AZaz09.-/-."},
		"slash":              {"a/b", "c/d", "", "apikeys/a=2Fb/c=2Fd"},
		"underscore":         {"_", "_", "", "apikeys/=5F/=5F"},
		"underscores":        {"a_b", "_sha256", "", "apikeys/a=5Fb/=5Fsha256"},
		"equals":             {"=", "=41", "", "apikeys/=3D/=3D41"},
		"plus":               {"+", "a+b c", "", "apikeys/=2B/a=2Bb+c"},
		"at":                 {"@", "a@b.example", "", "apikeys/=40/a=40b.example"},
		"space":              {" ", "  ", "", "apikeys/+/++"},
		"control characters": {"\x00", "\t\n\x7f", "", "apikeys/=00/=09=0A=7F"},
		"UTF-8":              {"é", "ßü", "", "apikeys/=C3=A9/=C3=9F=C3=BC"},
		"emoji":              {"😀", "n", "", "apikeys/=F0=9F=98=80/n"},
		"case counts":        {"Cust", "cust", "", "apikeys/Cust/cust"},
		"512 characters":     {"c", strings.Repeat("n", 502), "", "apikeys/c/" + strings.Repeat("n", 502)},
		"513 characters":     {"c", strings.Repeat("n", 503), "", "apikeys/_sha256/34efcccc39cc6d4665bc2af705654a278be379576630584a8839ba1329f6d079"},
		"513 once encoded":   {"", strings.Repeat("é", 1024), "", "apikeys/_sha256/24d607ffe663757e23606d3d530ab1895573004f97f489ab760dd846bba9e2b4"},
		"513 of a delivery":  {"", "", strings.Repeat("d", 501), "apikeys/_sha256/0a80796fe8a894119d053e40f05ce5337f2535be9b3b37ef2abcf3578c725d04"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := SecretName("apikeys/", test.customer, test.name, test.delivery)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
	if got, err := SecretName("team/", "c", "n", ""); err != nil || got != "team/c/n" {
		t.Errorf("another prefix: got %q, %v", got, err)
	}
	_, err := SecretName("apikeys/", "", "", "")
	if rejected := (*failure.RejectedError)(nil); !errors.As(err, &rejected) {
		t.Errorf("without identity: %T, want a *failure.RejectedError", err)
	}
}

func TestSecretNameFitsWithTheLongestPrefix(t *testing.T) {
	got, err := SecretName(strings.Repeat("p", MaxPrefixLength), strings.Repeat("c", 500), "", "")
	if err != nil || len(got) != MaxSecretNameLength {
		t.Errorf("%d characters, %v, want %d", len(got), err, MaxSecretNameLength)
	}
}

// awkward draws text from the characters that a sloppy encoding would confuse.
var awkward = rapid.OneOf(
	rapid.StringOfN(rapid.RuneFrom([]rune("/_=+ @-.%A5Fa0é😀\x00")), 0, 4, -1),
	rapid.SampledFrom([]string{"", "_", "_sha256", "_/_", "=5F", "+", " "}),
	rapid.String(),
)

// decodeSecretName reads a name that was not hashed back into what made it:
// what can be read back cannot be shared.
func decodeSecretName(t *rapid.T, secret string) (customer, name, delivery string) {
	decode := func(level string) string {
		if level == "_" {
			return ""
		}
		var b strings.Builder
		for i := 0; i < len(level); i++ {
			switch c := level[i]; c {
			case '+':
				b.WriteByte(' ')
			case '=':
				octet, err := hex.DecodeString(level[i+1 : i+3])
				if err != nil || level[i+1:i+3] != strings.ToUpper(level[i+1:i+3]) {
					t.Fatalf("%q does not decode", secret)
				}
				b.Write(octet)
				i += 2
			default:
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	levels := strings.Split(strings.TrimPrefix(secret, testPrefix), "/")
	if len(levels) == 3 && levels[0] == "_" && levels[1] == "_" {
		return "", "", decode(levels[2])
	}
	if len(levels) != 2 || levels[0] == "_" && levels[1] == "_" {
		t.Fatalf("%q has the wrong levels", secret)
	}
	return decode(levels[0]), decode(levels[1]), ""
}

func TestSecretNameIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		customer, name, delivery := awkward.Draw(t, "customer"), awkward.Draw(t, "name"), awkward.Draw(t, "delivery")
		secret, err := SecretName(testPrefix, customer, name, delivery)
		if err != nil {
			if customer+name+delivery != "" {
				t.Fatal(err)
			}
			return
		}
		if strings.Trim(secret, legalInSecretNames) != "" || len(secret) > 512 {
			t.Fatalf("%q is not a legal name", secret)
		}
		if customer+name != "" {
			delivery = "" // it does not count
		}
		if gotCustomer, gotName, gotDelivery := decodeSecretName(t, secret); gotCustomer != customer || gotName != name || gotDelivery != delivery {
			t.Fatalf("%q reads as %q, %q, %q", secret, gotCustomer, gotName, gotDelivery)
		}
	})
}

// legalInSecretNames are the characters that Secrets Manager takes.
const legalInSecretNames = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@-"

func TestSecretTag(t *testing.T) {
	for name, test := range map[string]struct{ secret, want string }{
		"the name itself":    {"apikeys/cust-1/Dev+API+Key=5F", "apikeys/cust-1/Dev+API+Key=5F"},
		"256 characters":     {"apikeys/c/" + strings.Repeat("n", 246), "apikeys/c/" + strings.Repeat("n", 246)},
		"257 characters":     {"apikeys/c/" + strings.Repeat("n", 247), "sha256/70dcf0e430cf5a75108cd160a2f47c9e1bdd469c3e1027c1a53a26c074c5109b"},
		"a prefix with an @": {"team@apikeys/cust-1/n", "sha256/c1a1c3059f8edae46a1c4e809ca16627618b0d729a1747719b3127edee029730"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := SecretTag(test.secret); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFinishedToken(t *testing.T) {
	const want = "9fbdab71568c236c0e8acf3d9b5ff6bdb6af16461c48d689182eb72e7073a3e5" // SHA-256 of the name
	got := FinishedToken("apikeys/cust-1/n")
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(got) < 32 || len(got) > 64 {
		t.Errorf("%d characters, and AWS takes 32 to 64", len(got))
	}
}

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
		t.Error("a tag does not hold the digest")
	}
}

func TestDigestTellsEveryMember(t *testing.T) {
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
		"stages' order":       func(r *Request) { r.StageKeys = append([]StageKey{{"api", "beta"}}, r.StageKeys...) },
		"no stages":           func(r *Request) { r.StageKeys = nil },
		"tag's key":           func(r *Request) { r.Tags = map[string]string{"a": "1", "c": "2"} },
		"tag's value":         func(r *Request) { r.Tags = map[string]string{"a": "1", "b": "3"} },
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
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[r.Digest()] = name
	}
}

func TestDigestLeavesOut(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"the value":          func(r *Request) { r.Value = NewValue("fake-value-0123456789") },
		"the order of plans": func(r *Request) { r.UsagePlanIDs = []string{"p1", "p2"} },
		"the order of tags":  func(r *Request) { r.Tags = map[string]string{"a": "1", "b": "2"} },
	} {
		r := digested()
		change(&r)
		if r.Digest() != digested().Digest() {
			t.Errorf("%s counts", name)
		}
	}
	empty := Request{StageKeys: []StageKey{}, Tags: map[string]string{}, UsagePlanIDs: []string{}, Value: NewValue("")}
	if empty.Digest() != (Request{}).Digest() {
		t.Error("empty is not absent")
	}
	r := digested()
	r.Digest()
	if !slices.Equal(r.UsagePlanIDs, []string{"p2", "p1"}) {
		t.Error("the request's own list was sorted")
	}
}

// drawRequest draws from few and awkward texts, so that two are often alike.
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

// What a sign-up of AWS Marketplace adds is on the key and counts in the record,
// and makes no other request of it.
func TestWhatASignUpAddsIsNotInTheDigest(t *testing.T) {
	bare := Request{CustomerID: "c", Name: "p", Enabled: true}
	signUp := bare
	signUp.ProductCode, signUp.AddedTags = "p", map[string]string{"marketplace:product-code": "p"}
	if bare.Digest() != signUp.Digest() {
		t.Error("the digests differ")
	}
	if signUp.AllTags("s")["marketplace:product-code"] != "p" {
		t.Error("the key lacks the added tag")
	}
	if signUp.RecordSize("s", nil) <= bare.RecordSize("s", nil) {
		t.Error("the added tag does not count in the record")
	}
}
