// Package document reads JSON and YAML into one small tree of nodes, so that
// one validator can judge both.
//
// It guarantees that what encoding/json would mend in silence stays visible:
// repeated members are all there, and bytes that are not UTF-8 or unpaired
// surrogates are a fault of their node, as are YAML's anchors, aliases and tags. So a
// reader can report them with their paths, beside the other faults. Of a number only
// the kind is kept, since no request holds one. No error or fault quotes the document:
// it may hold an API key's value.
//
// [Parse] refuses only what is no document at all; the reader of a [Node] has to look
// at its Fault, and at those of its members:
//
//	root, err := document.Parse(text)
//	for _, m := range root.Members {
//		if fault := cmp.Or(m.Fault, m.Value.Fault); fault != "" {
//			// report it, with m.Name
//		}
//	}
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxYAMLSize is the longest YAML text that Parse reads, in bytes.
const MaxYAMLSize = 64 << 10

// maxDepth bounds the recursion. Lambda's deepest envelopes nest under ten.
const maxDepth = 64

// Kind says what a Node is.
type Kind int

// The kinds of JSON, and of YAML's core schema.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
)

// Node is one value of a document.
type Node struct {
	Kind    Kind
	Bool    bool     // of a Bool
	Text    string   // of a String; with a Fault it may have been mended
	Items   []Node   // of a List
	Members []Member // of an Object, in the document's order, repeated ones too

	// Size is the length of the node's source text in bytes; of a YAML
	// document's inner nodes it is not known, and zero.
	Size int
	// Fault is the rule that the node itself breaks, whatever is expected in
	// its place ("must not hold an unpaired surrogate"), or empty.
	Fault string
}

// Member is one member of an object.
type Member struct {
	Name  string
	Fault string // the rule that the name breaks ("repeated member"), or empty
	Value Node
}

// Get returns the member of that name (names are case-sensitive), the first
// where it is repeated.
func (n Node) Get(name string) (Node, bool) {
	for _, m := range n.Members {
		if m.Name == name {
			return m.Value, true
		}
	}
	return Node{}, false
}

// Has reports whether every one of the names is a member.
func (n Node) Has(names ...string) bool {
	for _, name := range names {
		if _, ok := n.Get(name); !ok {
			return false
		}
	}
	return true
}

// GetText returns the text of a member that is a faultless string, else "".
func (n Node) GetText(name string) string {
	if m, ok := n.Get(name); ok && m.Kind == String && m.Fault == "" {
		return m.Text
	}
	return ""
}

// Plain returns the node as encoding/json would decode it. A Node does not keep
// numbers, which no request holds: each is json.Number("0").
func (n Node) Plain() any {
	switch n.Kind {
	case Bool:
		return n.Bool
	case Number:
		return json.Number("0")
	case String:
		return n.Text
	case List:
		items := make([]any, len(n.Items))
		for i, item := range n.Items {
			items[i] = item.Plain()
		}
		return items
	case Object:
		members := make(map[string]any, len(n.Members))
		for _, m := range n.Members {
			members[m.Name] = m.Value.Plain()
		}
		return members
	}
	return nil
}

// Parse reads a document whose first character that is not blank is {, [ or "
// as JSON, and any other as YAML: one document, of the core schema of YAML 1.2
// (https://yaml.org/spec/1.2.2/#103-core-schema) and of at most [MaxYAMLSize]. Neither
// may be nested deeper than 64 levels, nor begin with a byte-order mark.
//
// Its errors say what is wrong and where, as in "is not valid JSON (line 3,
// column 7)", for a caller to put the name of the document in front. Columns are
// counted in bytes.
func Parse(text []byte) (Node, error) {
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return Node{}, errors.New("must not begin with a byte-order mark")
	}
	first := bytes.TrimLeft(text, " \t\r\n")
	switch {
	case len(first) == 0:
		return Node{}, errors.New("is empty")
	case first[0] == '{' || first[0] == '[' || first[0] == '"':
		return parseJSON(text)
	case !utf8.Valid(text):
		return Node{}, errors.New("must be UTF-8")
	case len(text) > MaxYAMLSize:
		return Node{}, fmt.Errorf("must be at most %d bytes, has %d", MaxYAMLSize, len(text))
	case bytes.ContainsAny(text, "\u0085\u2028\u2029"):
		// The library ends lines at these, as YAML 1.1 does and 1.2 does not,
		// and would fold them away.
		return Node{}, errors.New("must write U+0085, U+2028 and U+2029 as escapes in YAML")
	}
	return parseYAML(text)
}

