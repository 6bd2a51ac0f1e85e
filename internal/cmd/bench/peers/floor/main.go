// Command floor is the smallest Lambda function possible in Go: it answers at once. What
// createkey takes beyond that is its own.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() {
	lambda.Start(func() error { return nil })
}
