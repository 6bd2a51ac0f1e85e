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
// [Parse] refuses only what is no document at all; whoever reads a [Node] has to look
// at its Fault, and at those of its members:
//
//	root, err := document.Parse(text)
//	for _, m := range root.Members {
//		if fault := cmp.Or(m.Fault, m.Value.Fault); fault != "" {
//			// tell it, with m.Name
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

// Kind tells what a Node is.
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

// Has tells whether every one of the names is a member.
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
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = int(syntax.Offset)
		}
		before := text[:max(at-1, 0)] // the character at fault may itself end a line
		line := 1 + bytes.Count(before, []byte("\n"))
		column := at - (bytes.LastIndexByte(before, '\n') + 1)
		return Node{}, fmt.Errorf("is not valid JSON (line %d, column %d)", line, column)
	}
	w := walker{rest: text, left: mostValues + len(text)/16}
	n, err := w.value(0)
	if err != nil {
		return Node{}, err
	}
	n.Size = len(text)
	return n, nil
}

// walker reads JSON that is known to be valid.
type walker struct {
	rest []byte
	left int // how many values may still come
}

// mostValues is more than a document of 64 KiB can hold. Beside it an envelope has a
// value for each 16 bytes, which its names and texts see to: a megabyte of "0,0,0"
// would otherwise take fifty times its size, and with it the memory of its neighbours
// in the batch.
const mostValues = 32 << 10

var errDepth = fmt.Errorf("must not be nested deeper than %d levels", maxDepth)

// next skips blanks and separators (where the grammar wants them is not a
// question any more) and returns the first character of what follows.
func (w *walker) next() byte {
	w.rest = bytes.TrimLeft(w.rest, " \t\r\n,:")
	return w.rest[0]
}

func (w *walker) value(depth int) (Node, error) {
	if depth > maxDepth {
		return Node{}, errDepth
	}
	if w.left--; w.left < 0 {
		return Node{}, errors.New("holds more values than a request can")
	}
	first := w.next()
	start := len(w.rest)
	var n Node
	switch first {
	case '{':
		n.Kind = Object
		w.rest = w.rest[1:]
		seen := map[string]bool{}
		for w.next() != '}' {
			name, fault := w.text()
			if fault == "" {
				if seen[name] {
					fault = "repeated member"
				}
				seen[name] = true
			}
			v, err := w.value(depth + 1)
			if err != nil {
				return Node{}, err
			}
			n.Members = append(n.Members, Member{Name: name, Fault: fault, Value: v})
		}
		w.rest = w.rest[1:]
	case '[':
		n.Kind = List
		w.rest = w.rest[1:]
		for w.next() != ']' {
			v, err := w.value(depth + 1)
			if err != nil {
				return Node{}, err
			}
			n.Items = append(n.Items, v)
		}
		w.rest = w.rest[1:]
	case '"':
		n.Kind = String
		n.Text, n.Fault = w.text()
	case 't', 'f':
		n.Kind = Bool
		n.Bool = first == 't'
		w.skip("truefals")
	case 'n':
		n.Kind = Null
		w.skip("nul")
	default:
		n.Kind = Number
		w.skip("+-.0123456789eE")
	}
	n.Size = start - len(w.rest)
	return n, nil
}

// skip drops the characters of a literal.
func (w *walker) skip(of string) { w.rest = bytes.TrimLeft(w.rest, of) }

// text reads a string literal, and names the fault that Go would mend.
func (w *walker) text() (text, fault string) {
	end := 1
	for w.rest[end] != '"' {
		if w.rest[end] == '\\' {
			end++
		}
		end++
	}
	literal := w.rest[:end+1]
	w.rest = w.rest[end+1:]
	switch {
	case !utf8.Valid(literal):
		fault = "must be UTF-8"
	case unpairedSurrogate(literal):
		fault = "must not hold an unpaired surrogate"
	}
	// The literal is valid JSON, so this cannot fail.
	_ = json.Unmarshal(literal, &text)
	return text, fault
}

// unpairedSurrogate tells whether a string literal escapes half a surrogate
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
