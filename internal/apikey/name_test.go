package apikey

import (
	"encoding/hex"
	"strings"
	"testing"

	"createkey/internal/failure"

	"pgregory.net/rapid"
)

// Secrets and keys in production carry these names: a change that breaks one of these
// tests breaks every deployment.

func TestSecretName(t *testing.T) {
	tests := map[string]struct{ customer, name, delivery, want string }{
		"both":               {"cust-1", "Dev API Key", "d-1", "apikeys/cust-1/Dev+API+Key"},
		"no customer":        {"", "n", "d-1", "apikeys/_/n"},
		"no name":            {"cust-1", "", "d-1", "apikeys/cust-1/_"},
		"neither":            {"", "", "d-1", "apikeys/_/_/d-1"},
		"delivery encoded":   {"", "", "a/b_c", "apikeys/_/_/a=2Fb=5Fc"},
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
		t.Errorf("another prefix: got %q, %v, want team/c/n", got, err)
	}
	_, err := SecretName("apikeys/", "", "", "")
	if !failure.IsRejected(err) {
		t.Errorf("without identity: got a %T, want a *failure.RejectedError", err)
	}
}

func TestSecretNameLongestPrefix(t *testing.T) {
	got, err := SecretName(strings.Repeat("p", MaxPrefixLength), strings.Repeat("c", 500), "", "")
	if err != nil || len(got) != MaxSecretNameLength {
		t.Errorf("%d characters, %v, want %d", len(got), err, MaxSecretNameLength)
	}
}

// awkward draws text from characters that a careless encoding would confuse.
var awkward = rapid.OneOf(
	rapid.StringOfN(rapid.RuneFrom([]rune("/_=+ @-.%A5Fa0é😀\x00")), 0, 4, -1),
	rapid.SampledFrom([]string{"", "_", "_sha256", "_/_", "=5F", "+", " "}),
	rapid.String(),
)

// decodeSecretName decodes a name that was not hashed: a name that can be decoded is not
// shared by two identities.
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
			delivery = "" // ignored beside a customer or a name
		}
		if gotCustomer, gotName, gotDelivery := decodeSecretName(t, secret); gotCustomer != customer || gotName != name || gotDelivery != delivery {
			t.Fatalf("%q reads as %q, %q, %q", secret, gotCustomer, gotName, gotDelivery)
		}
	})
}

// legalInSecretNames are the characters that Secrets Manager allows.
const legalInSecretNames = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@-"

func TestSecretTag(t *testing.T) {
	for name, test := range map[string]struct{ secret, want string }{
		"the name itself":          {"apikeys/cust-1/Dev+API+Key=5F", "apikeys/cust-1/Dev+API+Key=5F"},
		"256 characters":           {"apikeys/c/" + strings.Repeat("n", 246), "apikeys/c/" + strings.Repeat("n", 246)},
		"257 characters":           {"apikeys/c/" + strings.Repeat("n", 247), "sha256/70dcf0e430cf5a75108cd160a2f47c9e1bdd469c3e1027c1a53a26c074c5109b"},
		"a prefix with an at sign": {"team@apikeys/cust-1/n", "sha256/c1a1c3059f8edae46a1c4e809ca16627618b0d729a1747719b3127edee029730"},
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
	got := StepToken("apikeys/cust-1/n", 2)
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(got) < 32 || len(got) > 64 {
		t.Errorf("%d characters, want 32 to 64", len(got))
	}
}
