package awslocal

import (
	"encoding/base64"
	"slices"
	"strconv"
	"time"
)

// A table holds every version of each object of one kind. Versions are immutable and only
// ever added, so that a stale read is simply a read as of an earlier time. Callers hold the
// Server's lock.
type table[T any] struct {
	ids  []string // in order of first creation: the order of lists
	rows map[string][]version[T]
}

type version[T any] struct {
	since   time.Time
	value   T
	deleted bool
}

// put adds a version. Whatever value refers to must not change afterwards.
func (t *table[T]) put(id string, now time.Time, value T) {
	t.add(id, version[T]{since: now, value: value})
}

// remove marks id as deleted.
func (t *table[T]) remove(id string, now time.Time) {
	t.add(id, version[T]{since: now, deleted: true})
}

func (t *table[T]) add(id string, v version[T]) {
	if t.rows == nil {
		t.rows = make(map[string][]version[T])
	}
	if _, ok := t.rows[id]; !ok {
		t.ids = append(t.ids, id)
	}
	t.rows[id] = append(t.rows[id], v)
}

// get returns id's state as of asOf, and false if it did not exist then.
func (t *table[T]) get(id string, asOf time.Time) (value T, ok bool) {
	for _, v := range slices.Backward(t.rows[id]) {
		if !v.since.After(asOf) {
			return v.value, !v.deleted
		}
	}
	return value, false
}

// list returns the objects that existed as of asOf.
func (t *table[T]) list(asOf time.Time) []T {
	var values []T
	for _, id := range t.ids {
		if v, ok := t.get(id, asOf); ok {
			values = append(values, v)
		}
	}
	return values
}

// page returns up to limit of the objects that existed as of asOf and that keep accepts,
// starting at place start in the order of lists, and the place of the next page, 0 at the
// end.
func (t *table[T]) page(asOf time.Time, start, limit int, keep func(T) bool) (values []T, next int) {
	for i := start; i < len(t.ids); i++ {
		v, exists := t.get(t.ids[i], asOf)
		if !exists || !keep(v) {
			continue
		}
		if len(values) == limit {
			return values, i
		}
		values = append(values, v)
	}
	return values, 0
}

// pageToken encodes a place for a client; "" for 0.
func pageToken(place int) string {
	if place == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(place)))
}

// parsePageToken decodes pageToken's result. It returns false for any other text.
func parsePageToken(token string) (place int, ok bool) {
	if token == "" {
		return 0, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	place, err = strconv.Atoi(string(raw))
	return place, err == nil && place > 0
}
