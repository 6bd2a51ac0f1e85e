package apikey

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Value is an API key's value: the secret that the customer sends as x-api-key.
//
// It prints as REDACTED through every formatter, marshaller and logger, and
// only [Value.Reveal] gives the text away. The text lies behind a pointer because fmt
// prints unexported fields without asking their methods: a Value deep inside a
// struct then shows as an address. The zero Value is no value at all.
type Value struct{ text *string }

const redacted = "REDACTED"

// NewValue wraps a value's text; the empty text is the zero Value.
func NewValue(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{&text}
}

// generatedLength and alphabet are those of the values that API Gateway makes
// itself: about 238 bits, and legal wherever AWS documents "alphanumeric".
const (
	generatedLength = 40
	alphabet        = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// GenerateValue returns 40 characters of [A-Za-z0-9] drawn from random, which
// is [Random] outside of tests. It fails only when random does.
func GenerateValue(random io.Reader) (Value, error) {
	text := make([]byte, 0, generatedLength)
	// Bytes past the last whole multiple of the alphabet's length are thrown
	// away: taking them modulo 62 would favour the first letters.
	const limit = 256 - 256%len(alphabet)
	var buffer [generatedLength]byte
	for len(text) < generatedLength {
		if _, err := io.ReadFull(random, buffer[:]); err != nil {
			return Value{}, fmt.Errorf("reading random bytes: %w", err)
		}
		for _, b := range buffer {
			if int(b) < limit && len(text) < generatedLength {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return NewValue(string(text)), nil
}

// Random is the source that [GenerateValue] wants in production: crypto/rand's.
var Random io.Reader = rand.Reader

// Reveal returns the text itself, empty for the zero Value. Call it only where the
// text must be sent to AWS, and give the result to nothing else: a linter and a test
// know the files that may.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.text == nil }

// Equal reports whether two values are equal, in a time that depends on their lengths alone.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(other.Reveal())) == 1
}

// tellingLength is the number of bytes of a value in a row that must not be printed.
const tellingLength = 8

// QuotedIn reports whether a text holds eight bytes of the value in a row, and so must
// not be printed. A value shorter than that is never found.
func (v Value) QuotedIn(text string) bool {
	value := v.Reveal()
	for i := 0; i+tellingLength <= len(value); i++ {
		if strings.Contains(text, value[i:i+tellingLength]) {
			return true
		}
	}
	return false
}

// String returns REDACTED.
func (Value) String() string { return redacted }

// Format serves every verb of package fmt.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText serves encoding/json, encoding/xml, YAML and slog's text form.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue serves log/slog.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }
