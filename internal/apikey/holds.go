package apikey

import (
	"slices"
	"time"
)

// Beginning is when a sign-up starts whose carrier tells no time: before anything else
// that can have happened.
var Beginning = time.Unix(0, 0).UTC()

// The names of holds that are no agreement's.
const (
	Subscription = ""  // the subscription itself, or whatever the sender means by signing up
	EveryHold    = "*" // of an end that lets go of all that began before it
)

// Hold is what a record has heard of one thing that keeps its key alive: the newest start
// and the newest end. So the order in which sign-ups and ends arrive never matters.
type Hold struct {
	Agreement string    `json:"agreement,omitempty"` // of AWS Marketplace; Subscription or EveryHold
	License   string    `json:"licenseArn,omitempty"`
	Start     time.Time `json:"start,omitzero"` // zero: none was heard of
	End       time.Time `json:"end,omitzero"`   // likewise
}

// Holds are those of one record, in the order of their names. The methods leave their
// receiver as it is.
type Holds []Hold

func (h Holds) find(agreement string) (int, bool) {
	return slices.BinarySearchFunc(h, agreement, func(a Hold, name string) int {
		switch {
		case a.Agreement < name:
			return -1
		case a.Agreement > name:
			return 1
		}
		return 0
	})
}

// with returns the holds with one changed, and whether that is a change.
func (h Holds) with(agreement string, change func(*Hold)) (Holds, bool) {
	i, known := h.find(agreement)
	after := slices.Clone(h)
	if !known {
		after = slices.Insert(after, i, Hold{Agreement: agreement})
	}
	change(&after[i])
	if known && after[i] == h[i] || after[i].Start.IsZero() && after[i].End.IsZero() {
		return h, false
	}
	return after, true
}

// Started returns the holds after a start, and whether it is newer than what was known.
func (h Holds) Started(agreement, license string, at time.Time) (Holds, bool) {
	return h.with(agreement, func(hold *Hold) {
		if at.After(hold.Start) {
			hold.Start = at
			if license != "" {
				hold.License = license
			}
		}
	})
}

// Ended returns the holds after an end of one, or of [EveryHold], and whether it is newer
// than what was known.
func (h Holds) Ended(agreement string, at time.Time) (Holds, bool) {
	return h.with(agreement, func(hold *Hold) {
		if at.After(hold.End) {
			hold.End = at
		}
	})
}

// EndOf returns the newest end that let go of a hold; zero: none.
func (h Holds) EndOf(agreement string) (end time.Time) {
	for _, name := range []string{agreement, EveryHold} {
		if i, known := h.find(name); known && h[i].End.After(end) {
			end = h[i].End
		}
	}
	return end
}

// Held reports whether any hold has a start that is newer than its end; a tie is an end.
func (h Holds) Held() bool {
	return slices.ContainsFunc(h, func(hold Hold) bool { return hold.Start.After(h.EndOf(hold.Agreement)) })
}
