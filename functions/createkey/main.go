// Command createkey is an AWS Lambda function that makes an Amazon API Gateway
// key for every request it is sent, exactly once, and puts the key's value into
// AWS Secrets Manager.
//
// It needs the custom runtime provided.al2023; its executable is called bootstrap.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"createkey/internal/function"
)

// version is what `make` built, by git's tag or commit: the linker sets it. Empty
// in tests, and where git was missing.
var version string

// attemptTimeout ends an attempt of an AWS call whose endpoint cannot be reached
// or does not answer, so that the SDK's retry still has time for another.
const attemptTimeout = 10 * time.Second

func main() {
	// aws-lambda-go logs every failed invocation, and net/http quotes what a
	// broken connection sent. The output is for our own lines.
	log.SetOutput(io.Discard)

	logger := function.NewLogger(os.Stdout, version)
	cfg, settings, err := configure()
	if err != nil {
		stop(logger, err)
	}
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		stop(logger, errors.New("AWS_LAMBDA_RUNTIME_API: must be set: this executable runs in AWS Lambda, and locally by `make run`"))
	}
	handler := function.New(cfg, settings, logger)
	handler.Connect(context.Background())
	lambda.Start(handler)
}

// configure reads the environment: our own settings, and the SDK's. Its error names
// the faults of both.
func configure() (aws.Config, function.Settings, error) {
	s, ours := function.ReadSettings(os.Getenv)
	client := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = attemptTimeout }).
		WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = attemptTimeout })
	cfg, err := config.LoadDefaultConfig(context.Background(), config.WithLogger(logging.Nop{}), config.WithHTTPClient(client))
	if err == nil && cfg.Region == "" {
		err = errors.New("AWS_REGION: must be set")
	}
	if ours != nil && err != nil {
		err = fmt.Errorf("%w; %w", ours, err)
	}
	return cfg, s, cmp.Or(err, ours)
}

// stop ends a start that cannot succeed, with one line that says why.
func stop(logger *slog.Logger, err error) {
	logger.Error("", "reason", "cannot start: "+err.Error())
	os.Exit(1)
}
