package failure

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A text of valueLength characters, the fewest that an API key's value has, may be a
// value that slipped into another text's place. Then only shown characters of it are
// printed: eight in a row would tell something of the value.
const (
	valueLength = 20
	shown       = 7
)

// Quote quotes what a sender wrote. Of a text of 20 characters or more, which could be a
// key's value, it shows seven.
func Quote(text string) string { return strconv.Quote(shorten(text)) }

// Name shows the name of a member, for the path of a fault: as it is where it is a plain
// word of letters, digits, - and _, else as [Quote] does.
func Name(name string) string {
	short := shorten(name)
	if short == "" || strings.ContainsFunc(short, func(r rune) bool { return !isLetter(r) && !strings.ContainsRune("-_0123456789", r) }) {
		return strconv.Quote(short)
	}
	return short
}

func shorten(text string) string {
	const value = "value"
	switch {
	// YAML reads {value:x} as a member whose name is "value:x".
	case len(text) > len(value) && strings.EqualFold(text[:len(value)], value) && !isLetter(rune(text[len(value)])):
		return value + "…"
	case utf8.RuneCountInString(text) >= valueLength:
		return string([]rune(text)[:shown]) + "…"
	}
	return text
}

func isLetter(r rune) bool { return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' }
