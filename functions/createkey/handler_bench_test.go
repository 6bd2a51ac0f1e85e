package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"createkey/internal/awslocal"
)

// BenchmarkNewKey is a new key in a warm environment, the local AWS included.
func BenchmarkNewKey(b *testing.B) {
	server := &awslocal.Server{}
	h := newHandler(server.Config(), settings{SecretPrefix: "apikeys/", CreateKeyRate: 1e6}, io.Discard)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
		payload := fmt.Appendf(nil, `{"Records": [{"messageId": "m", "eventSource": "aws:sqs", `+
			`"body": "{\"customerId\": \"c%d\", \"name\": \"Standard\", \"enabled\": true}"}]}`, i)
		if _, err := h.Invoke(ctx, payload); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}

// BenchmarkStart is what main does between its first line and lambda.Start, but
// for connections.
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
		newHandler(cfg, s, io.Discard)
	}
}
