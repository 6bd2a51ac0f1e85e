// Package corpus makes good and bad requests, close to the border between them, for tests that
// compare two judges on the same documents: the validator and the schema, or the senders' tool
// and the function.
//
// It guarantees that a seed always gives the same documents, that some thousand of them break
// every rule of a request's schema that a document of 64 KiB can break (a test of events/schema
// removes each rule), and that no value in them belongs to anybody.
package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Documents returns n documents of a seed, in JSON or YAML: good requests, most of them then
// spoilt in one to three places.
func Documents(seed uint64, n int) [][]byte {
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	documents := make([][]byte, n)
	for i := range documents {
		request := any(g.request())
		for range g.IntN(4) {
			request = g.spoil(request)
		}
		documents[i] = g.spoilText(g.write(request))
	}
	return documents
}

// Vectors returns the documents of the test vectors in a folder, by file name, without the
// headers that state their outcomes.
func Vectors(folder string) (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s: no vectors", folder)
	}
	vectors := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		_, document, _ := bytes.Cut(text, []byte("\n\n")) // after the header
		vectors[filepath.Base(file)] = document
	}
	return vectors, nil
}

type generator struct{ *rand.Rand }

// oneOf picks one of the choices.
func oneOf[T any](g generator, choices ...T) T { return choices[g.IntN(len(choices))] }

var letters = []rune(`abcXYZ019 -_./:=+@"\<&é€😀` + "\t\x00\u2028\ufffd")

// text returns a text with one of the given lengths, in characters of one to four bytes. A long
// text repeats itself.
func (g generator) text(lengths ...int) string {
	runes := make([]rune, oneOf(g, lengths...))
	for i := range runes {
		if i < 20 {
			runes[i] = letters[g.IntN(len(letters))]
		} else {
			runes[i] = runes[i-20]
		}
	}
	return string(runes)
}

// request returns a good request: each member is present or not, and often at one of its limits.
func (g generator) request() map[string]any {
	members := map[string]func() any{
		"name":               func() any { return g.text(0, 1, 20, 1024) },
		"description":        func() any { return g.text(0, 1, 300) },
		"enabled":            func() any { return oneOf(g, true, false) },
		"generateDistinctId": func() any { return oneOf(g, true, false) },
		"value":              func() any { return g.text(0, 20, 40, 128) },
		"stageKeys":          func() any { return g.list(g.stageKey, 0, 1, 3) },
		"customerId":         func() any { return g.text(0, 1, 12, 30) },
		"tags":               func() any { return g.tags(0, 1, 2, 5, 48) },
		"usagePlanIds":       func() any { return g.plans(0, 1, 2, 10) },
	}
	request := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if g.IntN(2) == 0 {
			request[name] = members[name]()
		}
	}
	return request
}

func (g generator) list(item func() any, lengths ...int) []any {
	list := make([]any, oneOf(g, lengths...))
	for i := range list {
		list[i] = item()
	}
	return list
}

func (g generator) stageKey() any {
	switch g.IntN(4) {
	case 0:
		return map[string]any{}
	case 1:
		return map[string]any{"restApiId": "", "stageName": ""}
	}
	return map[string]any{"restApiId": g.text(1, 10), "stageName": g.text(1, 10)}
}

func (g generator) tags(lengths ...int) map[string]any {
	tags := map[string]any{}
	for i := range oneOf(g, lengths...) {
		tags[fmt.Sprintf("%d%s", i, g.text(0, 1, 2, 10, 126))] = g.text(0, 1, 2, 10, 256)
	}
	return tags
}

func (g generator) plans(lengths ...int) []any {
	plans := make([]any, oneOf(g, lengths...))
	for i := range plans {
		plans[i] = fmt.Sprintf("%d%s", i, g.text(0, 1, 8))
	}
	return plans
}

