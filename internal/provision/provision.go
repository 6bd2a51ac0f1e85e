// Package provision makes, ends and rotates API keys exactly once, and records them.
//
// For every identity, a customer and a name, however often and however concurrently its
// messages come, and wherever it is stopped, it guarantees:
//
//  1. at most one API key exists in each generation, which begins with the first sign-up,
//     with one that is newer than the end before, or with a rotation;
//  2. Secrets Manager has accepted the value before the key that bears it can exist;
//  3. once called often enough to run to its end for each message, in whatever order,
//     exactly one key is enabled if something holds it, and none if nothing does (after a
//     rotation the one before may be, too), and the secret describes it completely;
//  4. a step of the record is never overwritten, only followed by the next; a key is only
//     ever disabled.
//
// The secret is a write-ahead record: it is written before the key, under a
// name that only this request has, with the value that the key will bear. The
// uniqueness of the secret's name is the lock, and the uniqueness of the key's
// value, which API Gateway enforces, makes the second step unrepeatable. There
// is no table, no lock service and nothing to clean up. docs/exactly-once.md
// argues each promise, and says what is not promised: of a key, for one, that
// somebody deletes while its request is in flight.
//
// The clients are the AWS SDK's, ready to call; a paced one (package pace) keeps the
// account's quotas:
//
//	p := provision.New(apigateway.NewFromConfig(cfg), secretsmanager.NewFromConfig(cfg))
//	request, secretName, err := apikey.Parse(doc, "apikeys/", deliveryID)
//	result, err := p.Provision(ctx, request, secretName)
package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/failure"
	"createkey/internal/pace"
)

type keysAPI interface {
	CreateApiKey(context.Context, *apigateway.CreateApiKeyInput, ...func(*apigateway.Options)) (*apigateway.CreateApiKeyOutput, error)
	GetApiKey(context.Context, *apigateway.GetApiKeyInput, ...func(*apigateway.Options)) (*apigateway.GetApiKeyOutput, error)
	GetApiKeys(context.Context, *apigateway.GetApiKeysInput, ...func(*apigateway.Options)) (*apigateway.GetApiKeysOutput, error)
	UpdateApiKey(context.Context, *apigateway.UpdateApiKeyInput, ...func(*apigateway.Options)) (*apigateway.UpdateApiKeyOutput, error)
	CreateUsagePlanKey(context.Context, *apigateway.CreateUsagePlanKeyInput, ...func(*apigateway.Options)) (*apigateway.CreateUsagePlanKeyOutput, error)
	GetUsagePlanKey(context.Context, *apigateway.GetUsagePlanKeyInput, ...func(*apigateway.Options)) (*apigateway.GetUsagePlanKeyOutput, error)
	GetUsagePlan(context.Context, *apigateway.GetUsagePlanInput, ...func(*apigateway.Options)) (*apigateway.GetUsagePlanOutput, error)
	GetUsagePlans(context.Context, *apigateway.GetUsagePlansInput, ...func(*apigateway.Options)) (*apigateway.GetUsagePlansOutput, error)
}

type secretsAPI interface {
	CreateSecret(context.Context, *secretsmanager.CreateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error)
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
}

// visibleWithin is how long a key may stay unseen after it was made before its
// absence means that somebody deleted it.
const visibleWithin = 5 * time.Minute

// mostPerPage is the longest page of API Gateway's lists.
const mostPerPage = 500

// Provisioner provisions keys in one account and Region. Use [New], set the exported
// fields before the first call, and keep one for the life of the environment: it
// remembers the usage plans that it has seen. Its methods must not be called
// concurrently.
type Provisioner struct {
	keys    keysAPI
	secrets secretsAPI

	plans           planCache
	planKeyCalled   time.Time           // when CreateUsagePlanKey was called last
	planKeyConflict time.Time           // when it met a Conflict that meant nothing; see attachPlan
	lists           map[string]*keyList // by name prefix; see ForgetLists

	// DefaultPlan is the usage plan of a request that names none; empty: none.
	DefaultPlan string
	// KMSKeyID encrypts the secrets: the id, the ARN or the alias of a KMS key; empty:
	// the AWS managed key aws/secretsmanager.
	KMSKeyID string
	// ResourceTags are put on every secret and every key; a tag that the sender gives
	// wins over one of the same name.
	ResourceTags map[string]string
	// Random is the source of generated values: apikey.Random, outside of tests.
	Random io.Reader
	// Now returns the current time: time.Now, outside of tests.
	Now func() time.Time
	// Sleep waits, and reports whether it did: pace.Sleep, outside of tests.
	Sleep func(context.Context, time.Duration) bool
}

