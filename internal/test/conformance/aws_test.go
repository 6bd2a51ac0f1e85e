package conformance

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const confirmation = "yes-create-and-delete-in-"

// TestAWS runs the suite on a real account, in the Region and with the credentials that the
// SDK finds. It makes some 40 keys, 15 usage plans, 30 secrets and 15 queues, and deletes
// them; it sends some ten events to the default bus.
//
// Without CREATEKEY_TEST_AWS it touches nothing and says what it would do (go test
// -v -run TestAWS). To run it, set
//
//	CREATEKEY_TEST_AWS=yes-create-and-delete-in-ACCOUNTID
//
// with the id of that account; to include the cases that need an API stage
//
//	CREATEKEY_TEST_AWS_STAGE=restApiId/stage
//
// and, to record AWS's answers, without anything that identifies the account,
//
//	CREATEKEY_TEST_AWS_RECORDING=the file
//
// There is no list of known departures here: one would be a fact that the design has wrong.
func TestAWS(t *testing.T) {
	target := Target{
		Prefix:     "createkey-conformance/",
		RunID:      time.Now().UTC().Format("20060102t150405-") + strings.ToLower(rand.Text()[:6]),
		Stage:      os.Getenv("CREATEKEY_TEST_AWS_STAGE"),
		Eventually: 30 * time.Second,
	}
	confirmed := os.Getenv("CREATEKEY_TEST_AWS")
	if confirmed == "" {
		var plan strings.Builder
		if err := List(&plan, target); err != nil {
			t.Fatal(err)
		}
		t.Skipf("dry run: CREATEKEY_TEST_AWS is not set. With it, this would run\n%s", plan.String())
	}
	// Without the full confirmation nothing goes to AWS, not even GetCallerIdentity.
	account, ok := strings.CutPrefix(confirmed, confirmation)
	if !ok || account == "" {
		t.Fatalf("CREATEKEY_TEST_AWS must read %sACCOUNTID", confirmation)
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRetryer(func() aws.Retryer {
		// The suite makes keys faster than five a second.
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = 10 })
	}))
	if err != nil {
		t.Fatalf("AWS configuration: %v", err)
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatalf("GetCallerIdentity: %v", err)
	}
	if aws.ToString(who.Account) != account {
		t.Fatalf("the credentials are of account %s, the confirmation is for %s", aws.ToString(who.Account), account)
	}
	var recorder Recorder
	if file := os.Getenv("CREATEKEY_TEST_AWS_RECORDING"); file != "" {
		recorder.Record(&cfg)
		defer func() {
			source := "an AWS account, " + time.Now().UTC().Format(time.DateOnly)
			if cfg.BaseEndpoint != nil {
				source = "no AWS, but " + *cfg.BaseEndpoint
			}
			if err := recorder.Recording(source).Write(file); err != nil {
				t.Error(err)
			}
		}()
	}
	t.Logf("account %s, Region %s, names begin with %s%s", account, cfg.Region, target.Prefix, target.RunID)
	target.Gateway = apigateway.NewFromConfig(cfg)
	target.Secrets = secretsmanager.NewFromConfig(cfg)
	target.Events = eventbridge.NewFromConfig(cfg)
	target.Queues = sqs.NewFromConfig(cfg)
	Run(t, target)
}
