package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Digest returns what [TagRequest] holds: a digest of what the sender wrote, which tells
// a repeat from a request with other content. It leaves out the value, because a repeat
// without a value does not contradict one that had it.
//
// The canonical form has one line per member, in alphabetical order, without absent and
// empty members: the member's path, "=", the length of its text in bytes, ":", its text.
// Maps and usagePlanIds are sorted; stageKeys keep their order. The length makes the form
// unambiguous whatever the text. The digest is "v1:", which names this form, and the
// form's SHA-256 in hexadecimal. It must never change, because digests stay on keys for
// ever.
func (r Request) Digest() string {
	var b strings.Builder
	line := func(path, value string) {
		b.WriteString(path + "=" + strconv.Itoa(len(value)) + ":" + value + "\n")
	}
	text := func(path, value string) {
		if value != "" {
			line(path, value)
		}
	}
	flag := func(path string, value bool) {
		if value {
			line(path, "true")
		}
	}
	text("customerId", r.CustomerID)
	text("description", r.Description)
	flag("enabled", r.Enabled)
	flag("generateDistinctId", r.GenerateDistinctID)
	text("name", r.Name)
	for _, s := range r.StageKeys {
		line("stageKeys.restApiId", s.RestAPIID)
		line("stageKeys.stageName", s.StageName)
	}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		line("tags.key", key)
		line("tags.value", r.Tags[key])
	}
	for _, id := range slices.Sorted(slices.Values(r.UsagePlanIDs)) {
		line("usagePlanIds", id)
	}
	return "v1:" + hexSHA256(b.String())
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
