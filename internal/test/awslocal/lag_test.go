package awslocal_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"createkey/internal/test/awslocal"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	gwtypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// A read sees a change only once the change is as old as the lag.
func TestLag(t *testing.T) {
	const lag = 3 * time.Second
	type env struct {
		ctx context.Context
		gw  *apigateway.Client
		sm  *secretsmanager.Client
	}
	type step func(env) error
	type read func(env) (string, error)

	createSecret := func(e env) error {
		_, err := e.sm.CreateSecret(e.ctx, &secretsmanager.CreateSecretInput{
			Name: aws.String("s"), SecretString: aws.String("first"), ClientRequestToken: aws.String(token(1)),
		})
		return err
	}
	putSecret := func(e env) error {
		_, err := e.sm.PutSecretValue(e.ctx, &secretsmanager.PutSecretValueInput{
			SecretId: aws.String("s"), SecretString: aws.String("second"), ClientRequestToken: aws.String(token(2)),
		})
		return err
	}
	deleteSecret := func(force bool) step {
		return func(e env) error {
			in := &secretsmanager.DeleteSecretInput{SecretId: aws.String("s")}
			if force {
				in.ForceDeleteWithoutRecovery = aws.Bool(true)
			}
			_, err := e.sm.DeleteSecret(e.ctx, in)
			return err
		}
	}
	readSecret := func(stage string) read {
		return func(e env) (string, error) {
			out, err := e.sm.GetSecretValue(e.ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("s"), VersionStage: &stage})
			if err != nil {
				return "", err
			}
			return *out.SecretString, nil
		}
	}
	attach := func(e env) error {
		_, err := e.gw.CreateUsagePlanKey(e.ctx, &apigateway.CreateUsagePlanKeyInput{
			UsagePlanId: aws.String("plan"), KeyId: aws.String("key"), KeyType: aws.String("API_KEY"),
		})
		return err
	}
	isAttached := func(e env) (string, error) {
		out, err := e.gw.GetUsagePlanKey(e.ctx, &apigateway.GetUsagePlanKeyInput{UsagePlanId: aws.String("plan"), KeyId: aws.String("key")})
		if err != nil {
			return "", err
		}
		return *out.Id, nil
	}
	getKey := func(e env) (string, error) {
		out, err := e.gw.GetApiKey(e.ctx, &apigateway.GetApiKeyInput{ApiKey: aws.String("key")})
		if err != nil {
			return "", err
		}
		return fmt.Sprint("enabled ", out.Enabled), nil
	}
	countKeys := func(e env) (string, error) {
		out, err := e.gw.GetApiKeys(e.ctx, &apigateway.GetApiKeysInput{})
		if err != nil {
			return "", err
		}
		return fmt.Sprint(len(out.Items), " keys"), nil
	}
	deleteKey := func(e env) error {
		_, err := e.gw.DeleteApiKey(e.ctx, &apigateway.DeleteApiKeyInput{ApiKey: aws.String("key")})
		return err
	}

	tests := []struct {
		name   string
		before []step // made long before
		change step
		read   read
		stale  string // the read's result or, after "!", its error code
		fresh  string
	}{
		{"secret created", nil, createSecret, readSecret("AWSCURRENT"), "!ResourceNotFoundException", "first"},
		{"label moved", []step{createSecret}, putSecret, readSecret("AWSCURRENT"), "first", "second"},
		{"label left behind", []step{createSecret}, putSecret, readSecret("AWSPREVIOUS"), "!ResourceNotFoundException", "first"},
		{"secret scheduled for deletion", []step{createSecret}, deleteSecret(false), readSecret("AWSCURRENT"), "first", "!InvalidRequestException"},
		{"secret deleted", []step{createSecret}, deleteSecret(true), readSecret("AWSCURRENT"), "first", "!ResourceNotFoundException"},
		{"secret re-created", []step{createSecret, putSecret, deleteSecret(true)}, createSecret, readSecret("AWSCURRENT"), "!ResourceNotFoundException", "first"},
		{"key created", nil, func(e env) error {
			_, err := e.gw.CreateApiKey(e.ctx, &apigateway.CreateApiKeyInput{})
			return err
		}, countKeys, "1 keys", "2 keys"},
		{"key changed", nil, func(e env) error {
			_, err := e.gw.UpdateApiKey(e.ctx, &apigateway.UpdateApiKeyInput{ApiKey: aws.String("key"), PatchOperations: []gwtypes.PatchOperation{
				{Op: gwtypes.OpReplace, Path: aws.String("/enabled"), Value: aws.String("true")},
			}})
			return err
		}, getKey, "enabled false", "enabled true"},
		{"key deleted", nil, deleteKey, getKey, "enabled false", "!NotFoundException"},
		{"key deleted, listed", nil, deleteKey, countKeys, "1 keys", "0 keys"},
		{"key attached", nil, attach, isAttached, "!NotFoundException", "key"},
		{"key detached by its deletion", []step{attach}, deleteKey, isAttached, "key", "!NotFoundException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &awslocal.Server{Lag: func(awslocal.Call) time.Duration { return lag }}
				s.AddKey(awslocal.Key{ID: "key"})
				s.AddUsagePlan(awslocal.UsagePlan{ID: "plan"})
				gw, sm := clients(s.Config())
				e := env{t.Context(), gw, sm}
				for i, do := range tt.before {
					if err := do(e); err != nil {
						t.Fatalf("step %d: %v", i+1, err)
					}
				}
				time.Sleep(time.Hour)
				if err := tt.change(e); err != nil {
					t.Fatalf("change: %v", err)
				}
				check := func(when, want string) {
					got, err := tt.read(e)
					if err != nil {
						got = "!" + code(err)
					}
					if got != want {
						t.Errorf("%s: got %q, want %q", when, got, want)
					}
				}
				check("at once", tt.stale)
				time.Sleep(lag - time.Nanosecond)
				check("just before", tt.stale)
				time.Sleep(time.Nanosecond)
				check("once as old as the lag", tt.fresh)
			})
		})
	}
}

