package apikey

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const fakeValue = "fake-value-0123456789"

// leaks reports whether output shows the fake value in any of its usual spellings.
func leaks(output string) bool {
	for _, spelling := range []string{
		fakeValue,
		hex.EncodeToString([]byte(fakeValue)),
		strings.ToUpper(hex.EncodeToString([]byte(fakeValue))),
		base64.StdEncoding.EncodeToString([]byte(fakeValue)),
		strings.Trim(fmt.Sprint([]byte(fakeValue)), "[]"),
	} {
		if strings.Contains(output, spelling) {
			return true
		}
	}
	return false
}

type holder struct {
	Value   Value
	hidden  Value
	Pointer *Value
	behind  *Value
	Map     map[string]Value
	mapped  map[string]Value
	Slice   []Value
	sliced  []Value
	Array   [1]Value
	Any     any
	Nested  struct{ hidden Value }
	Record  Record
	Request *Request
}

func newHolder() *holder {
	v := NewValue(fakeValue)
	h := &holder{
		Value: v, hidden: v, Pointer: &v, behind: &v,
		Map: map[string]Value{"v": v}, mapped: map[string]Value{"v": v},
		Slice: []Value{v}, sliced: []Value{v}, Array: [1]Value{v}, Any: v,
		Record: Record{Value: v}, Request: &Request{Value: v},
	}
	h.Nested.hidden = v
	return h
}

func TestValueIsRedactedByFmt(t *testing.T) {
	v := NewValue(fakeValue)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%e", "%b", "%o", "%20v", "%-5.2s"} {
		if got := fmt.Sprintf(verb, v); got != redacted {
			t.Errorf("%s: not redacted", verb)
		}
		for _, held := range []any{v, &v, newHolder(), *newHolder(), []Value{v}, map[string]Value{"v": v}, map[Value]int{v: 1}, struct{ v Value }{v}, struct{ v any }{v}} {
			if leaks(fmt.Sprintf(verb, held)) {
				t.Errorf("%s of a %T leaks", verb, held)
			}
		}
	}
	for _, verb := range []string{"%p", "%T", "%w", "%!"} { // fmt calls no method for these
		if leaks(fmt.Sprintf(verb, v)) || leaks(fmt.Sprintf(verb, newHolder())) {
			t.Errorf("%s leaks", verb)
		}
	}
	if got := fmt.Sprint(v) + v.String() + fmt.Sprintf("%#v", v) + fmt.Sprintln(v); got != "REDACTEDREDACTEDREDACTEDREDACTED\n" {
		t.Error("Sprint, String, Go syntax or Sprintln: not redacted")
	}
	if got := fmt.Sprint(Value{}); got != redacted {
		t.Errorf("the zero Value: got %q, want %q", got, redacted)
	}
}

func TestValueIsRedactedByErrors(t *testing.T) {
	v := NewValue(fakeValue)
	for name, err := range map[string]error{
		"%v":      fmt.Errorf("creating key with %v", v),
		"%w":      fmt.Errorf("outer: %w", fmt.Errorf("inner: %+v", newHolder())),
		"joined":  errors.Join(fmt.Errorf("one %s", v), fmt.Errorf("two %q", v)),
		"decoder": json.Unmarshal([]byte(`"`+fakeValue+`"`), &v),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			if leaks(fmt.Sprintf(verb, err)) {
				t.Errorf("%s, by %s, leaks", name, verb)
			}
		}
	}
}

func TestValueIsRedactedByEncoders(t *testing.T) {
	v := NewValue(fakeValue)
	type document struct {
		Value   Value
		Pointer *Value
		Slice   []Value
	}
	type attribute struct {
		Value Value `xml:"value,attr"`
	}
	plain := document{v, &v, []Value{v}}
	encoded := map[string]func() ([]byte, error){
		"json":           func() ([]byte, error) { return json.Marshal(newHolder()) },
		"json, a key":    func() ([]byte, error) { return json.Marshal(map[Value]Value{v: v}) },
		"xml":            func() ([]byte, error) { return xml.Marshal(plain) },
		"xml, attribute": func() ([]byte, error) { return xml.Marshal(attribute{v}) },
		"yaml":           func() ([]byte, error) { return yaml.Marshal(newHolder()) },
		"text":           v.MarshalText,
		"template": func() ([]byte, error) {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse(`{{.Value}} <script>{{.Value}} {{.Slice}}</script>`)).Execute(&b, plain)
			return b.Bytes(), err
		},
	}
	for name, encode := range encoded {
		text, err := encode()
		if err != nil {
			t.Errorf("%s: encoding failed", name)
		}
		if leaks(string(text)) {
			t.Errorf("%s leaks", name)
		}
		if !strings.Contains(string(text), redacted) {
			t.Errorf("%s: not redacted", name)
		}
	}
	// gob calls no method of Value's, and must refuse it.
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(struct{ V Value }{v})
	if err == nil || leaks(b.String()) || leaks(err.Error()) {
		t.Error("gob encodes a value")
	}
}

