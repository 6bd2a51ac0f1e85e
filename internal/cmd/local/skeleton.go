package main

import (
	_ "embed" // the skeletons
	"flag"
	"io"
)

// These are what `aws apigateway create-api-key --generate-cli-skeleton` prints for input
// and yaml-input, with usagePlanIds added.
var (
	//go:embed skeleton/input.json
	jsonSkeleton string
	//go:embed skeleton/input.yaml
	yamlSkeleton string
)

// skeletonCommand prints a request to fill in.
func skeletonCommand(out io.Writer, args []string) error {
	flags := flag.NewFlagSet("skeleton", flag.ExitOnError)
	format := flags.String("format", "json", "json or yaml")
	asks := flags.String("kind", "sign-up", kindUsage)
	_ = flags.Parse(args) // exits on an error
	k, err := kindOf(*asks)
	if err != nil {
		return err
	}
	text, ok := k.skeletons[*format]
	if !ok {
		return usageError("FORMAT: must be json or yaml")
	}
	_, err = io.WriteString(out, text)
	return err
}
