package provision

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/failure"
)

// The life of a key. The record is a log: each step is a version of the secret under a
// token of the step's number, so that the first to write a step has it, and anybody else
// is refused, reads again and thinks again. A step is written before what it stands for
// is done, and whoever follows a step first does what that one stands for, since its
// writer may have been stopped.
//
//	             sign-up                     end                             rotation
//	no record    pending; key; finished      ended                           rejected
//	pending      the same key; finished      ended; the value is fenced      retried
//	finished     existing                    ended; the key is disabled      next; its key; finished
//	ended        as if newer: what ended     the key is disabled again       rejected
//	             stands for; pending; …
//
// A message that is older than what the record has heard of, or that leaves another hold,
// changes the record's holds at most.

// mostRounds is how often a delivery begins again behind faster ones.
const mostRounds = 6

// errOvertaken: another delivery wrote the step. The record has to be read again.
var errOvertaken = errors.New("another delivery wrote the record meanwhile")

// rounds does what a message asks for at the record that was read, and reads it again
// whenever another delivery was faster.
func (j *job) rounds(ctx context.Context, do func(context.Context) error) (Result, error) {
	for range mostRounds {
		err := do(ctx)
		if !errors.Is(err, errOvertaken) {
			return j.result, err
		}
		if err := j.readRecord(ctx); err != nil {
			return j.result, err
		}
	}
	return j.result, failure.Retry("other deliveries wrote secret %s again and again", j.secretName)
}

// write puts the next step of the log, and makes it the job's record. It returns
// errOvertaken where another delivery has written a step of that number.
func (j *job) write(ctx context.Context, next apikey.Record) error {
	next.StepNumber = j.record.Step() + 1
	out, err := j.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		// The full ARN, so that a secret which was deleted and made anew under
		// the same name does not get the record of its predecessor's key.
		SecretId:           &j.result.SecretARN,
		ClientRequestToken: aws.String(apikey.StepToken(j.secretName, next.StepNumber)),
		SecretString:       aws.String(next.Encode().Reveal()),
	}, retryNotFound)
	switch err = answered(err, func() *string { return out.VersionId }); awserr.Code(err) {
	case noError:
		j.record = next
		return nil
	case codeResourceExists:
		return errOvertaken
	}
	return retryable("PutSecretValue", err, values(next)...)
}

// signUp is a sign-up at the record that was read.
func (j *job) signUp(ctx context.Context) error {
	switch {
	case j.isOver():
		return j.over()
	case j.record.Finished():
		return j.repeat(ctx)
	case j.fault != nil: // an end was faster, and there is a key to be made now
		return j.fault
	case j.record.HasEnded():
		if err := j.beginAgain(ctx); err != nil {
			return err
		}
	case !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value):
		return j.rejectedUnlessReturn(ctx, failure.Reject("value: differs from the one in secret %s, which is final: "+
			"to use another, delete the secret without a recovery window first", j.secretName))
	}
	if err := j.makeKey(ctx); err != nil {
		return err
	}
	// From here on the key exists and this request owns it.
	if err := j.attachPlans(ctx); err != nil {
		return err
	}
	return j.finish(ctx)
}

// start is when a sign-up begins to hold.
func (j *job) start() time.Time {
	if j.request.Time.IsZero() {
		return apikey.Beginning
	}
	return j.request.Time
}

// isOver reports whether an end of the sign-up's hold was heard of that it is not newer
// than: then it makes nothing, and never carries on what a newer one began.
func (j *job) isOver() bool {
	end := j.record.Heard().EndOf(j.request.Agreement)
	return !end.IsZero() && !j.start().After(end)
}

func (j *job) over() error {
	if j.request.Time.IsZero() {
		return failure.Reject("request: the key of this customerId and name has ended, and a message without a time cannot bring it back: " +
			"send it as an EventBridge event with a time, or through SNS")
	}
	if !j.record.HasEnded() {
		return j.endedBefore()
	}
	j.result.Status, j.result.Key, j.result.Generation = Ended, j.record.Key, j.record.Number()
	j.result.Key.Enabled = false
	return nil
}

// endedBefore answers a message of a generation before the record's as ended. It names no
// key: the one that lives, or is being made, is another's.
func (j *job) endedBefore() error {
	j.result.Status, j.result.Key, j.result.Generation = Ended, apikey.Key{}, j.record.Number()-1
	return nil
}

