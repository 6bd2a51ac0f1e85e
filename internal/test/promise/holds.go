package promise

import (
	"maps"
	"time"
)

// A Hold is the newest start and the newest end that a record has heard of, of one thing
// that keeps the key alive: the subscription itself, or an agreement of AWS Marketplace.
// That of the agreement [EveryHold] is an end of all that began before it.
type Hold struct {
	Agreement string    `json:"agreement"`
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
}

// EveryHold is the agreement of an end that lets go of all that began before it.
const EveryHold = "*"

// Beginning is the beginning of time, from which a sign-up holds whose message has none.
var Beginning = time.Unix(0, 0).UTC()

// Holds are what was heard of each agreement, by its name. They say by themselves whether
// the key is to live, in whatever order they were heard of. The methods leave their
// receiver as it is.
type Holds map[string]Hold

// Heard returns the holds of a record. A finished one without any was made by a sign-up
// whose message had no time.
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

// Started returns the holds after a sign-up; a time that is zero is the [Beginning].
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

// EndOf returns the newest end that let go of an agreement's hold; zero: none.
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

// Over reports whether an end was heard of that a sign-up is not newer than: it makes
// nothing, and is ended.
func (h Holds) Over(agreement string, at time.Time) bool {
	if at.IsZero() {
		at = Beginning
	}
	end := h.EndOf(agreement)
	return !end.IsZero() && !at.After(end)
}

// Equal reports whether the same was heard of.
func (h Holds) Equal(other Holds) bool { return maps.Equal(h, other) }

// forget reports whether a hold was heard of before whose start or end is older now.
func (h Holds) forget(before Holds) bool {
	for agreement, hold := range before {
		if hold.Start.After(h[agreement].Start) || hold.End.After(h[agreement].End) {
			return true
		}
	}
	return false
}
