package apikey

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Customers' own programs read this format: these texts must not change. Their values are
// fake, and not printed even so.
const (
	pendingText  = `{"format":"createkey/1","value":"fake-value-0123456789"}`
	finishedText = `{"format":"createkey/1","value":"fake-value-0123456789",` +
		`"id":"a1b2c3d4e5","name":"Dev <API> Key & more","customerId":"cust-1","description":"é \"quoted\"","enabled":true,` +
		`"createdDate":"2026-01-02T03:04:05Z","lastUpdatedDate":"2026-01-02T03:04:06Z",` +
		`"stageKeys":["a1b2c3/prod","a1b2c3/beta"],` +
		`"tags":{"createkey:request":"v1:0","createkey:secret":"apikeys/cust-1/n","team":""},` +
		`"usagePlanIds":["p2","p1"]}`
	leastText = `{"format":"createkey/1","value":"fake-value-0123456789","id":"a1b2c3d4e5","enabled":false,"stageKeys":[],"tags":{},"usagePlanIds":[]}`
)

func finishedRecord() Record {
	return Record{Value: NewValue(fakeValue), Key: Key{
		ID: "a1b2c3d4e5", Name: "Dev <API> Key & more", CustomerID: "cust-1", Description: `é "quoted"`, Enabled: true,
		CreatedDate:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		LastUpdatedDate: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
		StageKeys:       []string{"a1b2c3/prod", "a1b2c3/beta"},
		Tags:            map[string]string{"team": "", TagSecret: "apikeys/cust-1/n", TagRequest: "v1:0"},
		UsagePlanIDs:    []string{"p2", "p1"},
	}}
}

func TestRecordEncode(t *testing.T) {
	for name, test := range map[string]struct {
		record   Record
		want     string
		finished bool
	}{
		"pending":                   {Record{Value: NewValue(fakeValue)}, pendingText, false},
		"pending beside a key":      {Record{Value: NewValue(fakeValue), Key: Key{Name: "n", Enabled: true}}, pendingText, false},
		"finished":                  {finishedRecord(), finishedText, true},
		"finished with an id alone": {Record{Value: NewValue(fakeValue), Key: Key{ID: "a1b2c3d4e5"}}, leastText, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.record.Encode(); got.Reveal() != test.want {
				t.Errorf("got another text, of %d bytes, want %d", len(got.Reveal()), len(test.want))
			}
			if got := test.record.Finished(); got != test.finished {
				t.Errorf("Finished() is %t, want %t", got, test.finished)
			}
		})
	}
	if leaks(fmt.Sprintf("%v %+v", finishedRecord().Encode(), finishedRecord())) {
		t.Error("the encoded record is not wrapped like a value")
	}
}

func TestRecordRoundTrip(t *testing.T) {
	for name, record := range map[string]Record{
		"pending":  {Value: NewValue(fakeValue)},
		"finished": finishedRecord(),
	} {
		got, err := ParseRecord(record.Encode().Reveal())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, record) {
			t.Errorf("%s: the record differs", name)
		}
	}
	// The API's empty lists come back as they are.
	least, err := ParseRecord(leastText)
	if err != nil || least.Encode().Reveal() != leastText {
		t.Errorf("a record of a key with nothing but an id differs (%v)", err)
	}
}

