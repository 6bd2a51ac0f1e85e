package function

import (
	"encoding/json"
	"errors"
	"strings"

	"createkey/internal/envelope"
	"createkey/internal/failure"
)

// batchResponse reports the messages of an SQS batch that are to be delivered again
// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html).
type batchResponse struct {
	// Failures is never null: AWS reads null as success, some emulators stumble.
	Failures []itemFailure `json:"batchItemFailures"`
}

type itemFailure struct {
	ID string `json:"itemIdentifier"`
}

// answer puts the outcomes into the form that the sender of the batch expects. Its
// error is that of a direct or SNS invocation, which Lambda or the caller repeats.
func answer(batch envelope.Batch, outcomes []outcome) ([]byte, error) {
	if batch.Kind == envelope.SQS {
		response := batchResponse{Failures: []itemFailure{}}
		for _, o := range outcomes {
			if o.err != nil && !o.setAside {
				response.Failures = append(response.Failures, itemFailure{o.messageID})
			}
		}
		return json.Marshal(response)
	}
	documents := make([]ready, len(outcomes))
	var failed []error
	for i, o := range outcomes {
		documents[i] = o.ready()
		if o.err != nil {
			failed = append(failed, o.err)
		}
	}
	switch {
	case len(failed) > 0:
		return nil, merge(failed)
	case batch.Kind == envelope.SNS:
		return json.Marshal(documents)
	}
	return json.Marshal(documents[0])
}

// merge makes one error of those of an SNS batch, which can only be repeated as a
// whole: retryable if any of them is.
func merge(failed []error) error {
	var reasons []string
	var again *failure.RetryableError
	for _, err := range failed {
		reasons = append(reasons, err.Error())
		if retryable, ok := errors.AsType[*failure.RetryableError](err); ok && again == nil {
			again = retryable
		}
	}
	if again != nil {
		return &failure.RetryableError{Code: again.Code, Reason: strings.Join(reasons, "; ")}
	}
	return &failure.RejectedError{Reasons: reasons}
}
