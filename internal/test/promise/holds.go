package promise

import (
	"maps"
	"time"
)

// A Hold is the newest start and the newest end that a record knows, of one thing that keeps the
// key alive: the subscription itself, or an agreement of AWS Marketplace. Under the agreement
// [EveryHold] it is an end of everything that began before.
type Hold struct {
	Agreement string    `json:"agreement"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
}

// EveryHold is the agreement of an end that releases everything that began before it.
const EveryHold = "*"

// Beginning is the beginning of time, the start of a sign-up whose message has no time.
var Beginning = time.Unix(0, 0).UTC()

// Holds are the known starts and ends by agreement. They alone say whether the key must live,
// whatever order they arrived in. The methods do not change their receiver.
type Holds map[string]Hold

// Heard returns the holds of a record. A finished record without any was made by a sign-up
// without a time.
func (r Record) Heard() Holds {
	h := Holds{}
	for _, hold := range r.Holds {
		h[hold.Agreement] = Hold{Start: hold.Start.UTC(), End: hold.End.UTC()}
	}
	if len(h) == 0 && r.Finished() {
		h[""] = Hold{Start: Beginning}
	}
	return h
}

// Started returns the holds after a sign-up; a zero time is the [Beginning].
func (h Holds) Started(agreement string, at time.Time) Holds {
	if at.IsZero() {
		at = Beginning
	}
	hold := h[agreement]
	hold.Start = latest(hold.Start, at)
	return h.with(agreement, hold)
}

// Ended returns the holds after an end.
func (h Holds) Ended(agreement string, at time.Time) Holds {
	hold := h[agreement]
	hold.End = latest(hold.End, at)
	return h.with(agreement, hold)
}

func (h Holds) with(agreement string, hold Hold) Holds {
	after := Holds{agreement: hold}
	for name, other := range h {
		if name != agreement {
			after[name] = other
		}
	}
	return after
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// EndOf returns the newest end that released an agreement's hold; zero: none.
func (h Holds) EndOf(agreement string) time.Time {
	return latest(h[agreement].End, h[EveryHold].End)
}

// Held reports whether anything holds the key; a tie is an end.
func (h Holds) Held() bool {
	for agreement, hold := range h {
		if hold.Start.After(h.EndOf(agreement)) {
			return true
		}
	}
	return false
}

// Over reports whether a sign-up is not newer than a known end: then it makes nothing, and its
// outcome is ended.
func (h Holds) Over(agreement string, at time.Time) bool {
	if at.IsZero() {
		at = Beginning
	}
	end := h.EndOf(agreement)
	return !end.IsZero() && !at.After(end)
}

// Equal reports whether both know the same starts and ends.
func (h Holds) Equal(other Holds) bool { return maps.Equal(h, other) }

// forget reports whether the newer holds lack a hold, or have an older start or end for it.
func (h Holds) forget(before Holds) bool {
	for agreement, hold := range before {
		if hold.Start.After(h[agreement].Start) || hold.End.After(h[agreement].End) {
			return true
		}
	}
	return false
}
