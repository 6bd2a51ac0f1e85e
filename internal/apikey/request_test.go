package apikey

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/document"
)

// object writes a request of cust-1 with one more member.
func object(t *testing.T, member string, value any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"customerId": "cust-1", member: value})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tagsOf(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprint("tag", i)] = "x"
	}
	return tags
}

// padded returns a document of exactly size bytes.
func padded(document string, size int) []byte {
	return []byte(strings.Replace(document, "PAD", strings.Repeat("x", size-len(document)+len("PAD")), 1))
}

func TestLimits(t *testing.T) {
	tests := map[string]struct {
		document []byte
		fault    string // empty: accepted
	}{
		"name at the limit":          {object(t, "name", strings.Repeat("n", 1024)), ""},
		"name of other characters":   {object(t, "name", strings.Repeat("😀", 1024)), ""},
		"name past the limit":        {object(t, "name", strings.Repeat("é", 1025)), "name: must be at most 1024 characters, has 1025"},
		"description long":           {object(t, "description", strings.Repeat("d", 60_000)), ""},
		"customer of any length":     {object(t, "customerId", strings.Repeat("c", 60_000)), ""},
		"value at the lower limit":   {object(t, "value", strings.Repeat("v", 20)), ""},
		"value under it":             {object(t, "value", strings.Repeat("v", 19)), "value: must be at least 20 characters, has 19"},
		"value of one character":     {object(t, "value", "v"), "value: must be at least 20 characters, has 1"},
		"value at the upper limit":   {object(t, "value", strings.Repeat("é", 128)), ""},
		"value past it":              {object(t, "value", strings.Repeat("é", 129)), "value: must be at most 128 characters, has 129"},
		"tags at the limit":          {object(t, "tags", tagsOf(48)), ""},
		"tags past it":               {object(t, "tags", tagsOf(49)), "tags: must have at most 48 tags, has 49"},
		"tag key at the limit":       {object(t, "tags", map[string]string{strings.Repeat("é", 128): ""}), ""},
		"tag key past it":            {object(t, "tags", map[string]string{strings.Repeat("k", 129): ""}), "tags.\"kkkkkkk…\": a tag's key must be at most 128 characters, has 129"},
		"tag value at the limit":     {object(t, "tags", map[string]string{"k": strings.Repeat("é", 256)}), ""},
		"tag value past it":          {object(t, "tags", map[string]string{"k": strings.Repeat("v", 257)}), "tags.k: must be at most 256 characters, has 257"},
		"document at the limit":      {padded(`{"customerId": "cust-1", "description": "PAD"}`, 65536), ""},
		"document past it":           {padded(`{"customerId": "cust-1", "description": "PAD"}`, 65537), "request: must be at most 65536 bytes, has 65537"},
		"blanks count":               {append(padded(`{"customerId": "cust-1", "description": "PAD"}`, 65530), "       "...), "request: must be at most 65536 bytes, has 65537"},
		"YAML document at the limit": {padded("customerId: cust-1\ndescription: PAD\n", 65536), ""},
		"YAML document past it":      {padded("customerId: cust-1\ndescription: PAD\n", 65537), "request: must be at most 65536 bytes, has 65537"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := parseText(test.document, "")
			got := reasons(t, err)
			if test.fault == "" && got != nil || test.fault != "" && !slices.Equal(got, []string{test.fault}) {
				t.Errorf("faults: got %q, want %q", got, test.fault)
			}
		})
	}
}

// A document reaches 64 KiB first, so only a hand-made node can reach this limit.
func TestLimitOfDescription(t *testing.T) {
	for length, want := range map[int][]string{
		125_000: nil,
		125_001: {"description: must be at most 125000 characters, has 125001"},
	} {
		doc := document.Node{Kind: document.Object, Members: []document.Member{
			{Name: "customerId", Value: document.Node{Kind: document.String, Text: "cust-1"}},
			{Name: "description", Value: document.Node{Kind: document.String, Text: strings.Repeat("é", length)}},
		}}
		_, _, err := Parse(doc, testPrefix, "")
		if got := reasons(t, err); !slices.Equal(got, want) {
			t.Errorf("%d characters: faults: got %q, want %q", length, got, want)
		}
	}
}