// beginAgain begins the next generation behind an end, with another value.
func (j *job) beginAgain(ctx context.Context) error {
	if err := j.stop(ctx); err != nil {
		return err
	}
	value, err := j.newValue()
	if err != nil {
		return err
	}
	if !j.request.Value.IsZero() {
		if err := j.isNew(ctx, value); err != nil {
			return err
		}
	}
	holds, _ := j.record.Holds.Started(j.request.Agreement, j.request.License, j.start())
	begun := apikey.Record{Value: value, Life: apikey.Life{Generation: j.record.Number() + 1, Since: j.request.Time, Holds: holds}}
	if err := j.write(ctx, begun); err != nil {
		return err
	}
	j.drawn = j.request.Value.IsZero()
	return nil
}

// isNew rejects a value that a return gives, and that a key has already: in the end that
// key would be found, and taken for the one that is to be made. One of ours may be that of
// another delivery, which has written the step before: if it is enabled, this delivery's step
// is refused; if not, as the message asks or because it has ended since, the record tells.
func (j *job) isNew(ctx context.Context, value apikey.Value) error {
	const advice = ": leave it out, or give another"
	if value.Equal(j.record.Value) {
		return failure.Reject("value: is that of the key that has ended" + advice)
	}
	id, err := j.findID(ctx, value)
	if err != nil {
		return retryable("GetApiKeys", err, value)
	}
	if id == "" {
		return nil
	}
	key, err := j.getKey(ctx, id)
	taken := failure.Reject("value: is that of key %s"+advice, id)
	switch {
	case err != nil:
		return retryable("GetApiKey", err, value)
	case key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName):
		return taken
	case key.Enabled:
		return nil
	}
	return j.rejectedIfCurrent(ctx, taken)
}

// end is an end at the record that was read.
func (j *job) end(ctx context.Context) error {
	r := j.record
	if j.request.KeyID != "" {
		return j.endPrevious(ctx)
	}
	holds, newer := r.Heard().Ended(j.request.Agreement, j.request.Time)
	next := r
	next.Holds = holds
	if !r.HasEnded() && !holds.Held() {
		next.Ended = j.request.Time
	}
	if newer || next.HasEnded() != r.HasEnded() {
		if err := j.write(ctx, next); err != nil {
			return err
		}
	}
	if !next.HasEnded() {
		return j.livesOn(ctx)
	}
	if err := j.stop(ctx); err != nil {
		return err
	}
	j.result.Status, j.result.Generation = Ended, r.Number()
	return nil
}

// livesOn answers an end that ends nothing, for something else holds the key.
func (j *job) livesOn(ctx context.Context) error {
	r := j.record
	if !r.Finished() { // a newer sign-up is making its key
		return j.endedBefore()
	}
	key, err := j.getKey(ctx, r.Key.ID)
	switch {
	case awserr.Code(err) == codeNotFound && !j.young(r.Key): // somebody deleted it
		j.result.Status, j.result.Key, j.result.Generation = Existing, r.Key, r.Number()
		j.result.Key.Enabled, j.result.Key.UsagePlanIDs = false, []string{}
		return nil
	case err != nil:
		return retryable("GetApiKey", err, r.Value)
	}
	return j.asItIsNow(ctx, key)
}

// endPrevious ends the key before a rotation, which was left enabled.
func (j *job) endPrevious(ctx context.Context) error {
	r := j.record
	if r.Previous != j.request.KeyID {
		return j.rejectedIfCurrent(ctx, notPrevious())
	}
	if err := j.disablePrevious(ctx); err != nil {
		return err
	}
	j.result.Status, j.result.Generation = Ended, r.Number()
	j.result.Key = apikey.Key{ // and nothing that is not known of it
		ID: r.Previous, Name: r.Key.Name, CustomerID: r.Key.CustomerID,
		StageKeys: []string{}, Tags: map[string]string{}, UsagePlanIDs: []string{},
	}
	return nil
}

func notPrevious() error {
	return failure.Reject("keyId: is not the key before the last rotation, which alone can be ended by itself")
}

// createEnded records an end that came before its sign-up. It returns errOvertaken where
// there is a record.
func (j *job) createEnded(ctx context.Context) error {
	holds, _ := apikey.Holds(nil).Ended(j.request.Agreement, j.request.Time)
	return j.createSecret(ctx, apikey.Record{Life: apikey.Life{StepNumber: 1, Ended: j.request.Time, Holds: holds}})
}

