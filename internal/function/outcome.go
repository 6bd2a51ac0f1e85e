package function

import (
	"strconv"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/failure"
	"createkey/internal/marketplace"
	"createkey/internal/provision"
)

// outcome is what became of one message.
type outcome struct {
	messageID  string
	customerID string
	name       string // that the request gives its key
	secretName string
	// marketplace is the AWS Marketplace message that asked; zero: another did.
	marketplace marketplace.Message
	result      provision.Result
	err         error // nil, *failure.RejectedError or *failure.RetryableError
	// unannounced: the bus has not accepted the event, and the message comes again.
	unannounced bool
	// setAside: rejected, and in the dead-letter queue, so that the message is done.
	setAside bool
	note     string // for the operator, of a message that is done
	duration time.Duration
	calls    []tracedCall // for LOG_LEVEL=DEBUG
}

// retried reports whether the message is to come again.
func (o outcome) retried() bool { return o.err != nil && !failure.IsRejected(o.err) }

// String returns the outcome's name in the log, the metrics and the events.
func (o outcome) String() string {
	switch {
	case o.err == nil:
		return string(o.result.Status)
	case failure.IsRejected(o.err):
		return "rejected"
	}
	return "retried"
}

// ready is the answer for a key that exists: the output document of
// `aws apigateway create-api-key` without the value, and where the value is.
type ready struct {
	apikey.Key
	SecretName string           `json:"secretName"`
	SecretARN  string           `json:"secretArn"`
	Status     provision.Status `json:"status"`
	Generation int              `json:"generation"`
	Previous   string           `json:"previousKeyId,omitempty"` // of a rotation
}

func (o outcome) ready() ready {
	key := o.result.Key
	if key.ID == "" { // an end that came before any key
		key = apikey.Key{CustomerID: o.customerID, Name: o.name, StageKeys: []string{}, UsagePlanIDs: []string{}, Tags: map[string]string{}}
	}
	return ready{key, o.secretName, o.result.SecretARN, o.result.Status, o.result.Generation, o.result.PreviousKeyID}
}

// planNote warns of an AWS Marketplace customer whose key is in no usage plan, and so
// has neither a limit nor a meter.
func planNote(r apikey.Request, made provision.Result) string {
	if r.ProductCode == "" || len(made.Key.UsagePlanIDs) > 0 || made.Status == provision.Ended {
		return ""
	}
	return "the key is in no usage plan: none had product code " + strconv.Quote(r.ProductCode) +
		" when it was made, and there was no default plan"
}