// The vectors compare most of what Parse returns by its digest; this test compares the
// value and the fields.
func TestParse(t *testing.T) {
	const value = "fake-value-0123456789"
	r, secret, err := parseText([]byte(`{
		"name": "n", "description": "d", "enabled": true, "generateDistinctId": true,
		"value": "`+value+`", "stageKeys": [{}, {"restApiId": "a", "stageName": "s"}],
		"customerId": "c", "tags": {"k": "v"}, "usagePlanIds": ["p2", "p1"]
	}`), "d-1")
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "n" || r.Description != "d" || !r.Enabled || !r.GenerateDistinctID || r.CustomerID != "c" ||
		!slices.Equal(r.StageKeys, []StageKey{{"a", "s"}}) || len(r.Tags) != 1 || r.Tags["k"] != "v" ||
		!slices.Equal(r.UsagePlanIDs, []string{"p2", "p1"}) {
		t.Errorf("Parse: wrong request %+v", r)
	}
	if r.Value.Reveal() != value {
		t.Error("value differs")
	}
	if secret != "apikeys/c/n" {
		t.Errorf("secret: got %q, want %q", secret, "apikeys/c/n")
	}

	empty, _, err := parseText([]byte(`{"tags": {}, "stageKeys": [{}], "usagePlanIds": [], "value": ""}`), "d-1")
	if err != nil {
		t.Fatal(err)
	}
	if empty.Tags != nil || empty.StageKeys != nil || empty.UsagePlanIDs != nil || !empty.Value.IsZero() {
		t.Errorf("empties are not absent: %+v", empty)
	}
}

// Ends and rotations share the rules, limits and reasons of sign-ups.
func TestParseChange(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		kind     Kind
		document string
		at       time.Time
		faults   []string
		secret   string
	}{
		"an end":     {End, `{"customerId": "c", "name": "n", "keyId": "k"}`, at, nil, "apikeys/c/n"},
		"a rotation": {Rotation, "customerId: c", at, nil, "apikeys/c/_"},
		"of a key that is not named": {End, `{"customerId": "c", "name": "n", "keyId": ""}`, at, []string{
			"keyId: must not be empty: name the key before a rotation, or leave it out to end every key of the request",
		}, "apikeys/c/n"},
		"of nobody's key": {Rotation, `{"name": ""}`, at, []string{"customerId: customerId or name must be given: they say whose key it is"}, ""},
		"all faults together, a name": {End, `{"customerId": "c", "keyId": 7, "enabled": false}`, time.Time{}, []string{
			"keyId: must be a string, not a number: put it in quotes", "enabled: unknown member: take it out, or use one of customerId, keyId, name",
			"request: its envelope has no time, which says what came first: send it as an EventBridge event with a time, or through SNS",
		}, "apikeys/c/_"},
		"an identity at fault": {Rotation, `{"customerId": 7, "name": "n"}`, at, []string{"customerId: must be a string, not a number: put it in quotes"}, ""},
		"another spelling":     {End, `{"CustomerId": 7}`, at, []string{"CustomerId: unknown member: it is spelled customerId", "CustomerId: must be a string, not a number: put it in quotes"}, ""},
		"a text":               {End, "customerId", at, []string{`request: must be a JSON or YAML object, not a string: write {"customerId": "ID"}, or in YAML a blank after each colon`}, ""},
		"past the limit":       {End, string(padded(`{"customerId": "PAD"}`, 65537)), at, []string{"request: must be at most 65536 bytes, has 65537"}, ""},
	} {
		doc, err := document.Parse([]byte(test.document))
		if err != nil {
			t.Fatal(err)
		}
		r, secret, err := ParseChange(doc, test.kind, test.at, testPrefix)
		if got := reasons(t, err); !slices.Equal(got, test.faults) || secret != test.secret || r.Kind != test.kind {
			t.Errorf("%s: got secret %q and faults %q, want %q and %q", name, secret, got, test.secret, test.faults)
		}
	}
}

