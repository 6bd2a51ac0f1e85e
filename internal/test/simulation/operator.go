package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// An operator is a person with the AWS console, who does what docs/operations.md allows, and
// nothing sooner than it allows.
type operator struct {
	keys    *apigateway.Client
	secrets *secretsmanager.Client
}

func newOperator(server *awslocal.Server) operator {
	cfg := server.Config()
	return operator{apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)}
}

// beforeDeletion is how long a record must have been finished before its key may be deleted:
// until then a delivery in flight may hold the value.
const beforeDeletion = time.Minute

// acts are the operator's acts on a secret and its key. Each reports whether it was possible.
var acts = []struct {
	name string
	do   func(h *history, s awslocal.Secret) bool
}{
	{"disables the key", (*history).disableKey},
	{"enables the key again", (*history).enableKey},
	{"takes the key out of its plans", (*history).detachKey},
	{"deletes the key", (*history).deleteKey},
	{"deletes the key that has ended", (*history).deleteEnded},
	{"re-issues: deletes key and secret", (*history).reissue},
	{"schedules the secret's deletion", (*history).scheduleDeletion},
	{"restores the secret", (*history).restore},
	{"rotates the secret by hand", (*history).rotate},
	{"deletes a usage plan of finished keys", (*history).deletePlan},
}

// What else the operator, or somebody before, can do.
const (
	redeploys     = "redeploys"
	foreignSecret = "made the secret beforehand"
	foreignKey    = "made a key with the value beforehand"
)

// operate lets the operator do one thing, if any is possible.
func (h *history) operate() {
	i := pick(h, h.identities...)
	secret, exists := h.snapshot().secrets[i.secret]
	if !exists {
		return
	}
	for range 3 {
		if act := pick(h, acts...); act.do(h, secret) {
			h.reach("operator", act.name, "")
			h.tell("operator", "%s of %s", act.name, i.secret)
			h.noteReasons()
			return
		}
	}
}

// must keeps an operator's mistake from being reported as one of the program.
func must[T any](out T, err error) T {
	if err != nil {
		panic("simulation: the operator was refused: " + err.Error())
	}
	return out
}

func (h *history) setEnabled(s awslocal.Secret, from bool) bool {
	r := promise.Decode(s.Current())
	key, ok := h.snapshot().bearer(r.Value)
	if !ok || key.Enabled != from || r.HasEnded() || !from && !r.Enabled {
		return false
	}
	h.revoked[s.Name] = true
	must(h.operator.keys.UpdateApiKey(context.Background(), &apigateway.UpdateApiKeyInput{ApiKey: &key.ID, PatchOperations: []types.PatchOperation{
		{Op: types.OpReplace, Path: aws.String("/enabled"), Value: aws.String(strconv.FormatBool(!from))},
	}}))
	return true
}

func (h *history) disableKey(s awslocal.Secret) bool { return h.setEnabled(s, true) }

// enableKey enables a living key again, which only the operator disables.
func (h *history) enableKey(s awslocal.Secret) bool {
	return !finished(s).IsZero() && h.setEnabled(s, false)
}

// mayDelete reports whether a key may be deleted, or taken out of its plans.
func mayDelete(s awslocal.Secret) bool {
	at := finished(s)
	return !at.IsZero() && time.Since(at) >= beforeDeletion
}

func (h *history) detachKey(s awslocal.Secret) bool {
	key, ok := h.recordedKey(s)
	plans := h.snapshot().plans[key.ID]
	if !ok || len(plans) == 0 || !mayDelete(s) {
		return false
	}
	h.revoked[s.Name] = true
	for _, id := range plans {
		must(h.operator.keys.DeleteUsagePlanKey(context.Background(), &apigateway.DeleteUsagePlanKeyInput{UsagePlanId: &id, KeyId: &key.ID}))
	}
	return true
}

func (h *history) remove(keyID string) {
	must(h.operator.keys.DeleteApiKey(context.Background(), &apigateway.DeleteApiKeyInput{ApiKey: &keyID}))
}

func (h *history) deleteKey(s awslocal.Secret) bool {
	key, ok := h.recordedKey(s)
	if !ok || !mayDelete(s) {
		return false
	}
	h.revoked[s.Name] = true
	h.remove(key.ID)
	return true
}

// deleteEnded deletes an ended key, which still counts against the account's quota.
func (h *history) deleteEnded(s awslocal.Secret) bool {
	key, ok := h.recordedKey(s)
	if !ok || key.Enabled || !promise.Decode(s.Current()).HasEnded() || time.Since(lastStep(s)) < beforeDeletion {
		return false
	}
	h.remove(key.ID)
	return true
}

// lastStep returns when the secret was last written.
func lastStep(s awslocal.Secret) time.Time { return s.Versions[len(s.Versions)-1].Created }

