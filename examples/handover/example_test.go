package handover_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/examples/handover"
)

func store(context.Context, handover.Told, string) error { return nil }

func forget(context.Context, handover.Told) error { return nil }

// The main function of a consumer.
func Example() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	consumer := handover.Consumer{
		Secrets: secretsmanager.NewFromConfig(cfg),
		Deliver: store,  // yours
		End:     forget, // yours
	}
	lambda.Start(consumer.Handle)
}

// Whoever sent the request can name the secret before it exists.
func ExampleSecretName() {
	fmt.Println(handover.SecretName("createkey/", "cust-1", "Gold plan"))
	// Output: createkey/cust-1/Gold+plan
}
