package apikey

import (
	"strings"
	"testing"
)

func TestPathElement(t *testing.T) {
	const longest = 64
	for name, want := range map[string]string{
		"-_09AZaz":                       "-_09AZaz",
		"a.b":                            `"a.b"`,
		"":                               `""`,
		"ä":                              `"ä"`,
		strings.Repeat("n", longest):     strings.Repeat("n", longest),
		strings.Repeat("n", longest+1):   `"` + strings.Repeat("n", longest) + `…"`,
		strings.Repeat("/", longest*100): `"` + strings.Repeat("/", longest) + `…"`,
	} {
		if got := pathElement(name); got != want {
			t.Errorf("a name of %d bytes reads %s, want %s", len(name), got, want)
		}
	}
}
