package explore

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// An account is all that AWS holds of one identity. It is comparable, so that a state can be
// recognised when it is reached again: texts are indices into tables (see tables).
type account struct {
	accepted uint64 // bit set of the values that Secrets Manager ever accepted
	clock    int8   // minutes since the beginning

	// The secret with that name. A secret that is deleted and re-created has another ARN.
	life      int8 // number of secrets with that name so far
	exists    bool
	scheduled bool // for deletion
	versions  [mostVersions]version
	n         int8 // versions; the last is current
	written   int8 // when the secret was last written, or deleted
	oldest    int8 // the lowest n that a read may still show; 0: NotFound

	keys  [4]key // every key ever made, oldest first
	plans uint8  // bit set of the existing usage plans
	early bool   // the operator deleted something sooner than the contract allows
}

// mostVersions is more than the messages of any scene can write.
const mostVersions = 9

type version struct {
	record text
	token  text
}

// A key is one that was ever made: it stays after its deletion.
type key struct {
	input    text // what CreateApiKey was given; 0: no such key
	value    value
	created  int8 // the minute
	deleted  int8 // the minute; 0: it exists
	life     int8 // of the secret, when the key was made
	attached uint8
	foreign  bool // not made by a delivery
	disabled bool // by the operator
	stopped  bool // disabled by a delivery
	revived  bool // enabled by a delivery, which is never allowed
	untagged bool // by the operator
	detached bool // by the operator, from every plan
	recorded bool // a finished record has named it
}

func (k key) exists() bool { return k.input != 0 && k.deleted == 0 }

// on reports whether a key that was made from an input is enabled.
func (e *explorer) on(k key) bool {
	return k.exists() && e.inputs[k.input].Enabled && !k.disabled && !k.stopped
}

// visibleWithin is how long, in minutes, API Gateway's answers may lack a new key; a secret
// shows its last write after a minute.
const visibleWithin = 5

// bearer is the existing key with a value, which API Gateway keeps unique; -1: none.
func (a *account) bearer(v value) int8 {
	for i, k := range a.keys {
		if k.exists() && k.value == v {
			return int8(i)
		}
	}
	return -1
}

func (a *account) current() text {
	if !a.exists {
		return 0
	}
	return a.versions[a.n-1].record
}

// put adds a version. A mistake can write more versions than there is room for; those are
// ignored.
func (a *account) put(v version) (ok bool) {
	if int(a.n) == len(a.versions) {
		return false
	}
	a.versions[a.n] = v
	a.n++
	a.written = a.clock
	return true
}

// pass lets minutes pass, after which reads of the secret are up to date.
func (a *account) pass(minutes int8) {
	a.clock += minutes
	a.oldest = a.n
}

func (a *account) addKey(k key) (index int8) {
	for i := range a.keys {
		if a.keys[i].input == 0 {
			a.keys[i] = k
			return int8(i)
		}
	}
	return -1
}

const secretName = "apikeys/customer/Gold"

func arn(life int8) string {
	return "arn:aws:secretsmanager:eu-central-1:111122223333:secret:" + secretName + "-life0" + strconv.Itoa(int(life))
}

func keyID(i int8) string { return "key" + strconv.Itoa(int(i)+1) }

// theirs is the index of theirKey.
const theirs = -2

// keyIndex is the index of a key in account.keys; -1: no key has the id.
func keyIndex(id string) int8 {
	if id == *theirKey.Id {
		return theirs
	}
	i, err := strconv.Atoi(strings.TrimPrefix(id, "key"))
	if err != nil || i < 1 || i > len(account{}.keys) {
		return -1
	}
	return int8(i - 1)
}

const planCount = 2

func planID(i int) string { return "plan" + strconv.Itoa(i+1) }

func planIndex(id string) int {
	for i := range planCount {
		if planID(i) == id {
			return i
		}
	}
	return -1
}

func plansOf(ids []string) (set uint8) {
	for _, id := range ids {
		set |= 1 << planIndex(id)
	}
	return set
}

func planIDs(set uint8) (ids []string) {
	for i := range planCount {
		if set&(1<<i) != 0 {
			ids = append(ids, planID(i))
		}
	}
	return ids
}

func moment(minute int8) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
}

// A text is a string's index, so that an account is small and comparable; 0: no text.
type text int16

// A value is an API key's value, as an index, too, so that no history prints one.
type value uint16

func (v value) String() string {
	if v == 0 {
		return "no value"
	}
	return "value " + strconv.Itoa(int(v))
}

// tables hold what the indices stand for.
type tables struct {
	texts   []string
	numbers map[string]text
	values  map[string]value
	parts   promise.Parts // of all values
	records map[text]record
	inputs  map[text]*apigateway.CreateApiKeyInput
}

func newTables() *tables {
	return &tables{
		texts: []string{""}, numbers: map[string]text{"": 0}, values: map[string]value{"": 0},
		records: map[text]record{0: {Record: &promise.Record{}}}, parts: promise.Parts{}, inputs: map[text]*apigateway.CreateApiKeyInput{},
	}
}

func (t *tables) text(s string) text {
	n, known := t.numbers[s]
	if !known {
		if len(t.texts) > math.MaxInt16 {
			panic("more texts than a number can have")
		}
		n = text(len(t.texts))
		t.texts, t.numbers[s] = append(t.texts, s), n
	}
	return n
}

func (t *tables) value(s string) value {
	v, known := t.values[s]
	if !known {
		if len(t.values) >= 64 {
			panic("more values than account.accepted has bits")
		}
		v = value(len(t.values))
		t.values[s] = v
		t.parts.Add(s)
	}
	return v
}

// input is the index of CreateApiKey's input. Absent and empty members, or a nil list and an
// empty one, are the same to API Gateway.
func (t *tables) input(in *apigateway.CreateApiKeyInput) text {
	var stages []string
	for _, s := range in.StageKeys {
		stages = append(stages, aws.ToString(s.RestApiId)+"/"+aws.ToString(s.StageName))
	}
	n := t.text(fmt.Sprintf("CreateApiKey %q %q %q %t %t %q %q %q", aws.ToString(in.Name), aws.ToString(in.Description),
		aws.ToString(in.CustomerId), in.Enabled, in.GenerateDistinctId, aws.ToString(in.Value), in.Tags, stages))
	t.inputs[n] = in
	return n
}

// A record is the content of a secret, as the oracle reads it.
type record struct {
	*promise.Record
	ours     bool // has the marker of this version
	newer    bool // has that of a later one
	value    value
	next     value // of a rotation that is under way
	finished bool  // names a key that lives
	key      int8  // of the last finished step: index into account.keys; -1: none that there ever was
	previous int8  // likewise, of the key before a rotation
	members  map[string]json.RawMessage
}

func (t *tables) record(n text) record {
	r, known := t.records[n]
	if known {
		return r
	}
	decoded := promise.Decode(awslocal.SecretVersion{String: awslocal.Sensitive(t.texts[n])})
	r = record{
		Record: &decoded, ours: decoded.Ours(), finished: decoded.Finished(),
		value: t.value(string(decoded.Value)), next: t.value(string(decoded.Next.Value)), key: -1, previous: -1,
	}
	r.newer = !r.ours && strings.HasPrefix(r.Format, "createkey/")
	if json.Unmarshal([]byte(t.texts[n]), &r.members) != nil {
		r.members = nil // foreign
	}
	if r.ID != "" {
		r.key = keyIndex(r.ID)
	}
	if r.Previous != "" {
		r.previous = keyIndex(r.Previous)
	}
	t.records[n] = r
	return r
}