// stop does what an ended record stands for: no key of the generation, nor the one before
// a rotation, nor the one after, is enabled, or can be made enabled any more.
func (j *job) stop(ctx context.Context) error {
	r := j.record
	j.result.Key = r.Key
	switch {
	case r.Key.ID != "":
		if err := j.disable(ctx, r.Key.ID, j.young(r.Key)); err != nil {
			return err
		}
		j.result.Key.Enabled = false
	case !r.Value.IsZero():
		if err := j.fence(ctx, r.Value); err != nil {
			return err
		}
	}
	if r.Next != nil {
		if err := j.fence(ctx, r.Next.Value); err != nil {
			return err
		}
	}
	if r.Previous != "" {
		return j.disablePrevious(ctx)
	}
	return nil
}

// fenced is what TagRequest holds of a key that was made disabled, by an end.
const fenced = "ended"

// fence makes the key of a value itself, disabled, so that whatever delivery is still
// under way can make no enabled key of it any more; a key that has the value already is
// disabled.
func (j *job) fence(ctx context.Context, value apikey.Value) error {
	r := j.request
	tags := r.AllTags(j.secretName)
	tags[apikey.TagRequest] = fenced
	in := &apigateway.CreateApiKeyInput{
		Value: aws.String(value.Reveal()), Name: optional(r.Name), CustomerId: optional(r.CustomerID),
		Description: aws.String("Disabled by createkey: its subscription ended before the key was made"), Tags: tags,
	}
	_, err := j.keys.CreateApiKey(ctx, in)
	if awserr.Code(err) == codeBadRequest { // of the value, or of what is sent with it, which the key need not have
		_, err = j.keys.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{Value: in.Value, Tags: map[string]string{
			apikey.TagSecret: apikey.SecretTag(j.secretName), apikey.TagRequest: fenced,
		}})
	}
	switch awserr.Code(err) {
	case noError, codeBadRequest: // a value that API Gateway refuses can have no key
		return nil
	case codeConflict:
	default:
		return notCreated(err, value)
	}
	key, err := j.bearer(ctx, value, "the value to be ended")
	if err != nil {
		return err
	}
	if key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName) { // somebody else's
		return nil
	}
	return j.disable(ctx, key.ID, true)
}

// disable disables a key, the only change that is ever made to one. One that is gone is
// done, unless it is so young that it may only be unseen.
func (j *job) disable(ctx context.Context, id string, young bool) error {
	// The answer may hold the key's value: nothing of it is read.
	_, err := j.keys.UpdateApiKey(ctx, &apigateway.UpdateApiKeyInput{ApiKey: &id, PatchOperations: []types.PatchOperation{
		{Op: types.OpReplace, Path: aws.String("/enabled"), Value: aws.String("false")},
	}})
	if awserr.Code(err) == noError || awserr.Code(err) == codeNotFound && !young || succeeded(err) {
		return nil
	}
	return retryable("UpdateApiKey ("+id+")", err, values(j.record)...)
}

// disablePrevious disables the key before a rotation. When that was made is not recorded,
// but it was before the record's key.
func (j *job) disablePrevious(ctx context.Context) error {
	return j.disable(ctx, j.record.Previous, j.young(j.record.Key))
}

// young reports whether a key that cannot be seen may exist.
func (j *job) young(key apikey.Key) bool { return j.Now().Sub(key.CreatedDate) < visibleWithin }

// rotate is a rotation at the record that was read.
func (j *job) rotate(ctx context.Context) error {
	r := j.record
	switch {
	case r.HasEnded():
		return j.rejectedIfCurrent(ctx, failure.Reject("request: the key of this customerId and name has ended: there is nothing to rotate"))
	case !r.Finished():
		return failure.Retry("the key is still being made: it cannot be rotated yet")
	}
	living, err := j.living(ctx)
	if err != nil {
		return err
	}
	if r.Next == nil && !j.request.Time.After(r.Since) {
		j.result.Status, j.result.PreviousKeyID = Rotated, r.Previous
		return nil
	}
	if r.Next == nil {
		value, err := j.newValue() // a rotation gives none
		if err != nil {
			return err
		}
		next := r
		next.Next = &apikey.Next{Value: value, Time: j.request.Time}
		if err := j.write(ctx, next); err != nil {
			return err
		}
	}
	return j.replace(ctx, living)
}

