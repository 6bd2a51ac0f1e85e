package provision

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	secretstypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/failure"
)

// The error codes that mean something to the algorithm. Everything else, a
// denial or an unmodelled error included, is not known to be the message's
// fault, and is retried.
const (
	noError = "" // awserr.Code's of nil

	codeBadRequest    = "BadRequestException"
	codeConflict      = "ConflictException"
	codeLimitExceeded = "LimitExceededException"
	codeNotFound      = "NotFoundException" // API Gateway's

	codeResourceExists   = "ResourceExistsException"
	codeResourceNotFound = "ResourceNotFoundException" // Secrets Manager's
)

func retryable(call string, err error, values ...apikey.Value) *failure.RetryableError {
	return failure.Retry("%s: %s", call, awserr.Describe(err, values...))
}

// values returns those that a record holds, of which AWS's words must show none.
func values(r apikey.Record) []apikey.Value {
	if r.Next == nil {
		return []apikey.Value{r.Value}
	}
	return []apikey.Value{r.Value, r.Next.Value}
}

// notCreated returns the failure of a CreateApiKey that may succeed later.
func notCreated(err error, value apikey.Value) *failure.RetryableError {
	again := retryable("CreateApiKey", err, value)
	if awserr.Code(err) == codeLimitExceeded {
		// The type alone does not distinguish the quota of 10,000 keys from a rate limit.
		again.Code = failure.CodeQuota
	}
	return again
}

// errUnreadable is returned for a success whose answer lacks what was asked for.
// It proves nothing, so the call is made again with the message.
var errUnreadable = errors.New("the answer is incomplete")

// answered is the error of a call whose answer must have a text: errUnreadable where
// it is missing.
func answered(err error, text func() *string) error {
	if err == nil && aws.ToString(text()) == "" {
		return errUnreadable
	}
	return err
}

// succeeded reports whether a call was answered with success, though the answer could not
// be read.
func succeeded(err error) bool {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && response.HTTPStatusCode() == http.StatusOK
}

// KeyFrom takes all that API Gateway says of a key, but its value. Its list of
// stages is never nil: the function's answer shows it as [], as the record does.
// It returns errUnreadable for a key without an id.
func KeyFrom(out apigateway.GetApiKeyOutput) (apikey.Key, error) {
	if aws.ToString(out.Id) == "" {
		return apikey.Key{}, errUnreadable
	}
	return apikey.Key{
		ID:              aws.ToString(out.Id),
		Name:            aws.ToString(out.Name),
		CustomerID:      aws.ToString(out.CustomerId),
		Description:     aws.ToString(out.Description),
		Enabled:         out.Enabled,
		CreatedDate:     aws.ToTime(out.CreatedDate).UTC(),
		LastUpdatedDate: aws.ToTime(out.LastUpdatedDate).UTC(),
		StageKeys:       append([]string{}, out.StageKeys...),
		Tags:            out.Tags,
	}, nil
}

func stageKeys(stages []apikey.StageKey) []types.StageKey {
	var list []types.StageKey
	for _, s := range stages {
		list = append(list, types.StageKey{RestApiId: &s.RestAPIID, StageName: &s.StageName})
	}
	return list
}

// SecretTags returns the tags in the form of CreateSecret, in the order of their names.
// They go into the call that makes the secret, because an organisation's policy may deny
// one without the tags that it requires
// (https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_examples_tagging.html).
func SecretTags(tags map[string]string) []secretstypes.Tag {
	var list []secretstypes.Tag
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, secretstypes.Tag{Key: &name, Value: aws.String(tags[name])})
	}
	return list
}

// optional is nil for the empty string, so that the member is not sent.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// stagesOf returns the stages of a key, which API Gateway lists as restApiId/stage, as
// CreateApiKey wants them.
func stagesOf(key apikey.Key) []types.StageKey {
	var list []types.StageKey
	for _, s := range key.StageKeys {
		api, stage, _ := strings.Cut(s, "/")
		list = append(list, types.StageKey{RestApiId: &api, StageName: &stage})
	}
	return list
}
