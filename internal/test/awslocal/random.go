package awslocal

import (
	"crypto/rand"
	"fmt"
	"io"
)

const (
	lowerAlphanumeric = "abcdefghijklmnopqrstuvwxyz0123456789"
	alphanumeric      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + lowerAlphanumeric
)

// randomBytes fills b from the Server's source. One that ends is a mistake in the
// test that supplied it.
func (s *Server) randomBytes(b []byte) {
	source := s.Rand
	if source == nil {
		source = rand.Reader
	}
	if _, err := io.ReadFull(source, b); err != nil {
		panic(fmt.Sprintf("awslocal: reading Rand: %v", err))
	}
}

// random returns n characters of alphabet. The slight bias of the remainder does
// not matter to a test.
func (s *Server) random(n int, alphabet string) string {
	b := make([]byte, n)
	s.randomBytes(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// newID returns an id of n characters that taken does not hold yet.
func (s *Server) newID(n int, taken func(id string) bool) string {
	for {
		if id := s.random(n, lowerAlphanumeric); !taken(id) {
			return id
		}
	}
}

// Sensitive is a key's value or a secret's. It prints and marshals as REDACTED;
// string(x) is the value itself.
type Sensitive string

// Format implements fmt.Formatter for every verb.
func (Sensitive) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "REDACTED") }

// MarshalText serves encoding/json and log/slog.
func (Sensitive) MarshalText() ([]byte, error) { return []byte("REDACTED"), nil }
