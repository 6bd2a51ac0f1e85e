package apikey

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"createkey/internal/document"
	"createkey/internal/failure"
)

// checker reads the members of a request and collects their faults.
type checker struct {
	failure.Faults
	respelled []string // the members that were given under another spelling
}

// faulty reports whether it is not known what a member of the request was meant to hold.
func (c *checker) faulty(member string) bool {
	return c.Has(member) || slices.Contains(c.respelled, member)
}

// is reports whether a node is of a kind, and adds a fault where it is not, or where it
// has a fault of its own. A node of the kind is read in spite of its own fault, so that
// all faults are reported at once.
func (c *checker) is(path string, n document.Node, kind document.Kind) bool {
	switch rule := n.Mismatch(kind); {
	case n.Fault != "":
		c.Add(path, n.Fault)
	case n.Kind == document.Null && path != whole:
		c.Add(path, rule+": leave it out")
	case rule != "":
		c.Add(path, rule)
	}
	return n.Kind == kind
}

// whole is the path of a whole request.
const whole = "request"

// request reads the members of a whole request, and reports whether it has any.
func (c *checker) request(doc document.Node, readers map[string]func(string, document.Node)) bool {
	switch {
	case doc.Size > MaxDocumentSize:
		c.Add(whole, "must be at most "+strconv.Itoa(MaxDocumentSize)+" bytes, has "+strconv.Itoa(doc.Size))
		for _, name := range []string{"customerId", "name"} { // for the log, if they are not what is too long
			if text := doc.GetText(name); text != "" && len(text) <= MaxNameLength {
				readers[name](name, document.Node{Kind: document.String, Text: text})
			}
		}
	case doc.Kind == document.String && doc.Fault == "" && !doc.HoldsJSON(): // any text is valid YAML
		c.Add(whole, `must be a JSON or YAML object, not a string: write {"customerId": "ID"}, or in YAML a blank after each colon`)
	default:
		c.members(whole, "", doc, readers)
		return doc.Kind == document.Object
	}
	return false
}

// members passes each member of an object, with its path, to its reader.
func (c *checker) members(path, prefix string, n document.Node, readers map[string]func(string, document.Node)) {
	if !c.is(path, n, document.Object) {
		return
	}
	var names []string // of the readers, which only an unknown member needs
	for _, m := range n.Members {
		read, known := readers[m.Name]
		at := prefix + failure.Name(m.Name)
		if m.Fault != "" {
			c.Add(at, m.Fault)
		} else if !known {
			if names == nil {
				names = slices.Sorted(maps.Keys(readers))
			}
			meant, mend := respell(m.Name, names)
			c.Add(at, "unknown member: "+mend)
			if meant == "" {
				continue
			}
			if _, given := n.Get(meant); !given {
				read = readers[meant] // for its other faults, and for the log
				c.respelled = append(c.respelled, prefix+meant)
			}
		}
		if read != nil {
			read(at, m.Value)
		}
	}
}

// respell returns the mend of an unknown member, and the known one that it is meant to be, in
// an SDK's, CloudFormation's or Terraform's spelling or in the singular; else "".
func respell(name string, known []string) (meant, mend string) {
	given := plain(name)
	for _, member := range known {
		if plain(member) == given {
			return member, "it is spelled " + member
		}
	}
	if slices.Contains(answered, given) {
		return "", "it belongs to an answer, not to a request: take it out"
	}
	return "", "take it out, or use one of " + strings.Join(known, ", ")
}

// plain returns a member's name as respell compares it.
func plain(name string) string {
	return strings.TrimSuffix(strings.ToLower(separators.Replace(name)), "s")
}

// separators is made once: a document can have thousands of unknown members, and all of
// them are to be judged within the invocation's time.
var separators = strings.NewReplacer("-", "", "_", "")

// answered are members of answers, records and outcome events, as respell compares them.
var answered = strings.Fields("id createddate lastupdateddate responsemetadata format generation secretname secretarn statu messageid")

func (c *checker) text(path string, n document.Node, shortest, longest int) string {
	if !c.is(path, n, document.String) {
		return ""
	}
	switch length := utf8.RuneCountInString(n.Text); {
	case length < shortest && length == 0:
		c.Add(path, "must not be empty")
	case length < shortest:
		c.Add(path, "must be at least "+strconv.Itoa(shortest)+" characters, has "+strconv.Itoa(length))
	case length > longest:
		c.Add(path, "must be at most "+strconv.Itoa(longest)+" characters, has "+strconv.Itoa(length))
	case n.Fault == "":
		return n.Text
	}
	return ""
}

func (c *checker) boolean(path string, n document.Node) bool {
	return c.is(path, n, document.Bool) && n.Bool
}