// spoil changes one place of a document, mostly for the worse.
func (g generator) spoil(document any) any {
	request, ok := document.(map[string]any)
	if !ok || g.IntN(40) == 0 {
		return g.anything()
	}
	switch g.IntN(8) {
	case 0:
		request["name"] = g.text(1024, 1025)
	case 1:
		request["value"] = g.text(1, 19, 20, 128, 129)
	case 2:
		tags := g.tags(1, 48, 49)
		tags[oneOf(g, "aws:", "createkey:", "aws", "AWS:", "", " aws:")+g.text(0, 1, 123, 124, 125)] = g.text(256, 257)
		request["tags"] = tags
	case 3:
		plans := g.plans(1, 9, 10)
		request["usagePlanIds"] = append(plans, oneOf(g, any("one more"), "", plans[0]))
	case 4:
		stage := map[string]any{"restApiId": g.text(0, 5), "stageName": g.text(0, 5)}
		switch name := oneOf(g, "restApiId", "stageName", "stage"); g.IntN(3) {
		case 0:
			delete(stage, name)
		case 1:
			stage[name] = g.anything()
		}
		request["stageKeys"] = []any{g.stageKey(), stage}
	case 5:
		if inner, ok := request[oneOf(g, "tags", "stageKeys", "usagePlanIds")]; ok {
			switch inner := inner.(type) {
			case map[string]any:
				g.spoilMember(inner)
			case []any:
				if len(inner) > 0 {
					inner[g.IntN(len(inner))] = g.anything()
				}
			}
		}
	default:
		g.spoilMember(request)
	}
	return request
}

// spoilMember gives one member another type, or another name.
func (g generator) spoilMember(object map[string]any) {
	names := append(slices.Sorted(maps.Keys(object)), "enabled", "restApiId", "stageName")
	name := oneOf(g, names...)
	if g.IntN(2) == 0 {
		object[name] = g.anything()
	} else {
		object[oneOf(g, strings.ToUpper(name), name+" ", "", "Name", "apiKeyId")] = object[name]
	}
}

func (g generator) anything() any {
	return oneOf[any](g, nil, true, "", "true", 0, 1.5, "text of more than 20 characters",
		[]any{}, []any{""}, []any{nil}, map[string]any{}, map[string]any{"": nil}, []any{[]any{map[string]any{"a": 1}}})
}

// write encodes a document as JSON or, if a library can, as the same in YAML.
func (g generator) write(document any) []byte {
	if g.IntN(5) == 0 {
		if text, err := yaml.Marshal(document); err == nil {
			return text
		}
	}
	text, err := json.Marshal(document)
	if err != nil {
		panic(err) // the types above can all be marshalled
	}
	if g.IntN(2) == 0 {
		var b bytes.Buffer
		_ = json.Indent(&b, text, "", "  ") // it is valid
		return b.Bytes()
	}
	return text
}

// spoilText breaks a few of the documents below the level of JSON.
func (g generator) spoilText(text []byte) []byte {
	at := g.IntN(len(text) + 1)
	insert := func(what string) []byte { return slices.Insert(slices.Clone(text), at, []byte(what)...) }
	switch g.IntN(60) {
	case 0:
		return text[:at]
	case 1:
		return insert(oneOf(g, `"`, `,`, `}`, "\xff", `\ud800`, `\`, "\n", "\ufeff", "&a ", "*a "))
	case 2:
		return append(slices.Clone(text), "\n{}"...)
	case 3:
		return slices.Concat([]byte("\ufeff"), text)
	case 4: // a repeated member
		return bytes.Replace(text, []byte("{"), []byte(`{"name":"n","name":"m",`), 1)
	case 5: // too large, but otherwise valid
		return append(slices.Clone(text), bytes.Repeat([]byte(" "), 65<<10)...)
	case 6: // an unpaired surrogate
		return bytes.Replace(text, []byte(`":"`), []byte(`":"\udc00`), 1)
	case 7:
		return bytes.Replace(text, []byte(`":"`), []byte("\":\"\xc3"), 1)
	}
	return text
}
