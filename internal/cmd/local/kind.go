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
	at         time.Time // when the events were sent; zero: when they are made
}

var kinds = map[string]*kind{
	"sign-up": {asks: apikey.SignUp, detailType: "API Key Requested", columns: memberColumns, skeletons: map[string]string{"json": jsonSkeleton, "yaml": yamlSkeleton}},
	"end": {asks: apikey.End, detailType: "API Key End Requested", columns: []string{"customerId", "name", "keyId"}, skeletons: map[string]string{
		"json": "{\n    \"customerId\": \"\",\n    \"name\": \"\",\n    \"keyId\": \"\"\n}\n",
		"yaml": "customerId: ''\nname: ''\nkeyId: '' # Only this key, the one before the last rotation.\n",
	}},
	"rotation": {asks: apikey.Rotation, detailType: "API Key Rotation Requested", columns: []string{"customerId", "name"}, skeletons: map[string]string{
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
	own := *k
	return &own, nil
}

// time is that of the events, which decides what came first.
func (k *kind) time() time.Time {
	if k.at.IsZero() {
		return time.Now()
	}
	return k.at
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
		_, _, err = apikey.ParseChange(node, k.asks, k.time(), "")
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
		invocation, k.detailType, text, k.time().UTC().Format(time.RFC3339), detail)
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