// New returns a Provisioner over an *apigateway.Client and a *secretsmanager.Client, or
// what has their methods.
func New(keys keysAPI, secrets secretsAPI) *Provisioner {
	return &Provisioner{
		keys: keys, secrets: secrets, plans: planCache{stages: map[string][]string{}},
		lists: map[string]*keyList{}, Random: apikey.Random, Now: time.Now, Sleep: pace.Sleep,
	}
}

// Status says what a delivery found or did.
type Status string

// The statuses of a message that is done.
const (
	Created  Status = "created"  // this delivery finished the record
	Existing Status = "existing" // an earlier or a concurrent one did
	Ended    Status = "ended"    // nothing holds the key any more: no key is enabled
	Rotated  Status = "rotated"  // the record names another key than before the rotation
)

// Result describes what exists. Beside an error it holds what is known so far, and no
// Status.
type Result struct {
	Status    Status
	Key       apikey.Key // less its value, which is in the secret and nowhere else
	SecretARN string     // in full, with its random suffix

	Generation    int    // of the key: 1, and one more for each return and rotation
	PreviousKeyID string // of a rotation: the key before it, which is left enabled
}

// Provision makes the key of a sign-up, unless it exists, or ends or rotates a key, and
// records that in the secret of that name; apikey.Parse and apikey.ParseChange return the
// request and the name. It may be called again whatever became of the call before, and has
// to be until its error is nil or a *failure.RejectedError: the message must change, or an
// operator act (the key was revoked, the secret is somebody else's, the name has a key of
// other content). Any other is a *failure.RetryableError, with failure.CodeQuota where API
// Gateway refused another key, and failure.CodeUnfinished where a key exists whose record
// does not, or a stray. No error holds a value.
//
// A new key takes three AWS calls, one more for each usage plan, and another one for
// each plan that was not seen before; docs/design.md has those of the other messages.
func (p *Provisioner) Provision(ctx context.Context, r apikey.Request, secretName string) (Result, error) {
	if r.Kind != apikey.SignUp {
		return p.change(ctx, job{Provisioner: p, request: r, secretName: secretName})
	}
	added := map[string]string{}
	maps.Copy(added, p.ResourceTags)
	maps.Copy(added, r.AddedTags)
	r.AddedTags = added
	j := job{Provisioner: p, request: r, wanted: r.Plans(p.DefaultPlan), secretName: secretName}
	if err := r.CheckTotals(secretName, j.wanted); err != nil {
		return j.unlessFinished(ctx, err)
	}
	plans, err := p.choosePlans(ctx, r)
	if err != nil {
		return j.unlessFinished(ctx, err)
	}
	j.wanted = plans
	if err := j.writeAhead(ctx); err != nil {
		return j.result, err
	}
	return j.rounds(ctx, j.signUp)
}

// change is an end or a rotation.
func (p *Provisioner) change(ctx context.Context, j job) (Result, error) {
	j.request.AddedTags = p.ResourceTags // of a fence
	do := j.end
	if j.request.Kind == apikey.Rotation {
		do = j.rotate
	}
	err := j.getRecord(ctx)
	if errors.Is(err, errNoSecret) && (j.request.Kind == apikey.Rotation || j.request.KeyID != "") { // rejected, unless it cannot be seen yet
		if err := j.awaitConsistency(ctx); err != nil {
			return j.result, err
		}
		err = j.getRecord(ctx)
	}
	switch {
	case errors.Is(err, errNoSecret) && j.request.Kind == apikey.Rotation:
		err = failure.Reject("request: there is no key of this customerId and name to rotate")
	case errors.Is(err, errNoSecret) && j.request.KeyID != "":
		err = notPrevious()
	case errors.Is(err, errNoSecret):
		if err = j.createEnded(ctx); errors.Is(err, errOvertaken) {
			err = j.readRecord(ctx)
		}
	}
	if err != nil {
		return j.result, err
	}
	return j.rounds(ctx, do)
}

