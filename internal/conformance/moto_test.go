package conformance

import (
	"context"
	"crypto/rand"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go/logging"
)

// motoDepartures are those of moto 5.2.1.
var motoDepartures = map[string]string{
	"key/value-of-129":          "no upper limit",
	"key/name-of-1025":          "no limit",
	"key/description-of-125001": "no limit",
	"key/tag-of-aws":            "tags are not checked",
	"key/unknown-stage":         "stages are not checked",
	"key/stage-keys":            "answers stage keys as objects, which the SDK cannot read",
	"key/update-refused":        "the value is replaced",
	"keys/customer":             "customerId is ignored",
	"keys/pages":                "limit and position are ignored",

	"keys/position": "there is none",

	"plan-key/unknown-plan":         "accepted",
	"plan-key/type":                 "not checked",
	"plan-key/same-pair":            "accepted",
	"plan-key/same-pair-with-stage": "accepted",
	"plan-key/shared-stage":         "accepted",

	"secret/by-version":           "an unknown label has the text of an unknown secret",
	"secret/name-like-an-arn":     "found by an ARN without the suffix",
	"secret/bad-name":             "accepted",
	"secret/long-name":            "accepted",
	"secret/put-again-with-label": "no label is moved",
	"secret/token-of-31":          "another code",
	"secret/size":                 "accepted",
	"deletion/create":             "answers ResourceExistsException, or success for the first token",
	"deletion/get-and-put":        "another text; and PutSecretValue succeeds",

	"events/detail-list":   "accepted",
	"events/source-of-aws": "accepted",
	"events/none":          "accepted",
	"events/megabyte":      "no limit",
	"events/unknown-bus":   "the call fails with ResourceNotFoundException",
}

// TestMoto runs the suite on a moto server:
//
//	python3 -m venv venv && venv/bin/pip install 'moto[server]==5.2.1'
//	venv/bin/moto_server -p 5000 &
//	CREATEKEY_MOTO_ENDPOINT=http://127.0.0.1:5000 go test -run TestMoto ./internal/conformance
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
		Retryer: func() aws.Retryer { // its development server cuts a connection now and then
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 10 * time.Millisecond })
		},
	}
	Run(t, Target{
		Gateway:         apigateway.NewFromConfig(cfg),
		Secrets:         secretsmanager.NewFromConfig(cfg),
		Events:          eventbridge.NewFromConfig(cfg),
		Prefix:          "conformance/",
		RunID:           rand.Text(),
		Stage:           "api/prod", // moto knows every stage
		KnownDepartures: motoDepartures,
	})
}
