// Package failure holds the two classes of failure that a sender has to tell apart: a
// message that must change, and one that only needs to be delivered again.
//
// It guarantees that neither class wraps another error. Their text reaches logs, answers
// and events, and an SDK error can quote what a service answered, an API key's value
// included. Only text written for a reader goes in: package awserr makes it of an AWS
// error, [Quote] and [Name] of what a sender wrote.
//
// [Reject], [Retry] and [Faults] make the errors, [IsRejected] and [IsRetryable] tell
// them apart, and [Bound] shortens one to what a log line can hold:
//
//	if rejected, ok := errors.AsType[*failure.RejectedError](err); ok {
//		// report rejected.Reasons to the sender
//	}
//
// The type names are part of the program's interface: when a direct invocation fails,
// AWS Lambda answers with the Go type's name as errorType
// (https://docs.aws.amazon.com/lambda/latest/dg/golang-exceptions.html).
package failure