// Calls estimates how many API Gateway calls a new key takes if nothing goes wrong:
// CreateApiKey, one for each usage plan, and one for each plan that this environment
// has not seen yet. An AWS Marketplace sign-up takes three if its product has a plan,
// one less while the products are remembered, and up to four if it has none.
func (p *Provisioner) Calls(r apikey.Request) int {
	switch r.Kind {
	case apikey.End:
		return 2 // behind a rotation
	case apikey.Rotation:
		return 5 // with one usage plan
	}
	if r.ProductCode != "" {
		return 3 // with the list of plans, and the plan of the product
	}
	calls := 1
	for _, id := range r.Plans(p.DefaultPlan) {
		calls++
		if _, seen := p.plans.stages[id]; !seen {
			calls++
		}
	}
	return calls
}

// job is the provisioning of one request in one delivery.
type job struct {
	*Provisioner
	request    apikey.Request
	wanted     []string // the usage plans that the key is to be in
	secretName string

	fault  error         // that keeps the request from making anything, if any
	record apikey.Record // as the secret holds it, or will
	drawn  bool          // this delivery generated the record's value, which no sender ever had
	result Result
}

// writeAhead is step 1: it creates the secret with the pending record, or reads
// the record that is there, whose value is final.
func (j *job) writeAhead(ctx context.Context) error {
	value, err := j.newValue()
	if err != nil {
		return err
	}
	pending := apikey.Record{Value: value}
	// The SDK adds a random ClientRequestToken: its own retry after a lost
	// answer succeeds, while any other delivery gets ResourceExistsException.
	err = j.createSecret(ctx, pending)
	switch {
	case err == nil:
		j.drawn = j.request.Value.IsZero()
		return nil
	case !errors.Is(err, errOvertaken):
		return err
	}
	return j.readRecord(ctx)
}

// newValue returns the value that the request gives its key, or else one that is drawn.
func (j *job) newValue() (apikey.Value, error) {
	if !j.request.Value.IsZero() {
		return j.request.Value, nil
	}
	value, err := apikey.GenerateValue(j.Random)
	if err != nil {
		return value, failure.Retry("generating a value: no random bytes")
	}
	return value, nil
}

// createSecret creates the secret with the first step of its log. It returns errOvertaken
// where there is a secret of the name.
func (j *job) createSecret(ctx context.Context, first apikey.Record) error {
	out, err := j.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: &j.secretName, Description: aws.String(SecretDescription), KmsKeyId: optional(j.KMSKeyID),
		SecretString: aws.String(first.Encode().Reveal()), Tags: SecretTags(j.ResourceTags),
	})
	switch err = answered(err, func() *string { return out.ARN }); awserr.Code(err) {
	case noError:
		j.record = first
		j.result.SecretARN = aws.ToString(out.ARN)
		return nil
	case codeResourceExists:
		return errOvertaken
	}
	return retryable("CreateSecret", err, first.Value)
}

// SecretDescription is for whoever finds the secret in the console, or in a report that
// asks to delete what nobody reads.
const SecretDescription = "The value of an Amazon API Gateway key, made by createkey. Do not delete it while the key exists: " +
	"createkey would no longer know of the key, and a repeated request would make a second one."

// errNoSecret: there is no secret of that name, or none that can be seen yet.
// getRecord returns it; what it means depends on who asks.
var errNoSecret = errors.New("no such secret")

// readRecord reads a secret that is known to exist. Secrets Manager is
// eventually consistent, so that "not found" only means "not yet".
func (j *job) readRecord(ctx context.Context) error {
	err := j.getRecord(ctx, retryNotFound)
	if errors.Is(err, errNoSecret) {
		return failure.Retry("GetSecretValue: ResourceNotFoundException: secret %s exists, and cannot be seen yet; "+
			"or it has no value at all, and was not made by createkey", j.secretName)
	}
	return err
}

// retryNotFound has a call on a secret that is known to exist made again where it
// cannot be seen yet.
func retryNotFound(o *secretsmanager.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, codeResourceNotFound)
}

