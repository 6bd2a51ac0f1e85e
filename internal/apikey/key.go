package apikey

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Key is an API key as API Gateway describes it, without its value: the output document
// of `aws apigateway create-api-key`, spelled as the CLI prints it.
type Key struct {
	ID              string            `json:"id"`
	Name            string            `json:"name,omitempty"`
	CustomerID      string            `json:"customerId,omitempty"`
	Description     string            `json:"description,omitempty"`
	Enabled         bool              `json:"enabled"`
	CreatedDate     time.Time         `json:"createdDate,omitzero"` // both dates are in UTC
	LastUpdatedDate time.Time         `json:"lastUpdatedDate,omitzero"`
	StageKeys       []string          `json:"stageKeys"` // in the form of StageKey.String
	Tags            map[string]string `json:"tags"`
	UsagePlanIDs    []string          `json:"usagePlanIds"` // not in the CLI's: the plans that the key was attached to
}

// Differences returns the names of the members in which a request differs from an
// existing key, as far as the key's description shows them: it lacks generateDistinctId,
// and the value is for the caller to compare. plans are those that the request asks for,
// the default included.
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
		_, added := r.AddedTags[name]
		return strings.HasPrefix(name, "createkey:") || (added || strings.HasPrefix(name, "marketplace:")) && !sent
	})
	differs("customerId", r.CustomerID != key.CustomerID)
	differs("description", r.Description != key.Description)
	differs("enabled", r.Enabled != key.Enabled)
	differs("name", r.Name != key.Name)
	differs("stageKeys", !slices.Equal(r.stages(), key.StageKeys))
	differs("tags", !maps.Equal(tags, r.Tags))
	// Where the sender names no plan, the recorded one may be a default that the
	// deployment has changed since: it is reported only if nothing else is.
	if len(r.UsagePlanIDs) > 0 || members == nil {
		differs("usagePlanIds", !slices.Equal(slices.Sorted(slices.Values(plans)), slices.Sorted(slices.Values(key.UsagePlanIDs))))
	}
	return members
}
