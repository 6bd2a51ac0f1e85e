package promise

import (
	"fmt"
	"slices"
	"strings"

	"createkey/internal/test/awslocal"
)

// Settled returns the key of a secret, all of whose messages have been processed, and
// the faults of promise 3: exactly one key exists, every version of the secret bears
// its value, and the current one describes it completely. The caller compares the
// key with what was asked for.
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
				faults = append(faults, fmt.Sprintf(Described+": version %d of secret %s bears another value than key %s", i, secretName, living[0].ID))
			}
		}
	}
	return living[0], faults
}

// Describes returns the faults of a secret's current record: it must be finished and
// describe its key completely, as [Differences] has it. extra are plans that the key may be attached to beyond those that the record names.
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

// secret returns a secret as it is, if it exists and is not scheduled for deletion.
func secret(a Account, name string) (awslocal.Secret, bool) {
	for _, states := range a.SecretsEver() {
		if states[0].Name == name {
			last := states[len(states)-1]
			return last, last.DeletionDate.IsZero()
		}
	}
	return awslocal.Secret{}, false
}
