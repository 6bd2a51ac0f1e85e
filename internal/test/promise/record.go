package promise

import (
	"encoding/json"
	"sync"
	"time"

	"createkey/internal/test/awslocal"
)

// A Record is a secret's content as any reader sees it. Format and members come from the
// contract; nothing here is taken from the program.
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

// Decode returns the record of a version, or the zero Record if that is not a JSON object
// with these types. The caller must not change what it refers to.
func Decode(v awslocal.SecretVersion) Record {
	decoded.Lock()
	defer decoded.Unlock()
	r, known := decoded.records[v.String]
	if !known {
		if len(decoded.records) == mostDecoded {
			clear(decoded.records)
		}
		r = decode(v.String)
		decoded.records[v.String] = r
	}
	return r
}

// decoded caches records: a simulation reads each of them after every step.
var decoded = struct {
	sync.Mutex
	records map[awslocal.Sensitive]Record
}{records: map[awslocal.Sensitive]Record{}}

const mostDecoded = 10_000

func decode(text awslocal.Sensitive) (r Record) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) != nil || json.Unmarshal([]byte(text), &r) != nil {
		return Record{}
	}
	if _, marked := members["format"]; !marked {
		r.Format = "" // encoding/json ignores case
	}
	r.members = len(members)
	return r
}

// Ours reports whether createkey made the record.
func (r Record) Ours() bool { return r.Format == "createkey/1" }

// Finished reports whether the record names a living key.
func (r Record) Finished() bool { return r.Ours() && r.ID != "" && r.Ended.IsZero() }

// HasEnded reports whether nothing holds the key any more.
func (r Record) HasEnded() bool { return r.Ours() && !r.Ended.IsZero() }

// First reports whether the record can be a log's first step: it has format and value, and
// nothing else, or it is from an end that came before its sign-up, and has no value.
func (r Record) First() bool {
	return r.Ours() && r.Value != "" && r.members == 2 || r.HasEnded() && r.Value == "" && r.ID == ""
}

// step returns the step's number, which a log of two steps, pending and finished, may lack.
func (r Record) step() int {
	switch {
	case r.Step > 0:
		return r.Step
	case r.ID != "":
		return 2
	}
	return 1
}

// Number returns the generation's number, which the first one may lack.
func (r Record) Number() int {
	if r.Generation == 0 && r.Value != "" {
		return 1
	}
	return r.Generation
}

// Follows returns why a record cannot be the step after another; empty: it can.
func (r Record) Follows(before Record) string {
	same := r.Number() == before.Number()
	switch {
	case r.step() != before.step()+1:
		return "its step is not the next"
	case same && r.Value != before.Value:
		return "its value differs within a generation"
	case same && before.ID != "" && r.ID != before.ID:
		return "its key differs within a generation"
	case same && before.HasEnded() && !r.HasEnded():
		return "it lives again within a generation"
	case same && before.Next.Value != "" && r.Next.Value != before.Next.Value:
		return "its next value differs within a generation"
	case r.Heard().forget(before.Heard()):
		return "it forgets a start or an end"
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

// Knows reports whether a record knows a key: it is the key of its value, of a rotation's
// next value, or the previous key of a rotation. No other key of its secret may be enabled.
func (r Record) Knows(k awslocal.Key) bool {
	return k.Value == r.Value || k.Value == r.Next.Value || k.ID == r.Previous
}

// MayDisable reports whether createkey may disable an enabled key, according to the record in
// its secret: nothing holds the key any more, a rotation is about to replace the previous
// key, or an end names that key.
func (r Record) MayDisable(k awslocal.Key, named bool) bool {
	if r.HasEnded() {
		return r.Knows(k)
	}
	return k.ID == r.Previous && (r.Next.Value != "" || named)
}

// whole reports whether a finished record has all its members and none that is empty. Absent
// are the members that API Gateway leaves out when empty, and those of a life.
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
