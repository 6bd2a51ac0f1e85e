package apikey

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"createkey/internal/failure"
)

// The key's own tags. A request may have no tag that begins with createkey:.
const (
	TagSecret  = "createkey:secret"  // SecretTag of the secret's name
	TagRequest = "createkey:request" // Digest of the request that made the key
)

// MaxSecretNameLength is Secrets Manager's limit, in characters, all of them ASCII
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html).
const MaxSecretNameLength = 512

// MaxPrefixLength is how long the prefix of all names may be: it leaves room behind
// it for _sha256/ and 64 digits.
const MaxPrefixLength = MaxSecretNameLength - len("_sha256/") - 2*sha256.Size

// SecretName returns the name of the secret that belongs to a request: its
// identity. Two requests are the same when they have the same customer and the
// same name; one that has neither is identified by deliveryID, what carried it.
//
// The prefix is the deployment's: at most MaxPrefixLength of the characters that
// Secrets Manager takes, A-Z a-z 0-9 / _ + = . @ -, and never changed later, or every
// request would be a new one.
//
// The name is <prefix><customer or _>/<name or _>, or <prefix>_/_/<deliveryID>.
// Within a level, characters outside [A-Za-z0-9.-] become =XX per UTF-8 byte,
// and a space becomes +. So no two identities share a name, / never crosses a
// level, and _, which is encoded as =5F, can stand for "none". A name over 512
// characters becomes <prefix>_sha256/ and the SHA-256 of that name, in
// hexadecimal; the encoder never emits _sha256.
//
// It returns a *failure.RejectedError for a request without any identity.
func SecretName(prefix, customerID, name, deliveryID string) (string, error) {
	var secret string
	switch {
	case customerID != "" || name != "":
		secret = prefix + level(customerID) + "/" + level(name)
	case deliveryID != "":
		secret = prefix + "_/_/" + level(deliveryID)
	default:
		return "", failure.Reject("customerId: customerId or name must be given: " +
			"a message on a queue gets a new id when it is redriven, and without either it would become a second key")
	}
	if len(secret) > MaxSecretNameLength {
		secret = prefix + "_sha256/" + hexSHA256(secret)
	}
	return secret, nil
}

func level(text string) string {
	if text == "" {
		return "_"
	}
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-':
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			b.Write([]byte{'=', upper[c>>4], upper[c&15]})
		}
	}
	return b.String()
}

// SecretTag returns what TagSecret holds for a secret's name: the name, or its
// hash where a tag might not hold it. AWS's two pages on API Gateway's tags
// disagree on @, which only the deployment's own prefix can bring in.
func SecretTag(secretName string) string {
	if len(secretName) > MaxTagValueLength || strings.Contains(secretName, "@") {
		return "sha256/" + hexSHA256(secretName)
	}
	return secretName
}

// FinishedToken returns the ClientRequestToken under which the finished record
// is put: 64 hexadecimal digits, of the secret's name alone, so that Secrets Manager
// takes one finished record in a secret's life and ignores or refuses every later one
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html).
func FinishedToken(secretName string) string { return hexSHA256(secretName) }

// Digest returns what [TagRequest] holds: a digest of what the sender wrote, which
// distinguishes a repeat from a request with other content. Value is not in it, for a repeat
// that leaves it out contradicts nothing.
//
// The canonical form is one line a member, in alphabetical order, absent and
// empty members left out: the member's path, "=", its text's length in bytes, ":",
// its text. Maps and usagePlanIds are sorted; stageKeys keep their order. The
// length makes the form unambiguous whatever a text holds. The digest is "v1:",
// which names this form, and the form's SHA-256 in hexadecimal; it must never change,
// for digests live on keys for ever.
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
