// Package conformance is a suite of the AWS behaviours that createkey rests on, written
// against the real SDK clients, so that the same cases run on the embedded awslocal, on a
// third-party emulator and on a real account.
//
// It guarantees that a case uses public API calls only; that it makes nothing but keys, usage
// plans and secrets whose names begin with the target's prefix and run id, and queues whose
// names begin with createkey-conformance; that it deletes what it made; that it sends no event
// that a rule could match by accident; and that its keys are disabled, except where a case is
// about enabling them. No failure message holds a key's value or a secret.
//
// [Run] takes a [Target], the clients to test and what is known about the other side; [List]
// says what Run would do. Each case names its source:
//
//	V  seen on real AWS: a test verified there, or a real error text
//	D  AWS documentation or the service model
//	U  unconfirmed, yet something rests on it: a run on AWS settles it
package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
)

// A Target is what the suite runs on.
type Target struct {
	Gateway *apigateway.Client
	Secrets *secretsmanager.Client
	Events  *eventbridge.Client
	Queues  *sqs.Client
	// Prefix and RunID begin every name; together they are unique to a run.
	Prefix, RunID string
	// Stage is an existing API stage, as "restApiId/stage". Empty: the cases that need one are
	// skipped.
	Stage string
	// Eventually bounds how long a case repeats what may fail because of lag. Zero: no repeat.
	Eventually time.Duration
	// KnownDepartures are the cases in which the target departs from AWS, with the reason. Such
	// a case must fail: once it passes, the suite fails.
	KnownDepartures map[string]string
}

// A Case is one behaviour.
type Case struct {
	Name      string // unique; with slashes, for go test -run
	Source    string // tag and where from, such as "V error text"
	Behaviour string
	Stage     bool // needs Target.Stage
	Large     bool // sends megabytes: skipped with -short
	run       func(e *env) error
}

// Cases returns all cases in the order in which they run.
func Cases() []Case {
	return slices.Concat(keyCases, planCases, secretCases, stageCases, eventCases, queueCases)
}

// List writes what Run would do.
func List(w io.Writer, target Target) error {
	for _, c := range Cases() {
		note := ""
		if reason, ok := target.KnownDepartures[c.Name]; ok {
			note = "\n    known departure: " + reason
		}
		if c.Stage && target.Stage == "" {
			note += "\n    skipped: needs an API stage"
		}
		_, err := fmt.Fprintf(w, "%s [%s]\n    %s\n    makes and deletes: %s*%s\n", c.Name, c.Source, c.Behaviour, target.name(c), note)
		if err != nil {
			return err
		}
	}
	return nil
}

// Run runs every case as a subtest. Go's -run selects.
func Run(t *testing.T, target Target) {
	// A target that does not answer must not count as one that departs everywhere.
	if _, err := target.Gateway.GetUsagePlans(t.Context(), &apigateway.GetUsagePlansInput{Limit: aws.Int32(1)}); err != nil {
		t.Fatalf("API Gateway does not answer: %v", err)
	}
	if _, err := target.Secrets.ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(1)}); err != nil {
		t.Fatalf("Secrets Manager does not answer: %v", err)
	}
	unknown := make(map[string]bool)
	for name := range target.KnownDepartures {
		unknown[name] = true
	}
	for _, c := range Cases() {
		delete(unknown, c.Name)
		t.Run(c.Name, func(t *testing.T) {
			if c.Stage && target.Stage == "" {
				t.Skip("needs an API stage")
			}
			if c.Large && testing.Short() {
				t.Skip("sends megabytes: run without -short")
			}
			e := &env{Target: target, name: target.name(c)}
			e.ctx = recorded(t.Context(), e, c)
			_, departs := target.KnownDepartures[c.Name]
			defer e.cleanUp(t, departs)
			err := e.redact(c.run(e))
			if fault := target.verdict(c, err); fault != nil {
				t.Error(fault)
			} else if err != nil {
				t.Logf("known departure (%s): %v", target.KnownDepartures[c.Name], err)
			}
		})
	}
	for name := range unknown {
		t.Errorf("known departure %q names no case", name)
	}
}

// verdict returns what is wrong with a case's outcome: an unknown departure from AWS, or a
// known one that has disappeared.
func (t Target) verdict(c Case, err error) error {
	reason, departs := t.KnownDepartures[c.Name]
	switch {
	case departs && err == nil:
		return fmt.Errorf("the known departure has disappeared (%s): take it from the list", reason)
	case !departs && err != nil:
		return fmt.Errorf("%s [%s]: %w", c.Behaviour, c.Source, err)
	}
	return nil
}

func (t Target) name(c Case) string {
	return t.Prefix + t.RunID + "/" + strings.ReplaceAll(c.Name, "/", "-")
}

// env is the environment of one case.
type env struct {
	Target
	ctx    context.Context
	name   string   // begins every name that the case gives
	values []string // made up so far; must not be shown
	undo   []func(context.Context) error
}

// value makes up a key's value of n characters (at most 64 are distinct), unique
// to the run and the case.
func (e *env) value(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", e.name, len(e.values)))
	text := hex.EncodeToString(sum[:])
	for len(text) < n {
		text += "0"
	}
	e.values = append(e.values, text[:n])
	return text[:n]
}

// token makes up the nth ClientRequestToken of the case.
func (e *env) token(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s token %d", e.name, n))
	return hex.EncodeToString(sum[:])
}

// redact removes every made-up value from an error's text.
func (e *env) redact(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, v := range e.values {
		text = strings.ReplaceAll(text, v, "REDACTED")
	}
	return errors.New(text)
}

