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

// randomBytes fills b from the Server's source. If the source ends, the test that supplied it
// is wrong.
func (s *Server) randomBytes(b []byte) {
	source := s.Rand
	if source == nil {
		source = rand.Reader
	}
	if _, err := io.ReadFull(source, b); err != nil {
		panic(fmt.Sprintf("awslocal: reading Rand: %v", err))
	}
}

// random returns n characters of alphabet. The slight modulo bias does not matter in tests.
func (s *Server) random(n int, alphabet string) string {
	b := make([]byte, n)
	s.randomBytes(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// newID returns an id of n characters that taken does not contain yet.
func (s *Server) newID(n int, taken func(id string) bool) string {
	for {
		if id := s.random(n, lowerAlphanumeric); !taken(id) {
			return id
		}
	}
}

// Sensitive is a key's or a secret's value. It prints and marshals as REDACTED; string(x) is
// the value itself.
type Sensitive string

// Format implements fmt.Formatter for every verb.
func (Sensitive) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "REDACTED") }

// MarshalText serves encoding/json and log/slog.
func (Sensitive) MarshalText() ([]byte, error) { return []byte("REDACTED"), nil }
