package apikey

import (
	"strings"
	"testing"
)

func TestPathElement(t *testing.T) {
	for name, want := range map[string]string{
		"usagePlans":                   "usagePlans",
		"-_09AZaz":                     "-_09AZaz",
		"a.b":                          `"a.b"`,
		"":                             `""`,
		"ä":                            `"ä"`,
		"fake value 1":                 `"fake value 1"`,
		strings.Repeat("n", 19):        strings.Repeat("n", 19),
		strings.Repeat("n", 20):        `"nnnnnnn…"`,
		strings.Repeat("ä", 20):        `"äääääää…"`,
		"fake-value-0123456789":        `"fake-va…"`,
		" value:fake-value-0123456789": `" value:…"`,
		"value:fake-value-0123456789":  `"value:f…"`,
		strings.Repeat("/", 100_000):   `"///////…"`,
	} {
		if got := pathElement(name); got != want {
			t.Errorf("a name of %d bytes reads %s, want %s", len(name), got, want)
		}
	}
}