// parseJSON lets encoding/json judge the grammar, and then walks text that is
// known to be good: encoding/json's own decoding would replace what is not
// UTF-8, mend surrogates and let the last of repeated members win.
func parseJSON(text []byte) (Node, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		at := len(text)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = int(syntax.Offset)
		}
		before := text[:max(at-1, 0)] // the character at fault may itself end a line
		line := 1 + bytes.Count(before, []byte("\n"))
		column := at - (bytes.LastIndexByte(before, '\n') + 1)
		return Node{}, fmt.Errorf("is not valid JSON (line %d, column %d)", line, column)
	}
	w := walker{text: text, tokens: json.NewDecoder(bytes.NewReader(text)), left: mostValues + len(text)/16}
	w.tokens.UseNumber()
	n, err := w.value(0)
	if err != nil {
		return Node{}, err
	}
	n.Size = len(text)
	return n, nil
}

// walker reads JSON that is known to be valid.
type walker struct {
	text   []byte
	tokens *json.Decoder
	left   int // how many values may still come
}

// mostValues is more than a document of 64 KiB can hold. Beside it an envelope has a
// value for each 16 bytes, which its names and texts see to: a megabyte of "0,0,0"
// would otherwise take fifty times its size, and with it the memory of its neighbours
// in the batch.
const mostValues = 32 << 10

var errDepth = fmt.Errorf("must not be nested deeper than %d levels", maxDepth)

// next returns the next token and its source.
func (w *walker) next() (json.Token, []byte) {
	before := w.tokens.InputOffset()
	token, _ := w.tokens.Token() // of text that is known to be valid
	return token, bytes.TrimLeft(w.text[before:w.tokens.InputOffset()], " \t\r\n,:")
}

func (w *walker) value(depth int) (n Node, err error) {
	if depth > maxDepth {
		return Node{}, errDepth
	}
	if w.left--; w.left < 0 {
		return Node{}, errors.New("holds more values than a request can")
	}
	token, source := w.next()
	start := w.tokens.InputOffset() - int64(len(source))
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			n.Kind = Object
			n.Members, err = w.members(depth + 1)
		} else {
			n.Kind = List
			n.Items, err = w.items(depth + 1)
		}
		if err != nil {
			return Node{}, err
		}
		w.next() // the closing one
	case string:
		n.Kind, n.Text, n.Fault = String, t, textFault(source)
	case json.Number:
		n.Kind = Number
	case bool:
		n.Kind, n.Bool = Bool, t
	}
	n.Size = int(w.tokens.InputOffset() - start)
	return n, nil
}

func (w *walker) members(depth int) (members []Member, err error) {
	seen := map[string]bool{}
	for w.tokens.More() {
		token, source := w.next()
		m := Member{Name: token.(string), Fault: textFault(source)}
		if m.Fault == "" {
			if seen[m.Name] {
				m.Fault = "repeated member"
			}
			seen[m.Name] = true
		}
		if m.Value, err = w.value(depth); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

func (w *walker) items(depth int) ([]Node, error) {
	var items []Node
	for w.tokens.More() {
		item, err := w.value(depth)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// textFault names what encoding/json mends in silence in a string literal.
func textFault(literal []byte) string {
	switch {
	case !utf8.Valid(literal):
		return "must be UTF-8"
	case unpairedSurrogate(literal):
		return "must not hold an unpaired surrogate"
	}
	return ""
}

// unpairedSurrogate reports whether a string literal escapes half a surrogate
// pair, which encoding/json would turn into U+FFFD in silence.
func unpairedSurrogate(literal []byte) bool {
	high := false // the escape just read wants a low surrogate next
	for i := 0; i < len(literal); i++ {
		if literal[i] != '\\' || literal[i+1] != 'u' {
			if high {
				return true
			}
			if literal[i] == '\\' {
				i++
			}
			continue
		}
		unit, _ := strconv.ParseUint(string(literal[i+2:i+6]), 16, 16)
		i += 5
		isHigh, isLow := unit >= 0xD800 && unit < 0xDC00, unit >= 0xDC00 && unit < 0xE000
		if high != isLow {
			return true
		}
		high = isHigh
	}
	return high
}