func (j *job) getRecord(ctx context.Context, options ...func(*secretsmanager.Options)) error {
	out, err := j.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &j.secretName}, options...)
	switch err = answered(err, func() *string { return out.ARN }); awserr.Code(err) {
	case noError:
	case codeResourceNotFound:
		return errNoSecret
	default:
		return retryable("GetSecretValue", err, values(j.record)...)
	}
	record, err := apikey.ParseRecord(aws.ToString(out.SecretString))
	switch {
	case errors.Is(err, apikey.ErrNewer):
		return failure.Retry("secret %s: %s", j.secretName, err)
	case err != nil:
		return failure.Reject("request: secret %s, which belongs to this customerId and name, exists already and was not made by createkey", j.secretName)
	}
	j.record = record
	j.result.SecretARN = aws.ToString(out.ARN)
	return nil
}

// unlessFinished answers a request whose plans have a fault: a finished one is
// a repeat all the same, and for any other nothing is made. Where the record
// cannot be read, it is not known which of the two this is.
func (j *job) unlessFinished(ctx context.Context, fault error) (Result, error) {
	err := j.getRecord(ctx)
	switch {
	case err == nil && (j.record.Finished() || j.isOver()):
		j.fault = fault
		return j.rounds(ctx, j.signUp)
	case failure.IsRejected(fault) && failure.IsRetryable(err):
		return Result{}, err
	}
	return Result{}, fault
}

// repeat answers a request whose record is finished, from the key as it is now. It
// changes nothing.
func (j *job) repeat(ctx context.Context) error {
	recorded := j.record.Key
	j.result.Key, j.result.Generation = recorded, j.record.Number()
	key, err := j.getKey(ctx, recorded.ID)
	switch awserr.Code(err) {
	case noError:
	case codeNotFound:
		if j.young(recorded) {
			return failure.Retry("GetApiKey: key %s, just made, cannot be seen yet, or was deleted", recorded.ID)
		}
		return j.revoked(ctx, "it is gone from API Gateway, and secret %s records it; "+
			"to issue a new key, delete the secret without a recovery window", j.secretName)
	default:
		return retryable("GetApiKey", err, j.record.Value)
	}
	digest := key.Tags[apikey.TagRequest]
	if digest == "" { // somebody took the tags off the key; the record has them still
		digest = recorded.Tags[apikey.TagRequest]
	}
	var differences []string
	if digest != j.request.Digest() {
		differences = j.request.Differences(recorded, j.wanted)
	}
	if !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value) {
		differences = append(differences, "value")
	} else if digest == j.request.Digest() {
		return j.asItIsNow(ctx, key)
	}
	return j.rejectedUnlessReturn(ctx, j.contradiction(differences))
}

// asItIsNow answers a repeat, or an end that leaves the key to what else holds it, from
// the key as API Gateway has it. A key that was revoked is neither mended nor made again:
// a repeat is rejected, while an end has let go of its hold all the same.
func (j *job) asItIsNow(ctx context.Context, key apikey.Key) error {
	recorded := j.record.Key
	var err error
	if key.UsagePlanIDs, err = j.plansNow(ctx); err != nil {
		return err
	}
	j.result.Key, j.result.Generation = key, j.record.Number()
	if j.request.Enabled && !key.Enabled {
		return j.revoked(ctx, "it is disabled in API Gateway, and the request asks for an enabled one; to give it back, enable it; "+
			"to issue a new key, delete the key, then secret %s without a recovery window", j.secretName)
	}
	if len(key.UsagePlanIDs) == 0 {
		taken, err := j.takenOut(ctx, recorded.UsagePlanIDs)
		switch {
		case err != nil:
			return retryable("GetUsagePlan", err, j.record.Value)
		case taken && j.young(recorded):
			return failure.Retry("GetUsagePlans: key %s, just made, cannot be seen in a usage plan yet, or was taken out of it", key.ID)
		case taken && j.request.Kind == apikey.SignUp:
			return j.revoked(ctx, "it is in no usage plan, and secret %s records %s; "+
				"to give it back, attach it to a usage plan; to issue a new key, delete the key, then the secret without a recovery window",
				j.secretName, strings.Join(recorded.UsagePlanIDs, ", "))
		}
	}
	if j.request.Kind == apikey.SignUp {
		if err := j.holdOn(ctx); err != nil {
			return err
		}
	}
	j.result.Status = Existing
	return nil
}

// holdOn records a start that is newer than what the record has heard of.
func (j *job) holdOn(ctx context.Context) error {
	holds, newer := j.record.Heard().Started(j.request.Agreement, j.request.License, j.start())
	if !newer {
		return nil
	}
	next := j.record
	next.Holds = holds
	return j.write(ctx, next)
}

