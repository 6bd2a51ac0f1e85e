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
	source := bytes.TrimPrefix(text, []byte("%YAML 1.2"))
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
	n, err = fromYAML(root.Content[0], 0)
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

func fromYAML(y *yaml.Node, depth int) (Node, error) {
	if depth > maxDepth {
		return Node{}, errDepth
	}
	n := Node{Fault: yamlFault(y)}
	switch y.Kind {
	case yaml.MappingNode:
		n.Kind = Object
		seen := map[string]bool{}
		for i := 0; i < len(y.Content); i += 2 { // name, value, name …
			m, err := yamlMember(y.Content[i], y.Content[i+1], depth+1)
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
			v, err := fromYAML(item, depth+1)
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

func yamlMember(key, value *yaml.Node, depth int) (Member, error) {
	v, err := fromYAML(value, depth)
	m := Member{Name: key.Value, Value: v}
	switch {
	case key.Style&quoted == 0 && key.Value == "<<":
		m.Fault = "merge keys are not supported"
	case key.Kind != yaml.ScalarNode || scalarKind(key) != String:
		m.Name, m.Fault = "?", "member names must be strings"
	default:
		m.Fault = yamlFault(key)
	}
	return m, err
}

// yamlFault names what a node has that JSON has no form for.
func yamlFault(y *yaml.Node) string {
	switch {
	case y.Kind == yaml.AliasNode:
		return "must not be an alias"
	case y.Anchor != "":
		return "must not have an anchor"
	case y.Style&yaml.TaggedStyle != 0 && !tagFits(y):
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
