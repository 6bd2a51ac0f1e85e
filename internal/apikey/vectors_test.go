package apikey

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// vector is a file of testdata/requests: a header of "key: value" lines that states the
// expected outcome, an empty line, and the document itself.
//
//	comment        what it shows, where its name does not say
//	delivery       the delivery id for SecretName
//	reject         one fault, in order; a vector without it is accepted
//	secret         the secret's name, or none
//	digest         the digest
//	digest-equals  another vector, which has the same digest
//	has-value      yes or no: whether the request gives a value
//
// Values in vectors begin with fake-value, so that a fault that quotes one is noticed.
type vector struct {
	name     string
	head     map[string][]string
	document []byte
}

func (v vector) get(key string) string {
	if lines := v.head[key]; len(lines) > 0 {
		return lines[0]
	}
	return ""
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/requests/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no vectors")
	}
	var vectors []vector
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := vector{name: strings.TrimSuffix(filepath.Base(file), ".txt"), head: map[string][]string{}}
		for {
			line, rest, _ := strings.Cut(string(text), "\n")
			text = []byte(rest)
			if line == "" {
				break
			}
			key, value, found := strings.Cut(line, ": ")
			if !found || !slices.Contains([]string{"comment", "delivery", "reject", "secret", "digest", "digest-equals", "has-value"}, key) {
				t.Fatalf("%s: not a header line", v.name)
			}
			v.head[key] = append(v.head[key], value)
		}
		v.document = text
		vectors = append(vectors, v)
	}
	return vectors
}

const testPrefix = "apikeys/"

// parseText reads the text of a request as the handler does.
func parseText(text []byte, deliveryID string) (Request, string, error) {
	doc, err := document.Parse(text)
	if err != nil {
		return Request{}, "", failure.Reject("request: %s", err)
	}
	return Parse(doc, testPrefix, deliveryID)
}

func reasons(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	rejected, ok := errors.AsType[*failure.RejectedError](err)
	if !ok {
		t.Fatalf("error: got a %T, want a *failure.RejectedError", err)
	}
	return rejected.Reasons
}

func TestRequestVectors(t *testing.T) {
	vectors := readVectors(t)
	digests := map[string]string{}
	for _, v := range vectors {
		r, _, _ := parseText(v.document, v.get("delivery"))
		digests[v.name] = r.Digest()
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			r, secret, err := parseText(v.document, v.get("delivery"))
			got := reasons(t, err)
			for _, reason := range got {
				if strings.Contains(reason, "fake-value") {
					t.Fatal("a fault quotes a value")
				}
			}
			if want := v.head["reject"]; !slices.Equal(got, want) {
				t.Fatalf("faults: got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
			accepted := len(got) == 0
			switch want := v.get("secret"); {
			case want == "" && accepted:
				t.Error("an accepted request must pin its secret")
			case want == "none" && secret != "", want != "" && want != "none" && secret != want:
				t.Errorf("secret: got %q, want %q", secret, want)
			}
			switch want := v.get("digest"); {
			case want == "" && v.get("digest-equals") == "" && accepted:
				t.Error("an accepted request must pin its digest")
			case want != "" && r.Digest() != want:
				t.Errorf("digest: got %s, want %s", r.Digest(), want)
			}
			if other := v.get("digest-equals"); other != "" && r.Digest() != digests[other] {
				t.Errorf("digest differs from that of %s", other)
			}
			if want := v.get("has-value"); want != "" && (want == "yes") == r.Value.IsZero() {
				t.Errorf("has a value: got %t, want %s", !r.Value.IsZero(), want)
			}
		})
	}
}
