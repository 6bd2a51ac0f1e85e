package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads one YAML document. The library parses the syntax. What a plain scalar
// means is decided here, by the core schema of YAML 1.2 (section 10.3.2), because the
// library still takes 1_000 and 0b1 for numbers.
func parseYAML(text []byte) (n Node, err error) {
	// A bug of the library's must fail this one document only, and what it panics
	// with could quote the document.
	defer func() {
		if recover() != nil {
			n, err = Node{}, errors.New("is not valid YAML")
		}
	}()
	// The library refuses the directive of the version that is read here.
	source := directive().ReplaceAll(text, []byte("${1}1"))
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var root, more yaml.Node
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return Node{}, errors.New("is empty")
		}
		return Node{}, yamlError(err)
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return Node{}, errors.New("must not hold more than one YAML document")
	case !errors.Is(err, io.EOF):
		return Node{}, yamlError(err)
	}
	n, err = yamlReader{yamlLines(text)}.node(root.Content[0], 0)
	if err != nil {
		return Node{}, err
	}
	n.Size = len(text)
	return n, nil
}

// yamlError keeps the line and drops the library's text, which quotes the names of
// unknown anchors: a value that begins with * looks like one.
func yamlError(err error) error {
	var line int
	const mend = ": write a blank after each colon, indent with blanks, not tabs, and put a text in quotes that begins with a sign or has a colon in it"
	if _, scanErr := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); scanErr == nil {
		return fmt.Errorf("is not valid YAML (near line %d)"+mend, line)
	}
	return errors.New("is not valid YAML" + mend)
}

// directive matches a document up to the 2 of its %YAML 1.2.
var directive = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^((?:[ \t]*(?:#.*)?\r?\n)*%YAML[ \t]+1\.)2\b`)
})

// yamlReader makes nodes of the library's.
type yamlReader struct {
	lines [][]rune // of the text, as the library counts lines and columns
}

func yamlLines(text []byte) (lines [][]rune) {
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(text)), "\n") {
		lines = append(lines, []rune(line))
	}
	return lines
}

// startsWithTag reports whether a node begins with a tag. The library does not tell of "!",
// which makes a string of 12 and of true.
func (r yamlReader) startsWithTag(y *yaml.Node) bool {
	if y.Line < 1 || y.Line > len(r.lines) {
		return false
	}
	line := r.lines[y.Line-1]
	return 1 <= y.Column && y.Column <= len(line) && line[y.Column-1] == '!'
}

func (r yamlReader) node(y *yaml.Node, depth int) (Node, error) {
	if depth > maxDepth {
		return Node{}, errDepth
	}
	n := Node{Fault: r.fault(y)}
	switch y.Kind {
	case yaml.MappingNode:
		n.Kind = Object
		seen := map[string]bool{}
		for i := 0; i < len(y.Content); i += 2 { // name, value, name …
			m, err := r.member(y.Content[i], y.Content[i+1], depth+1)
			if err != nil {
				return Node{}, err
			}
			if m.Fault == "" {
				if seen[m.Name] {
					m.Fault = "repeated member"
				}
				seen[m.Name] = true
			}
			n.Members = append(n.Members, m)
		}
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			v, err := r.node(item, depth+1)
			if err != nil {
				return Node{}, err
			}
			n.Items = append(n.Items, v)
		}
	case yaml.ScalarNode:
		n.Kind = scalarKind(y)
		if n.Kind == String {
			n.Text = y.Value
		}
		n.Bool = n.Kind == Bool && strings.EqualFold(y.Value, "true")
	}
	return n, nil
}

func (r yamlReader) member(key, value *yaml.Node, depth int) (Member, error) {
	v, err := r.node(value, depth)
	m := Member{Name: key.Value, Value: v}
	switch {
	case key.Style&quoted == 0 && key.Value == "<<":
		m.Fault = "merge keys are not supported"
	case key.Kind != yaml.ScalarNode:
		m.Name, m.Fault = "?", "member names must be strings"
	case scalarKind(key) != String:
		m.Fault = "member names must be strings: put it in quotes"
	default:
		m.Fault = r.fault(key)
	}
	return m, err
}

// fault names what a node has that JSON has no form for.
func (r yamlReader) fault(y *yaml.Node) string {
	switch {
	case y.Kind == yaml.AliasNode:
		return "must not be an alias"
	case y.Anchor != "":
		return "must not have an anchor"
	case y.Style&yaml.TaggedStyle != 0 && !tagFits(y), y.Kind == yaml.ScalarNode && y.Style&yaml.TaggedStyle == 0 && r.startsWithTag(y):
		return "must not have a tag of its own"
	}
	return ""
}

// tagFits reports whether an explicit tag is the one that the core schema resolves the
// node to without it, or is !!str on a scalar.
func tagFits(y *yaml.Node) bool {
	switch y.Kind {
	case yaml.MappingNode:
		return y.Tag == "!!map"
	case yaml.SequenceNode:
		return y.Tag == "!!seq"
	}
	switch scalarKind(y) {
	case Null:
		return y.Tag == "!!null"
	case Bool:
		return y.Tag == "!!bool"
	case Number:
		return y.Tag == "!!int" || y.Tag == "!!float"
	}
	return y.Tag == "!!str"
}

// quoted holds the styles of scalars that are strings whatever their text is.
const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

func scalarKind(y *yaml.Node) Kind {
	if y.Style&quoted != 0 || y.Style&yaml.TaggedStyle != 0 && y.Tag == "!!str" {
		return String
	}
	return resolve(y.Value)
}

// number matches the core schema's integers and floats. It is compiled when first used,
// because most requests are JSON, and a cold start should not pay for it.
var number = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+` +
		`|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?` +
		`|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
})

// resolve returns the kind that the core schema gives to a plain scalar.
func resolve(plain string) Kind {
	switch {
	case slices.Contains([]string{"", "~", "null", "Null", "NULL"}, plain):
		return Null
	case slices.Contains([]string{"true", "True", "TRUE", "false", "False", "FALSE"}, plain):
		return Bool
	case number().MatchString(plain):
		return Number
	}
	return String
}
