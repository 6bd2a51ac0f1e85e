// Package promise is the oracle: it states each promise of section 3 of the contract once,
// over the state and the history of an AWS account. It judges the scenarios, the explorer,
// the simulation and the executable.
//
// It is written from the contract and from AWS's documentation, and imports nothing of the
// program: it decodes a record as any reader of secrets would. No fault that it returns
// quotes a value.
package promise

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"createkey/internal/test/awslocal"
)

// An Account is the state and the history of an AWS account, such as [awslocal.Server].
type Account interface {
	KeysEver() []awslocal.Key            // each in its last state
	SecretsEver() [][]awslocal.Secret    // each state of each name, oldest first
	UsagePlanKeys(keyID string) []string // the plans that a key is attached to
}

// deletable is how long the contract asks an operator to wait, after a record was finished,
// before deleting its key. If the key is deleted sooner, it may be made again.
const deletable = time.Minute

// Check returns the faults of promises 1, 2 and 4, and of the records, which hold at every
// moment. byHand are the ids of secret versions and keys that a person wrote or made:
// createkey is not responsible for them, nor for a key without a creation date, which a test
// added past AWS's API.
func Check(a Account, byHand ...string) (faults []string) {
	keys := slices.DeleteFunc(slices.Clone(a.KeysEver()), func(k awslocal.Key) bool {
		return k.Created.IsZero() || slices.Contains(byHand, k.ID)
	})
	// Keys are read before the secrets, because a secret exists before its key, and once more
	// for the records, because a key exists before its record.
	secrets := a.SecretsEver()
	later := a.KeysEver()
	owned := map[string]bool{}
	for _, states := range secrets {
		for _, l := range lives(states, byHand) {
			for _, k := range keys {
				owned[k.ID] = owned[k.ID] || l.owns(k)
			}
			faults = append(faults, l.checkKeys(keys)...)
			faults = append(faults, l.checkSteps()...)
			faults = append(faults, l.checkRecord(later)...)
			faults = append(faults, l.checkEnabled(keys, later)...)
		}
	}
	for _, k := range keys {
		if name := k.Tags[secretTag]; name != "" && !owned[k.ID] {
			faults = append(faults, fmt.Sprintf(Value+": key %s was made when its secret %s did not exist, or did not hold its value", k.ID, name))
		}
	}
	return faults
}

const secretTag = "createkey:secret"

