// Command local runs the function's executable on this machine, in a local
// Lambda and against a local AWS, and helps those who send it requests. Nothing
// but a confirmed send leaves the machine.
//
// Usage:
//
//	local run      -bootstrap PATH [-event FILE]
//	local serve    -bootstrap PATH [-host ADDRESS]
//	local skeleton [-kind KIND] [-format json|yaml]
//	local validate [-kind KIND] -file FILE
//	local send     [-kind KIND] -file FILE (-queue-url URL | -event-bus NAME [-source SOURCE]) [-confirm]
//	local samples
//
// KIND is sign-up, end or rotation. samples lists the samples of package events, for other
// programs.
//
// The function inherits its own variables (SECRET_PREFIX, USAGE_PLAN_ID, CREATE_KEY_RATE,
// LOG_LEVEL …) if they are set here; validate and send read the first two as it does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"createkey/events"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/sandbox"
)

// Exit statuses.
const (
	exitFailed = 1 // a result was wrong
	exitUsage  = 2
)

func main() { os.Exit(status(run(os.Args[1:]))) }

// status prints an error and returns the exit status for it.
func status(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "local:", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

type usageError string

func (e usageError) Error() string { return string(e) }

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		return usageError("want a command: " + commands)
	}
	switch args[0] {
	case "run", "serve":
		return runSandbox(ctx, args)
	case "skeleton":
		return skeletonCommand(os.Stdout, args[1:])
	case "validate":
		return validateCommand(os.Stdout, args[1:])
	case "send":
		return sendCommand(ctx, args[1:])
	case "samples":
		return listSamples(os.Stdout)
	}
	return usageError("unknown command " + args[0] + ": want " + commands)
}

const commands = "run, serve, skeleton, validate, send or samples"

// runSandbox is run and serve, which need the function's executable.
func runSandbox(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	bootstrap := flags.String("bootstrap", "", "the function's executable, as `make build-CreateKeyFunction` writes it")
	host := flags.String("host", "127.0.0.1", "the address to listen on")
	event := flags.String("event", "", "a payload of your own, or a request in YAML, instead of the samples")
	_ = flags.Parse(args[1:]) // exits on an error
	if *bootstrap == "" {
		return usageError("-bootstrap must name the function's executable")
	}
	aws := &awslocal.Server{Quotas: awslocal.AWSQuotas}
	aws.AddUsagePlan(awslocal.UsagePlan{
		ID: events.UsagePlanID, Name: "Gold", APIStages: []awslocal.APIStage{{APIID: "a1b2c3d4e5", Stage: "prod"}},
	})
	aws.AddUsagePlan(awslocal.UsagePlan{
		ID: events.MarketplacePlanID, Name: "Marketplace", ProductCode: events.ProductCode,
		APIStages: []awslocal.APIStage{{APIID: "a1b2c3d4e5", Stage: "prod"}},
	})
	box, err := sandbox.Start(*host, *bootstrap, aws, settings()...)
	if err != nil {
		return err
	}
	defer func() { _ = box.Close() }()
	switch {
	case args[0] == "serve":
		return serve(ctx, box, *host)
	case *event != "":
		return playFile(ctx, box, *event)
	}
	return playSamples(ctx, box)
}

var deadLetterQueueURL = awslocal.QueueURL("dead-letters")

// settings returns the function's own variables that are set here, with a rate that one
// environment may have alone under the account's 5 keys a second, a bus and a
// dead-letter queue.
func settings() []string {
	env := []string{"CREATE_KEY_RATE=4", "OUTCOME_BUS=outcomes", "DEAD_LETTER_QUEUE_URL=" + deadLetterQueueURL}
	for _, name := range []string{"SECRET_PREFIX", "KMS_KEY_ID", "USAGE_PLAN_ID", "OUTCOME_BUS", "DEAD_LETTER_QUEUE_URL", "CREATE_KEY_RATE", "LOG_LEVEL"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
