// Package apikey knows what a request for an API key is: how it is read and
// checked, which secret it names, how it is distinguished from another request of the
// same identity, and what is recorded of the key once it exists.
//
// It guarantees that the same request always names the same secret and has the
// same digest (both are pure functions, pinned by tests, for they live on keys
// and secrets for ever), that a request which passes [Parse] and
// [Request.CheckRecordSize] breaks no rule that is known without asking AWS, and
// that nothing prints a key's [Value]. It knows nothing of queues, envelopes or
// AWS calls.
//
// A request begins as a document and ends as a record in a secret:
//
//	request, secretName, err := apikey.Parse(doc, "apikeys/", deliveryID)
//	value, err := apikey.GenerateValue(apikey.Random) // where request.Value.IsZero()
//	pending := apikey.Record{Value: value}            // before the key can exist
//	finished := apikey.Record{Value: value, Key: key} // once it does
//	text := finished.Encode()                         // to be stored; it prints as REDACTED, too
package apikey

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// Limits of a request. Lengths are in characters, that is Unicode code points.
// Those of the name, the description and the value are known from the errors of
// CreateApiKey (https://docs.aws.amazon.com/apigateway/latest/api/API_CreateApiKey.html).
const (
	MaxDocumentSize      = 64 << 10 // bytes of the request's document; ours
	MaxNameLength        = 1024
	MaxDescriptionLength = 125_000 // the document's size comes first
	MinValueLength       = 20
	MaxValueLength       = 128

	// Of tags (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging.html).
	// Which characters are legal in them AWS's pages disagree on, so that is left to AWS.
	MaxTags           = 48 // 50 on a resource, less TagSecret and TagRequest
	MaxTagKeyLength   = 128
	MaxTagValueLength = 256

	// MaxUsagePlans is the default quota of usage plans on one key
	// (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
	MaxUsagePlans = 10
)

// Request is the input of `aws apigateway create-api-key`, plus UsagePlanIDs.
// Empty strings, lists and maps stand for members that were absent or empty:
// API Gateway makes no difference between the two. [Parse] makes one that is
// valid.
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

	// What an AWS Marketplace sign-up says beside its request. It is no part of
	// what the sender asks for, so neither Digest nor Differences counts it.
	ProductCode string            // finds the usage plan; empty: of no product
	AddedTags   map[string]string // go on the key, too
}

// Plans returns the usage plans that the request names, or the deployment's
// default, which may be empty: none.
func (r Request) Plans(defaultPlan string) []string {
	if len(r.UsagePlanIDs) == 0 && defaultPlan != "" {
		return []string{defaultPlan}
	}
	return r.UsagePlanIDs
}

// StageKey names a stage of a REST API. AWS deprecates it for usage plans.
type StageKey struct{ RestAPIID, StageName string }

// String returns restApiId/stage, the form in which API Gateway answers it.
func (s StageKey) String() string { return s.RestAPIID + "/" + s.StageName }

