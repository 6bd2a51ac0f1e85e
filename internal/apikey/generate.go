package apikey

import (
	"crypto/rand"
	"fmt"
	"io"
)

// generatedLength and alphabet are those of the values that API Gateway generates itself:
// about 238 bits, and legal wherever AWS documents "alphanumeric".
const (
	generatedLength = 40
	alphabet        = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// GenerateValue returns a value of 40 characters of [A-Za-z0-9] drawn from random, which
// is [Random] outside of tests. It fails only when random fails.
func GenerateValue(random io.Reader) (Value, error) {
	text := make([]byte, 0, generatedLength)
	// Bytes past the last whole multiple of the alphabet's length are discarded:
	// taken modulo 62 they would favour the first letters.
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

// Random is the source for [GenerateValue] in production, crypto/rand's.
var Random io.Reader = rand.Reader
