package main

import (
	"encoding/json"
	"fmt"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/failure"
)

// kind is what the messages of a file ask for. An end and a rotation are events, on a
// queue, too: the event's time says what came first, and a bare document has none.
type kind struct {
	asks       apikey.Kind
	detailType string   // which the template's rule matches
	columns    []string // of a CSV file, tags aside
	skeletons  map[string]string
}

var kinds = map[string]*kind{
	"sign-up": {apikey.SignUp, "API Key Requested", memberColumns, map[string]string{"json": jsonSkeleton, "yaml": yamlSkeleton}},
	"end": {apikey.End, "API Key End Requested", []string{"customerId", "name", "keyId"}, map[string]string{
		"json": "{\n    \"customerId\": \"\",\n    \"name\": \"\",\n    \"keyId\": \"\"\n}\n",
		"yaml": "customerId: ''\nname: ''\nkeyId: '' # Only this key, the one before the last rotation.\n",
	}},
	"rotation": {apikey.Rotation, "API Key Rotation Requested", []string{"customerId", "name"}, map[string]string{
		"json": "{\n    \"customerId\": \"\",\n    \"name\": \"\"\n}\n",
		"yaml": "customerId: ''\nname: ''\n",
	}},
}

// suffix tells of which kind a destination's messages are, but for sign-ups.
func (k *kind) suffix() string {
	if k.asks == apikey.SignUp {
		return ""
	}
	return " (" + k.detailType + ")"
}

const kindUsage = "what the messages ask for: sign-up, end or rotation"

func kindOf(name string) (*kind, error) {
	k, ok := kinds[name]
	if !ok {
		return nil, usageError("KIND: must be sign-up, end or rotation")
	}
	return k, nil
}

// detail makes JSON of a document, which an event's detail has to be. It is judged as it
// is: what YAML has and JSON has not would be lost.
func (k *kind) detail(doc []byte) ([]byte, error) {
	node, err := document.Parse(doc)
	if err != nil {
		return nil, failure.Reject("request: %s", err)
	}
	if node.Has("detail-type", "detail") {
		return nil, failure.Reject("request: is a whole event, which says itself what it asks for: leave KIND out")
	}
	if json.Valid(doc) {
		return doc, nil
	}
	if k.asks == apikey.SignUp {
		_, _, err = apikey.Parse(node, "", invocation)
	} else {
		_, _, err = apikey.ParseChange(node, k.asks, time.Now(), "")
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(node.Plain())
}

// event is a detail's event, as EventBridge hands it on.
func (k *kind) event(source string, detail []byte) []byte {
	text, err := json.Marshal(source)
	if err != nil {
		panic(err) // strings can always be marshalled
	}
	return fmt.Appendf(nil, `{"version":"0","id":%q,"detail-type":%q,"source":%s,"time":%q,"detail":%s}`,
		invocation, k.detailType, text, time.Now().UTC().Format(time.RFC3339), detail)
}

// body is what lies on a queue for a document: a sign-up as it is, and anything else as an
// event of that source.
func (k *kind) body(source string, doc []byte) ([]byte, error) {
	if k.asks == apikey.SignUp {
		return doc, nil
	}
	detail, err := k.detail(doc)
	if err != nil {
		return nil, err
	}
	return k.event(source, detail), nil
}
