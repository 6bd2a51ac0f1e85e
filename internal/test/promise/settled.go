package promise

import (
	"fmt"
	"slices"
	"strings"

	"createkey/internal/test/awslocal"
)

// Settled returns the key of a secret whose messages have all been processed, and the faults
// of promise 3: exactly one key exists, every version of the secret has its value, and the
// current one describes it completely. The caller compares the key with the request.
func Settled(a Account, secretName string) (awslocal.Key, []string) {
	var living []awslocal.Key
	for _, k := range a.KeysEver() {
		if k.Tags[secretTag] == tag(secretName) && k.Deleted.IsZero() {
			living = append(living, k)
		}
	}
	if len(living) != 1 {
		return awslocal.Key{}, []string{fmt.Sprintf("promise 3 (exactly one key): %d exist for secret %s", len(living), secretName)}
	}
	faults := Describes(a, secretName)
	if s, ok := secret(a, secretName); ok {
		for i, v := range s.Versions {
			if Decode(v).Value != living[0].Value {
				faults = append(faults, fmt.Sprintf(Described+": version %d of secret %s has another value than key %s", i, secretName, living[0].ID))
			}
		}
	}
	return living[0], faults
}

// Lives returns the faults of promise 3 for an identity whose messages have all been
// processed, in any order: told are the holds that they establish. A held key is enabled and
// completely described, and the previous key of a rotation may be enabled as well; nothing
// else is. extra are those of [Describes].
func Lives(a Account, secretName string, told Holds, extra ...string) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf(Described+": secret %s: ", secretName)+fmt.Sprintf(format, args...))
	}
	s, exists := secret(a, secretName)
	if !exists {
		fault("does not exist")
		return faults
	}
	r, enabled := Decode(s.Current()), Enabled(a, secretName)
	if !told.Held() {
		if len(enabled) > 0 {
			fault("nothing holds the key, and keys %q are enabled", enabled)
		}
		if !r.HasEnded() {
			fault("nothing holds the key, and the record does not say so")
		}
	} else {
		faults = append(faults, Describes(a, secretName, extra...)...)
		if r.Next.Value != "" {
			fault("a rotation is unfinished")
		}
		if !slices.Contains(enabled, r.ID) || slices.ContainsFunc(enabled, func(id string) bool { return id != r.ID && id != r.Previous }) {
			fault("held, and keys %q are enabled; the record names %q and the previous key %q", enabled, r.ID, r.Previous)
		}
	}
	heard := r.Heard()
	for agreement, want := range told {
		got, over := heard[agreement], !want.Start.After(told.EndOf(agreement))
		if !got.End.Equal(want.End) || !over && !got.Start.Equal(want.Start) {
			fault("the record does not know what holds the key")
		}
	}
	return faults
}

// Enabled returns the ids of a secret's existing, enabled keys.
func Enabled(a Account, secretName string) (ids []string) {
	for _, k := range a.KeysEver() {
		if k.Tags[secretTag] == tag(secretName) && k.Deleted.IsZero() && k.Enabled {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// Describes returns the faults of a secret's current record: it must be finished and describe
// its key completely, as [Differences] defines. extra are plans that the key may be attached
// to beyond those in the record.
func Describes(a Account, secretName string, extra ...string) []string {
	fault := func(format string, args ...any) []string {
		return []string{Described + ": " + fmt.Sprintf(format, args...)}
	}
	s, ok := secret(a, secretName)
	if !ok {
		return fault("secret %s does not exist", secretName)
	}
	r := Decode(s.Current())
	if !r.Finished() {
		return fault("the record of secret %s is not finished", secretName)
	}
	keys := a.KeysEver()
	i := slices.IndexFunc(keys, func(k awslocal.Key) bool { return k.ID == r.ID && k.Deleted.IsZero() })
	if i < 0 {
		return fault("the record of secret %s names key %s, which does not exist", secretName, r.ID)
	}
	k := keys[i]
	attached := slices.DeleteFunc(slices.Clone(a.UsagePlanKeys(k.ID)), func(id string) bool {
		return slices.Contains(extra, id) && !slices.Contains(r.UsagePlanIDs, id)
	})
	wrong := Differences(r, k, attached)
	if r.Tags[secretTag] != tag(secretName) && !slices.Contains(wrong, "tags") {
		wrong = append(wrong, "tags")
	}
	if wrong != nil {
		return fault("the record of secret %s differs from key %s in %s", secretName, k.ID, strings.Join(wrong, ", "))
	}
	return nil
}

// secret returns a secret that exists and is not scheduled for deletion.
func secret(a Account, name string) (awslocal.Secret, bool) {
	for _, states := range a.SecretsEver() {
		if states[0].Name == name {
			last := states[len(states)-1]
			return last, last.DeletionDate.IsZero()
		}
	}
	return awslocal.Secret{}, false
}
