package main

import (
	"fmt"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/test/awslocal"
)

// BenchmarkNewKey is what internal/function's of the same name is held beside.
func BenchmarkNewKey(b *testing.B) {
	cfg := (&awslocal.Server{}).Config()
	h := lambda.NewHandler(handler{apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg), nil, nil}.handle)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		payload := fmt.Appendf(nil, `{"Records": [{"messageId": "m", "eventSource": "aws:sqs", `+
			`"body": "{\"customerId\": \"c%d\", \"name\": \"Standard\", \"enabled\": true}"}]}`, i)
		if _, err := h.Invoke(b.Context(), payload); err != nil {
			b.Fatal(err)
		}
	}
}