// Writes and their checks see everything, however stale the reads are.
func TestLagSparesWrites(t *testing.T) {
	s := &awslocal.Server{Lag: func(awslocal.Call) time.Duration { return time.Hour }}
	gw, sm := clients(s.Config())
	plan, err := gw.CreateUsagePlan(t.Context(), &apigateway.CreateUsagePlanInput{Name: aws.String("plan")})
	if err != nil {
		t.Fatal(err)
	}
	key := create(t, gw, &apigateway.CreateApiKeyInput{Value: aws.String(value)})
	_, err = gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{Value: aws.String(value)})
	if code(err) != "ConflictException" {
		t.Errorf("same value: %v, want ConflictException", err)
	}
	_, err = gw.CreateUsagePlanKey(t.Context(), &apigateway.CreateUsagePlanKeyInput{
		UsagePlanId: plan.Id, KeyId: key.Id, KeyType: aws.String("API_KEY"),
	})
	if err != nil {
		t.Errorf("CreateUsagePlanKey: %v", err)
	}
	for i, want := range []string{"", "ResourceExistsException"} {
		_, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: aws.String("s"), SecretString: aws.String("x"), ClientRequestToken: aws.String(token(i)),
		})
		if code(err) != want {
			t.Errorf("CreateSecret %d: %v, want %q", i+1, err, want)
		}
	}
	_, err = sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("s"), SecretString: aws.String("y")})
	if err != nil {
		t.Errorf("PutSecretValue: %v", err)
	}
}

func TestDeletionOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &awslocal.Server{NameRelease: 10 * time.Second}
		_, sm := clients(s.Config())
		createSecret := func() string {
			_, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("x")})
			return code(err)
		}
		deleteSecret := func(in *secretsmanager.DeleteSecretInput) {
			t.Helper()
			in.SecretId = aws.String("s")
			if _, err := sm.DeleteSecret(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		steps := []struct {
			name string
			wait time.Duration
			del  *secretsmanager.DeleteSecretInput
			want string // of creating it (again)
		}{
			{"new", 0, nil, ""},
			{"forced, name not released", 0, &secretsmanager.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)}, "InvalidRequestException"},
			{"forced, name released", 10 * time.Second, nil, ""},
			{"scheduled", 0, &secretsmanager.DeleteSecretInput{RecoveryWindowInDays: aws.Int64(7)}, "InvalidRequestException"},
			{"scheduled, window not over", 7*24*time.Hour - time.Second, nil, "InvalidRequestException"},
			{"scheduled, window over", time.Second, nil, ""},
		}
		for _, st := range steps {
			time.Sleep(st.wait)
			if st.del != nil {
				deleteSecret(st.del)
			}
			if got := createSecret(); got != st.want {
				t.Errorf("%s: creating it gives %q, want %q", st.name, got, st.want)
			}
		}
		arns := make(map[string]bool)
		for _, state := range s.SecretEver("s") {
			arns[state.ARN] = true
		}
		if len(arns) != 3 || len(s.Secrets()) != 1 {
			t.Errorf("%d ARNs ever, %d secrets now; want 3 and 1", len(arns), len(s.Secrets()))
		}
	})
}

func TestKeysEver(t *testing.T) {
	s := &awslocal.Server{}
	gw, _ := clients(s.Config())
	first := create(t, gw, &apigateway.CreateApiKeyInput{Value: aws.String(value)})
	if _, err := gw.DeleteApiKey(t.Context(), &apigateway.DeleteApiKeyInput{ApiKey: first.Id}); err != nil {
		t.Fatal(err)
	}
	second := create(t, gw, &apigateway.CreateApiKeyInput{Value: aws.String(value)})
	ever, now := s.KeysEver(), s.Keys()
	if len(ever) != 2 || ever[0].ID != *first.Id || ever[0].Deleted.IsZero() || ever[1].ID != *second.Id || !ever[1].Deleted.IsZero() {
		t.Errorf("keys ever: %v, want a deleted and an existing one", ever)
	}
	if len(now) != 1 || now[0].ID != *second.Id {
		t.Errorf("keys now: %v, want the second alone", now)
	}
}

func TestStages(t *testing.T) {
	s := &awslocal.Server{Stages: map[string]bool{"api/prod": true}}
	gw, _ := clients(s.Config())
	for stage, want := range map[string]string{"prod": "", "dev": "NotFoundException"} {
		_, err := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{
			StageKeys: []gwtypes.StageKey{{RestApiId: aws.String("api"), StageName: &stage}},
		})
		if code(err) != want {
			t.Errorf("key for %s: %v, want %q", stage, err, want)
		}
	}
	for stage, want := range map[string]string{"prod": "", "dev": "BadRequestException"} {
		_, err := gw.CreateUsagePlan(t.Context(), &apigateway.CreateUsagePlanInput{
			Name: aws.String("plan"), ApiStages: []gwtypes.ApiStage{{ApiId: aws.String("api"), Stage: &stage}},
		})
		if code(err) != want {
			t.Errorf("plan for %s: %v, want %q", stage, err, want)
		}
	}
}

// A page token is a place in the order of creation: keys that come and go between two pages
// neither repeat nor hide the others.
func TestPagingWhileKeysComeAndGo(t *testing.T) {
	s := &awslocal.Server{}
	for i := range 4 {
		s.AddKey(awslocal.Key{ID: fmt.Sprint("key", i)})
	}
	gw, _ := clients(s.Config())
	page := func(position *string) *apigateway.GetApiKeysOutput {
		t.Helper()
		out, err := gw.GetApiKeys(t.Context(), &apigateway.GetApiKeysInput{Limit: aws.Int32(2), Position: position})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := page(nil)
	for _, id := range []string{"key0", "key2"} {
		if _, err := gw.DeleteApiKey(t.Context(), &apigateway.DeleteApiKeyInput{ApiKey: &id}); err != nil {
			t.Fatal(err)
		}
	}
	s.AddKey(awslocal.Key{ID: "key4"})
	second := page(first.Position)
	if len(second.Items) != 2 || *second.Items[0].Id != "key3" || *second.Items[1].Id != "key4" || second.Position != nil {
		t.Errorf("second page: %d items, position %v; want key3, key4 and no more", len(second.Items), second.Position)
	}
}