// The log names the customer and the secret of a rejected request as far as they are known.
func TestRejectedRequestIsNamed(t *testing.T) {
	r, secret, err := parseText([]byte(`{"customerId": "c", "name": "n", "colour": "red"}`), "")
	if err == nil || r.CustomerID != "c" || r.Name != "n" || secret != "apikeys/c/n" {
		t.Errorf("got customer %q, name %q, secret %q, error %v, want c, n, apikeys/c/n and an error", r.CustomerID, r.Name, secret, err)
	}
	r, _, err = parseText(padded(`{"customerId": "c", "name": "n", "description": "PAD"}`, 65537), "")
	if err == nil || r.CustomerID != "c" || r.Name != "n" {
		t.Errorf("too long: got customer %q, name %q, error %v, want c, n and an error", r.CustomerID, r.Name, err)
	}
	r, _, err = parseText(padded(`{"customerId": "PAD"}`, 65537), "")
	if err == nil || r.CustomerID != "" {
		t.Errorf("a customer that is too long is told, in %d bytes", len(r.CustomerID))
	}
	r, secret, err = parseText([]byte(`{"customerId": "c\ud800", "name": "n"}`), "d-1")
	if err == nil || r.CustomerID != "" || secret != "" {
		t.Errorf("customer at fault: got customer %q, secret %q, error %v, want neither and an error", r.CustomerID, secret, err)
	}
}

// An end ends every hold that began before it; a rotation ends none.
func TestParseChange_AnEndIsOfEveryHold(t *testing.T) {
	for kind, want := range map[Kind]string{End: EveryHold, Rotation: ""} {
		doc, err := document.Parse([]byte(`{"customerId":"c","name":"n"}`))
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := ParseChange(doc, kind, time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), "p/")
		if err != nil || r.Agreement != want {
			t.Errorf("kind %d: agreement %q (%v), want %q", kind, r.Agreement, err, want)
		}
	}
}

// The log has the customer of a request that is too large, unless that is itself too long.
func TestParse_ATooLargeRequestHasItsCustomer(t *testing.T) {
	for length, want := range map[int]int{MaxNameLength: MaxNameLength, MaxNameLength + 1: 0} {
		text := `{"customerId":"` + strings.Repeat("c", length) + `","description":"` + strings.Repeat("d", MaxDocumentSize) + `"}`
		doc, err := document.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if r, _, err := Parse(doc, "p/", ""); err == nil || len(r.CustomerID) != want {
			t.Errorf("a customerId of %d bytes: %d are told, want %d (error %v)", length, len(r.CustomerID), want, err)
		}
	}
}

// A document of unknown members alone is judged about as fast as it is read: ten of them in
// a batch once took longer than the invocation's time.
func TestParse_UnknownMembersTakeNoLongerThanReadingThem(t *testing.T) {
	var members []string
	for i := range 6000 {
		members = append(members, fmt.Sprintf(`"k%d":1`, i))
	}
	text := []byte("{" + strings.Join(members, ",") + "}")
	fastest := func(f func()) time.Duration {
		least := time.Hour
		for range 3 {
			start := time.Now()
			f()
			least = min(least, time.Since(start))
		}
		return least
	}
	doc, err := document.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	reading := fastest(func() { _, _ = document.Parse(text) })
	judging := fastest(func() { _, _, _ = Parse(doc, "p/", "") })
	if judging > 12*reading {
		t.Errorf("judging took %v, reading %v", judging, reading)
	}
}

// A customerId has no limit of its own, so the mend of a record that is too large names it.
func TestCheckTotals_ATooLargeRecordMayBeForItsCustomer(t *testing.T) {
	err := Request{CustomerID: strings.Repeat(`"`, MaxDocumentSize/2)}.CheckTotals("p/_sha256/x", nil)
	if err == nil || !strings.HasSuffix(err.Error(), "and a secret holds 65536: shorten customerId, description, stageKeys or tags") {
		t.Errorf("got %v", err)
	}
}
