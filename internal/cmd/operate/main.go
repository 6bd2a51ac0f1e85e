// Command operate is the operator's tool: it audits what createkey has made in an account,
// and gives keys that were made by hand a record.
//
// It guarantees that audit writes nothing, that adopt writes nothing without -confirm,
// that neither prints a key's value, and that both send API Gateway at most two calls a
// second, including the SDK's retries, of the ten that the account may make
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
//
// Usage:
//
//	operate audit [-format text|json]
//	operate adopt -file FILE [-confirm]
//
// SECRET_PREFIX is the deployment's; adopt reads KMS_KEY_ID, USAGE_PLAN_ID and
// RESOURCE_TAGS as the function does. Region, credentials and endpoints are the SDK's own.
// The exit status is 1 if there are findings or refusals, and 2 if the command could not
// be done: a setting, a file, a call to AWS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"createkey/internal/function"
)

// Exit statuses.
const (
	exitNeedsAction = 1
	exitError       = 2
)

// errNeedsAction says that the command was done, and that somebody must act on its output.
var errNeedsAction = errors.New("somebody must act on the output")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errNeedsAction):
		os.Exit(exitNeedsAction)
	default:
		fmt.Fprintln(os.Stderr, "operate:", err)
		os.Exit(exitError)
	}
}

func run(ctx context.Context, args []string) error {
	const commands = "audit or adopt"
	if len(args) == 0 {
		return errors.New("want a command: " + commands)
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	switch args[0] {
	case "audit":
		format := flags.String("format", "text", "text, or json for a JSON object a line")
		_ = flags.Parse(args[1:]) // exits on an error
		if *format != "text" && *format != "json" {
			return errors.New("FORMAT: must be text or json")
		}
		s, acc, err := open(ctx)
		if err != nil {
			return err
		}
		return auditCommand(ctx, acc, s.SecretPrefix, report{out: os.Stdout, json: *format == "json"}, newProgress(os.Stderr))
	case "adopt":
		file := flags.String("file", "", "the keys, as CSV with a header: "+knownColumns)
		confirm := flags.Bool("confirm", false, "adopt them; without it all is checked and nothing is written")
		_ = flags.Parse(args[1:]) // exits on an error
		rows, err := readFile(*file)
		if err != nil {
			return err
		}
		s, acc, err := open(ctx)
		if err != nil {
			return err
		}
		a := &adopter{account: acc, settings: s, confirmed: *confirm, file: *file, out: os.Stdout, faults: os.Stderr, progress: newProgress(os.Stderr)}
		return a.run(ctx, rows)
	}
	return errors.New("unknown command " + args[0] + ": want " + commands)
}

// open reads the deployment's settings and the SDK's own.
func open(ctx context.Context) (function.Settings, *account, error) {
	s, err := settings(os.Getenv)
	if err != nil {
		return s, nil, err
	}
	cfg, err := loadConfig(ctx)
	return s, newAccount(cfg), err
}

// settings reads those of the function's settings that decide what it makes. SECRET_PREFIX
// has no default here: an account without a secret of the prefix looks healthy.
func settings(getenv func(string) string) (function.Settings, error) {
	if getenv("SECRET_PREFIX") == "" {
		return function.Settings{}, errors.New("SECRET_PREFIX: must be set: the stack's name and a slash, " +
			"unless the stack was deployed with another SecretPrefix")
	}
	used := []string{"SECRET_PREFIX", "KMS_KEY_ID", "USAGE_PLAN_ID", "RESOURCE_TAGS"}
	return function.ReadSettings(func(name string) string {
		if slices.Contains(used, name) {
			return getenv(name)
		}
		return ""
	})
}

// Bounds of retries, and of one attempt.
const (
	maxAttempts = 6
	maxBackoff  = 20 * time.Second
	callTimeout = 30 * time.Second
)

func loadConfig(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithLogger(logging.Nop{}), // a logger could print AWS's answers
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff })
		}),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callTimeout)))
	if err == nil && cfg.Region == "" {
		err = errors.New("AWS_REGION: must be set")
	}
	return cfg, err
}
