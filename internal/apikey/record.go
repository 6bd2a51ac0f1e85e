package apikey

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"createkey/internal/failure"
)

// MaxRecordSize is what a secret's SecretString holds, in bytes
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const MaxRecordSize = 65536

// Format marks a secret's text as a record of this program's.
const Format = "createkey/1"

const formatFamily = "createkey/"

// Key is an API key as API Gateway describes it, less its value: the output
// document of `aws apigateway create-api-key`, spelled as the CLI prints it.
type Key struct {
	ID              string            `json:"id"`
	Name            string            `json:"name,omitempty"`
	CustomerID      string            `json:"customerId,omitempty"`
	Description     string            `json:"description,omitempty"`
	Enabled         bool              `json:"enabled"`
	CreatedDate     time.Time         `json:"createdDate,omitzero"` // UTC, as the other
	LastUpdatedDate time.Time         `json:"lastUpdatedDate,omitzero"`
	StageKeys       []string          `json:"stageKeys"` // as StageKey.String
	Tags            map[string]string `json:"tags"`
	UsagePlanIDs    []string          `json:"usagePlanIds"` // ours: the plans that the key was attached to
}

// Record is what the secret holds: pending, a value alone, before the key can
// exist; finished, with the key, once it does. A reader of secrets takes a value from
// a finished record only, and lets members pass that it does not know.
type Record struct {
	Value Value
	Key   Key
}

// Finished reports whether the record names a key.
func (r Record) Finished() bool { return r.Key.ID != "" }

// The errors of [ParseRecord].
var (
	// ErrForeign: the text is not a record of this program's. Whoever made the
	// secret, it is not ours to adopt: the caller rejects the request.
	ErrForeign = errors.New("the secret was not made by createkey")
	// ErrNewer: a later version of this program wrote the record. The caller
	// retries until that version is deployed.
	ErrNewer = errors.New("the secret's record has a format that this version does not know")
)

type recordHead struct {
	Format string `json:"format"`
	Value  string `json:"value"`
}

// Encode returns the JSON text for the secret's SecretString, wrapped like the value
// that it holds.
func (r Record) Encode() Value {
	head := recordHead{Format, r.Value.Reveal()}
	if !r.Finished() {
		return encode(head)
	}
	key := r.Key
	key.StageKeys = orEmpty(key.StageKeys)
	key.UsagePlanIDs = orEmpty(key.UsagePlanIDs)
	if key.Tags == nil {
		key.Tags = map[string]string{}
	}
	return encode(struct {
		recordHead
		Key
	}{head, key})
}

// encode leaves < > & as they are: json.Marshal spends six bytes on each, and
// the secret's size is bounded.
func encode(document any) Value {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		panic("apikey: a record of strings, booleans and times cannot be encoded")
	}
	return NewValue(strings.TrimSuffix(b.String(), "\n"))
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// ParseRecord reads a secret's text. Members that it does not know are left
// alone. It returns ErrForeign or ErrNewer, and never quotes the text.
func ParseRecord(text string) (Record, error) {
	// A map's names are exact; a struct would take "FORMAT" for the marker.
	var members map[string]json.RawMessage
	var head recordHead
	var key Key
	err := json.Unmarshal([]byte(text), &members)
	if err == nil {
		err = errors.Join(
			json.Unmarshal(members["format"], &head.Format),
			json.Unmarshal(members["value"], &head.Value),
			json.Unmarshal([]byte(text), &key),
		)
	}
	switch {
	case strings.HasPrefix(head.Format, formatFamily) && head.Format != Format:
		return Record{}, ErrNewer
	case err != nil, head.Format != Format, head.Value == "":
		return Record{}, ErrForeign
	}
	return Record{Value: NewValue(head.Value), Key: key}, nil
}

// RecordSize returns the size in bytes that the finished record of a request
// will have at most, so that one which cannot be stored makes nothing. AWS's own
// parts of it are taken at generous lengths, and a value that the record may
// hold already at the most that JSON can make of it.
func (r Request) RecordSize(secretName string, plans []string) int {
	date := time.Date(2000, 12, 31, 23, 59, 59, 999999999, time.UTC)
	const longestID = 128
	record := Record{Value: NewValue(strings.Repeat("\x00", MaxValueLength)), Key: Key{
		ID: strings.Repeat("x", longestID), Name: r.Name, CustomerID: r.CustomerID, Description: r.Description,
		CreatedDate: date, LastUpdatedDate: date,
		StageKeys: r.stages(), Tags: r.AllTags(secretName), UsagePlanIDs: plans,
	}}
	if !r.Value.IsZero() {
		record.Value = r.Value
	}
	return len(record.Encode().Reveal())
}

// CheckRecordSize returns a *failure.RejectedError for a request whose record a
// secret cannot hold, by [Request.RecordSize] and [MaxRecordSize]. plans are those
// that the request asks for, the default included.
func (r Request) CheckRecordSize(secretName string, plans []string) error {
	if size := r.RecordSize(secretName, plans); size > MaxRecordSize {
		return failure.Reject("request: its record would take up to %d bytes, and a secret holds %d: "+
			"shorten description or tags", size, MaxRecordSize)
	}
	return nil
}

// stages returns the stage keys in the form in which API Gateway answers them.
func (r Request) stages() []string {
	stages := make([]string, len(r.StageKeys))
	for i, s := range r.StageKeys {
		stages[i] = s.String()
	}
	return stages
}

// AllTags returns the tags that the key is made with: the sender's, those of a
// sign-up, and [TagSecret] and [TagRequest].
func (r Request) AllTags(secretName string) map[string]string {
	tags := map[string]string{TagSecret: SecretTag(secretName), TagRequest: r.Digest()}
	maps.Copy(tags, r.AddedTags)
	maps.Copy(tags, r.Tags)
	return tags
}

// Differences names the members in which a request differs from an existing
// key, as far as its description shows: it does not keep generateDistinctId, and
// value is for the caller to compare. plans are those that the request asks for, the default included.
func (r Request) Differences(key Key, plans []string) []string {
	var members []string
	differs := func(member string, differ bool) {
		if differ {
			members = append(members, member)
		}
	}
	tags := maps.Clone(key.Tags)
	maps.DeleteFunc(tags, func(name, _ string) bool {
		_, sent := r.Tags[name]
		return strings.HasPrefix(name, "createkey:") || strings.HasPrefix(name, "marketplace:") && !sent // added
	})
	differs("customerId", r.CustomerID != key.CustomerID)
	differs("description", r.Description != key.Description)
	differs("enabled", r.Enabled != key.Enabled)
	differs("name", r.Name != key.Name)
	differs("stageKeys", !slices.Equal(r.stages(), key.StageKeys))
	differs("tags", !maps.Equal(tags, r.Tags))
	// Where the sender names no plan, the recorded one may be a default that the
	// deployment has changed since: it is named only if nothing else is.
	if len(r.UsagePlanIDs) > 0 || members == nil {
		differs("usagePlanIds", !slices.Equal(slices.Sorted(slices.Values(plans)), slices.Sorted(slices.Values(key.UsagePlanIDs))))
	}
	return members
}
