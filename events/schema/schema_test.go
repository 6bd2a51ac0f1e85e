package schema_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"createkey/events"
	"createkey/events/schema"
	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/envelope"
	"createkey/internal/failure"
	"createkey/internal/test/corpus"
)

// compile compiles a schema with format checks, after validating it against its
// meta-schema.
func compile(t testing.TB, document any, at string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4) // the draft closest to OpenAPI 3.0
	compiler.AssertFormat()
	if err := compiler.AddResource("urn:it", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("urn:it" + at)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func parseJSON(t testing.TB, text []byte) any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func compileSchema(t testing.TB, s schema.Schema) *jsonschema.Schema {
	t.Helper()
	return compile(t, parseJSON(t, s.JSON()), "")
}

const corpusSeed, corpusSize = 6, 4000

var requested, ready, rejected = schema.Schemas[0], schema.Schemas[1], schema.Schemas[2]

// inexpressible lists prefixes and suffixes of reasons that no schema can give.
var inexpressible = struct{ whole, rules []string }{
	whole: []string{
		"request: must be at most ",                    // its size
		"customerId: customerId or name must be given", // depends on the carrier
		"request: its record would take up to ",        // the record's size
		"request: is not valid ", "request: is empty",  // not a document
		"request: must be UTF-8", "request: must not begin", // not a document
		"request: must write ", "request: must not hold more", // not a document
		"request: must not be nested", // not a document; deeper than any request
	},
	rules: []string{
		": repeated member", ": must be UTF-8", ": must not hold an unpaired surrogate",
		// YAML's own.
		": must not be an alias", ": must not have an anchor", ": must not have a tag of its own",
		": merge keys are not supported", ": member names must be strings",
	},
}

func isInexpressible(reason string) bool {
	return slices.ContainsFunc(inexpressible.whole, func(begins string) bool { return strings.HasPrefix(reason, begins) }) ||
		slices.ContainsFunc(inexpressible.rules, func(rule string) bool { return strings.HasSuffix(reason, rule) })
}

// verdict is the function's judgement of a document, and the document as a schema
// sees it.
type verdict struct {
	instance    any
	rejected    *failure.RejectedError // nil: accepted
	expressible bool                   // a schema can express the verdict
}

// judge reads a document as the function does. A schema sees JSON as the library
// decodes it, and anything else as the function's own reader does.
func judge(text []byte) verdict {
	var v verdict
	doc, err := document.Parse(text)
	if err != nil {
		return verdict{rejected: failure.Reject("request: %s", err)}
	}
	_, _, err = apikey.Parse(doc, "apikeys/", "d-1")
	if v.expressible = !errors.As(err, &v.rejected) || !slices.ContainsFunc(v.rejected.Reasons, isInexpressible); !v.expressible {
		return v
	}
	if v.instance, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
		v.instance = doc.Plain()
	}
	return v
}

// agree returns an error where schema and validator disagree. It does not quote the document.
func agree(compiled *jsonschema.Schema, v verdict) error {
	if !v.expressible {
		return nil
	}
	switch refused := compiled.Validate(v.instance); {
	case v.rejected == nil && refused != nil:
		return fmt.Errorf("the validator accepts what the schema refuses at %s", places(refused))
	case v.rejected != nil && refused == nil:
		return fmt.Errorf("the schema accepts what the validator rejects: %w", v.rejected)
	}
	return nil
}

// places returns the locations that a schema refuses, without their content.
func places(err error) string {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return "?"
	}
	if len(invalid.Causes) == 0 {
		return strings.Join(invalid.ErrorKind.KeywordPath(), "/")
	}
	var all []string
	for _, cause := range invalid.Causes {
		all = append(all, places(cause))
	}
	return strings.Join(all, ", ")
}

func TestSchemaAndValidatorAgree_Vectors(t *testing.T) {
	compiled := compileSchema(t, requested)
	vectors, err := corpus.Vectors("../../internal/apikey/testdata/requests")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range vectors {
		if err := agree(compiled, judge(text)); err != nil {
			t.Errorf("%s: %s", name, err)
		}
	}
}

func TestSchemaAndValidatorAgree_Samples(t *testing.T) {
	compiled := compileSchema(t, requested)
	accepted, refused := 0, 0
	for _, sample := range events.Samples {
		batch, err := envelope.Decode(sample.Payload(), "request-1")
		if err != nil {
			t.Fatalf("%s: %s", sample.File, err)
		}
		for _, m := range batch.Messages {
			if m.Err != nil {
				continue // not a request
			}
			_, _, rejected := apikey.Parse(m.Request, "apikeys/", m.DeliveryID)
			invalid := compiled.Validate(m.Request.Plain())
			if (rejected == nil) != (invalid == nil) {
				t.Errorf("%s, message %s: rejected: %t, refused: %t", sample.File, m.ID, rejected != nil, invalid != nil)
			}
			if invalid == nil {
				accepted++
			} else {
				refused++
			}
		}
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("%d requests accepted and %d refused: the samples show one side only", accepted, refused)
	}
}

