package promise

import (
	"encoding/json"
	"time"

	"createkey/internal/test/awslocal"
)

// A record is what a secret holds, as any reader sees it.
type record struct {
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

// decode returns the zero record for what is not a JSON object of these types.
func decode(v awslocal.SecretVersion) (r record) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(v.String), &members) != nil || json.Unmarshal([]byte(v.String), &r) != nil {
		return record{}
	}
	r.members = len(members)
	return r
}

func (r record) ours() bool     { return r.Format == "createkey/1" }
func (r record) finished() bool { return r.ours() && r.ID != "" }

// pending reports whether the record holds format and value, and nothing else.
func (r record) pending() bool { return r.ours() && r.Value != "" && r.members == 2 }
