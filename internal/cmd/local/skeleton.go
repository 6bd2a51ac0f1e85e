package main

import (
	_ "embed" // the skeletons
	"flag"
	"io"
)

// The skeletons are what `aws apigateway create-api-key --generate-cli-skeleton`
// prints for input and yaml-input, and usagePlanIds.
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
	_ = flags.Parse(args) // exits on an error
	text := jsonSkeleton
	switch *format {
	case "json":
	case "yaml":
		text = yamlSkeleton
	default:
		return usageError("FORMAT: must be json or yaml")
	}
	_, err := io.WriteString(out, text)
	return err
}