// Parse reads a request from a document, and names the secret that belongs to
// it; prefix and deliveryID are as [SecretName] wants them. Members that it does
// not know, null, and a wrong type are faults. It returns a *failure.RejectedError
// that names every member and rule broken, and never quotes a value; request and
// secret name are then what could be made out all the same, for the log.
//
// Whether the record will fit into a secret depends on the usage plans that the
// deployment adds: [Request.CheckRecordSize] says so.
func Parse(doc document.Node, prefix, deliveryID string) (r Request, secretName string, err error) {
	var c checker
	if doc.Size > MaxDocumentSize {
		c.Add("request", "must be at most "+strconv.Itoa(MaxDocumentSize)+" bytes, has "+strconv.Itoa(doc.Size))
		return r, "", c.Err()
	}
	if doc.Kind == document.String && doc.Fault == "" { // YAML takes any text for one
		c.Add("request", "must be a JSON or YAML object, not a string")
		return r, "", c.Err()
	}
	c.members("request", "", doc, map[string]func(string, document.Node){
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
	if doc.Kind == document.Object && !c.Has("name") && !c.Has("customerId") {
		if secretName, err = SecretName(prefix, r.CustomerID, r.Name, deliveryID); err != nil {
			path, rule, _ := strings.Cut(err.Error(), ": ")
			c.Add(path, rule)
		}
	}
	return r, secretName, c.Err()
}

// checker reads the members of a document, and collects their faults.
type checker struct{ failure.Faults }

// is reports whether a node is of a kind, and adds a fault where it is not or has one
// of its own. A node of the kind is looked into in spite of its own
// fault, so that all faults are reported at once.
func (c *checker) is(path string, n document.Node, kind document.Kind) bool {
	kinds := map[document.Kind]string{
		document.Null: "null", document.Bool: "a boolean", document.Number: "a number",
		document.String: "a string", document.List: "a list", document.Object: "an object",
	}
	switch {
	case n.Fault != "":
		c.Add(path, n.Fault)
	case n.Kind != kind:
		c.Add(path, "must be "+kinds[kind]+", not "+kinds[n.Kind])
	}
	return n.Kind == kind
}

// members hands each member of an object to its reader.
func (c *checker) members(path, prefix string, n document.Node, readers map[string]func(string, document.Node)) {
	if !c.is(path, n, document.Object) {
		return
	}
	for _, m := range n.Members {
		read, known := readers[m.Name]
		at := prefix + pathElement(m.Name)
		if m.Fault != "" {
			c.Add(at, m.Fault)
		}
		if known {
			read(at, m.Value)
		} else if m.Fault == "" {
			c.Add(at, "unknown member")
		}
	}
}

// pathElement returns a name as it stands in a path: quoted where it is no plain word,
// and cut to seven characters where it is as long as a value: a sender may have put one
// there by mistake, and YAML reads {value:x} as a member "value:x".
func pathElement(name string) string {
	if runes := []rune(name); len(runes) >= MinValueLength {
		name = string(runes[:tellingLength-1]) + "…"
	}
	plain := strings.IndexFunc(name, func(r rune) bool {
		return !strings.ContainsRune("-_", r) && (r < '0' || r > '9') && !isLetter(r)
	}) < 0
	if name == "" || !plain {
		return strconv.Quote(name)
	}
	return name
}

func isLetter(r rune) bool { return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' }

func (c *checker) text(path string, n document.Node, shortest, longest int) string {
	if !c.is(path, n, document.String) {
		return ""
	}
	switch length := utf8.RuneCountInString(n.Text); {
	case length < shortest && length == 0:
		c.Add(path, "must not be empty")
	case length < shortest:
		c.Add(path, "must be at least "+strconv.Itoa(shortest)+" characters, has "+strconv.Itoa(length))
	case length > longest:
		c.Add(path, "must be at most "+strconv.Itoa(longest)+" characters, has "+strconv.Itoa(length))
	case n.Fault == "":
		return n.Text
	}
	return ""
}

func (c *checker) boolean(path string, n document.Node) bool {
	return c.is(path, n, document.Bool) && n.Bool
}

func (c *checker) value(path string, n document.Node) Value {
	shortest := MinValueLength
	if n.Text == "" { // absent
		shortest = 0
	}
	return NewValue(c.text(path, n, shortest, MaxValueLength))
}

func (c *checker) stageKeys(path string, n document.Node) []StageKey {
	var stages []StageKey
	for at, item := range c.items(path, n) {
		var s StageKey
		c.members(at, at+".", item, map[string]func(string, document.Node){
			"restApiId": func(p string, n document.Node) { s.RestAPIID = c.text(p, n, 0, MaxDocumentSize) },
			"stageName": func(p string, n document.Node) { s.StageName = c.text(p, n, 0, MaxDocumentSize) },
		})
		switch noAPI, noStage := isEmpty(item, "restApiId"), isEmpty(item, "stageName"); {
		case noAPI && noStage: // absent
			continue
		case noAPI:
			c.Add(at+".restApiId", "must not be empty")
		case noStage:
			c.Add(at+".stageName", "must not be empty")
		}
		stages = append(stages, s)
	}
	return stages
}

// isEmpty reports whether a member is absent or an empty string.
func isEmpty(n document.Node, name string) bool {
	m, given := n.Get(name)
	return !given || m.Kind == document.String && m.Text == ""
}

func (c *checker) tags(path string, n document.Node) map[string]string {
	if !c.is(path, n, document.Object) || len(n.Members) == 0 {
		return nil
	}
	if len(n.Members) > MaxTags {
		c.Add(path, "must have at most "+strconv.Itoa(MaxTags)+" tags, has "+strconv.Itoa(len(n.Members)))
	}
	tags := make(map[string]string, len(n.Members))
	for _, m := range n.Members {
		at := path + "." + pathElement(m.Name)
		switch length := utf8.RuneCountInString(m.Name); {
		case m.Fault != "":
			c.Add(at, m.Fault)
		case length == 0:
			c.Add(at, "a tag's key must not be empty")
		case length > MaxTagKeyLength:
			c.Add(at, "a tag's key must be at most "+strconv.Itoa(MaxTagKeyLength)+" characters, has "+strconv.Itoa(length))
		case len(m.Name) >= 4 && strings.EqualFold(m.Name[:4], "aws:"): // AWS refuses it in any case
			c.Add(at, "a tag's key must not begin with aws:, which is AWS's own")
		case strings.HasPrefix(m.Name, "createkey:"):
			c.Add(at, "a tag's key must not begin with createkey:, which is this program's own")
		}
		tags[m.Name] = c.text(at, m.Value, 0, MaxTagValueLength)
	}
	return tags
}

func (c *checker) usagePlanIDs(path string, n document.Node) []string {
	var plans []string
	seen := map[string]bool{}
	for at, item := range c.items(path, n) {
		id := c.text(at, item, 1, MaxDocumentSize)
		if id != "" && seen[id] {
			c.Add(at, "must not repeat an earlier one")
		}
		seen[id] = true
		plans = append(plans, id)
	}
	if len(plans) > MaxUsagePlans {
		c.Add(path, "must have at most "+strconv.Itoa(MaxUsagePlans)+" usage plans, has "+strconv.Itoa(len(plans)))
	}
	return plans
}

// items yields the items of a list with their paths.
func (c *checker) items(path string, n document.Node) func(yield func(string, document.Node) bool) {
	return func(yield func(string, document.Node) bool) {
		if !c.is(path, n, document.List) {
			return
		}
		for i, item := range n.Items {
			if !yield(path+"["+strconv.Itoa(i)+"]", item) {
				return
			}
		}
	}
}
