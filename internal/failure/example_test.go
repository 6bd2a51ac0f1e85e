package failure_test

import (
	"errors"
	"fmt"
	"slices"

	"createkey/internal/failure"
)

// The type of an error says which class it is.
func Example() {
	for _, err := range []error{
		failure.Reject("stageKeys[0].stageName: must not be empty"),
		failure.Retry("CreateSecret: no answer in time"),
		&failure.RetryableError{Reason: "CreateApiKey: LimitExceededException", Code: failure.CodeQuota},
	} {
		if rejected, ok := errors.AsType[*failure.RejectedError](err); ok {
			fmt.Println("the sender must correct", rejected.Reasons)
		}
		if again, ok := errors.AsType[*failure.RetryableError](err); ok {
			fmt.Printf("deliver it again, code %q\n", again.Code)
		}
	}
	// Output:
	// the sender must correct [stageKeys[0].stageName: must not be empty]
	// deliver it again, code ""
	// deliver it again, code "quota"
}

// A document of 64 KiB can have ten thousand faults; a log line cannot hold them.
func ExampleBound() {
	err := failure.Bound(&failure.RejectedError{Reasons: slices.Repeat([]string{"tags.x: must be a string, not a number"}, 10_000)})
	if rejected, ok := errors.AsType[*failure.RejectedError](err); ok {
		fmt.Println(len(rejected.Reasons), "reasons, the last of which is", rejected.Reasons[len(rejected.Reasons)-1])
	}
	// Output: 432 reasons, the last of which is and 9569 more: they are left out here
}
