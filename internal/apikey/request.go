// Package apikey defines a request for an API key: how it is read and checked, the name
// of its secret, how it is told from another request with the same identity, and what is
// recorded of the key once it exists.
//
// It guarantees that the same request always has the same secret name and the same digest
// (both are pure functions, pinned by tests, because they stay on keys and secrets for
// ever), that a request which passes [Parse] and [Request.CheckTotals] breaks no rule
// that is known without asking AWS, and that nothing prints a key's [Value]. It knows
// nothing of queues, envelopes or AWS calls.
//
// A request begins as a document and ends as a record in a secret:
//
//	request, secretName, err := apikey.Parse(doc, "apikeys/", deliveryID)
//	value, err := apikey.GenerateValue(apikey.Random) // where request.Value.IsZero()
//	pending := apikey.Record{Value: value}            // before the key can exist
//	finished := apikey.Record{Value: value, Key: key} // once it does
//	text := finished.Encode()                         // to be stored; prints as REDACTED, too
package apikey

import (
	"maps"
	"time"

	"createkey/internal/document"
)

// Limits of a request. Lengths are in characters, that is Unicode code points. Those of
// the name, the description and the value are known from the errors of CreateApiKey
// (https://docs.aws.amazon.com/apigateway/latest/api/API_CreateApiKey.html).
const (
	MaxDocumentSize      = 64 << 10 // of the request's document, in bytes; our own limit
	MaxNameLength        = 1024
	MaxDescriptionLength = 125_000 // MaxDocumentSize is reached first
	MinValueLength       = 20
	MaxValueLength       = 128

	// Tags (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging.html).
	// AWS's pages disagree on which characters are legal, so that check is left to AWS.
	MaxKeyTags        = 50             // of a key, whoever sets them
	MaxTags           = MaxKeyTags - 2 // of a request: TagSecret and TagRequest come to them
	MaxTagKeyLength   = 128
	MaxTagValueLength = 256

	// MaxUsagePlans is the default quota of usage plans per key
	// (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
	MaxUsagePlans = 10
)

// Request is the input of `aws apigateway create-api-key`, plus UsagePlanIDs. Empty
// strings, lists and maps stand for members that were absent or empty: API Gateway does
// not distinguish the two. [Parse] returns a valid one.
type Request struct {
	Name               string
	Description        string
	Enabled            bool  // false where the sender does not say, as in API Gateway
	GenerateDistinctID bool  // deprecated by AWS, and passed on
	Value              Value // zero: one is to be generated
	StageKeys          []StageKey
	CustomerID         string // of any customer, though AWS means AWS Marketplace's identifier
	Tags               map[string]string
	UsagePlanIDs       []string // empty: the deployment's default

	// What the message is and when it was sent, as its carrier says.
	Kind      Kind
	Time      time.Time // zero: the carrier tells none
	Agreement string    // of AWS Marketplace, which holds the key; Subscription, or EveryHold of an end
	License   string    // the agreement's, as AWS spells its ARN
	KeyID     string    // of an end: the one key to end, the previous one of a rotation

	// What an AWS Marketplace sign-up and the deployment add to the request. The sender
	// does not ask for it, so neither Digest nor Differences includes it.
	ProductCode string            // selects the usage plan; empty: no product
	AddedTags   map[string]string // go on the key, too; the sender's win
}

// Kind is what a message asks for.
type Kind int

// The kinds of messages.
const (
	SignUp   Kind = iota // a key
	End                  // that nothing holds the key any more
	Rotation             // another key in the place of the living one
)

// StageKey names a stage of a REST API. AWS deprecates it in favour of usage plans.
type StageKey struct{ RestAPIID, StageName string }

// String returns restApiId/stage, the form in which API Gateway returns it.
func (s StageKey) String() string { return s.RestAPIID + "/" + s.StageName }