// tag returns the createkey:secret tag for a secret's name.
func tag(name string) string {
	const longest = 256
	if len(name) <= longest && !strings.Contains(name, "@") {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256/" + hex.EncodeToString(sum[:])
}

// A life is a secret from its creation to its deletion; a name may have several.
type life struct {
	states []awslocal.Secret
	until  time.Time // beginning of the next life; zero: none
	byHand []string
}

func lives(states []awslocal.Secret, byHand []string) (lives []life) {
	for _, s := range states {
		last := len(lives) - 1
		if last >= 0 && lives[last].states[0].ARN == s.ARN && lives[last].begun().Equal(s.Created) {
			lives[last].states = append(lives[last].states, s)
			continue
		}
		if last >= 0 {
			lives[last].until = s.Created
		}
		lives = append(lives, life{states: []awslocal.Secret{s}, byHand: byHand})
	}
	return lives
}

func (l life) begun() time.Time { return l.states[0].Created }
func (l life) name() string     { return l.states[0].Name }

// versions returns the versions that createkey wrote, oldest first.
func (l life) versions() (ours []awslocal.SecretVersion) {
	for _, v := range l.states[len(l.states)-1].Versions {
		if !slices.Contains(l.byHand, v.ID) {
			ours = append(ours, v)
		}
	}
	return ours
}

// finished returns when the record of a value's generation was finished; zero: it was not.
func (l life) finished(value awslocal.Sensitive) time.Time {
	for _, v := range l.versions() {
		if r := Decode(v); r.Finished() && r.Value == value {
			return v.Created
		}
	}
	return time.Time{}
}

// owns reports whether a key was made for this life of its secret. In virtual time a life may
// end, and the next begin, at the moment at which a key is made: then the key belongs to the
// life that holds its value.
func (l life) owns(k awslocal.Key) bool {
	switch {
	case k.Tags[secretTag] != tag(l.name()):
		return false
	case k.Created.Equal(l.begun()), k.Created.Equal(l.until):
		return l.holds(k)
	}
	return k.Created.After(l.begun()) && (l.until.IsZero() || k.Created.Before(l.until))
}

// holds reports whether the secret held a key's value when the key was made.
func (l life) holds(k awslocal.Key) bool {
	return slices.ContainsFunc(l.states[len(l.states)-1].Versions, func(v awslocal.SecretVersion) bool {
		r := Decode(v)
		return (r.Value == k.Value || r.Next.Value == k.Value) && !v.Created.After(k.Created)
	})
}

// checkKeys checks that no two keys of this life share a generation, and that each follows
// its value.
func (l life) checkKeys(keys []awslocal.Key) (faults []string) {
	var made []awslocal.Key
	for _, k := range keys {
		if !l.owns(k) {
			continue
		}
		for _, earlier := range made {
			if earlier.Value != k.Value {
				continue // of another generation, if the secret held the value
			}
			finished := l.finished(k.Value)
			exists := earlier.Deleted.IsZero() || earlier.Deleted.After(k.Created)
			tooSoon := finished.IsZero() || earlier.Deleted.Sub(finished) < deletable
			if b := MadeAgain(exists, tooSoon); b != nil {
				faults = append(faults, fmt.Sprintf("%s (keys %s and %s)", b.of(l.name()), earlier.ID, k.ID))
			}
		}
		made = append(made, k)
		if !l.holds(k) {
			faults = append(faults, fmt.Sprintf("%s: secret %s did not hold the value of key %s when it was made", Value, l.name(), k.ID))
		}
	}
	return faults
}

// checkSteps checks each version that createkey wrote, that no version was ever changed, and
// that a finished record stays current.
func (l life) checkSteps() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(Steps+": "+format, args...)) }
	texts := map[string]awslocal.Sensitive{}
	for _, s := range l.states {
		var held []Record
		for i, v := range s.Versions {
			r := Decode(v)
			text, known := texts[v.ID]
			texts[v.ID] = v.String
			if known && text != v.String {
				fault("version %d of secret %s was changed", i, l.name())
			}
			if !known && !slices.Contains(l.byHand, v.ID) {
				if b := Written(held, r); b != nil {
					faults = append(faults, b.of(l.name()))
				}
			}
			held = append(held, r)
		}
	}
	for i, s := range l.states[1:] {
		now, was := s.Current(), l.states[i].Current()
		if now.ID != was.ID && slices.ContainsFunc(l.states[i].Versions, func(v awslocal.SecretVersion) bool { return v.ID == now.ID }) &&
			!slices.Contains(l.byHand, was.ID) {
			fault("secret %s went back to an earlier step", l.name())
		}
	}
	return faults
}

// checkRecord checks that a finished record names a key with this secret's value.
func (l life) checkRecord(keys []awslocal.Key) (faults []string) {
	for _, v := range l.versions() {
		r := Decode(v)
		if r.Finished() && !slices.ContainsFunc(keys, func(k awslocal.Key) bool {
			return k.ID == r.ID && k.Value == r.Value && !k.Created.After(v.Created)
		}) {
			faults = append(faults, fmt.Sprintf(Described+": the record of %s names key %s, which never had its value", l.name(), r.ID))
		}
	}
	return faults
}

// checkEnabled checks that the record knows every key that is enabled, and was when the
// record was read: nobody enables a key that it does not know.
func (l life) checkEnabled(before, after []awslocal.Key) (faults []string) {
	r := Decode(l.states[len(l.states)-1].Current())
	if !r.Ours() || !l.until.IsZero() {
		return nil
	}
	enabled := func(k awslocal.Key) bool { return k.Enabled && k.Deleted.IsZero() }
	for _, k := range before {
		if enabled(k) && l.owns(k) && !r.Knows(k) && slices.ContainsFunc(after, func(now awslocal.Key) bool { return now.ID == k.ID && enabled(now) }) {
			faults = append(faults, fmt.Sprintf("%s: key %s is enabled, and secret %s no longer knows it", OneKey, k.ID, l.name()))
		}
	}
	return faults
}

// Untouched returns the faults of an account in which only createkey acts: it deletes no key,
// and changes none.
func Untouched(a Account) (faults []string) {
	for _, k := range a.KeysEver() {
		if !k.LastUpdated.Equal(k.Created) || !k.Deleted.IsZero() {
			faults = append(faults, fmt.Sprintf(LeftAlone+": key %s of secret %s was changed or deleted", k.ID, k.Tags[secretTag]))
		}
	}
	return faults
}