func TestParseRecord(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"unknown members":         {`{"note":{"by":["them"]},` + finishedText[1:], nil},
		"unknown while pending":   {`{"format":"createkey/1","value":"fake-value-0123456789","owner":1}`, nil},
		"layout of another":       {"{\n  \"value\": \"fake-value-0123456789\",\n  \"format\": \"createkey/1\"\n}\n", nil},
		"newer":                   {`{"format":"createkey/2","value":"fake-value-0123456789"}`, ErrNewer},
		"newer of another shape":  {`{"format":"createkey/10","value":{"parts":[]},"id":7}`, ErrNewer},
		"empty":                   {``, ErrForeign},
		"plain text":              {fakeValue, ErrForeign},
		"a list":                  {`["createkey/1"]`, ErrForeign},
		"null":                    {`null`, ErrForeign},
		"no marker":               {`{"value":"fake-value-0123456789"}`, ErrForeign},
		"another marker":          {`{"format":"mine/1","value":"fake-value-0123456789"}`, ErrForeign},
		"a marker in capitals":    {`{"FORMAT":"createkey/1","value":"fake-value-0123456789"}`, ErrForeign},
		"a value in capitals":     {`{"format":"createkey/1","Value":"fake-value-0123456789"}`, ErrForeign},
		"half a marker":           {`{"format":"createkey","value":"fake-value-0123456789"}`, ErrForeign},
		"no value":                {`{"format":"createkey/1"}`, ErrForeign},
		"an empty value":          {`{"format":"createkey/1","value":""}`, ErrForeign},
		"a value of another type": {`{"format":"createkey/1","value":1}`, ErrForeign},
		"an id of another type":   {`{"format":"createkey/1","value":"fake-value-0123456789","id":1}`, ErrForeign},
		"an end of another type":  {`{"format":"createkey/1","value":"fake-value-0123456789","ended":true}`, ErrForeign},
		"a hold of another type":  {`{"format":"createkey/1","value":"fake-value-0123456789","holds":[{"start":1}]}`, ErrForeign},
		"cut short":               {finishedText[:len(finishedText)-1], ErrForeign},
		"text after it":           {pendingText + "x", ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			record, err := ParseRecord(test.text)
			if !errors.Is(err, test.want) {
				t.Fatalf("got error %v, want %v", err, test.want)
			}
			if err != nil && (leaks(err.Error()) || !record.Value.IsZero() || record.Finished()) {
				t.Error("the error or the record beside it holds part of the text")
			}
			if err == nil && record.Value.Reveal() != fakeValue {
				t.Error("value differs")
			}
		})
	}
}

// encoding/json would take a member for the known one that differs in case, or in a letter
// that folds to it, such as \u017f.
func TestParseRecord_NamesAreExact(t *testing.T) {
	record := finishedRecord()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	record.Life = Life{
		StepNumber: 7, Generation: 3, Since: at, Previous: "k0", Ended: at, Next: &Next{NewValue(fakeValue), at},
		Holds: Holds{{Agreement: "a", License: "l", Start: at, End: at}},
	}
	text := record.Encode().Reveal()
	want, err := ParseRecord(text)
	if err != nil || !reflect.DeepEqual(want, record) {
		t.Fatalf("a record with every member differs (%v)", err)
	}
	names := map[string]bool{}
	for _, name := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(text, -1) {
		names[name[1]] = true
	}
	delete(names, "team") // of tags, whose names are anybody's
	for name := range names {
		for _, other := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], strings.ReplaceAll(name, "s", "\u017f")} {
			if other == name {
				continue
			}
			// Behind the known ones, in each object: the last of a name wins.
			unknown := strings.NewReplacer(`}],"previous"`, `,"`+other+`":[7]}],"previous"`, `}}`, `,"`+other+`":[7]},"`+other+`":[7]}`).Replace(text)
			if strings.Count(unknown, `":[7]`) != 3 {
				t.Fatal("the objects of a record are not where they were")
			}
			if got, err := ParseRecord(unknown); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s is taken for %s (%v)", other, name, err)
			}
			if got, err := ParseRecord(strings.NewReplacer(`"`+name+`":`, `"`+other+`":`).Replace(text)); err == nil && reflect.DeepEqual(got, want) {
				t.Errorf("%s in the place of %s is taken for it", other, name)
			}
		}
	}
}

func TestAllTags(t *testing.T) {
	r := Request{CustomerID: "cust-1", Tags: map[string]string{"team": "x"}}
	want := map[string]string{"team": "x", "createkey:secret": "apikeys/cust-1/_", "createkey:request": r.Digest()}
	if got := r.AllTags("apikeys/cust-1/_"); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(r.Tags) != 1 {
		t.Error("AllTags changed the request's own tags")
	}
}

// drawValue draws a value of characters that take many bytes in JSON. rapid prints what
// it draws; a Value prints as REDACTED.
var drawValue = rapid.Map(rapid.SampledFrom([]string{
	"", strings.Repeat("v", 20), strings.Repeat("\x00", 128), strings.Repeat("\u2028", 128), strings.Repeat("<&>\"", 32), strings.Repeat("😀", 128),
}), NewValue)

