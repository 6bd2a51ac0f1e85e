package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"createkey/internal/test/sandbox"
)

// serve serves both APIs until the context ends, and shows the function's log.
func serve(ctx context.Context, box *sandbox.Sandbox, host string) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return fmt.Errorf("serving Lambda: %w", err)
	}
	box.Function.Stdout, box.Function.Stderr = os.Stdout, os.Stderr
	server := &http.Server{Handler: box.Function, ReadHeaderTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Printf(`A local AWS listens on %[1]s and the function's Lambda on http://%[2]s
It takes direct invocations alone: for the queue and the bus, make local-stack. Ctrl-C ends both; what they hold is gone then. In another terminal, with the AWS CLI:

  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1

  # send a request
  aws lambda invoke --endpoint-url http://%[2]s --function-name CreateKeyFunction \
      --payload fileb://events/direct.json /dev/stdout

  # list the keys, without their values
  aws apigateway get-api-keys --endpoint-url %[1]s

  # read the secret of customer cust-1015's key "Standard"
  aws secretsmanager get-secret-value --endpoint-url %[1]s \
      --secret-id %[3]scust-1015/Standard --query SecretString --output text

  # why was a message set aside? (its body is shown, too, without the --query)
  aws sqs receive-message --endpoint-url %[1]s --queue-url %[4]s \
      --message-attribute-names All --query 'Messages[].MessageAttributes'

The function's log:
`, box.Endpoint, listener.Addr(), secretPrefix(), deadLetterQueueURL)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving Lambda: %w", err)
	}
	return nil
}

func secretPrefix() string {
	if prefix := os.Getenv("SECRET_PREFIX"); prefix != "" {
		return prefix
	}
	return "apikeys/"
}
