package failure_test

import (
	"strings"
	"testing"

	"createkey/internal/failure"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"":                             `""`,
		"-_09AZaz":                     "-_09AZaz",
		"a.b":                          `"a.b"`,
		"ä\n":                          `"ä\n"`,
		strings.Repeat("n", 19):        strings.Repeat("n", 19),
		strings.Repeat("n", 20):        `"nnnnnnn…"`,
		strings.Repeat("é", 19):        `"` + strings.Repeat("é", 19) + `"`,
		strings.Repeat("é", 20):        `"ééééééé…"`,
		strings.Repeat("/", 6400):      `"///////…"`,
		"fake-value-0123456789":        `"fake-va…"`,
		" value:fake-value-0123456789": `" value:…"`,
		// beside YAML's reading of {value:x}
		"value":         "value",
		"values":        "values",
		"value:x":       `"value…"`,
		"VALUE=x":       `"value…"`,
		"value1":        `"value…"`,
		"valuable: x y": `"valuable: x y"`,
	} {
		if got := failure.Name(name); got != want {
			t.Errorf("Name of %d bytes: got %s, want %s", len(name), got, want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":                      `""`,
		"aws:s3":                `"aws:s3"`,
		"a\"\n":                 `"a\"\n"`,
		strings.Repeat("x", 19): `"` + strings.Repeat("x", 19) + `"`,
		strings.Repeat("x", 20): `"xxxxxxx…"`,
		"value:x":               `"value…"`,
	} {
		if got := failure.Quote(text); got != want {
			t.Errorf("Quote of %d bytes: got %s, want %s", len(text), got, want)
		}
	}
}
