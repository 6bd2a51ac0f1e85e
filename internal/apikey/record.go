package apikey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"createkey/internal/failure"
)

// MaxRecordSize is how much a secret's SecretString can hold, in bytes
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const MaxRecordSize = 65536

// Format is the marker of a secret's text that is a record of this program's.
const Format = "createkey/1"

const formatFamily = "createkey/"

// Record is what the secret holds, one step of a log whose steps are the secret's
// versions: pending, with a value, before the key of a generation can exist; finished,
// with the key, once it does; ended, once nothing holds it any more. A reader of secrets
// takes a value from a finished record only, and ignores members that it does not know.
type Record struct {
	Value Value // zero only in an ended record of what never began
	Key   Key   // of the last generation that was finished; ID is empty if this one was not
	Life
}

// Life is what a record holds beside the value and the key. A record of the first
// generation may lack it: a pending one always does.
type Life struct {
	StepNumber int       `json:"step,omitempty"`
	Generation int       `json:"generation,omitempty"`
	Since      time.Time `json:"since,omitzero"` // when the generation began; zero: at the Beginning
	Ended      time.Time `json:"ended,omitzero"` // zero: it lives
	Holds      Holds     `json:"holds,omitempty"`
	Previous   string    `json:"previous,omitempty"` // the id of the key before a rotation
	Next       *Next     `json:"-"`                  // of a rotation that is under way
}

// Next is the key that a rotation will put in the living one's place.
type Next struct {
	Value Value
	Time  time.Time // of the rotation
}

// Finished reports whether the record names the key of its generation.
func (r Record) Finished() bool { return r.Key.ID != "" && r.Ended.IsZero() }

// HasEnded reports whether nothing holds the key any more.
func (r Record) HasEnded() bool { return !r.Ended.IsZero() }

// Step returns the number of the record's step in the log.
func (r Record) Step() int {
	switch {
	case r.StepNumber > 0:
		return r.StepNumber
	case r.Key.ID != "":
		return 2
	}
	return 1
}

// Number returns the number of the record's generation: 1 for the first that has a value,
// 0 for an end that came before any.
func (r Record) Number() int {
	if r.Generation == 0 && !r.Value.IsZero() {
		return 1
	}
	return r.Generation
}

// Heard returns the holds. A finished record without any was made before records had
// them, by a subscription.
func (r Record) Heard() Holds {
	if len(r.Holds) == 0 && r.Finished() {
		return Holds{{Start: Beginning}}
	}
	return r.Holds
}

// The errors of [ParseRecord].
var (
	// ErrForeign: the text is not a record of this program's. The secret is somebody
	// else's, and never adopted: the caller rejects the request.
	ErrForeign = errors.New("the secret was not made by createkey")
	// ErrNewer: a later version of this program wrote the record. The caller
	// retries until that version is deployed.
	ErrNewer = errors.New("the secret's record has a format that this version does not know")
)

type recordHead struct {
	Format string `json:"format"`
	Value  string `json:"value,omitempty"`
}

type recordNext struct {
	Next *nextText `json:"next,omitempty"`
}

type nextText struct {
	Value string    `json:"value"`
	Time  time.Time `json:"time"`
}

// Encode returns the JSON text for the secret's SecretString, as a Value because it holds
// one.
func (r Record) Encode() Value {
	head := recordHead{Format, r.Value.Reveal()}
	var next recordNext
	if r.Next != nil {
		next.Next = &nextText{r.Next.Value.Reveal(), r.Next.Time}
	}
	if r.Key.ID == "" {
		return encode(struct {
			recordHead
			Life
			recordNext
		}{head, r.Life, next})
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
		Life
		recordNext
	}{head, key, r.Life, next})
}

// encode does not escape < > &: json.Marshal takes six bytes for each, and the secret's
// size is limited.
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

