package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// show writes a node on one line, with its faults. The documents of these
// tests hold no values.
func show(n Node) string {
	var b strings.Builder
	if n.Fault != "" {
		b.WriteString("<" + n.Fault + ">")
	}
	switch n.Kind {
	case Null:
		b.WriteString("null")
	case Bool:
		fmt.Fprint(&b, n.Bool)
	case Number:
		b.WriteString("number")
	case String:
		fmt.Fprintf(&b, "%q", n.Text)
	case List:
		b.WriteString("[")
		for i, item := range n.Items {
			if i > 0 {
				b.WriteString(" ")
			}
			b.WriteString(show(item))
		}
		b.WriteString("]")
	case Object:
		b.WriteString("{")
		for i, m := range n.Members {
			if i > 0 {
				b.WriteString(" ")
			}
			if m.Fault != "" {
				b.WriteString("<" + m.Fault + ">")
			}
			fmt.Fprintf(&b, "%q:%s", m.Name, show(m.Value))
		}
		b.WriteString("}")
	}
	return b.String()
}

func TestParseJSON(t *testing.T) {
	const (
		unpaired = "<must not hold an unpaired surrogate>"
		notUTF8  = "<must be UTF-8>"
	)
	for _, test := range []struct{ text, want string }{
		{`{}`, `{}`},
		{`[]`, `[]`},
		{`""`, `""`},
		{" \t\r\n[ ] \t\r\n", `[]`},
		{`[null, true,false , 0,-1.5E+10,"x",[[]],{}]`, `[null true false number number "x" [[]] {}]`},
		{`{"a" : {"b":[{"c":null}]} , "d":"e"}`, `{"a":{"b":[{"c":null}]} "d":"e"}`},
		{`{"":"","A":1,"a":1}`, `{"":"" "A":number "a":number}`},
		{`["\"\\\/\b\f\n\r\t\u00e9é😀"]`, `["\"\\/\b\f\n\r\téé😀"]`},
		{`["{", "]", ",:", "\\", "\\\"", "t"]`, `["{" "]" ",:" "\\" "\\\"" "t"]`},
		// repeated members: the first is good
		{`{"a":1,"b":2,"a":{"a":3,"a":4}}`, `{"a":number "b":number <repeated member>"a":{"a":number <repeated member>"a":number}}`},
		{`{"a":1,"\u0061":2}`, `{"a":number <repeated member>"a":number}`},
		{"{\"\xff\":1,\"\ufffd\":2}", "{" + notUTF8 + `"�":number "�":number}`},
		// what encoding/json would repair
		{"[\"a\xffb\",\"c\"]", "[" + notUTF8 + `"a�b" "c"]`},
		{"{\"a\xff\":\"b\"}", "{" + notUTF8 + `"a�":"b"}`},
		{`{"\ud800":"b"}`, "{" + unpaired + `"�":"b"}`},
		{`["\ud83d\ude00"]`, `["😀"]`},
		{`["\uD83D\uDE00"]`, `["😀"]`},
		{`["\ud83d\ude00\ud83d\ude00"]`, `["😀😀"]`},
		{`["\ud800\udc00"]`, `["𐀀"]`}, // the first pair
		{`["\ud7ff\ue000"]`, `["\ud7ff\ue000"]`},
		{`["\ud800"]`, "[" + unpaired + `"�"]`},
		{`["\udbff"]`, "[" + unpaired + `"�"]`},
		{`["\udc00"]`, "[" + unpaired + `"�"]`},
		{`["\udfff"]`, "[" + unpaired + `"�"]`},
		{`["\ude00\ud83d"]`, "[" + unpaired + `"��"]`},
		{`["\ud83d\ud83d\ude00"]`, "[" + unpaired + `"�😀"]`},
		{`["\ud83d\ude00\ude00"]`, "[" + unpaired + `"😀�"]`},
		{`["\ud83dx\ude00"]`, "[" + unpaired + `"�x�"]`},
		{`["\ud83d\n\ude00"]`, "[" + unpaired + `"�\n�"]`},
		{`["\ud83d\u0041"]`, "[" + unpaired + `"�A"]`},
		{`["\ud83d\\ude00"]`, "[" + unpaired + `"�\\ude00"]`},
		{`["\\ud83d"]`, `["\\ud83d"]`},
		{`["\\\ud83d"]`, "[" + unpaired + `"\\�"]`},
		{`["\\\\ud83d\\ude00"]`, `["\\\\ud83d\\ude00"]`},
		{`["\ufffd�"]`, `["��"]`},
		{`["\uFFFD\ufffD"]`, `["��"]`},
		{`["\ufffd\ud800"]`, "[" + unpaired + `"��"]`},
		{`["\\ufffd\ud800"]`, "[" + unpaired + `"\\ufffd�"]`},
		{`["\\\ufffd"]`, `["\\�"]`},
		{`[1e999,-1e-999,18446744073709551616]`, `[number number number]`}, // beyond float64
	} {
		n, err := Parse([]byte(test.text))
		if err != nil || show(n) != test.want {
			t.Errorf("%q:\ngot\t%s, error %v\nwant\t%s", test.text, show(n), err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	large := strings.Repeat("x", MaxYAMLSize+1)
	for _, test := range []struct{ text, want string }{
		{"", "is empty"},
		{" \t\r\n", "is empty"},
		{"\ufeff{}", "must not begin with a byte-order mark: save it as UTF-8 without one"},
		{"\ufeff", "must not begin with a byte-order mark: save it as UTF-8 without one"},
		{`{`, "is not valid JSON (line 1, column 1): it ends too early, and was perhaps cut short"},
		{`{]`, "is not valid JSON (line 1, column 2): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{"{\n  \"a\": x\n}", "is not valid JSON (line 2, column 8): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{"[\"a\nb\"]", `is not valid JSON (line 1, column 4): in a text write a line break as \n, a tab as \t, a backslash as \\`},
		{"{}\n\n{}", "is not valid JSON (line 3, column 1): a message holds one document, take out what follows it"},
		{`[] []`, "is not valid JSON (line 1, column 4): a message holds one document, take out what follows it"},
		{`{} x`, "is not valid JSON (line 1, column 4): a message holds one document, take out what follows it"},
		{"\"name\": x\nenabled: true", "is not valid JSON (line 1, column 7): a YAML document must not begin with a quotation mark, write its first name without"},
		{`"a" "b"`, "is not valid JSON (line 1, column 5): a message holds one document, take out what follows it"},
		{`{"a":1,}`, "is not valid JSON (line 1, column 8): take out the comma before it"},
		{"[1, 2,\n]", "is not valid JSON (line 2, column 1): take out the comma before it"},
		{`{"a":1,, "b":2}`, "is not valid JSON (line 1, column 8): take out the comma before it"},
		{`{"a":}`, "is not valid JSON (line 1, column 6): a value is missing before it"},
		{`{"a" 1}`, "is not valid JSON (line 1, column 6): a comma or a colon is missing before it, or a quotation mark in a text is not written as \\\""},
		{`{"a":1 "b":2}`, "is not valid JSON (line 1, column 8): a comma or a colon is missing before it, or a quotation mark in a text is not written as \\\""},
		{`{"a":"say "x""}`, "is not valid JSON (line 1, column 12): a comma or a colon is missing before it, or a quotation mark in a text is not written as \\\""},
		{`{"a":1"b":2}`, "is not valid JSON (line 1, column 7): a comma or a colon is missing before it, or a quotation mark in a text is not written as \\\""},
		{`{"a":1 // one`, "is not valid JSON (line 1, column 8): take out the comment"},
		{"{\"a\":1\n# one\n}", "is not valid JSON (line 2, column 1): take out the comment"},
		{`{"a":True}`, "is not valid JSON (line 1, column 6): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{`{"a":nil}`, "is not valid JSON (line 1, column 7): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{`{"a":12ab}`, "is not valid JSON (line 1, column 8): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{`{'a':1}`, "is not valid JSON (line 1, column 2): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{`{"a":"b`, "is not valid JSON (line 1, column 7): it ends too early, and was perhaps cut short"},
		{`["\x"]`, `is not valid JSON (line 1, column 4): in a text write a line break as \n, a tab as \t, a backslash as \\`},
		{`["\ud8"]`, `is not valid JSON (line 1, column 7): in a text write a line break as \n, a tab as \t, a backslash as \\`},
		{`[01]`, "is not valid JSON (line 1, column 3): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{"[\"a\x00\"]", `is not valid JSON (line 1, column 4): in a text write a line break as \n, a tab as \t, a backslash as \\`},
		{"{\xff}", "is not valid JSON (line 1, column 2): write names and texts in double quotes, digits that begin with 0 too, and true, false and null in small letters"},
		{strings.Repeat("[", 66) + strings.Repeat("]", 66), "must not be nested deeper than 64 levels"},
		{strings.Repeat(`{"a":`, 66) + "1" + strings.Repeat("}", 66), "must not be nested deeper than 64 levels"},
		{strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "must not be nested deeper than 64 levels"},
		{"a: " + strings.Repeat("[", 65) + strings.Repeat("]", 65), "must not be nested deeper than 64 levels"},
		{"a: \xff", "must be UTF-8"},
		{"\xff\xfe{\x00", "must be UTF-8"},
		{large, "must be at most 65536 bytes, has 65537"},
		{"a: b\n--- c", "must not hold more than one YAML document"},
		{"a: 'b\u0085c'", "must write U+0085, U+2028 and U+2029 as escapes in YAML"},
		{"a: b\u2029c", "must write U+0085, U+2028 and U+2029 as escapes in YAML"},
		{"%YAML 2.0\n---\na: b", "is not valid YAML: write a blank after each colon, indent with blanks, not tabs, and put a text in quotes that begins with a sign or has a colon in it"},
		{"a: *secret", "is not valid YAML: write a blank after each colon, indent with blanks, not tabs, and put a text in quotes that begins with a sign or has a colon in it"},
		{"a: b\nc\n", "is not valid YAML (near line 2): write a blank after each colon, indent with blanks, not tabs, and put a text in quotes that begins with a sign or has a colon in it"},
		{"a: [" + strings.Repeat("[", 60_000), "is not valid YAML: write a blank after each colon, indent with blanks, not tabs, and put a text in quotes that begins with a sign or has a colon in it"},
	} {
		n, err := Parse([]byte(test.text))
		if err == nil || err.Error() != test.want || !reflect.DeepEqual(n, Node{}) {
			t.Errorf("%.40q: got error %v, want %s, and no node", test.text, err, test.want)
		}
	}
}

// A YAML scalar is what the core schema of YAML 1.2 says it is
// (https://yaml.org/spec/1.2.2/#1032-tag-resolution).
func TestParseYAML(t *testing.T) {
	const (
		anchor = "<must not have an anchor>"
		alias  = "<must not be an alias>null"
		tag    = "<must not have a tag of its own>"
		key    = `<member names must be strings>"?"`
		bare   = `<member names must be strings: put it in quotes>`
	)
	for _, test := range []struct{ text, want string }{
		{"a", `"a"`},
		{"~", `null`},
		{"true", `true`},
		{"- a\n- [b, {c: d}]", `["a" ["b" {"c":"d"}]]`},
		{"a:\n  b: {c: [d]}\n", `{"a":{"b":{"c":["d"]}}}`},
		{"# {\n{\"a\": 1}", `{"a":number}`},
		{"---\n{\"a\": \"\\x41\\u00e9\\U0001F600\"}", `{"a":"Aé😀"}`},
		{"a: |\n  b\n  c\nd: >-\n  e\n  f\n", `{"a":"b\nc\n" "d":"e f"}`},
		{"%YAML 1.2\n---\na: b", `{"a":"b"}`},
		{"# %YAML 1.2\n\r\n  # é\n%YAML 1.2 # c\n---\na: b", `{"a":"b"}`},
		{"%YAML 1.1\n---\na: yes", `{"a":"yes"}`},
		// resolution
		{"a: [null, Null, NULL, ~, nULL, nil]", `{"a":[null null null null "nULL" "nil"]}`},
		{"a: [true, True, TRUE, false, False, FALSE, tRUE]", `{"a":[true true true false false false "tRUE"]}`},
		{"a: [yes, no, on, off, y, n]", `{"a":["yes" "no" "on" "off" "y" "n"]}`},
		{"a: [0, -0, +12, 012, 0o17, 0xfF]", `{"a":[number number number number number number]}`},
		{"a: [0o8, 0xg, 0b1, 1_0, -0o7, -0x1, 0O7, 0X1]", `{"a":["0o8" "0xg" "0b1" "1_0" "-0o7" "-0x1" "0O7" "0X1"]}`},
		{"a: [.5, 5., 5.5, 5e5, -5.5E-5, +.5e+5]", `{"a":[number number number number number number]}`},
		{"a: [., e5, 5e, 5e+, .e5, 5.5.5, 1:30]", `{"a":["." "e5" "5e" "5e+" ".e5" "5.5.5" "1:30"]}`},
		{"a: [.inf, -.INF, +.Inf, .nan, .NaN, .NAN]", `{"a":[number number number number number number]}`},
		{"a: [inf, nan, -.nan, .iNF, .Nan]", `{"a":["inf" "nan" "-.nan" ".iNF" ".Nan"]}`},
		{"a: [2001-01-01, 2001-01-01T00:00:00Z, =, '1', \"true\", 'null', '']", `{"a":["2001-01-01" "2001-01-01T00:00:00Z" "=" "1" "true" "null" ""]}`},
		{"a:\nb: # nothing\nc: |\nd: ''", `{"a":null "b":null "c":"" "d":""}`},
		// anchors, aliases, merge keys
		{"a: &x b\nc: *x", `{"a":` + anchor + `"b" "c":` + alias + `}`},
		{"a: &x\nb: *x", `{"a":` + anchor + `null "b":` + alias + `}`},
		{"--- &x\na: &y [&z b]\n&k c: d", anchor + `{"a":` + anchor + `[` + anchor + `"b"] <must not have an anchor>"c":"d"}`},
		{"a: &x {b: *x}", `{"a":` + anchor + `{"b":` + alias + `}}`},
		{"a: &x b\n*x : c", `{"a":` + anchor + `"b" ` + key + `:"c"}`},
		{"<<: {a: b}", `{<merge keys are not supported>"<<":{"a":"b"}}`},
		{"'a': b\n\"<<\": c", `{"a":"b" "<<":"c"}`},
		// tags
		{"a: !!str 1\nb: !!str\nc: !!int 1\nd: !!float 1.5\ne: !!bool true\nf: !!null", `{"a":"1" "b":"" "c":number "d":number "e":true "f":null}`},
		{"a: !!map {}\nb: !!seq []\nc: !!str 'x'\n!!str 1: d", `{"a":{} "b":[] "c":"x" "1":"d"}`},
		{"a: !!int x\nb: !!bool yes\nc: !!null x\nd: !!float x", `{"a":` + tag + `"x" "b":` + tag + `"yes" "c":` + tag + `"x" "d":` + tag + `"x"}`},
		{"a: !!int '1'\nb: !!null ''\nc: !!bool 'true'", `{"a":` + tag + `"1" "b":` + tag + `"" "c":` + tag + `"true"}`},
		{"a: !!map []\nb: !!seq {}\nc: !!str []\nd: !!set {x}\ne: !x {}", `{"a":` + tag + `[] "b":` + tag + `{} "c":` + tag + `[] "d":` + tag + `{"x":null} "e":` + tag + `{}}`},
		{"a: !x b\nc: !!binary aGk=\nd: !<x:y> e\n!x f: g", `{"a":` + tag + `"b" "c":` + tag + `"aGk=" "d":` + tag + `"e" ` + tag + `"f":"g"}`},
		{"a: ! true\nb: ! 12\nc: é, ! d\nd: [é, ! 12, '! 12']\ne: !\n! f: \"!\"", `{"a":` + tag + `true "b":` + tag + `number "c":"é, ! d" "d":["é" ` + tag + `number "! 12"] "e":` + tag + `null ` + tag + `"f":"!"}`},
		{"a:\r\n  - b # é\r  - ! 12\n  - ! {c: d}", `{"a":["b" ` + tag + `number {"c":"d"}]}`},
		// members
		{"a: b\n'a': c\n\"\\x61\": d", `{"a":"b" <repeated member>"a":"c" <repeated member>"a":"d"}`},
		{"a: b\n1: c\ntrue: d\n~: e\n[f]: g\n{h: i}: j\n? \n: k", `{"a":"b" ` + bare + `"1":"c" ` + bare + `"true":"d" ` + bare + `"~":"e" ` + key + `:"g" ` + key + `:"j" ` + bare + `"":"k"}`},
		{"? a\n: b\n? c", `{"a":"b" "c":null}`},
	} {
		n, err := Parse([]byte(test.text))
		if err != nil || show(n) != test.want {
			t.Errorf("%q:\ngot\t%s, error %v\nwant\t%s", test.text, show(n), err, test.want)
		}
	}
}

func TestDepth(t *testing.T) {
	for name, text := range map[string]string{
		"lists":   strings.Repeat("[", 64) + "1" + strings.Repeat("]", 64),
		"objects": strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64),
		"YAML":    "---\n" + strings.Repeat("[", 64) + "1" + strings.Repeat("]", 64),
	} {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%s of 64 levels: got error %v, want none", name, err)
		}
		deeper := strings.Replace(text, "1", "[1]", 1)
		if _, err := Parse([]byte(deeper)); !errors.Is(err, errDepth) {
			t.Errorf("%s of 65 levels: got error %v, want %v", name, err, errDepth)
		}
	}
}

// As nodes, a list of single digits takes fifty times the memory of its text, of which an SQS
// message can hold a megabyte.
func TestNumberOfValues(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector: without -short")
	}
	list := func(items int) []byte { return []byte("[" + strings.Repeat("0,", items-1) + "0]") }
	most := 1
	for 1+(most+1) <= mostValues+(2*(most+1)+1)/16 { // the list and its items, in two bytes each
		most++
	}
	if len(list(most)) < 64<<10 {
		t.Errorf("the bound applies from %d bytes, want more than 64 KiB", len(list(most+1)))
	}
	if _, err := Parse(list(most)); err != nil {
		t.Errorf("%d values: got error %v, want none", most, err)
	}
	if _, err := Parse(list(most + 1)); err == nil || err.Error() != "holds more values than a request can" {
		t.Errorf("%d values: got error %v, want that of too many values", most+1, err)
	}
	record := `{"messageId":"m","receiptHandle":"h","body":"{}","attributes":{"ApproximateReceiveCount":"1"},"eventSource":"aws:sqs"},`
	if _, err := Parse([]byte("[" + strings.Repeat(record, 10_000) + "{}]")); err != nil {
		t.Errorf("a batch of 10,000, the most that SQS delivers: got error %v, want none", err)
	}
}

func TestSize(t *testing.T) {
	n, err := Parse([]byte(` {"a": [1, "é\n"] , "b": null}  `))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := n.Get("a")
	b, _ := n.Get("b")
	for _, test := range []struct {
		what      string
		got, want int
	}{
		{"document, blanks and all", n.Size, 33},
		{"list", a.Size, 11},
		{"number", a.Items[0].Size, 1},
		{"string, as it is written", a.Items[1].Size, 6},
		{"null", b.Size, 4},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %d bytes, want %d", test.what, test.got, test.want)
		}
	}
	if n, _ := Parse([]byte("a: b\n")); n.Size != 5 {
		t.Errorf("YAML: got %d bytes, want 5", n.Size)
	}
}

func TestGet(t *testing.T) {
	n, err := Parse([]byte(`{"a": "x", "A": "y", "a": "z", "n": 1, "s": "\ud800"}`))
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := n.Get("a"); !ok || m.Text != "x" {
		t.Error("Get does not return the first of repeated members")
	}
	if _, ok := n.Get("N"); ok {
		t.Error("names are not case-sensitive")
	}
	if n.GetText("A") != "y" || n.GetText("n") != "" || n.GetText("s") != "" || n.GetText("none") != "" {
		t.Errorf("GetText: got %q, %q, %q, %q, want y and three times nothing", n.GetText("A"), n.GetText("n"), n.GetText("s"), n.GetText("none"))
	}
	if !n.Has() || !n.Has("a", "n") || n.Has("a", "none") {
		t.Errorf("Has: got %t, %t, %t, want true, true, false", n.Has(), n.Has("a", "n"), n.Has("a", "none"))
	}
	list, _ := Parse([]byte(`["a"]`))
	if _, ok := list.Get("a"); ok || list.GetText("a") != "" {
		t.Error("a list has members")
	}
}

// Documents of the kinds that have made YAML libraries slow.
func TestHostileYAML(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	start := time.Now()
	for _, text := range []string{
		bomb,
		"a: " + strings.Repeat("[", 30_000), "a: " + strings.Repeat("{a: ", 8_000), strings.Repeat("- ", 15_000), strings.Repeat("? ", 15_000),
		strings.Repeat("#\n", 15_000) + "a: b", "a:\n" + strings.Repeat(" - b\n # c\n", 3_000), "a: >\n" + strings.Repeat("\n", 30_000),
		"a: " + strings.Repeat("!", 30_000), "a: '" + strings.Repeat("''", 15_000) + "'", strings.Repeat(":", 30_000),
	} {
		_, _ = Parse([]byte(text))
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("got %s, want at most 30 s", took)
	}
}

// FuzzParse: no text makes Parse panic, and it agrees with encoding/json on what is valid
// JSON and what it holds.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../apikey/testdata/requests/*.txt", "../envelope/testdata/payloads/*.txt", "../../events/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // a folder
			}
			if _, document, found := bytes.Cut(text, []byte("\n\n")); found && strings.HasSuffix(file, ".txt") {
				text = document
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := Parse(text)
		if err != nil && (!reflect.DeepEqual(n, Node{}) || err.Error() == "") {
			t.Fatal("a node beside an error, or an error that says nothing")
		}
		if err == nil && n.Size != len(text) {
			t.Fatal("the size is not the document's")
		}
		first := bytes.TrimLeft(text, " \t\r\n")
		if len(first) == 0 || !bytes.ContainsAny(first[:1], `{["`) {
			if err == nil {
				bounded(t, n, 0)
			}
			return
		}
		if valid := json.Valid(text); valid != (err == nil) && (!valid || !errors.Is(err, errDepth)) {
			t.Fatalf("valid for encoding/json: %t, here: %v", valid, err)
		}
		if err != nil {
			return
		}
		notUTF8, other := faults(n)
		if notUTF8 == utf8.Valid(text) {
			t.Fatal("the document is not UTF-8, and that is no fault, or the reverse")
		}
		if notUTF8 || other {
			return // encoding/json repairs these
		}
		var want any
		if err := json.Unmarshal(text, &want); err != nil || !reflect.DeepEqual(plain(n), withoutNumbers(want)) {
			t.Fatal("not what encoding/json reads")
		}
	})
}

func bounded(t *testing.T, n Node, depth int) {
	if depth > maxDepth {
		t.Fatal("too deep")
	}
	for _, item := range n.Items {
		bounded(t, item, depth+1)
	}
	for _, m := range n.Members {
		bounded(t, m.Value, depth+1)
	}
}

// faults reports which faults a node, or anything in it, has.
func faults(n Node) (notUTF8, other bool) {
	note := func(fault string) {
		notUTF8 = notUTF8 || fault == "must be UTF-8"
		other = other || fault != "" && fault != "must be UTF-8"
	}
	note(n.Fault)
	nodes := n.Items
	for _, m := range n.Members {
		note(m.Fault)
		nodes = append(nodes, m.Value)
	}
	for _, child := range nodes {
		a, b := faults(child)
		notUTF8, other = notUTF8 || a, other || b
	}
	return notUTF8, other
}

type aNumber struct{}

// plain returns a node as encoding/json would, except for the numbers.
func plain(n Node) any {
	switch n.Kind {
	case Bool:
		return n.Bool
	case Number:
		return aNumber{}
	case String:
		return n.Text
	case List:
		list := []any{}
		for _, item := range n.Items {
			list = append(list, plain(item))
		}
		return list
	case Object:
		object := map[string]any{}
		for _, m := range n.Members {
			object[m.Name] = plain(m.Value)
		}
		return object
	}
	return nil
}

func withoutNumbers(v any) any {
	switch v := v.(type) {
	case float64:
		return aNumber{}
	case []any:
		for i := range v {
			v[i] = withoutNumbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = withoutNumbers(v[name])
		}
	}
	return v
}

// A document behind a character that only looks blank is YAML's text of itself. It was not
// encoded as a string, so that no quotes and backslashes are to be taken out.
func TestHoldsJSON(t *testing.T) {
	for text, want := range map[string]bool{
		`{"name": "x"}`: true, " \r\n\t[1]": true, "x": false, "": false,
		"\u00a0{\"name\": \"x\"}": false, "\u2003[1]": false,
	} {
		if got := (Node{Kind: String, Text: text}).HoldsJSON(); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
