// Package document reads JSON and YAML into one small tree of nodes, so that one
// validator can check both.
//
// It guarantees that whatever encoding/json would repair silently stays visible:
// repeated members are all kept, and bytes that are not UTF-8 and unpaired surrogates
// are faults of their node, as are YAML's anchors, aliases and tags. A validator can
// report them with their paths, beside the other faults. Of a number only the kind is
// kept, since no request holds one. No error or fault quotes the document, which may
// hold an API key's value.
//
// [Parse] fails only where the text is no document at all. Whoever reads a [Node] must
// check its Fault, and those of its members:
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
	"strings"
	"unicode/utf8"
)

// MaxYAMLSize is the longest YAML text that Parse reads, in bytes.
const MaxYAMLSize = 64 << 10

// maxDepth bounds the recursion. Lambda's deepest envelopes nest fewer than ten levels.
const maxDepth = 64

var errDepth = fmt.Errorf("must not be nested deeper than %d levels", maxDepth)

// Kind is the type of a Node's value.
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

// String returns the kind with its article: "a boolean".
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// Node is one value of a document.
type Node struct {
	Kind    Kind
	Bool    bool     // of a Bool
	Text    string   // of a String; beside a Fault it may have been repaired
	Items   []Node   // of a List
	Members []Member // of an Object, in the document's order, repeated ones too

	// Size is the length of the node's source text in bytes. It is zero, because
	// unknown, for the inner nodes of a YAML document.
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

// Get returns the member of that name, the first where it is repeated. Names are
// case-sensitive.
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

// GetText returns the text of a member that is a string without a fault, else "".
func (n Node) GetText(name string) string {
	if m, ok := n.Get(name); ok && m.Kind == String && m.Fault == "" {
		return m.Text
	}
	return ""
}

// Mismatch returns the rule that a node of another kind breaks, with the mend of what people
// send in its place: "must be a boolean, not a string: write true or false, without quotes".
// It is empty where the node is of the kind.
func (n Node) Mismatch(want Kind) string {
	mend := ""
	switch {
	case n.Kind == want:
		return ""
	case n.Kind == Null: // what to do depends on whether it may be absent
	case want == Bool:
		mend = ": write true or false, without quotes"
	case want == String && (n.Kind == Number || n.Kind == Bool):
		mend = ": put it in quotes"
	case n.HoldsJSON():
		mend = ": " + EncodedTwice
	case want == List:
		mend = ": put it in square brackets"
	}
	return "must be " + want.String() + ", not " + n.Kind.String() + mend
}

// blanks are the characters that JSON takes for blank (RFC 8259, section 2).
const blanks = " \t\r\n"

// EncodedTwice is the mend of a node that [Node.HoldsJSON].
const EncodedTwice = "it is JSON inside a string, encoded once too often: send it without the quotes and backslashes around it"

// HoldsJSON reports whether the node is a string whose text looks like a JSON list or object:
// one behind another character, such as a no-break space, was not encoded, and is no JSON.
func (n Node) HoldsJSON() bool {
	text := strings.TrimLeft(n.Text, blanks)
	return n.Kind == String && (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "["))
}

// Plain returns the node as encoding/json would decode it into an any, except that each
// number is json.Number("0"), since a Node does not keep numbers.
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

// Parse reads a document as JSON where its first character that is not blank is {, [ or
// ", and as YAML otherwise: one document in the core schema of YAML 1.2
// (https://yaml.org/spec/1.2.2/#103-core-schema), of at most [MaxYAMLSize] bytes. A
// document must not begin with a byte-order mark, nor be nested deeper than 64 levels.
//
// Its errors say what is wrong, where, and mostly what to do, as in "is not valid JSON (line
// 3, column 7): take out the comma before it", for a caller to put the document's name in
// front. Columns count bytes. JSON that ends too early is an [ErrCutShort].
func Parse(text []byte) (Node, error) {
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return Node{}, errors.New("must not begin with a byte-order mark: save it as UTF-8 without one")
	}
	first := bytes.TrimLeft(text, blanks)
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
		// The library ends lines at these, as YAML 1.1 does and 1.2 does not, and
		// would replace them.
		return Node{}, errors.New("must write U+0085, U+2028 and U+2029 as escapes in YAML")
	}
	return parseYAML(text)
}
