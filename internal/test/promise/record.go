package promise

import (
	"encoding/json"
	"time"

	"createkey/internal/test/awslocal"
)

// A Record is what a secret holds, as any reader sees it. Format and members are the
// contract's; nothing here is taken from the program.
type Record struct {
	Format          string             `json:"format"`
	Value           awslocal.Sensitive `json:"value"`
	ID              string             `json:"id"`
	Name            string             `json:"name"`
	CustomerID      string             `json:"customerId"`
	Description     string             `json:"description"`
	Enabled         bool               `json:"enabled"`
	CreatedDate     time.Time          `json:"createdDate"`
	LastUpdatedDate time.Time          `json:"lastUpdatedDate"`
	StageKeys       []string           `json:"stageKeys"`
	Tags            map[string]string  `json:"tags"`
	UsagePlanIDs    []string           `json:"usagePlanIds"`

	Step       int       `json:"step"`
	Generation int       `json:"generation"`
	Since      time.Time `json:"since"`
	Ended      time.Time `json:"ended"`
	Holds      []Hold    `json:"holds"`
	Previous   string    `json:"previous"`
	Next       struct {
		Value awslocal.Sensitive `json:"value"`
		Time  time.Time          `json:"time"`
	} `json:"next"`

	members int
}

// A Hold is the newest start and the newest end that a record has heard of, of one thing
// that keeps the key alive: the subscription itself, or an agreement of AWS Marketplace.
// That of the agreement "*" is an end of all that began before it.
type Hold struct {
	Agreement string    `json:"agreement"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
}

// Decode returns what a version holds, and the zero Record where that is not a JSON
// object of these types.
func Decode(v awslocal.SecretVersion) (r Record) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(v.String), &members) != nil || json.Unmarshal([]byte(v.String), &r) != nil {
		return Record{}
	}
	if _, marked := members["format"]; !marked {
		r.Format = "" // encoding/json takes any case
	}
	r.members = len(members)
	return r
}

// Ours reports whether createkey made the record.
func (r Record) Ours() bool { return r.Format == "createkey/1" }

// Finished reports whether the record names a key that lives.
func (r Record) Finished() bool { return r.Ours() && r.ID != "" && r.Ended.IsZero() }

// HasEnded reports whether nothing holds the key any more.
func (r Record) HasEnded() bool { return r.Ours() && !r.Ended.IsZero() }

// First reports whether the record can be a log's first step: it holds format and value,
// and nothing else, or it is of an end that came before its sign-up, and holds no value.
func (r Record) First() bool {
	return r.Ours() && r.Value != "" && r.members == 2 || r.HasEnded() && r.Value == "" && r.ID == ""
}

// step returns the number of a step: a log of two steps, pending and finished, may lack it.
func (r Record) step() int {
	switch {
	case r.Step > 0:
		return r.Step
	case r.ID != "":
		return 2
	}
	return 1
}

// Number returns the number of the record's generation: a first one may lack it.
func (r Record) Number() int {
	if r.Generation == 0 && r.Value != "" {
		return 1
	}
	return r.Generation
}

// Follows says why a record cannot be the step after another; empty: it can.
func (r Record) Follows(before Record) string {
	same := r.Number() == before.Number()
	switch {
	case r.step() != before.step()+1:
		return "its step is not the next"
	case same && r.Value != before.Value:
		return "its value is another's, in the same generation"
	case same && before.ID != "" && r.ID != before.ID:
		return "its key is another, in the same generation"
	case same && before.HasEnded() && !r.HasEnded():
		return "it lives again, in the same generation"
	case same:
		return ""
	case r.Number() != before.Number()+1:
		return "its generation is not the next"
	case before.HasEnded() && !r.HasEnded() && r.ID == "" && r.Value != "" && r.Value != before.Value:
		return "" // a return
	case before.Finished() && r.Finished() && r.Value == before.Next.Value && r.Previous == before.ID:
		return "" // a rotation
	}
	return "a generation begins with neither a return nor a rotation"
}

// whole reports whether a finished record has all its members and none that is empty:
// those that API Gateway leaves out where they are empty are left out, and so are those
// of a life.
func (r Record) whole() bool {
	const always = 9 // format, value, id, enabled, two dates, stageKeys, tags, usagePlanIds
	members := always
	for _, given := range []bool{
		r.Name != "", r.CustomerID != "", r.Description != "", r.Step > 0, r.Generation > 0, !r.Since.IsZero(),
		r.Holds != nil, r.Previous != "", r.Next.Value != "",
	} {
		if given {
			members++
		}
	}
	return r.members == members && r.StageKeys != nil && r.Tags != nil && r.UsagePlanIDs != nil
}
