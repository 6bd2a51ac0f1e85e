package main

import (
	"encoding/json"
	"fmt"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/failure"
)

// kind is what a file's messages ask for. Ends and rotations are events, even on a queue:
// the event's time decides what came first, and a bare document has none.
type kind struct {
	name       string
	asks       apikey.Kind
	detailType string   // which the template's rule matches
	columns    []string // of a CSV file, tags aside
	skeletons  map[string]string
	at         time.Time // of the events; zero: the current time
}

// changeSkeletons are of ends and rotations, without keyId, which is for few ends.
var changeSkeletons = map[string]string{
	"json": "{\n    \"customerId\": \"\",\n    \"name\": \"\"\n}\n",
	"yaml": "customerId: ''\nname: ''\n",
}

var kinds = map[string]*kind{
	"sign-up":  {name: "sign-up", asks: apikey.SignUp, detailType: "API Key Requested", columns: memberColumns, skeletons: map[string]string{"json": jsonSkeleton, "yaml": yamlSkeleton}},
	"end":      {name: "end", asks: apikey.End, detailType: "API Key End Requested", columns: []string{"customerId", "name", "keyId"}, skeletons: changeSkeletons},
	"rotation": {name: "rotation", asks: apikey.Rotation, detailType: "API Key Rotation Requested", columns: []string{"customerId", "name"}, skeletons: changeSkeletons},
}

// suffix says which kind of messages a destination gets; empty for sign-ups.
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

// time is the events' time, which decides what came first.
func (k *kind) time() time.Time {
	if k.at.IsZero() {
		return time.Now()
	}
	return k.at
}

// detail converts a document to JSON, which an event's detail has to be. It is validated
// as it is, because the conversion loses what YAML has and JSON lacks.
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

// event wraps a detail as EventBridge does.
func (k *kind) event(source string, detail []byte) []byte {
	text, err := json.Marshal(source)
	if err != nil {
		panic(err) // strings can always be marshalled
	}
	return fmt.Appendf(nil, `{"version":"0","id":%q,"detail-type":%q,"source":%s,"time":%q,"detail":%s}`,
		invocation, k.detailType, text, k.time().UTC().Format(time.RFC3339), detail)
}

// body returns what goes on a queue for a document: a sign-up as it is, anything else as
// an event of that source.
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
