package function

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
)

// BenchmarkNewKey makes keys in a warm environment; the local AWS counts as well.
func BenchmarkNewKey(b *testing.B) {
	server := &awslocal.Server{}
	h := New(server.Config(), Settings{SecretPrefix: "apikeys/", CreateKeyRate: 1e6}, NewLogger(io.Discard, ""))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
		body := fmt.Sprintf(`{"customerId": "c%d", "name": "Standard", "enabled": true}`, i)
		batch := payload.SQS(payload.QueueARN, payload.Message{ID: "m", Body: body})
		if _, err := h.Invoke(ctx, []byte(batch)); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}