// eventually repeats f until it returns nil, or for as long as the target allows.
func (e *env) eventually(f func() error) error {
	deadline := time.Now().Add(e.Eventually)
	for {
		err := f()
		if err == nil || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-e.ctx.Done():
			return err
		}
	}
}

// cleanUp deletes what the case made, last first. If the target departs from AWS there may be
// more than it can delete; then it only logs.
func (e *env) cleanUp(t *testing.T, departs bool) {
	ctx, cancel := context.WithTimeout(unrecorded(context.WithoutCancel(e.ctx)), time.Minute)
	defer cancel()
	for _, undo := range slices.Backward(e.undo) {
		err := undo(ctx)
		var api smithy.APIError
		if errors.As(err, &api) && strings.Contains(api.ErrorCode(), "NotFound") {
			continue // the case itself deleted it
		}
		switch err = e.redact(err); {
		case err != nil && departs:
			t.Logf("cleaning up: %v", err)
		case err != nil:
			t.Errorf("cleaning up: %v", err)
		}
	}
}

// createKey makes a key that is deleted at the end of the case.
func (e *env) createKey(in *apigateway.CreateApiKeyInput) (*apigateway.CreateApiKeyOutput, error) {
	out, err := e.Gateway.CreateApiKey(e.ctx, in)
	if err != nil {
		return nil, fmt.Errorf("CreateApiKey: %w", err)
	}
	e.values = append(e.values, aws.ToString(out.Value))
	e.undo = append(e.undo, func(ctx context.Context) error {
		_, err := e.Gateway.DeleteApiKey(ctx, &apigateway.DeleteApiKeyInput{ApiKey: out.Id})
		return err
	})
	return out, nil
}

// createPlan makes a usage plan, over the target's stage if withStage.
func (e *env) createPlan(suffix string, withStage bool) (*apigateway.CreateUsagePlanOutput, error) {
	in := &apigateway.CreateUsagePlanInput{Name: aws.String(e.name + suffix)}
	api, stage, _ := strings.Cut(e.Stage, "/")
	if withStage {
		in.ApiStages = []types.ApiStage{{ApiId: &api, Stage: &stage}}
	}
	out, err := e.Gateway.CreateUsagePlan(e.ctx, in)
	if err != nil {
		return nil, fmt.Errorf("CreateUsagePlan: %w", err)
	}
	e.undo = append(e.undo, func(ctx context.Context) error {
		if withStage { // AWS does not delete a plan that has stages
			_, err := e.Gateway.UpdateUsagePlan(ctx, &apigateway.UpdateUsagePlanInput{
				UsagePlanId:     out.Id,
				PatchOperations: []types.PatchOperation{{Op: types.OpRemove, Path: aws.String("/apiStages"), Value: aws.String(api + ":" + stage)}},
			})
			if err != nil {
				return err
			}
		}
		_, err := e.Gateway.DeleteUsagePlan(ctx, &apigateway.DeleteUsagePlanInput{UsagePlanId: out.Id})
		return err
	})
	return out, nil
}

// attach attaches a key to a plan; the end of the case detaches it.
func (e *env) attach(plan, key *string) (*apigateway.CreateUsagePlanKeyOutput, error) {
	out, err := e.Gateway.CreateUsagePlanKey(e.ctx, &apigateway.CreateUsagePlanKeyInput{
		UsagePlanId: plan, KeyId: key, KeyType: aws.String("API_KEY"),
	})
	if err == nil {
		e.undo = append(e.undo, func(ctx context.Context) error {
			_, err := e.Gateway.DeleteUsagePlanKey(ctx, &apigateway.DeleteUsagePlanKeyInput{UsagePlanId: plan, KeyId: key})
			return err
		})
	}
	return out, err
}

// createSecret makes a secret with the given content under the nth token.
func (e *env) createSecret(name, text string, n int) (*secretsmanager.CreateSecretOutput, error) {
	out, err := e.Secrets.CreateSecret(e.ctx, &secretsmanager.CreateSecretInput{
		Name: &name, SecretString: &text, ClientRequestToken: aws.String(e.token(n)),
	})
	if err == nil {
		e.undo = append(e.undo, func(ctx context.Context) error {
			_, err := e.Secrets.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: aws.Bool(true)})
			return err
		})
	}
	return out, err
}

func (e *env) putSecret(text string, n int) (*secretsmanager.PutSecretValueOutput, error) {
	return e.Secrets.PutSecretValue(e.ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &e.name, SecretString: &text, ClientRequestToken: aws.String(e.token(n)),
	})
}

// current checks the secret's content, and which token's version is current.
func (e *env) current(id, text string, n int) error {
	return e.eventually(func() error {
		out, err := e.Secrets.GetSecretValue(e.ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
		switch {
		case err != nil:
			return fmt.Errorf("GetSecretValue: %w", err)
		case aws.ToString(out.SecretString) != text:
			return errors.New("the secret's content differs")
		case aws.ToString(out.VersionId) != e.token(n):
			return errors.New("the current version is not the one expected")
		}
		return nil
	})
}

// refused checks that err is an AWS error with that code, whose text contains text. It does not
// repeat: what may fail because of lag belongs in eventually.
func refused(err error, code, text string) error {
	var api smithy.APIError
	switch {
	case err == nil:
		return fmt.Errorf("accepted, want %s", code)
	case !errors.As(err, &api):
		return fmt.Errorf("want %s: %w", code, err)
	case api.ErrorCode() != code:
		return fmt.Errorf("got %s, want %s", api.ErrorCode(), code)
	case !strings.Contains(api.ErrorMessage(), text):
		return fmt.Errorf("%s reads %q, want %q", code, api.ErrorMessage(), text)
	}
	return nil
}
