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

	members int
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

// Finished reports whether the record names a key.
func (r Record) Finished() bool { return r.Ours() && r.ID != "" }

// pending reports whether the record holds format and value, and nothing else.
func (r Record) pending() bool { return r.Ours() && r.Value != "" && r.members == 2 }

// whole reports whether a finished record has all its members and no other: those that
// API Gateway leaves out where they are empty are left out.
func (r Record) whole() bool {
	const always = 9 // format, value, id, enabled, two dates, stageKeys, tags, usagePlanIds
	members := always
	for _, text := range []string{r.Name, r.CustomerID, r.Description} {
		if text != "" {
			members++
		}
	}
	return r.members == members && r.StageKeys != nil && r.Tags != nil && r.UsagePlanIDs != nil
}
