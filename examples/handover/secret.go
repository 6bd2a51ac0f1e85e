// Package handover is an example to copy: what to do on `API Key Ready`, `API Key
// Rotated` and `API Key Ended`. Consumer is a Lambda function that delivers a key's value,
// or takes it away again; Page is the registration page of an AWS Marketplace product,
// which shows a value once. docs/handover.md explains both.
//
// It guarantees that a key's value goes from the secret to its owner, and into no log,
// error or event; that it is delivered again when an event comes again, but shown on the
// page at most once; and that nothing is delivered from a secret that is not a finished
// record of createkey, nor from one whose key has ended. It imports nothing else of this
// repository.
package handover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

type secretsAPI interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

var (
	errNotReady = errors.New("the key is not ready yet") // ask again
	errEnded    = errors.New("the key has ended")        // nobody is to have its value
)

// record has the members of a secret's record that this example needs.
type record struct {
	Format, ID, Value, Ended string
	Generation               int
}

// readKey returns the key that a secret records. secretID is the full ARN or the name,
// never an ARN without its last six characters.
//
// It passes on no error of the SDK, because an error about an unreadable answer could
// quote the answer.
func readKey(ctx context.Context, secrets secretsAPI, secretID string) (record, error) {
	out, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secretID})
	var api smithy.APIError
	switch {
	case errors.As(err, &api) && api.ErrorCode() == "ResourceNotFoundException":
		return record{}, errNotReady
	case errors.As(err, &api):
		return record{}, fmt.Errorf("reading %s: %s", secretID, api.ErrorCode())
	case err != nil:
		return record{}, fmt.Errorf("reading %s: no answer", secretID)
	}
	r, err := parse(out.SecretString)
	switch {
	case err != nil || r.Format != "createkey/1":
		return record{}, fmt.Errorf("%s is not a record of createkey's", secretID)
	case r.Ended != "": // the record still holds the value
		return record{}, errEnded
	case r.ID == "": // a record is written before its key is made
		return record{}, errNotReady
	}
	return r, nil
}

// parse reads a record by its members' exact names: encoding/json alone would take a member
// "Ended" of a later version for ended.
func parse(text *string) (r record, err error) {
	if text == nil {
		return r, errors.New("a binary secret")
	}
	var members map[string]json.RawMessage
	err = json.Unmarshal([]byte(*text), &members)
	for name, into := range map[string]any{"format": &r.Format, "id": &r.ID, "value": &r.Value, "ended": &r.Ended, "generation": &r.Generation} {
		if member, given := members[name]; given {
			err = errors.Join(err, json.Unmarshal(member, into))
		}
	}
	return r, err
}

// SecretName returns the name of the secret of a customer's key, which is known
// before the secret exists. prefix is the deployment's SecretPrefix.
func SecretName(prefix, customerID, name string) string {
	secret := prefix + level(customerID) + "/" + level(name)
	if len(secret) > 512 {
		sum := sha256.Sum256([]byte(secret))
		return prefix + "_sha256/" + hex.EncodeToString(sum[:])
	}
	return secret
}

// level encodes a customer or a name: letters, digits, dots and hyphens stay as they are,
// a space becomes +, and every other byte of the UTF-8 becomes =XX.
func level(text string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
	if text == "" {
		return "_"
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case strings.IndexByte(plain, c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}