func TestRecordSizeIsAnUpperBound(t *testing.T) {
	text := rapid.StringOf(rapid.RuneFrom([]rune("ax\"\\<>&\x00\u2028é😀")))
	rapid.Check(t, func(t *rapid.T) {
		r := Request{
			Name: text.Draw(t, "name"), Description: text.Draw(t, "description"), CustomerID: text.Draw(t, "customerId"),
			Enabled: rapid.Bool().Draw(t, "enabled"), Value: drawValue.Draw(t, "value"),
			Tags: rapid.MapOfN(text, text, 0, 5).Draw(t, "tags"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "stages") {
			r.StageKeys = append(r.StageKeys, StageKey{text.Draw(t, "api"), text.Draw(t, "stage")})
		}
		plans := rapid.SliceOfN(text, 0, 10).Draw(t, "plans")
		const secret = "apikeys/cust-1/n"

		// The value that is stored in the end: the request's, a generated one, or that of an
		// earlier request.
		value := r.Value
		if value.IsZero() {
			value = drawValue.Draw(t, "value of the record")
		}
		date := time.Unix(0, rapid.Int64Min(0).Draw(t, "date")).UTC()
		stored := Record{Value: value, Key: Key{
			ID: rapid.StringOfN(rapid.RuneFrom([]rune("a1")), 10, 20, -1).Draw(t, "id"), Name: r.Name, CustomerID: r.CustomerID,
			Description: r.Description, Enabled: r.Enabled, CreatedDate: date, LastUpdatedDate: date,
			StageKeys: r.stages(), Tags: r.AllTags(secret), UsagePlanIDs: plans,
		}}
		size, bound := len(stored.Encode().Reveal()), r.RecordSize(secret, plans)
		if size > bound {
			t.Fatalf("record has %d bytes, want at most RecordSize, %d", size, bound)
		}
		if most := 6*MaxValueLength + 1100; bound > size+most {
			t.Fatalf("RecordSize is %d for a record of %d bytes, want a closer bound", bound, size)
		}
	})
}

// Each member alone, long enough to show whether the bound counts it, made of the
// characters that take the most bytes in JSON.
func TestRecordSizeCountsEveryMember(t *testing.T) {
	long := strings.Repeat("\x00", 1500)
	many := make([]string, 1500)
	for name, test := range map[string]struct {
		request Request
		plans   []string
	}{
		"name":        {Request{Name: long}, nil},
		"customerId":  {Request{CustomerID: long}, nil},
		"description": {Request{Description: long}, nil},
		"restApiId":   {Request{StageKeys: []StageKey{{long, ""}}}, nil},
		"stageName":   {Request{StageKeys: []StageKey{{"", long}}}, nil},
		"stage keys":  {Request{StageKeys: make([]StageKey, 1500)}, nil},
		"tag key":     {Request{Tags: map[string]string{long: ""}}, nil},
		"tag value":   {Request{Tags: map[string]string{"": long}}, nil},
		"plan":        {Request{}, []string{long}},
		"plans":       {Request{}, many},
	} {
		r := test.request
		stored := Record{Value: NewValue(strings.Repeat("\x00", MaxValueLength)), Key: Key{
			ID: "a1b2c3d4e5", Name: r.Name, CustomerID: r.CustomerID, Description: r.Description,
			StageKeys: r.stages(), Tags: r.AllTags("apikeys/c/n"), UsagePlanIDs: test.plans,
		}}
		if size, bound := len(stored.Encode().Reveal()), r.RecordSize("apikeys/c/n", test.plans); size > bound {
			t.Errorf("%s: record has %d bytes, want at most RecordSize, %d", name, size, bound)
		}
	}
}

// The bound is exact if each of AWS's own members has the length that RecordSize allows for.
func TestRecordSizeParts(t *testing.T) {
	r := Request{
		Name: "n", CustomerID: "c", Description: "d", Value: NewValue(fakeValue),
		StageKeys: []StageKey{{"api", "prod"}}, Tags: map[string]string{"k": "v"},
	}
	const secret = "apikeys/c/n"
	plans := []string{"p1", "p2"}
	date := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
	longest := Record{Value: r.Value, Key: Key{
		ID: strings.Repeat("i", 128), Name: r.Name, CustomerID: r.CustomerID, Description: r.Description,
		CreatedDate: date, LastUpdatedDate: date, StageKeys: r.stages(), Tags: r.AllTags(secret), UsagePlanIDs: plans,
	}, Life: Life{
		StepNumber: 1_000_000_000, Generation: 1_000_000_000, Since: date, Ended: date, Previous: strings.Repeat("i", 128),
		Holds: Holds{{Start: date, End: date}}, Next: &Next{NewValue(strings.Repeat("v", 128)), date},
	}}
	if size, bound := len(longest.Encode().Reveal()), r.RecordSize(secret, plans); size != bound {
		t.Errorf("RecordSize is %d, want %d", bound, size)
	}
}

// JSON's escapes can make a request of 64 KiB too large to record.
func TestRecordSizeOfALargeRequest(t *testing.T) {
	for name, test := range map[string]struct {
		description string
		fits        bool
	}{
		"plain":           {strings.Repeat("d", 60_000), true},
		"angle brackets":  {strings.Repeat("<&>", 20_000), true},
		"quotation marks": {strings.Repeat(`"`, 31_800), true},
		"too many":        {strings.Repeat(`"`, 32_700), false},
	} {
		r := Request{CustomerID: "c", Description: test.description}
		if size := r.RecordSize("apikeys/c/_", nil); size <= MaxRecordSize != test.fits {
			t.Errorf("%s: %d bytes fit: got %t, want %t", name, size, !test.fits, test.fits)
		}
	}
}

func TestDifferences(t *testing.T) {
	request := func(change func(*Request)) Request {
		r := digested()
		if change != nil {
			change(&r)
		}
		return r
	}
	key := Key{
		ID: "a1b2c3d4e5", CustomerID: "cust-1", Description: "d", Enabled: true, Name: "n", StageKeys: []string{"api/prod"},
		Tags:         map[string]string{"a": "1", "b": "2", TagSecret: "x", TagRequest: "y"},
		UsagePlanIDs: []string{"p1", "p2"},
	}
	plans := []string{"p2", "p1"}
	for name, test := range map[string]struct {
		request Request
		plans   []string
		want    []string
	}{
		"none":             {request(nil), plans, nil},
		"customerId":       {request(func(r *Request) { r.CustomerID = "x" }), plans, []string{"customerId"}},
		"description":      {request(func(r *Request) { r.Description = "" }), plans, []string{"description"}},
		"enabled":          {request(func(r *Request) { r.Enabled = false }), plans, []string{"enabled"}},
		"name":             {request(func(r *Request) { r.Name = "" }), plans, []string{"name"}},
		"stages":           {request(func(r *Request) { r.StageKeys = nil }), plans, []string{"stageKeys"}},
		"tag changed":      {request(func(r *Request) { r.Tags["a"] = "2" }), plans, []string{"tags"}},
		"no tags":          {request(func(r *Request) { r.Tags = nil }), plans, []string{"tags"}},
		"plans":            {request(func(r *Request) { r.UsagePlanIDs = []string{"p1"} }), []string{"p1"}, []string{"usagePlanIds"}},
		"no plans":         {request(func(r *Request) { r.UsagePlanIDs = nil }), nil, []string{"usagePlanIds"}},
		"several":          {request(func(r *Request) { r.Name = "x"; r.Enabled = false; r.UsagePlanIDs = []string{"p3"} }), []string{"p3"}, []string{"enabled", "name", "usagePlanIds"}},
		"not kept":         {request(func(r *Request) { r.GenerateDistinctID = false }), plans, nil},
		"a default of now": {request(func(r *Request) { r.Name = "x"; r.UsagePlanIDs = nil }), []string{"p9"}, []string{"name"}},
	} {
		if got := test.request.Differences(key, test.plans); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if len(key.Tags) != 4 {
		t.Error("Differences changed the key's own tags")
	}
}
