package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"

	"createkey/events"
	"createkey/internal/apikey"
)

// TestMoto plays the samples, twice, to the whole handler against a moto server:
// an AWS that somebody else made. `make test-emulators` starts one; see package
// conformance for how moto departs from AWS.
func TestMoto(t *testing.T) {
	endpoint := os.Getenv("CREATEKEY_MOTO_ENDPOINT")
	if endpoint == "" {
		t.Skip("CREATEKEY_MOTO_ENDPOINT is not set")
	}
	cfg := aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
		Logger: logging.Nop{},
	}
	keys, secrets := apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg)
	plan, err := keys.CreateUsagePlan(t.Context(), &apigateway.CreateUsagePlanInput{Name: aws.String("Gold")})
	if err != nil {
		t.Fatal("CreateUsagePlan failed")
	}
	market, err := keys.CreateUsagePlan(t.Context(), &apigateway.CreateUsagePlanInput{Name: aws.String("Marketplace")})
	if err != nil {
		t.Fatal("CreateUsagePlan failed")
	}
	_, err = keys.UpdateUsagePlan(t.Context(), &apigateway.UpdateUsagePlanInput{UsagePlanId: market.Id, PatchOperations: []types.PatchOperation{
		{Op: types.OpReplace, Path: aws.String("/productCode"), Value: aws.String(events.ProductCode)},
	}})
	if err != nil {
		t.Fatal("UpdateUsagePlan failed")
	}
	var output bytes.Buffer
	prefix := "moto-" + rand.Text() + "/"
	h := newHandler(cfg, settings{SecretPrefix: prefix, CreateKeyRate: 1e6, OutcomeBus: "default"}, &output)

	made := map[string]string{} // secret name -> key id
	for _, sample := range events.Samples {
		for _, first := range []bool{true, false} {
			payload := bytes.ReplaceAll(sample.Payload(), []byte(events.UsagePlanID), []byte(*plan.Id))
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			// An invocation's id is the identity of a request that has no other.
			ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: sample.File})
			_, _ = h.Invoke(ctx, payload) // the log lines tell
			cancel()

			var got []string
			for text := range strings.Lines(output.String()) {
				var l line
				if err := json.Unmarshal([]byte(text), &l); err != nil {
					t.Fatalf("%s: a line of the output is no JSON", sample.File)
				}
				got = append(got, l.Outcome)
				switch id, before := made[l.SecretName]; {
				case l.KeyID == "":
				case before && id != l.KeyID:
					t.Errorf("%s: a second key was made", sample.File)
				default:
					made[l.SecretName] = l.KeyID
				}
			}
			output.Reset()
			want := slices.Clone(sample.Outcomes)
			for i := range want {
				if !first && want[i] == "created" {
					want[i] = "existing"
				}
			}
			slices.Sort(got) // messages of a batch end in any order
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s came out as %q, want %q (first time: %t)", sample.File, got, want, first)
			}
		}
	}
	for name, id := range made {
		key, err := keys.GetApiKey(t.Context(), &apigateway.GetApiKeyInput{ApiKey: &id, IncludeValue: aws.Bool(true)})
		if err != nil {
			t.Errorf("%s: its key cannot be read", name)
			continue
		}
		secret, err := secrets.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name})
		if err != nil {
			t.Errorf("%s cannot be read", name)
			continue
		}
		record, err := apikey.ParseRecord(aws.ToString(secret.SecretString))
		if err != nil || record.Key.ID != id || !record.Value.Equal(apikey.NewValue(aws.ToString(key.Value))) {
			t.Errorf("%s does not record its key and the key's value", name)
		}
	}
	inPlan, err := keys.GetUsagePlanKeys(t.Context(), &apigateway.GetUsagePlanKeysInput{UsagePlanId: market.Id})
	if err != nil || len(inPlan.Items) != 2 {
		t.Error("the plan with the product's code does not have the keys of the two sign-ups")
	}
	if len(made) != 19 {
		t.Errorf("%d keys were made of the samples", len(made))
	}
}