// reissue deletes a secret and all its keys. It waits for a rotation that is under way. A
// value that was ended before its key was finished is left alone: a repeat of the end makes
// its key again, disabled.
func (h *history) reissue(s awslocal.Secret) bool {
	r := promise.Decode(s.Current())
	if r.ID == "" || r.Next.Value != "" || time.Since(lastStep(s)) < beforeDeletion {
		return false
	}
	for _, key := range h.snapshot().keys {
		if key.Tags["createkey:secret"] == s.Name && key.Deleted.IsZero() {
			h.remove(key.ID)
		}
	}
	must(h.operator.secrets.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{
		SecretId: &s.Name, ForceDeleteWithoutRecovery: aws.Bool(true),
	}))
	h.reissued[s.Name] = time.Now()
	for _, m := range h.messages {
		m.heard = m.heard && m.identity.secret != s.Name
	}
	return true
}

func (h *history) scheduleDeletion(s awslocal.Secret) bool {
	if !s.DeletionDate.IsZero() {
		return false
	}
	must(h.operator.secrets.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{SecretId: &s.Name}))
	return true
}

func (h *history) restore(s awslocal.Secret) bool {
	// A name that is about to be released is not scheduled but gone.
	if time.Until(s.DeletionDate) <= releaseWithin {
		return false
	}
	must(h.operator.secrets.RestoreSecret(context.Background(), &secretsmanager.RestoreSecretInput{SecretId: &s.Name}))
	return true
}

// rotate writes a new current version, like somebody who adds a note.
func (h *history) rotate(s awslocal.Secret) bool {
	if promise.Decode(s.Current()).ID == "" || !s.DeletionDate.IsZero() {
		return false
	}
	var doc object
	if err := json.Unmarshal([]byte(s.Current().String), &doc); err != nil {
		return false
	}
	doc["rotated"] = h.n
	out := must(h.operator.secrets.PutSecretValue(context.Background(), &secretsmanager.PutSecretValueInput{
		SecretId: &s.Name, SecretString: aws.String(text(doc)),
	}))
	h.byHand = append(h.byHand, *out.VersionId)
	return true
}

// deletePlan deletes a plan that was never a default, and whose requested keys have all been
// finished for long.
func (h *history) deletePlan(awslocal.Secret) bool {
	if h.defaults[planTwo] || !h.planExists(planTwo) {
		return false
	}
	now := h.snapshot()
	for _, m := range h.messages {
		if at := finished(now.secrets[m.identity.secret]); slices.Contains(m.plans, planTwo) && (at.IsZero() || time.Since(at) < beforeDeletion) {
			return false
		}
	}
	for _, m := range h.messages {
		h.revoked[m.identity.secret] = h.revoked[m.identity.secret] || slices.Contains(m.plans, planTwo)
	}
	must(h.operator.keys.DeleteUsagePlan(context.Background(), &apigateway.DeleteUsagePlanInput{UsagePlanId: aws.String(planTwo)}))
	return true
}

// plantForeign puts somebody else's objects in the way.
func (h *history) plantForeign() {
	for _, i := range h.identities {
		if h.oneIn(12) {
			out := must(h.operator.secrets.CreateSecret(context.Background(), &secretsmanager.CreateSecretInput{
				Name: &i.secret, SecretString: aws.String(`{"username":"somebody","password":"else"}`),
			}))
			h.byHand = append(h.byHand, *out.VersionId)
			h.reach("operator", foreignSecret, "")
			h.tell("somebody", "made %s beforehand", i.secret)
		}
		if h.oneIn(6) {
			letter := pick[byte](h, 'x', 'z')
			if _, exists := h.snapshot().bearer(i.value(letter)); exists {
				continue // the value that every identity may give
			}
			h.server.AddKey(awslocal.Key{Name: "somebody else's", Value: i.value(letter)})
			h.reach("operator", foreignKey, "")
			h.tell("somebody", "made a key with value %c of %s", letter, i.secret)
		}
	}
}

// redeploy changes the settings. A busy environment lives on until it has answered.
func (h *history) redeploy() {
	h.settings = h.drawSettings()
	h.reach("operator", redeploys, "")
	h.tell("operator", "redeploys: default plan %q, bus %q, dead-letter queue %q, debug %t, %g keys a second",
		h.settings.UsagePlanID, h.settings.OutcomeBus, h.settings.DeadLetterQueueURL, h.settings.Debug, h.settings.CreateKeyRate)
	for n, e := range h.environments {
		e.outdated = true
		if e.busy == nil {
			h.replace(n)
		}
	}
}

// drawSettings never moves from one default plan to another of the same API stage: see the
// package comment.
func (h *history) drawSettings() Settings {
	s := Settings{
		SecretPrefix:  prefix,
		UsagePlanID:   pick(h, "", planOne, planOne, planTwo),
		Debug:         h.oneIn(4),
		CreateKeyRate: pick(h, 2.0, 2, 100),
		OutcomeBus:    pick(h, "", outcomes, outcomes),
	}
	s.DeadLetterQueueURL = pick(h, "", lettersURL, lettersURL, lettersURL+".fifo")
	if h.oneIn(10) {
		s.UsagePlanID = "mistyped"
	}
	return s
}
