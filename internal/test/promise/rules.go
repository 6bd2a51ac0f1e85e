package promise

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"createkey/internal/test/awslocal"
)

// The promises, as faults name them.
const (
	OneKey    = "promise 1 (at most one key)"
	Value     = "promise 2 (the secret comes first)"
	Described = "promise 3 (described completely)"
	Steps     = "promise 4 (a step is never overwritten)"
	LeftAlone = "promise 4 (a key is left alone)"
)

// A Broken is a promise, and how it is broken. The functions that return one judge a single
// act of createkey: [Check] calls them for an account's whole history, the explorer for each
// call.
type Broken struct{ Promise, How string }

// Written returns the promise that a version written by createkey breaks; nil: none. held are
// the secret's earlier versions, oldest first. A secret begins with a pending record of
// format and value, or with an end; each step follows the previous one; the holds say whether
// the record has ended; and a foreign secret is never written.
func Written(held []Record, next Record) *Broken {
	switch {
	case len(held) == 0 && !next.First():
		return &Broken{Value, "the secret did not begin with a pending record of format and value"}
	case len(held) == 0:
		return nil
	case !held[0].Ours():
		return &Broken{Steps, "a foreign secret was written"}
	case !next.Ours() || next.Follows(held[len(held)-1]) != "":
		return &Broken{Steps, "a version is not the next step: " + next.Follows(held[len(held)-1])}
	case next.HasEnded() && next.Heard().Held():
		return &Broken{Steps, "the record says that it has ended, and something holds the key"}
	case !next.HasEnded() && !next.Heard().Held():
		return &Broken{Described, "the record says that the key lives, and nothing holds it"}
	case next.Finished() && !next.whole():
		return &Broken{Described, "the finished record lacks a member, or has one that is empty or unknown"}
	}
	return nil
}

// MadeAgain returns how a key that createkey made breaks promise 1 if its secret had an
// earlier key; nil: it does not. exists: the earlier key still existed. tooSoon: it was
// deleted sooner than the contract allows.
func MadeAgain(exists, tooSoon bool) *Broken {
	switch {
	case exists:
		return &Broken{OneKey, "two keys exist at once"}
	case !tooSoon:
		return &Broken{OneKey, "a key was revoked, and another made"}
	}
	return nil
}

// Differences returns the members in which a finished record differs from its key, which is
// in the given usage plans, in any order. A key that was changed after it was made may be
// disabled although the record says enabled: an operator did that.
func Differences(r Record, k awslocal.Key, plans []string) (members []string) {
	changed := !k.LastUpdated.Equal(k.Created)
	for _, member := range []struct {
		name  string
		right bool
	}{
		{"value", r.Value == k.Value},
		{"name", r.Name == k.Name},
		{"customerId", r.CustomerID == k.CustomerID},
		{"description", r.Description == k.Description},
		{"enabled", r.Enabled == k.Enabled || changed && r.Enabled},
		{"createdDate", r.CreatedDate.Equal(k.Created.Truncate(time.Second))}, // API Gateway sends whole seconds
		{"lastUpdatedDate", r.LastUpdatedDate.Equal(k.LastUpdated.Truncate(time.Second)) || changed && r.LastUpdatedDate.Before(k.LastUpdated)},
		{"stageKeys", r.StageKeys != nil && slices.Equal(r.StageKeys, k.StageKeys)},
		{"tags", r.Tags != nil && maps.Equal(r.Tags, k.Tags)},
		{"usagePlanIds", r.UsagePlanIDs != nil && slices.Equal(slices.Sorted(slices.Values(r.UsagePlanIDs)), slices.Sorted(slices.Values(plans)))},
	} {
		if !member.right {
			members = append(members, member.name)
		}
	}
	return members
}

func (b *Broken) of(secretName string) string {
	return fmt.Sprintf("%s: secret %s: %s", b.Promise, secretName, b.How)
}
