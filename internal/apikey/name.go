package apikey

import (
	"crypto/sha256"
	"strconv"
	"strings"

	"createkey/internal/failure"
)

// The tags that createkey puts on each key. A request must not have tags that begin with
// createkey:.
const (
	TagSecret  = "createkey:secret"  // SecretTag of the secret's name
	TagRequest = "createkey:request" // Digest of the request that made the key
)

// MaxSecretNameLength is Secrets Manager's limit, in characters, all of them ASCII
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html).
const MaxSecretNameLength = 512

// MaxPrefixLength is how long the prefix of all names may be, in characters: it leaves
// room for _sha256/ and 64 digits.
const MaxPrefixLength = MaxSecretNameLength - len("_sha256/") - 2*sha256.Size

// noIdentity is what a request without any identity breaks.
const noIdentity = "customerId or name must be given: " +
	"a message on a queue gets a new id when it is redriven, and without either it would become a second key"

// SecretName returns the name of the secret that identifies a request. Two requests are
// the same request when they have the same customer and the same name. A request with
// neither is identified by deliveryID, the id of what carried it.
//
// The prefix is the deployment's: at most MaxPrefixLength of the characters that Secrets
// Manager takes, A-Z a-z 0-9 / _ + = . @ -. It must never change, or every request would
// become a new one.
//
// The name is <prefix><customer or _>/<name or _>, or <prefix>_/_/<deliveryID>. Within a
// level, characters outside [A-Za-z0-9.-] become =XX per UTF-8 byte, and a space becomes
// +. So no two identities share a name, / never crosses a level, and _, itself encoded as
// =5F, can stand for "none". A name of more than 512 characters becomes <prefix>_sha256/
// and its SHA-256 in hexadecimal; the encoder never emits _sha256.
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
		return "", failure.Reject("customerId: %s", noIdentity)
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

// SecretTag returns what TagSecret holds for a secret's name: the name, or its hash where
// a tag might not hold the name. AWS's two pages on API Gateway's tags disagree on @,
// which only the deployment's own prefix can contain.
func SecretTag(secretName string) string {
	if len(secretName) > MaxTagValueLength || strings.Contains(secretName, "@") {
		return "sha256/" + hexSHA256(secretName)
	}
	return secretName
}

// StepToken returns the ClientRequestToken under which a step of a record is put, 64
// hexadecimal digits. It depends on the secret's name and the step's number alone, so that
// Secrets Manager takes each step once in a secret's life, and ignores or refuses every
// later one
// (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html).
// The second step's is the hash of the name alone: it was so before there were more.
func StepToken(secretName string, step int) string {
	if step == 2 {
		return hexSHA256(secretName)
	}
	return hexSHA256(secretName + "\n" + strconv.Itoa(step))
}
