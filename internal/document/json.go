package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostValues is more than a document of 64 KiB can hold. An envelope may have one more
// value for each 16 bytes, which real ones do not reach for their names and texts. A
// megabyte of "0,0,0" would take fifty times its size in memory, at the expense of the
// other messages in its batch.
const mostValues = 32 << 10

// parseJSON has encoding/json check the whole text first, so that an error has a place and
// the reader gets no other than valid JSON.
func parseJSON(text []byte) (Node, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		if strings.Contains(err.Error(), "exceeded max depth") { // encoding/json's own
			return Node{}, errDepth
		}
		at := len(text)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = int(syntax.Offset)
		}
		before := text[:max(at-1, 0)] // the character at fault may itself end a line
		line := 1 + bytes.Count(before, []byte("\n"))
		column := at - (bytes.LastIndexByte(before, '\n') + 1)
		place := fmt.Sprintf("is not valid JSON (line %d, column %d)", line, column)
		if err.Error() == "unexpected end of JSON input" {
			return Node{}, fmt.Errorf("%s: %w", place, ErrCutShort)
		}
		return Node{}, errors.New(place + mendJSON(err.Error(), before, text[at-1]))
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

// ErrCutShort is what [Parse] returns, with the place before it, for JSON that ends too early.
var ErrCutShort = errors.New("it ends too early, and was perhaps cut short")

// mendJSON returns ": " and the mend of what people write in place of JSON, or an empty
// string. fault is encoding/json's error, of which nothing is shown: it quotes the byte at
// fault.
func mendJSON(fault string, before []byte, at byte) string {
	reading := func(what string) bool { return strings.Contains(fault, what) }
	isWord := func(c byte) bool { return unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) }
	ends := at == '}' || at == ']' || at == ','
	switch {
	case reading("after top-level value") && at == ':' && bytes.HasPrefix(bytes.TrimLeft(before, blanks), []byte(`"`)):
		return ": a YAML document must not begin with a quotation mark, write its first name without"
	case reading("after top-level value"):
		return ": a message holds one document, take out what follows it"
	case ends && bytes.HasSuffix(bytes.TrimRight(before, blanks), []byte(",")):
		return ": take out the comma before it"
	case at == '/' || at == '#':
		return ": take out the comment"
	case ends && reading("beginning of value"):
		return ": a value is missing before it"
	case reading("in string"), reading("character escape"):
		return `: in a text write a line break as \n, a tab as \t, a backslash as \\`
	case reading("after object key"), reading("after array element"):
		if !isWord(before[len(before)-1]) || !isWord(at) {
			return `: a comma or a colon is missing before it, or a quotation mark in a text is not written as \"`
		}
	}
	return ": write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"
}

// reader makes nodes of valid JSON, token by token: decoding into a value would keep
// only the last of repeated members.
type reader struct {
	text    []byte
	decoder *json.Decoder
	left    int // how many values may still follow
}

// next returns the next token and its source. The text is valid JSON, so that there is
// one; if there were none, the bound on values would end the reading.
func (r *reader) next() (json.Token, []byte) {
	end := r.decoder.InputOffset() // of the token before
	token, _ := r.decoder.Token()
	return token, bytes.TrimLeft(r.text[end:r.decoder.InputOffset()], " \t\r\n,:")
}

func (r *reader) value(depth int) (Node, error) {
	if depth > maxDepth {
		return Node{}, errDepth
	}
	if r.left--; r.left < 0 {
		return Node{}, errors.New("holds more values than a request can")
	}
	token, source := r.next()
	start := int(r.decoder.InputOffset()) - len(source)
	var n Node
	var err error
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			n.Kind = Object
			n.Members, err = r.members(depth + 1)
		} else {
			n.Kind = List
			n.Items, err = r.items(depth + 1)
		}
		if err != nil {
			return Node{}, err
		}
		r.next() // the closing delimiter
	case string:
		n = Node{Kind: String, Text: token, Fault: repaired(source, token)}
	case json.Number:
		n.Kind = Number
	case bool:
		n = Node{Kind: Bool, Bool: token}
	}
	n.Size = int(r.decoder.InputOffset()) - start
	return n, nil
}

func (r *reader) items(depth int) ([]Node, error) {
	var items []Node
	for r.decoder.More() {
		item, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (r *reader) members(depth int) ([]Member, error) {
	var members []Member
	seen := map[string]bool{}
	for r.decoder.More() {
		token, source := r.next()
		name, _ := token.(string)
		fault := repaired(source, name)
		if fault == "" {
			if seen[name] {
				fault = "repeated member"
			}
			seen[name] = true
		}
		value, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		members = append(members, Member{Name: name, Fault: fault, Value: value})
	}
	return members, nil
}

// repaired names the fault of a string literal that encoding/json repaired silently, by
// U+FFFD in place of what is not UTF-8, and of each half of a surrogate pair.
func repaired(literal []byte, text string) string {
	if !utf8.Valid(literal) {
		return "must be UTF-8"
	}
	const replacement = "\ufffd"
	escapes := bytes.ToLower(bytes.ReplaceAll(literal, []byte(`\\`), nil)) // \\ufffd is none
	written := bytes.Count(literal, []byte(replacement)) + bytes.Count(escapes, []byte(`\ufffd`))
	if strings.Count(text, replacement) > written {
		return "must not hold an unpaired surrogate"
	}
	return ""
}
