package main

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"createkey/internal/awslocal"
)

// BenchmarkHandleWarm is a new key in a warm environment, the local AWS included.
func BenchmarkHandleWarm(b *testing.B) {
	server := &awslocal.Server{}
	h := newHandler(server.Config(), settings{SecretPrefix: "apikeys/", CreateKeyRate: 1e6}, io.Discard)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
		if _, err := h.Invoke(ctx, fmt.Appendf(nil, `{"customerId": "c%d", "name": "Standard", "enabled": true}`, i)); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}
