package schema_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"createkey/events"
	"createkey/events/schema"
	"createkey/internal/apikey"
	"createkey/internal/corpus"
	"createkey/internal/document"
	"createkey/internal/event"
	"createkey/internal/failure"
)

// compile compiles a schema, which is judged by its meta-schema first, with
// formats checked.
func compile(t testing.TB, document any, at string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4) // what OpenAPI 3.0 is nearest to
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

const corpusSeed, corpusSize = 6, 5000

var requested, ready, rejected = schema.Schemas[0], schema.Schemas[1], schema.Schemas[2]

// unsayable begins or ends the reasons that no schema can give.
var unsayable = struct{ whole, rules []string }{
	whole: []string{
		"request: must be at most ",                    // its size
		"customerId: customerId or name must be given", // what carried it counts, too
		"request: its record would take up to ",        // the record's size
		"request: is not valid ", "request: is empty",  // not a document
		"request: must be UTF-8", "request: must not begin", // not a document
		"request: must write ", "request: must not hold more", // not a document
		"request: must not be nested", // not a document; deeper than any request
	},
	rules: []string{
		": repeated member", ": must be UTF-8", ": must not hold an unpaired surrogate",
		// What YAML has and JSON has not.
		": must not be an alias", ": must not have an anchor", ": must not have a tag of its own",
		": merge keys are not supported", ": member names must be strings",
	},
}

func isUnsayable(reason string) bool {
	return slices.ContainsFunc(unsayable.whole, func(begins string) bool { return strings.HasPrefix(reason, begins) }) ||
		slices.ContainsFunc(unsayable.rules, func(rule string) bool { return strings.HasSuffix(reason, rule) })
}

// parse judges a document as the function does.
func parse(text []byte, deliveryID string) (document.Node, error) {
	doc, err := document.Parse(text)
	if err != nil {
		return doc, failure.Reject("request: %s", err)
	}
	_, _, err = apikey.Parse(doc, "apikeys/", deliveryID)
	return doc, err
}

// judge says what the schema makes of a document's text: JSON is read by a
// library, what is not JSON by the program's own reader.
func judge(compiled *jsonschema.Schema, text []byte, doc document.Node) error {
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		instance = doc.Plain()
	}
	return compiled.Validate(instance)
}

// agree tells where the two differ, without quoting the document.
func agree(compiled *jsonschema.Schema, text []byte, deliveryID string) error {
	doc, err := parse(text, deliveryID)
	var rejected *failure.RejectedError
	if errors.As(err, &rejected) && slices.ContainsFunc(rejected.Reasons, isUnsayable) {
		return nil
	}
	switch refused := judge(compiled, text, doc); {
	case rejected == nil && refused != nil:
		return fmt.Errorf("the validator accepts what the schema refuses at %s", places(refused))
	case rejected != nil && refused == nil:
		return fmt.Errorf("the schema accepts what the validator rejects: %w", rejected)
	}
	return nil
}

// places names the places that a schema refuses, and nothing of what is there.
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
		if err := agree(compiled, text, "d-1"); err != nil {
			t.Errorf("%s: %s", name, err)
		}
	}
}

func TestSchemaAndValidatorAgree_Samples(t *testing.T) {
	compiled := compileSchema(t, requested)
	accepted, refused := 0, 0
	for _, sample := range events.Samples {
		batch, err := event.Decode(sample.Payload(), "request-1")
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
	compiled := compileSchema(t, requested)
	told := map[string]int{}
	for i, text := range corpus.Documents(corpusSeed, corpusSize) {
		if err := agree(compiled, text, "d-1"); err != nil {
			t.Errorf("document %d of seed %d: %s", i, corpusSeed, err)
		}
		var rejected *failure.RejectedError
		switch _, err := parse(text, "d-1"); {
		case !errors.As(err, &rejected):
			told["good"]++
		case slices.ContainsFunc(rejected.Reasons, isUnsayable):
			told["unsayable"]++
		default:
			told["bad"]++
		}
	}
	t.Logf("%v", told)
	if told["good"] < corpusSize/5 || told["bad"] < corpusSize/5 || told["unsayable"] < corpusSize/50 {
		t.Errorf("the corpus is one-sided: %v", told)
	}
}

// verdict is what the validator makes of a document of the corpus.
type verdict struct {
	instance any
	accepted bool
}

// readCorpus returns the documents on which a schema can have a say.
func readCorpus(t *testing.T) []verdict {
	t.Helper()
	var verdicts []verdict
	for _, text := range corpus.Documents(corpusSeed, corpusSize) {
		doc, err := parse(text, "d-1")
		var rejected *failure.RejectedError
		if errors.As(err, &rejected) && slices.ContainsFunc(rejected.Reasons, isUnsayable) {
			continue
		}
		verdicts = append(verdicts, verdict{doc.Plain(), err == nil})
	}
	return verdicts
}

// Without any one of its rules the schema would accept what the validator
// rejects, and the corpus notices.
func TestEveryRuleOfTheSchemaIsTested(t *testing.T) {
	verdicts := readCorpus(t)
	isRule := func(keyword string) bool {
		switch keyword {
		case "$schema", "$id", "title", "description", "default", "deprecated", "writeOnly":
			return false
		}
		return true
	}
	whole := parseJSON(t, requested.JSON())
	rules := 0
	// visit takes each rule of a schema away, and gives it back.
	var visit func(path string, node map[string]any)
	visit = func(path string, node map[string]any) {
		for keyword, rule := range maps.Clone(node) {
			at := path + "/" + keyword
			if !isRule(keyword) || at == "/properties/description/maxLength" { // the document's 64 KiB come first
				continue
			}
			if keyword != "properties" {
				rules++
				delete(node, keyword)
				compiled := compile(t, whole, "")
				if !slices.ContainsFunc(verdicts, func(v verdict) bool { return (compiled.Validate(v.instance) == nil) != v.accepted }) {
					t.Errorf("nothing in the corpus needs %s", at)
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

// FuzzSchema goes on where the corpus ends.
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
		if err := agree(compiled, text, "d-1"); err != nil {
			t.Fatal(err)
		}
	})
}

var update = flag.Bool("update", false, "write registry/ anew")

func registryFile(s schema.Schema) string { return filepath.Join("registry", s.Name+".json") }

func TestRegistryIsUpToDate(t *testing.T) {
	for _, s := range schema.Schemas {
		want, err := s.Registry()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(registryFile(s), want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(registryFile(s)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s says (%v): run `make schemas`", registryFile(s), s.File, err)
		}
	}
}