// Parse reads a request from a document and returns it with the name of its secret;
// prefix and deliveryID are those of [SecretName]. Unknown members, null and wrong types
// are faults. The error is a *failure.RejectedError that names every member at fault and
// the rule it breaks, and never quotes a value. Beside an error, the request and the
// secret's name hold what could be read, for the log.
//
// Whether the record fits into a secret depends on the usage plans and tags that the
// deployment adds: see [Request.CheckTotals].
func Parse(doc document.Node, prefix, deliveryID string) (r Request, secretName string, err error) {
	var c checker
	isObject := c.request(doc, map[string]func(string, document.Node){
		"name":               func(p string, n document.Node) { r.Name = c.text(p, n, 0, MaxNameLength) },
		"description":        func(p string, n document.Node) { r.Description = c.text(p, n, 0, MaxDescriptionLength) },
		"enabled":            func(p string, n document.Node) { r.Enabled = c.boolean(p, n) },
		"generateDistinctId": func(p string, n document.Node) { r.GenerateDistinctID = c.boolean(p, n) },
		"value":              func(p string, n document.Node) { r.Value = c.value(p, n) },
		"stageKeys":          func(p string, n document.Node) { r.StageKeys = c.stageKeys(p, n) },
		"customerId":         func(p string, n document.Node) { r.CustomerID = c.text(p, n, 0, MaxDocumentSize) },
		"tags":               func(p string, n document.Node) { r.Tags = c.tags(p, n) },
		"usagePlanIds":       func(p string, n document.Node) { r.UsagePlanIDs = c.usagePlanIDs(p, n) },
	})
	if isObject && !c.faulty("name") && !c.faulty("customerId") {
		if secretName, err = SecretName(prefix, r.CustomerID, r.Name, deliveryID); err != nil {
			c.Add("customerId", noIdentity)
		}
	}
	return r, secretName, c.Err()
}

// ParseChange reads an end or a rotation, {customerId, name} and, of an end, keyId, from a
// document, as [Parse] reads a sign-up. at is when it was sent: without a time it could
// not be told what it ends, or whether it is a repeat.
func ParseChange(doc document.Node, kind Kind, at time.Time, prefix string) (r Request, secretName string, err error) {
	var c checker
	r = Request{Kind: kind, Time: at}
	if kind == End {
		r.Agreement = EveryHold
	}
	text := func(into *string) func(string, document.Node) {
		return func(p string, n document.Node) { *into = c.text(p, n, 0, MaxDocumentSize) }
	}
	members := map[string]func(string, document.Node){"customerId": text(&r.CustomerID), "name": text(&r.Name)}
	if kind == End {
		members["keyId"] = func(p string, n document.Node) {
			if n.Kind == document.String && n.Text == "" && n.Fault == "" {
				c.Add(p, "must not be empty: name the key before a rotation, or leave it out to end every key of the request")
				return
			}
			text(&r.KeyID)(p, n)
		}
	}
	if c.request(doc, members) && !c.faulty("name") && !c.faulty("customerId") {
		if secretName, err = SecretName(prefix, r.CustomerID, r.Name, ""); err != nil {
			c.Add("customerId", "customerId or name must be given: they say whose key it is")
		}
	}
	if at.IsZero() {
		c.Add("request", "its envelope has no time, which says what came first: send it as an EventBridge event with a time, or through SNS")
	}
	return r, secretName, c.Err()
}

// Plans returns the usage plans that the request names, or else the deployment's default
// plan; none where defaultPlan is empty.
func (r Request) Plans(defaultPlan string) []string {
	if len(r.UsagePlanIDs) == 0 && defaultPlan != "" {
		return []string{defaultPlan}
	}
	return r.UsagePlanIDs
}

// AllTags returns the tags that the key is created with: the sender's, those that are
// added, and [TagSecret] and [TagRequest].
func (r Request) AllTags(secretName string) map[string]string {
	tags := map[string]string{TagSecret: SecretTag(secretName), TagRequest: r.Digest()}
	maps.Copy(tags, r.AddedTags)
	maps.Copy(tags, r.Tags)
	return tags
}

// stages returns the stage keys in the form in which API Gateway returns them.
func (r Request) stages() []string {
	stages := make([]string, len(r.StageKeys))
	for i, s := range r.StageKeys {
		stages[i] = s.String()
	}
	return stages
}