// revoked rejects a message whose key somebody took away. It returns errOvertaken where
// that was createkey: the record has gone on since it was read. A newer start is written
// all the same, which no old record that is read can pretend: a return is never rejected
// for the end that comes before it.
func (j *job) revoked(ctx context.Context, format string, args ...any) error {
	if j.request.Kind == apikey.SignUp {
		if err := j.holdOn(ctx); err != nil {
			return err
		}
	}
	return j.rejectedIfCurrent(ctx, failure.Reject("request: key %s was revoked: %s", j.record.Key.ID, fmt.Sprintf(format, args...)))
}

// consistentWithin is how long a step of the record may take to be seen by a read.
const consistentWithin = time.Second

// awaitConsistency waits before the record is read again.
func (j *job) awaitConsistency(ctx context.Context) error {
	if !j.Sleep(ctx, consistentWithin) {
		return failure.Retry("GetSecretValue: %s", pace.ErrNoTime)
	}
	return nil
}

// rejectedIfCurrent returns the rejection of a message that its record contradicts, or
// errOvertaken where the record has gone on: Secrets Manager is eventually consistent, and
// the read may have returned an old step.
func (j *job) rejectedIfCurrent(ctx context.Context, rejection error) error {
	if err := j.awaitConsistency(ctx); err != nil {
		return err
	}
	seen := j.record
	if err := j.readRecord(ctx); err != nil {
		return err
	}
	if j.record.Step() != seen.Step() {
		return errOvertaken
	}
	return rejection
}

// rejectedUnlessReturn is rejectedIfCurrent for a sign-up that is newer than its record: if
// the key has ended since, it is a return.
func (j *job) rejectedUnlessReturn(ctx context.Context, rejection error) error {
	if j.request.Time.After(j.record.Since) {
		return j.rejectedIfCurrent(ctx, rejection)
	}
	return rejection
}

// contradiction rejects a request whose identity has a key with other content.
func (j *job) contradiction(members []string) error {
	in := "a member that the key does not show: generateDistinctId, usagePlanIds, or a tag that was added for the sender"
	if len(members) > 0 {
		in = strings.Join(members, ", ")
	}
	return failure.Reject("request: key %s exists already for this customerId and name, and differs in %s: a request changes no key; change it in API Gateway, or end it first", j.result.Key.ID, in)
}

// makeKey is step 2: it creates the key with the record's value, or finds the
// one that an earlier delivery created.
func (j *job) makeKey(ctx context.Context) error {
	r := j.request
	in := &apigateway.CreateApiKeyInput{
		Value:              aws.String(j.record.Value.Reveal()),
		Name:               optional(r.Name),
		Description:        optional(r.Description),
		CustomerId:         optional(r.CustomerID),
		Enabled:            r.Enabled,
		GenerateDistinctId: r.GenerateDistinctID,
		Tags:               r.AllTags(j.secretName),
		StageKeys:          stageKeys(r.StageKeys),
	}
	out, err := j.keys.CreateApiKey(ctx, in)
	if err == nil {
		j.result.Key, err = KeyFrom(apigateway.GetApiKeyOutput(*out))
	}
	switch code := awserr.Code(err); {
	case code == noError:
		return nil
	case code == codeConflict:
		return j.findKey(ctx)
	case code == codeBadRequest,
		code == codeNotFound && len(r.StageKeys) > 0: // the call names nothing else that could be missing
		reason := "request: API Gateway refused it: " + awserr.Describe(err, j.record.Value)
		if !j.drawn {
			reason += "; where it is the value that was refused, delete secret " + j.secretName +
				" without a recovery window before sending another"
		}
		return failure.Reject("%s", reason)
	default:
		return notCreated(err, j.record.Value)
	}
}

// findKey follows a Conflict, which proves nothing by itself: API Gateway also
// answers it for concurrent changes. Only a key that bears our value and our
// tags is ours.
func (j *job) findKey(ctx context.Context) error {
	key, err := j.bearer(ctx, j.record.Value, "this value")
	if err != nil {
		return err
	}
	if key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName) {
		return j.rejectedUnlessReturn(ctx, failure.Reject("value: key %s, which this request did not make, has the same value already: "+
			"to have another, delete secret %s without a recovery window first, and before it the key, should it be this customer's", key.ID, j.secretName))
	}
	if key.Tags[apikey.TagRequest] == fenced {
		return errOvertaken // an end has made it, and the record says so
	}
	j.result.Key = key
	if key.Tags[apikey.TagRequest] != j.request.Digest() {
		// Which plans the key is to have is not known before its record is finished.
		return j.rejectedUnlessReturn(ctx, j.contradiction(j.request.Differences(key, nil)))
	}
	return nil
}