func (c *checker) value(path string, n document.Node) Value {
	shortest := MinValueLength
	if n.Text == "" { // absent
		shortest = 0
	}
	return NewValue(c.text(path, n, shortest, MaxValueLength))
}

// items returns the items of a list, or the one that stands there without its brackets.
func (c *checker) items(path string, n document.Node) []document.Node {
	if c.is(path, n, document.List) || n.Fault != "" || n.Kind == document.Null || n.HoldsJSON() {
		return n.Items
	}
	return []document.Node{n}
}

func (c *checker) stageKeys(path string, n document.Node) []StageKey {
	var stages []StageKey
	for i, item := range c.items(path, n) {
		at := path + "[" + strconv.Itoa(i) + "]"
		if item.Kind == document.String && item.Fault == "" && !item.HoldsJSON() { // as API Gateway answers it
			c.Add(at, item.Mismatch(document.Object)+`: write {"restApiId": "ID", "stageName": "STAGE"}, not "ID/STAGE"`)
			continue
		}
		var s StageKey
		c.members(at, at+".", item, map[string]func(string, document.Node){
			"restApiId": func(p string, n document.Node) { s.RestAPIID = c.text(p, n, 0, MaxDocumentSize) },
			"stageName": func(p string, n document.Node) { s.StageName = c.text(p, n, 0, MaxDocumentSize) },
		})
		switch noAPI, noStage := isEmpty(item, "restApiId"), isEmpty(item, "stageName"); {
		case noAPI && noStage: // absent
			continue
		case noAPI:
			c.Add(at+".restApiId", "must not be empty")
		case noStage:
			c.Add(at+".stageName", "must not be empty")
		}
		stages = append(stages, s)
	}
	return stages
}

// isEmpty reports whether a member is absent or an empty string.
func isEmpty(n document.Node, name string) bool {
	m, given := n.Get(name)
	return !given || m.Kind == document.String && m.Text == ""
}

func (c *checker) tags(path string, n document.Node) map[string]string {
	if n.Kind == document.List && n.Fault == "" { // as CloudFormation and most other services have them
		c.Add(path, n.Mismatch(document.Object)+`: write {"KEY": "VALUE"}, not [{"Key": "KEY", "Value": "VALUE"}]`)
		return nil
	}
	if !c.is(path, n, document.Object) || len(n.Members) == 0 {
		return nil
	}
	if len(n.Members) > MaxTags {
		c.Add(path, "must have at most "+strconv.Itoa(MaxTags)+" tags, has "+strconv.Itoa(len(n.Members)))
	}
	tags := make(map[string]string, len(n.Members))
	for _, m := range n.Members {
		at := path + "." + failure.Name(m.Name)
		switch length := utf8.RuneCountInString(m.Name); {
		case m.Fault != "":
			c.Add(at, m.Fault)
		case length == 0:
			c.Add(at, "a tag's key must not be empty")
		case length > MaxTagKeyLength:
			c.Add(at, "a tag's key must be at most "+strconv.Itoa(MaxTagKeyLength)+" characters, has "+strconv.Itoa(length))
		case ReservedTagPrefix(m.Name) != "":
			c.Add(at, "a tag's key must not begin with "+ReservedTagPrefix(m.Name)+", which is reserved")
		}
		tags[m.Name] = c.text(at, m.Value, 0, MaxTagValueLength)
	}
	return tags
}

func (c *checker) usagePlanIDs(path string, n document.Node) []string {
	var plans []string
	seen := map[string]bool{}
	for i, item := range c.items(path, n) {
		at := path + "[" + strconv.Itoa(i) + "]"
		id := c.text(at, item, 1, MaxDocumentSize)
		if id != "" && seen[id] {
			c.Add(at, "must not repeat an earlier one")
		}
		seen[id] = true
		plans = append(plans, id)
	}
	if len(plans) > MaxUsagePlans {
		c.Add(path, "must have at most "+strconv.Itoa(MaxUsagePlans)+" usage plans, has "+strconv.Itoa(len(plans)))
	}
	return plans
}

const reservedByAWS = "aws:"

// IsTagOfAWS reports whether a tag's key is one that AWS alone may set: it begins with
// "aws:", in any case.
func IsTagOfAWS(key string) bool {
	return len(key) >= len(reservedByAWS) && strings.EqualFold(key[:len(reservedByAWS)], reservedByAWS)
}

// ReservedTagPrefix returns the prefix that no tag of a sender or of the deployment may
// have, where key begins with one: that of [IsTagOfAWS], or "createkey:"; else an empty
// string.
func ReservedTagPrefix(key string) string {
	const reservedByUs = "createkey:"
	switch {
	case IsTagOfAWS(key):
		return reservedByAWS
	case strings.HasPrefix(key, reservedByUs):
		return reservedByUs
	}
	return ""
}
