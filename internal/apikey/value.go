package apikey

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Value is an API key's value: the secret that the customer sends as x-api-key.
//
// It prints as REDACTED through every formatter, marshaller and logger, and only
// [Value.Reveal] returns the text. The text is behind a pointer because fmt prints
// unexported fields without calling their methods: a Value deep inside a struct then
// prints as an address. The zero Value is no value at all.
type Value struct{ text *string }

const redacted = "REDACTED"

// NewValue wraps a value's text; the empty text is the zero Value.
func NewValue(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{&text}
}

// Reveal returns the text itself, empty for the zero Value. Call it only where the text
// must be sent to AWS, and pass the result to nothing else: a test lists the files that
// may call it.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.text == nil }

// Equal reports whether two values are the same, in a time that depends only on their
// lengths.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(other.Reveal())) == 1
}

// tellingLength is how many bytes of a value in a row give it away.
const tellingLength = 8

// QuotedIn reports whether a text holds eight bytes of the value in a row, and so must
// not be printed. A shorter value is never found.
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

// Format implements fmt.Formatter, for every verb.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler, for JSON, XML, YAML and slog's text
// handler.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }
