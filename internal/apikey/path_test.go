package apikey

import (
	"strings"
	"testing"
)

func TestUnknownElement(t *testing.T) {
	for name, want := range map[string]string{
		"usagePlans":                         "usagePlans",
		"x-amz-usage_plan-identifiers":       "x-amz-usage_plan-identifiers",
		"fake value 1":                       `"fake value 1"`,
		"fake-value-0123456789":              `"fake-va…"`,
		" value:fake-value-0123456789":       `" value:…"`,
		"apiKeyValue=fake-value-of-a-sender": `"apiKeyV…"`,
		strings.Repeat("ä", 5):               `"äääää"`,
		strings.Repeat("ä", 20):              `"äääääää…"`,
		"value=fake-value-of-a-sender":       `"value…"`,
	} {
		if got := unknownElement(name); got != want {
			t.Errorf("a name of %d bytes reads %s, want %s", len(name), got, want)
		}
	}
}

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