func TestValueIsRedactedByLoggers(t *testing.T) {
	var b bytes.Buffer
	v := NewValue(fakeValue)
	all := &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}
	for name, handler := range map[string]slog.Handler{"text": slog.NewTextHandler(&b, all), "json": slog.NewJSONHandler(&b, all)} {
		b.Reset()
		l := slog.New(handler).With("with", v).WithGroup("group")
		l.Info("message", "value", v, "pointer", &v, "holder", newHolder(), "copy", *newHolder(), slog.Any("any", []any{v}),
			slog.Group("g", "v", v), "error", fmt.Errorf("err %v", v), "map", map[string]Value{"v": v})
		if leaks(b.String()) {
			t.Errorf("slog's %s handler leaks", name)
		}
		if !strings.Contains(b.String(), redacted) {
			t.Errorf("slog's %s handler: not redacted", name)
		}
	}
	b.Reset()
	log.New(&b, "", log.LstdFlags).Printf("%v %+v %s", v, newHolder(), &v)
	if leaks(b.String()) {
		t.Error("log leaks")
	}
}

// The runtime prints a panic's value without package fmt; only a dying process shows the
// output.
func TestValueIsRedactedByPanic(t *testing.T) {
	const which = "CREATEKEY_TEST_PANIC"
	v := NewValue(fakeValue)
	panics := map[string]any{
		"value": v, "pointer": &v, "struct": *newHolder(), "record": Record{Value: v}, "error": fmt.Errorf("with %v", v), "text": fmt.Sprint(v),
	}
	if with, ok := panics[os.Getenv(which)]; ok {
		panic(with)
	}
	for name := range panics {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^TestValueIsRedactedByPanic$")
			child.Env = append(os.Environ(), which+"="+name)
			output, err := child.CombinedOutput()
			if err == nil || !bytes.Contains(output, []byte("panic: ")) {
				t.Error("it did not panic")
			}
			if leaks(string(output)) {
				t.Error("the panic leaks")
			}
		})
	}
}

func TestValue(t *testing.T) {
	v := NewValue(fakeValue)
	if v.Reveal() != fakeValue || v.IsZero() {
		t.Error("Reveal: got another text than NewValue's")
	}
	if !v.Equal(NewValue(fakeValue)) || v.Equal(NewValue(fakeValue+"0")) || v.Equal(NewValue(fakeValue[1:]+"0")) || v.Equal(Value{}) {
		t.Error("Equal: got a wrong answer")
	}
	if !NewValue("").IsZero() || NewValue("").Reveal() != "" || !NewValue("").Equal(Value{}) {
		t.Error("the empty text is not the zero Value")
	}
}

func TestGenerateValue(t *testing.T) {
	a, err := GenerateValue(Random)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := GenerateValue(Random)
	if a.Equal(b) {
		t.Error("generated the same value twice")
	}
	if text := a.Reveal(); len(text) != 40 || strings.Trim(text, alphabet) != "" {
		t.Error("not 40 characters of [A-Za-z0-9]")
	}
	if len(alphabet) != 62 {
		t.Error("the alphabet is not [A-Za-z0-9]")
	}
}

// Every letter must come from the same number of bytes. The first letter of a value shows
// which: the source is one byte, followed by nothing but 'B's.
func TestGenerateValueIsUnbiased(t *testing.T) {
	const theB = 1
	from := map[byte]int{} // letter -> number of bytes that yield it
	for b := range 256 {
		source := bytes.Repeat([]byte{theB}, 2*generatedLength)
		source[0] = byte(b)
		v, err := GenerateValue(bytes.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		text := v.Reveal()
		if text[1:] != strings.Repeat("B", generatedLength-1) {
			t.Fatalf("byte %d affects letters other than its own", b)
		}
		if b < 248 {
			from[text[0]]++
		} else if text[0] != 'B' {
			t.Errorf("byte %d is used, want it discarded: 256 is not a multiple of 62", b)
		}
	}
	for _, letter := range []byte(alphabet) {
		if from[letter] != 4 {
			t.Errorf("%c: got %d bytes, want 4", letter, from[letter])
		}
	}
}

func TestGenerateValueFails(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		source io.Reader
		want   error
	}{
		"at once":       {io.MultiReader(failing{broken}), broken},
		"half way":      {io.MultiReader(strings.NewReader(strings.Repeat("\x00", 20)), failing{broken}), broken},
		"too short":     {strings.NewReader(strings.Repeat("\x00", 39)), io.ErrUnexpectedEOF},
		"all discarded": {strings.NewReader(strings.Repeat("\xff", 400)), io.EOF},
	} {
		v, err := GenerateValue(test.source)
		if !errors.Is(err, test.want) || !v.IsZero() {
			t.Errorf("%s: got error %v, want %v and no value", name, err, test.want)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