// ParseRecord reads a secret's text and ignores members that it does not know: names are
// case-sensitive. Its error is ErrForeign or ErrNewer, and never quotes the text.
func ParseRecord(text string) (Record, error) {
	var marker, whole struct {
		recordHead
		Key
		Life
		recordNext
	}
	err := errors.Join(unmarshalKnown([]byte(text), &marker, "format"), unmarshalKnown([]byte(text), &whole, recordMembers...))
	if strings.HasPrefix(marker.Format, formatFamily) && marker.Format != Format {
		return Record{}, ErrNewer
	}
	record := Record{Value: NewValue(whole.Value), Key: whole.Key, Life: whole.Life}
	if err != nil || marker.Format != Format || whole.Value == "" && !record.HasEnded() {
		return Record{}, ErrForeign
	}
	if next := whole.recordNext.Next; next != nil {
		record.Next = &Next{NewValue(next.Value), next.Time}
	}
	return record, nil
}

// recordMembers are the members of a record that this version knows.
var recordMembers = strings.Fields("format value id name customerId description enabled createdDate lastUpdatedDate " +
	"stageKeys tags usagePlanIds step generation since ended holds previous next")

// unmarshalKnown reads an object's members of exactly those names: encoding/json takes
// "Ended" for ended.
func unmarshalKnown(text []byte, into any, names ...string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return !slices.Contains(names, name) })
	known, err := json.Marshal(members)
	if err != nil {
		return err
	}
	return json.Unmarshal(known, into)
}

// UnmarshalJSON implements json.Unmarshaler, by the exact names of members.
func (h *Hold) UnmarshalJSON(text []byte) error {
	type plain Hold // without this method
	return unmarshalKnown(text, (*plain)(h), "agreement", "licenseArn", "start", "end")
}

// UnmarshalJSON implements json.Unmarshaler, by the exact names of members.
func (n *nextText) UnmarshalJSON(text []byte) error {
	type plain nextText
	return unmarshalKnown(text, (*plain)(n), "value", "time")
}

// RecordSize returns the most that the finished record of a request can take, in bytes,
// so that a request whose record could not be stored makes nothing. AWS's own members
// count with generous lengths. Where the request gives no value, the record may have one
// already, which counts with the most that JSON can make of it.
func (r Request) RecordSize(secretName string, plans []string) int {
	date := time.Date(2000, 12, 31, 23, 59, 59, 999999999, time.UTC)
	const longestID = 128
	record := Record{Value: NewValue(strings.Repeat("\x00", MaxValueLength)), Key: Key{
		ID: strings.Repeat("x", longestID), Name: r.Name, CustomerID: r.CustomerID, Description: r.Description,
		CreatedDate: date, LastUpdatedDate: date,
		StageKeys: r.stages(), Tags: r.AllTags(secretName), UsagePlanIDs: plans,
	}, Life: Life{
		StepNumber: 1e9, Generation: 1e9, Since: date, Ended: date, Previous: strings.Repeat("x", longestID),
		Next:  &Next{NewValue(strings.Repeat("x", MaxValueLength)), date},
		Holds: Holds{{Agreement: r.Agreement, License: r.License, Start: date, End: date}},
	}}
	if !r.Value.IsZero() {
		record.Value = r.Value
	}
	return len(record.Encode().Reveal())
}

// CheckTotals returns a *failure.RejectedError for a request that is too large with what
// the deployment adds to it: a key with more tags than [MaxKeyTags], or a record, by
// [Request.RecordSize], longer than [MaxRecordSize]. plans are those that the request asks
// for, the default included.
func (r Request) CheckTotals(secretName string, plans []string) error {
	var faults failure.Faults
	if tags := len(r.AllTags(secretName)); tags > MaxKeyTags {
		faults.Add("tags", fmt.Sprintf("the key would have %d tags, with those that the deployment and createkey add, "+
			"and API Gateway allows %d: leave out %d", tags, MaxKeyTags, tags-MaxKeyTags))
	}
	if size := r.RecordSize(secretName, plans); size > MaxRecordSize {
		faults.Add("request", fmt.Sprintf("its record would take up to %d bytes, and a secret holds %d: "+
			"shorten customerId, description, stageKeys or tags", size, MaxRecordSize))
	}
	return faults.Err()
}
