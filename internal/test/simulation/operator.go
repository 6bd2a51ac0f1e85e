package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

// An operator is a person with the AWS console, who does what
// docs/operations.md allows, and nothing sooner than it allows.
type operator struct {
	keys    *apigateway.Client
	secrets *secretsmanager.Client
}

func newOperator(server *awslocal.Server) operator {
	cfg := server.Config()
	return operator{apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)}
}

// beforeDeletion is how long a record must have been finished before its key
// may be deleted: a delivery in flight may hold the value until then.
const beforeDeletion = time.Minute

// acts are what the operator can do about one secret and its key. Each tells
// whether it was possible.
var acts = []struct {
	name string
	do   func(h *history, s awslocal.Secret) bool
}{
	{"disables the key", (*history).disableKey},
	{"deletes the key", (*history).deleteKey},
	{"re-issues: deletes key and secret", (*history).reissue},
	{"schedules the secret's deletion", (*history).scheduleDeletion},
	{"restores the secret", (*history).restore},
	{"rotates the secret by hand", (*history).rotate},
	{"deletes a usage plan of finished keys", (*history).deletePlan},
}

// What else the operator, and somebody before him, can do.
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

// must keeps an operator's mistake from passing for one of the program.
func must[T any](out T, err error) T {
	if err != nil {
		panic("simulation: the operator was refused: " + err.Error())
	}
	return out
}

func (h *history) disableKey(s awslocal.Secret) bool {
	key, ok := h.snapshot().bearer(promise.Decode(s.Current()).Value)
	if !ok || !key.Enabled {
		return false
	}
	must(h.operator.keys.UpdateApiKey(context.Background(), &apigateway.UpdateApiKeyInput{ApiKey: &key.ID, PatchOperations: []types.PatchOperation{
		{Op: types.OpReplace, Path: aws.String("/enabled"), Value: aws.String("false")},
	}}))
	return true
}

func (h *history) deleteKey(s awslocal.Secret) bool {
	key, ok := h.recordedKey(s)
	if !ok || time.Since(finished(s)) < beforeDeletion {
		return false
	}
	must(h.operator.keys.DeleteApiKey(context.Background(), &apigateway.DeleteApiKeyInput{ApiKey: &key.ID}))
	return true
}

func (h *history) reissue(s awslocal.Secret) bool {
	if finished(s).IsZero() {
		return false
	}
	if _, exists := h.recordedKey(s); exists && !h.deleteKey(s) {
		return false
	}
	must(h.operator.secrets.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{
		SecretId: &s.Name, ForceDeleteWithoutRecovery: aws.Bool(true),
	}))
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
	// A name that is about to be released is not scheduled, it is gone.
	if time.Until(s.DeletionDate) <= releaseWithin {
		return false
	}
	must(h.operator.secrets.RestoreSecret(context.Background(), &secretsmanager.RestoreSecretInput{SecretId: &s.Name}))
	return true
}

// rotate writes a new current version, as somebody would who adds a note.
func (h *history) rotate(s awslocal.Secret) bool {
	if finished(s).IsZero() || !s.DeletionDate.IsZero() {
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

// deletePlan deletes a plan that was never a default, and that only keys
// were asked to be in which are long finished.
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
	must(h.operator.keys.DeleteUsagePlan(context.Background(), &apigateway.DeleteUsagePlanInput{UsagePlanId: aws.String(planTwo)}))
	return true
}

// plantForeign puts in the way what somebody else made before.
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
				continue // everybody's value
			}
			h.server.AddKey(awslocal.Key{Name: "somebody else's", Value: i.value(letter)})
			h.reach("operator", foreignKey, "")
			h.tell("somebody", "made a key with value %c of %s", letter, i.secret)
		}
	}
}

// redeploy changes the settings. An environment that is busy lives on until it
// has answered.
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

// drawSettings never goes from one default plan to another of the same API
// stage: see the package comment.
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
