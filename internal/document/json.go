package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// mostValues is more than a document of 64 KiB can hold. An envelope may have one more
// value for each 16 bytes, which real ones do not reach for their names and texts. A
// megabyte of "0,0,0" would take fifty times its size in memory, at the expense of the
// other messages in its batch.
const mostValues = 32 << 10

// parseJSON has encoding/json check the whole text first, so that an error has a place
// and the tokens that follow cannot fail.
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
	r := reader{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), left: mostValues + len(text)/16}
	r.decoder.UseNumber() // 1e999 is valid, and no float64
	n, err := r.value(0)
	if err != nil {
		return Node{}, err
	}
	n.Size = len(text)
	return n, nil
}

// reader makes nodes of valid JSON, token by token: decoding into a value would keep
// only the last of repeated members.
type reader struct {
	text    []byte
	decoder *json.Decoder
	left    int // how many values may still follow
}

// next returns the next token and its source.
func (r *reader) next() (json.Token, []byte, error) {
	end := r.decoder.InputOffset() // of the token before
	token, err := r.decoder.Token()
	if err != nil {
		return nil, nil, errors.New("is not valid JSON") // not the error, which quotes
	}
	return token, bytes.TrimLeft(r.text[end:r.decoder.InputOffset()], " \t\r\n,:"), nil
}

func (r *reader) value(depth int) (Node, error) {
	if depth > maxDepth {
		return Node{}, errDepth
	}
	if r.left--; r.left < 0 {
		return Node{}, errors.New("holds more values than a request can")
	}
	token, source, err := r.next()
	if err != nil {
		return Node{}, err
	}
	start := int(r.decoder.InputOffset()) - len(source)
	var n Node
	switch token := token.(type) {
	case json.Delim:
		if n, err = r.children(token, depth+1); err != nil {
			return Node{}, err
		}
	case string:
		n = Node{Kind: String, Text: token, Fault: repaired(source, token)}
	case json.Number:
		n = Node{Kind: Number}
	case bool:
		n = Node{Kind: Bool, Bool: token}
	}
	n.Size = int(r.decoder.InputOffset()) - start
	return n, nil
}

// children reads a list or an object behind its opening delimiter.
func (r *reader) children(open json.Delim, depth int) (Node, error) {
	n := Node{Kind: List}
	if open == '{' {
		n.Kind = Object
	}
	seen := map[string]bool{}
	for r.decoder.More() {
		var m Member
		if n.Kind == Object {
			token, source, err := r.next()
			if err != nil {
				return Node{}, err
			}
			m.Name = token.(string)
			if m.Fault = repaired(source, m.Name); m.Fault == "" {
				if seen[m.Name] {
					m.Fault = "repeated member"
				}
				seen[m.Name] = true
			}
		}
		var err error
		if m.Value, err = r.value(depth); err != nil {
			return Node{}, err
		}
		if n.Kind == Object {
			n.Members = append(n.Members, m)
		} else {
			n.Items = append(n.Items, m.Value)
		}
	}
	_, _, err := r.next() // the closing delimiter
	return n, err
}

// repaired names the fault of a string literal that encoding/json repaired silently, by
// U+FFFD in place of what is not UTF-8, and of each half of a surrogate pair.
func repaired(literal []byte, text string) string {
	if !utf8.Valid(literal) {
		return "must be UTF-8"
	}
	const replacement = "\ufffd"
	if count := strings.Count(text, replacement); count > 0 {
		escapes := bytes.ToLower(bytes.ReplaceAll(literal, []byte(`\\`), nil)) // \\ufffd is none
		written := bytes.Count(literal, []byte(replacement)) + bytes.Count(escapes, []byte(`\ufffd`))
		if count > written {
			return "must not hold an unpaired surrogate"
		}
	}
	return ""
}