// bearer returns the key that bears a value of the record, which AWS told of by a Conflict.
// called is the value's name in the error's sentence.
func (j *job) bearer(ctx context.Context, value apikey.Value, called string) (apikey.Key, error) {
	id, err := j.findID(ctx, value)
	if err != nil {
		return apikey.Key{}, retryable("GetApiKeys", err, value)
	}
	if id == "" {
		return apikey.Key{}, failure.Retry("CreateApiKey: ConflictException, and no key with %s can be seen yet", called)
	}
	key, err := j.getKey(ctx, id)
	if err != nil {
		return apikey.Key{}, retryable("GetApiKey", err, value)
	}
	return key, nil
}

// findID returns the id of the key that bears a value of the record, or nothing.
// A value that the program drew is borne by a key of the request's name or by
// none, and the name spares reading all of 10,000 keys. The pending record does
// not say who chose its value, though: a sender may have given it in an earlier
// message, and then a key of any name can bear it. The documented filter by
// customer is unproven, so nothing rests on it.
func (j *job) findID(ctx context.Context, value apikey.Value) (string, error) {
	if j.request.Value.IsZero() && j.request.Name != "" {
		id, err := j.findInList(ctx, j.request.Name, value)
		if id != "" || err != nil || j.drawn {
			return id, err
		}
	}
	return j.findInList(ctx, "", value)
}

func (j *job) getKey(ctx context.Context, id string) (apikey.Key, error) {
	out, err := j.keys.GetApiKey(ctx, &apigateway.GetApiKeyInput{ApiKey: &id})
	if err != nil {
		return apikey.Key{}, err
	}
	return KeyFrom(*out)
}

// finish is step 4: it puts the finished record.
func (j *job) finish(ctx context.Context) error {
	j.result.Key.UsagePlanIDs = append([]string{}, j.wanted...)
	finished := j.record
	finished.Key = j.result.Key
	finished.Generation = finished.Number()
	finished.Holds, _ = finished.Holds.Started(j.request.Agreement, j.request.License, j.start())
	if finished.Generation == 1 && finished.Since.IsZero() {
		finished.Since = j.request.Time
	}
	step := j.record.Step() + 1
	err := j.write(ctx, finished)
	switch again, ok := errors.AsType[*failure.RetryableError](err); {
	case err == nil:
		j.result.Status, j.result.Generation = Created, finished.Generation
		return nil
	case ok:
		return j.unfinished(again)
	}
	return j.finishedByAnother(ctx, finished.Generation, step)
}

// finishedByAnother follows a refusal of the finished record: it was put already, and
// names our key unless an operator deleted that one in between, or the log has gone on
// since. As long as that is not known, the key just made may be a stray, which no later
// delivery would report: the next one reads the record and does not look for it.
func (j *job) finishedByAnother(ctx context.Context, generation, step int) error {
	made := j.result.Key
	if err := j.readRecord(ctx); err != nil {
		return j.unfinished(failure.Retry("the record was finished by another delivery, and cannot be compared with key %s: %s", made.ID, err))
	}
	switch r := j.record; {
	case r.Step() < step:
		return j.unfinished(failure.Retry("GetSecretValue: the finished record of key %s cannot be seen yet", made.ID))
	case r.Finished() && r.Key.ID == made.ID:
		if j.isOver() {
			return j.over()
		}
		if err := j.holdOn(ctx); err != nil {
			return err
		}
		j.result.Status, j.result.Key, j.result.Generation = Existing, r.Key, r.Number()
		return nil
	case r.Finished() && r.Number() == generation:
		return j.unfinished(failure.Retry("key %s is a stray: secret %s records key %s, which was deleted while this message was in flight; "+
			"delete the stray", made.ID, j.secretName, r.Key.ID))
	}
	return errOvertaken // it has ended, or another generation has begun
}

// unfinished marks a failure that leaves a key without its record.
func (j *job) unfinished(err *failure.RetryableError) error {
	err.Code = failure.CodeUnfinished
	return err
}
