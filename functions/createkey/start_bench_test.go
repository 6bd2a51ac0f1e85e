package main

import (
	"io"
	"os"
	"testing"

	"createkey/internal/function"
	"createkey/internal/test/awslocal"
)

// BenchmarkStart measures what main does before lambda.Start, except for opening
// connections.
func BenchmarkStart(b *testing.B) {
	b.Setenv("AWS_REGION", awslocal.Region)
	b.Setenv("AWS_CONFIG_FILE", os.DevNull)
	b.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	b.Setenv("AWS_CA_BUNDLE", "")
	b.ReportAllocs()
	for b.Loop() {
		cfg, s, err := configure()
		if err != nil {
			b.Fatal(err)
		}
		function.New(cfg, s, function.NewLogger(io.Discard, ""))
	}
}
