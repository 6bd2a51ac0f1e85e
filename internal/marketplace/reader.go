package marketplace

import (
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// maxIdentifier is the length of the longest customer identifier, account id or product
// code, in characters. It keeps a sign-up's name and tags within API Gateway's limits
// (https://docs.aws.amazon.com/marketplace/latest/APIReference/API_marketplace-metering_ResolveCustomer.html).
const maxIdentifier = 255

// reader reads the members of a document and collects their faults.
type reader struct{ failure.Faults }

// object returns a member that is an object. Where it has a fault, it is returned with
// what can be read of it.
func (r *reader) object(path string, of document.Node, name string) document.Node {
	member, _ := of.Get(name) // absent is a null
	switch rule := member.Mismatch(document.Object); {
	case member.Fault != "": // an alias of YAML, say, which is a null
		r.Add(path+name, member.Fault)
	case rule != "" && member.Kind != document.Null:
		r.Add(path+name, rule)
	}
	r.noRepeats(path+name+".", member)
	return member
}

// noRepeats adds a fault for each repeated member: which of the two was meant would be a
// guess.
func (r *reader) noRepeats(path string, n document.Node) {
	for _, m := range n.Members {
		if m.Fault != "" {
			r.Add(path+failure.Name(m.Name), m.Fault)
		}
	}
}

// required returns an identifier without the blanks around it.
func (r *reader) required(path string, of document.Node, name string) string {
	text := r.optional(path, of, name)
	if text == "" && !r.Has(path+name) {
		r.Add(path+name, "must not be empty")
	}
	return text
}

// optional is like required, for a member that may be absent, null or empty. Of a repeated one
// it returns nothing, for the log as well.
func (r *reader) optional(path string, of document.Node, name string) string {
	if r.Has(path + name) {
		return ""
	}
	member, _ := of.Get(name) // absent is a null
	text := strings.TrimSpace(member.Text)
	switch length := utf8.RuneCountInString(text); {
	case member.Kind == document.Null && member.Fault == "":
	case member.Kind != document.String, member.Fault != "":
		r.Add(path+name, cmp.Or(member.Fault, member.Mismatch(document.String)))
	case length > maxIdentifier:
		r.Add(path+name, "must be at most "+strconv.Itoa(maxIdentifier)+" characters, has "+strconv.Itoa(length))
	default:
		return text
	}
	return ""
}
