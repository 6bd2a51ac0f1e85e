package main

import (
	"fmt"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
)

// BenchmarkNewKey is compared with internal/function's benchmark of the same name.
func BenchmarkNewKey(b *testing.B) {
	cfg := (&awslocal.Server{}).Config()
	h := lambda.NewHandler(handler{apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), nil, nil}.handle)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		body := fmt.Sprintf(`{"customerId": "c%d", "name": "Standard", "enabled": true}`, i)
		batch := payload.SQS(payload.QueueARN, payload.Message{ID: "m", Body: body})
		if _, err := h.Invoke(b.Context(), []byte(batch)); err != nil {
			b.Fatal(err)
		}
	}
}
