package awserr_test

import (
	"errors"
	"fmt"

	"github.com/aws/smithy-go"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
)

// AWS's own message is passed on, unless it quotes the value; other errors' texts are not.
func ExampleDescribe() {
	value := apikey.NewValue("fake-value-0123456789")
	for _, err := range []error{
		&smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized to perform apigateway:POST"},
		&smithy.GenericAPIError{Code: "BadRequestException", Message: "not legal: " + value.Reveal()},
		errors.New(`malformed answer: "value": "` + value.Reveal()),
	} {
		fmt.Println(awserr.Describe(err, value))
	}
	// Output:
	// AccessDeniedException: not authorized to perform apigateway:POST
	// BadRequestException: (withheld: it quotes the value)
	// the call failed, or its answer could not be read
}