func TestSchemaAndValidatorAgree_Corpus(t *testing.T) {
	if testing.Short() {
		t.Skip("judges 4,000 documents: run without -short")
	}
	compiled := compileSchema(t, requested)
	told := map[string]int{}
	for i, v := range judged() {
		if err := agree(compiled, v); err != nil {
			t.Errorf("document %d of seed %d: %s", i, corpusSeed, err)
		}
		switch {
		case !v.expressible:
			told["inexpressible"]++
		case v.rejected != nil:
			told["bad"]++
		default:
			told["good"]++
		}
	}
	t.Logf("%v", told)
	if told["good"] < corpusSize/5 || told["bad"] < corpusSize/5 || told["inexpressible"] < corpusSize/50 {
		t.Errorf("the corpus is one-sided: %v", told)
	}
}

// judged returns the verdicts on the corpus.
var judged = sync.OnceValue(func() []verdict {
	var verdicts []verdict
	for _, text := range corpus.Documents(corpusSeed, corpusSize) {
		verdicts = append(verdicts, judge(text))
	}
	return verdicts
})

func TestSchemaAndValidatorAgree_Ends(t *testing.T) {
	end := compileSchema(t, schema.Schemas[slices.IndexFunc(schema.Schemas, func(s schema.Schema) bool { return s.Name == "APIKeyEndRequested" })])
	for text, good := range map[string]bool{
		`{"customerId": "c", "name": "", "keyId": "k"}`: true,
		`{"name": "n"}`:                    true,
		`{"customerId": "c", "keyId": ""}`: false,
		`{"customerId": "", "name": ""}`:   false,
		`{"name": "n", "enabled": false}`:  false,
	} {
		doc, err := document.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = apikey.ParseChange(doc, apikey.End, apikey.Beginning, "")
		if schemaErr := end.Validate(parseJSON(t, []byte(text))); (err == nil) != good || (schemaErr == nil) != good {
			t.Errorf("%s: the validator says %v, the schema %v, want good: %t", text, err, schemaErr, good)
		}
	}
}

// Each rule is needed: without it, the schema accepts a document of the corpus that the
// validator rejects.
func TestEveryRuleOfTheSchemaIsTested(t *testing.T) {
	if testing.Short() {
		t.Skip("judges 4,000 documents for each rule: run without -short")
	}
	isRule := func(keyword string) bool {
		switch keyword {
		case "$schema", "$id", "title", "description", "default", "deprecated", "writeOnly":
			return false
		}
		return true
	}
	whole := parseJSON(t, requested.JSON())
	rules := 0
	// visit removes each rule of a schema in turn, and restores it.
	var visit func(path string, node map[string]any)
	visit = func(path string, node map[string]any) {
		for keyword, rule := range maps.Clone(node) {
			at := path + "/" + keyword
			if !isRule(keyword) || at == "/properties/description/maxLength" { // the limit of 64 KiB a document comes first
				continue
			}
			if keyword != "properties" {
				rules++
				delete(node, keyword)
				compiled := compile(t, whole, "")
				if !slices.ContainsFunc(judged(), func(v verdict) bool { return agree(compiled, v) != nil }) {
					t.Errorf("no document of the corpus needs %s", at)
				}
				node[keyword] = rule
			}
			switch rule := rule.(type) {
			case map[string]any:
				if keyword == "properties" {
					for name, member := range rule {
						visit(at+"/"+name, member.(map[string]any))
					}
				} else {
					visit(at, rule)
				}
			case []any:
				for i, option := range rule {
					if option, ok := option.(map[string]any); ok {
						visit(at+"/"+strconv.Itoa(i), option)
					}
				}
			}
		}
	}
	visit("", whole.(map[string]any))
	t.Logf("%d rules", rules)
}

// FuzzSchema looks for disagreements beyond the corpus.
func FuzzSchema(f *testing.F) {
	compiled := compileSchema(f, requested)
	for _, text := range corpus.Documents(7, 200) {
		f.Add(text)
	}
	vectors, err := corpus.Vectors("../../internal/apikey/testdata/requests")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range vectors {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := agree(compiled, judge(text)); err != nil {
			t.Fatal(err)
		}
	})
}

var update = flag.Bool("update", false, "rewrite template.yaml")

func TestTemplateIsUpToDate(t *testing.T) {
	const file = "template.yaml"
	want, err := schema.Template()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the JSON Schemas say (%v): run `make schemas`", file, err)
	}
}