// living returns the key that a rotation replaces, as it is now.
func (j *job) living(ctx context.Context) (apikey.Key, error) {
	r := j.record
	key, err := j.getKey(ctx, r.Key.ID)
	switch {
	case awserr.Code(err) == codeNotFound && j.young(r.Key):
		return key, failure.Retry("GetApiKey: key %s, just made, cannot be seen yet, or was deleted", r.Key.ID)
	case awserr.Code(err) == codeNotFound:
		return key, j.revoked(ctx, "it is gone from API Gateway, and cannot be rotated")
	case err != nil:
		return key, retryable("GetApiKey", err, r.Value)
	case !key.Enabled && r.Key.Enabled:
		return key, j.revoked(ctx, "it is disabled in API Gateway, and cannot be rotated")
	}
	// Asked whatever the record names: an operator may have attached the key since.
	if key.UsagePlanIDs, err = j.plansOf(ctx, key.ID); err != nil {
		return key, err
	}
	unseen := func(id string) bool { return !slices.Contains(key.UsagePlanIDs, id) }
	if slices.ContainsFunc(r.Key.UsagePlanIDs, unseen) && j.young(r.Key) { // the next key would lack it for good
		return key, failure.Retry("GetUsagePlans: key %s, just made, cannot be seen in a usage plan yet, or was taken out of it", key.ID)
	}
	switch { // where somebody took tags off the key: the record has them still
	case key.Tags[apikey.TagSecret] == "":
		key.Tags = r.Key.Tags
	case key.Tags[apikey.TagRequest] == "":
		key.Tags[apikey.TagRequest] = r.Key.Tags[apikey.TagRequest]
	}
	maps.DeleteFunc(key.Tags, func(name, _ string) bool { return apikey.IsTagOfAWS(name) })
	j.result.Key, j.result.Generation = key, r.Number()
	return key, nil
}

// replace makes the key of the record's next value, like the living one, and records it
// in that one's place. The living key stays enabled; the one before it was disabled.
func (j *job) replace(ctx context.Context, living apikey.Key) error {
	r := j.record
	if r.Previous != "" {
		if err := j.disablePrevious(ctx); err != nil {
			return err
		}
	}
	key, made, err := j.makeNext(ctx, living)
	if err != nil {
		return err
	}
	j.result.Key, j.wanted = key, living.UsagePlanIDs
	if err := j.attachPlans(ctx); err != nil {
		return err
	}
	key.UsagePlanIDs = living.UsagePlanIDs
	if !made { // an earlier delivery may have attached a plan that the living key has left since
		now, err := j.plansOf(ctx, key.ID)
		if err != nil {
			return err
		}
		key.UsagePlanIDs = slices.Compact(slices.Sorted(slices.Values(slices.Concat(living.UsagePlanIDs, now))))
	}
	rotated := r
	rotated.Value, rotated.Key, rotated.Previous, rotated.Next = r.Next.Value, key, r.Key.ID, nil
	rotated.Generation, rotated.Since = r.Number()+1, r.Next.Time
	err = j.write(ctx, rotated)
	if again, ok := errors.AsType[*failure.RetryableError](err); ok {
		return j.unfinished(again)
	} else if err != nil {
		return err
	}
	if j.request.Time.After(rotated.Since) { // that was an earlier rotation's
		return errOvertaken
	}
	j.result.Status, j.result.Key, j.result.Generation, j.result.PreviousKeyID = Rotated, key, rotated.Generation, rotated.Previous
	return nil
}

// makeNext creates the key of the record's next value, or finds the one that an earlier
// delivery created.
func (j *job) makeNext(ctx context.Context, living apikey.Key) (key apikey.Key, made bool, err error) {
	value := j.record.Next.Value
	out, err := j.keys.CreateApiKey(ctx, &apigateway.CreateApiKeyInput{
		Value: aws.String(value.Reveal()), Name: optional(living.Name), Description: optional(living.Description),
		CustomerId: optional(living.CustomerID), Enabled: living.Enabled, Tags: living.Tags, StageKeys: stagesOf(living),
	})
	if err == nil {
		key, err = KeyFrom(apigateway.GetApiKeyOutput(*out))
	}
	switch awserr.Code(err) {
	case noError:
		return key, true, nil
	case codeConflict:
	default:
		return key, false, notCreated(err, value)
	}
	// It may be a fence of an end: the end has written its step, and the rotation's is refused.
	key, err = j.bearer(ctx, value, "the next value")
	return key, false, err
}
