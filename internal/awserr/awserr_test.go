package awserr_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/smithy-go"

	"createkey/internal/awserr"
	"createkey/internal/pace"
	"createkey/internal/test/awslocal"
)

func TestCode(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("CreateApiKey: %w", &smithy.GenericAPIError{Code: "ConflictException"}), "ConflictException"},
		{&smithy.GenericAPIError{Message: "an error that the SDK could not name"}, awserr.NoCode},
		{context.DeadlineExceeded, awserr.NoCode},
	} {
		if got := awserr.Code(test.err); got != test.want {
			t.Errorf("the code of %v is %q, want %q", test.err, got, test.want)
		}
	}
}

// Each attempt takes a second, and a call has 1.5 seconds.
func TestKeepAnswer(t *testing.T) {
	const hangs = "hangs"
	tests := map[string]struct {
		attempts []string // what AWS answers
		backoff  time.Duration
		rate     float64 // keys a second
		want     string
	}{
		"the deadline passes while the SDK backs off": {[]string{"TooManyRequestsException"}, time.Minute, 1000, "TooManyRequestsException"},
		"the deadline passes while an attempt waits":  {[]string{"TooManyRequestsException"}, 0, 0.1, "TooManyRequestsException"},
		"the deadline passes during an attempt":       {[]string{"TooManyRequestsException", hangs}, 0, 1000, "TooManyRequestsException"},
		"AWS never answered":                          {[]string{hangs}, 0, 1000, "no answer in time"},
		"the answer was lost and no time is left":     {[]string{"lost", hangs}, 0, 1000, "no answer in time"},
		"time is left after the only answer":          {[]string{"AccessDeniedException"}, 0, 1000, "AccessDeniedException"},
		"time is left after a second attempt":         {[]string{"lost", "AccessDeniedException"}, 0, 1000, "AccessDeniedException"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := test.attempts
				server := &awslocal.Server{Before: func(ctx context.Context, _ awslocal.Call) error {
					answer := attempts[0]
					attempts = attempts[1:]
					switch answer {
					case hangs:
						<-ctx.Done()
						return ctx.Err()
					case "lost":
						return awslocal.ErrConnectionLost
					case "TooManyRequestsException":
						time.Sleep(time.Second)
						return awslocal.TooManyRequests
					}
					return awslocal.AccessDenied
				}}
				pacer := pace.New(test.rate)
				client := apigateway.NewFromConfig(server.Config(), func(o *apigateway.Options) {
					o.APIOptions = append(o.APIOptions, pacer.Apply, awserr.KeepAnswer)
					o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
						o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return test.backoff, nil })
					})
				})
				ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
				defer cancel()
				_, err := client.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{Name: aws.String("n")})
				if err == nil {
					t.Fatal("the call succeeded")
				}
				if got := awserr.Describe(err); !strings.HasPrefix(got, test.want) {
					t.Errorf("the call failed with %q, want %q", got, test.want)
				}
			})
		})
	}
}
