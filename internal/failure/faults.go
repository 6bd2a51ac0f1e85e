package failure

import (
	"slices"
	"strings"
)

// Faults collects the faults of a document, so that a sender hears of all of them at
// once. The zero value has none.
type Faults struct{ reasons []string }

// Add records that the member at path breaks a rule.
func (f *Faults) Add(path, rule string) { f.reasons = append(f.reasons, path+": "+rule) }

// Has reports whether a fault was added for exactly that path.
func (f *Faults) Has(path string) bool {
	return slices.ContainsFunc(f.reasons, func(reason string) bool { return strings.HasPrefix(reason, path+": ") })
}

// Err returns a *RejectedError with every fault in the order of Add, or nil where there
// is none.
func (f *Faults) Err() error {
	if f.reasons == nil {
		return nil
	}
	return &RejectedError{Reasons: f.reasons}
}
