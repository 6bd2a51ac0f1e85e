package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/failure"
	"createkey/internal/function"
	"createkey/internal/provision"
)

// adopter gives keys that were made by hand what createkey's own keys have: a record, and
// two tags. It changes nothing else about them.
//
// The record comes first, finished, as the first step of its log, and then the tags. Once
// the secret exists every message finds the key: the function takes the digest from the
// record if the key has no tags yet. A pending record, which is how a key that createkey
// makes begins, would not do: a sign-up that came before the tags would take the key for
// somebody else's and be rejected, and an end would leave it enabled. Whenever it is
// stopped, the same command finishes the work: the secret's name and StepToken make the
// first step idempotent, and setting tags again changes nothing.
type adopter struct {
	*account
	settings  function.Settings
	confirmed bool
	file      string    // as the user named it
	out       io.Writer // what was done
	faults    io.Writer // file:line: what was refused
	progress  *progress

	known  map[string]secret // of the prefix, as of the start
	owners map[string]string // the key's id -> the secret whose record names it
	lines  map[string]int    // the key's id, or the secret's name -> the line that has it
	counts struct{ adopted, before, refused int }
}

// run adopts every row that it may. Its error is errNeedsAction if a row was refused; any other
// ends the run, and the same command resumes it.
func (a *adopter) run(ctx context.Context, rows []row) (err error) {
	if a.known, err = a.listSecrets(ctx, a.settings.SecretPrefix, a.progress); err != nil {
		return err
	}
	a.owners, a.lines = map[string]string{}, map[string]int{}
	for _, s := range a.known {
		for _, id := range []string{s.keyID, s.previous} {
			if id != "" {
				a.owners[id] = s.name
			}
		}
	}
	for i, r := range rows {
		if err = a.row(ctx, r); err != nil {
			break
		}
		a.progress.tell("keys", i+1)
	}
	a.progress.done()
	done := "adopted"
	if !a.confirmed {
		done = "to be adopted"
	}
	_, _ = fmt.Fprintf(a.out, "%s: %d %s, %d adopted before, %d refused.\n", a.file, a.counts.adopted, done, a.counts.before, a.counts.refused)
	if !a.confirmed {
		_, _ = fmt.Fprintln(a.out, "Dry run: nothing was written. CONFIRM=yes adopts what is not refused.")
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w (the same command goes on from there)", err)
	case a.counts.refused > 0:
		return errNeedsAction
	}
	return nil
}

func (a *adopter) row(ctx context.Context, r row) error {
	text, err := a.adopt(ctx, r)
	a.progress.clear()
	if why := refusal(""); errors.As(err, &why) {
		a.counts.refused++
		_, _ = fmt.Fprintf(a.faults, "%s:%d: %s\n", a.file, r.line, why)
		return nil
	}
	if err == nil {
		_, _ = fmt.Fprintf(a.out, "%s:%d: key %s: %s\n", a.file, r.line, r.id(), text)
	}
	return err
}

// adopt adopts one key, and says what it did or would do. The error is a refusal, or ends
// the run.
func (a *adopter) adopt(ctx context.Context, r row) (text string, err error) {
	if r.err != nil {
		return "", r.err
	}
	name, err := apikey.SecretName(a.settings.SecretPrefix, r.cells[columnCustomerID], r.cells[columnName], "")
	if err != nil {
		return "", refuse("customerId: customerId or name must be given: they are the identity by which messages find the key")
	}
	for _, same := range []struct{ what, as string }{{"id: this key is", r.id()}, {"name: this customerId and name are", name}} {
		if line, taken := a.lines[same.as]; taken {
			return "", refuse("%s on line %d, too: a key has one identity, and an identity one key", same.what, line)
		}
		a.lines[same.as] = r.line
	}
	key, value, plans, err := a.fullKey(ctx, r.id())
	if err != nil {
		return "", err
	}
	if value.QuotedIn(name) {
		return "", refuse("name: quotes the key's value, which the secret's name would show to everybody: give the key another name")
	}
	owner, owned := a.owners[r.id()]
	s, exists := a.known[name]
	tag := key.Tags[apikey.TagSecret]
	switch {
	case owned && owner != name:
		return "", refuse("id: secret %s records the key already, for another customerId or name", owner)
	case tag != "" && tag != apikey.SecretTag(name):
		return "", refuse("id: the key bears the tag %s of another secret, %s", apikey.TagSecret, tag)
	case owned && tag != "" && key.Tags[apikey.TagRequest] != "":
		a.counts.before++
		return "adopted before, by " + name, nil
	case owned:
		if a.confirmed {
			if err := a.finish(ctx, name, r.id(), value); err != nil {
				return "", err
			}
		}
		a.counts.adopted++
		return name + "; it has its record, and gets its tags", nil
	case exists:
		return "", refuse("name: secret %s exists already, %s", name, s.state())
	}
	request, err := a.request(r, key, plans)
	if err != nil {
		return "", err
	}
	digest, existing := request.Digest(), "a request with "+strings.Join(members(request), ", ")
	if made := key.Tags[apikey.TagRequest]; made != "" { // createkey made the key, and its record was deleted
		digest, existing = made, "the request that made it"
	}
	if err := adoptable(request, name, key); err != nil {
		return "", err
	}
	if a.confirmed {
		if err := a.begin(ctx, name, request, digest, key, value); err != nil {
			return "", err
		}
		if err := a.finish(ctx, name, r.id(), value); err != nil {
			return "", err
		}
	}
	a.counts.adopted++
	return name + "; existing: " + existing, nil
}

// state describes the secret that is in the way of an adoption.
func (s secret) state() string {
	switch {
	case s.scheduled:
		return "scheduled for deletion: restore it, or delete it without a recovery window"
	case s.fault != nil:
		return "and is none of createkey's records: move it"
	case s.ended:
		return "and its record has ended: send a sign-up, which makes another key"
	case s.finished:
		return "and records key " + s.keyID
	}
	return "and its record is pending: it is another request's, which is to be finished first"
}

// request returns the request that describes the key as it is, as a sender would write it,
// without what createkey adds by itself: the default plan, the plan of an AWS Marketplace
// product, and the deployment's tags. Cells of the row override that where the senders
// write something else; they must agree with the key.
func (a *adopter) request(r row, key apikey.Key, plans []types.UsagePlan) (apikey.Request, error) {
	request := apikey.Request{
		Name: r.cells[columnName], CustomerID: r.cells[columnCustomerID], Description: key.Description, Enabled: key.Enabled,
		Tags: map[string]string{}, AddedTags: map[string]string{}, Agreement: r.cells[columnAgreement],
	}
	if key.CustomerID != "" && key.CustomerID != request.CustomerID {
		return request, refuse("customerId: the key has another one: correct the row, or change the key's")
	}
	for _, stage := range key.StageKeys {
		api, name, _ := strings.Cut(stage, "/")
		request.StageKeys = append(request.StageKeys, apikey.StageKey{RestAPIID: api, StageName: name})
	}
	given, said := r.tags()
	for tag, text := range given {
		if has, ok := key.Tags[tag]; !ok || has != text {
			return request, refuse("%s%s: the key has no such tag with this text", columnTag, tag)
		}
	}
	for tag, text := range key.Tags {
		if apikey.ReservedTagPrefix(tag) != "" {
			continue
		}
		_, wanted := given[tag]
		switch added, ok := a.settings.ResourceTags[tag]; {
		case wanted, !said && (!ok || added != text):
			request.Tags[tag] = text
		default:
			request.AddedTags[tag] = text
		}
	}
	if r.has(columnDescription) {
		if request.Description = r.cells[columnDescription]; request.Description != "" && request.Description != key.Description {
			return request, refuse("description: differs from the key's")
		}
	}
	slices.Sort(key.UsagePlanIDs)
	request.UsagePlanIDs = key.UsagePlanIDs
	if r.has(columnPlans) {
		if request.UsagePlanIDs = r.plans(); len(request.UsagePlanIDs) > 0 && !slices.Equal(request.UsagePlanIDs, key.UsagePlanIDs) {
			return request, refuse("usagePlanIds: differ from those that the key is in: %s", strings.Join(key.UsagePlanIDs, listSeparator))
		}
	} else if len(plans) == 1 {
		plan := plans[0]
		if id := aws.ToString(plan.Id); id == a.settings.UsagePlanID || request.Name != "" && aws.ToString(plan.ProductCode) == request.Name {
			request.UsagePlanIDs = nil
		}
	}
	return request, nil
}

// digestForm matches the beginning of what apikey.Digest returns. A key that an end made to
// block a value has no digest.
const digestForm = "v1:"

// adoptable refuses a key that the function could not work with.
func adoptable(request apikey.Request, name string, key apikey.Key) error {
	ours := key.Tags[apikey.TagSecret] != ""
	for tag, text := range key.Tags {
		switch prefix := apikey.ReservedTagPrefix(tag); {
		case prefix == "aws:": // no call may set it, so no rotation could
			return refuse("id: the key bears a tag that begins with aws:, for CloudFormation or another of AWS's services made it and may change it: " +
				"issue another key with createkey instead")
		case ours && (tag == apikey.TagSecret || tag == apikey.TagRequest && strings.HasPrefix(text, digestForm)):
		case prefix != "":
			return refuse("id: the key bears the tag %s, which no request has put there: take it off the key first", failure.Name(tag))
		}
	}
	err := request.CheckTotals(name, key.UsagePlanIDs)
	if err != nil {
		return refuse("%s", err)
	}
	return nil
}

// begin writes the first step of the key's log. Its hold is that of a sign-up without a
// time: of the subscription, or of an AWS Marketplace agreement, from the beginning of
// time. So any end releases it, and none that was sent is too old.
func (a *adopter) begin(ctx context.Context, name string, request apikey.Request, digest string, key apikey.Key, value apikey.Value) error {
	holds, _ := apikey.Holds(nil).Started(request.Agreement, "", apikey.Beginning)
	key.Tags = maps.Clone(key.Tags)
	if key.Tags == nil {
		key.Tags = map[string]string{}
	}
	key.Tags[apikey.TagSecret], key.Tags[apikey.TagRequest] = apikey.SecretTag(name), digest
	record := apikey.Record{Value: value, Key: key, Life: apikey.Life{StepNumber: 1, Generation: 1, Holds: holds}}
	in := &secretsmanager.CreateSecretInput{
		Name: &name, Description: aws.String(provision.SecretDescription), Tags: provision.SecretTags(a.settings.ResourceTags),
		ClientRequestToken: aws.String(apikey.StepToken(name, 1)), SecretString: aws.String(record.Encode().Reveal()),
	}
	if a.settings.KMSKeyID != "" {
		in.KmsKeyId = &a.settings.KMSKeyID
	}
	switch _, err := a.secrets.CreateSecret(ctx, in); awserr.Code(err) {
	case codeSecretExists: // a message or another run of this command was faster: finish checks
		return nil
	case codeSecretForbidden:
		return refuse("name: secret %s cannot be made: %s", name, awserr.Describe(err, value))
	default:
		if err != nil {
			return failed(ctx, "CreateSecret ("+name+")", err, value)
		}
	}
	return nil
}

// finish puts the tags on a key that its record names.
func (a *adopter) finish(ctx context.Context, name, id string, value apikey.Value) error {
	s, record, err := a.record(ctx, name, func(o *secretsmanager.Options) {
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, codeSecretNotFound) // lag of some seconds
	})
	switch {
	case err != nil:
		return err
	case s == nil:
		return fmt.Errorf("GetSecretValue (%s): the secret cannot be seen yet, or was deleted", name)
	case s.keyID != id && s.previous != id:
		return refuse("name: secret %s exists already, %s", name, s.state())
	case s.keyID == id && !record.Value.Equal(value):
		return refuse("id: secret %s records the key with another value than it has: somebody has changed the record", name)
	case s.digest == "":
		return refuse("id: secret %s records the key without its tags: somebody has changed the record", name)
	}
	_, err = a.keys.TagResource(ctx, &apigateway.TagResourceInput{
		ResourceArn: aws.String(keyARN(s.arn, id)), Tags: map[string]string{apikey.TagSecret: apikey.SecretTag(name), apikey.TagRequest: s.digest},
	})
	if awserr.Code(err) == codeBadRequest {
		return refuse("id: API Gateway refused the key's tags: %s", awserr.Describe(err, value))
	}
	if err != nil {
		return failed(ctx, "TagResource ("+id+")", err, value)
	}
	return nil
}

// keyARN returns a key's ARN, in the partition and Region of a secret's ARN
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/arn-format-reference.html).
func keyARN(secretARN, id string) string {
	parts := strings.SplitN(secretARN, ":", 5)
	for len(parts) < 4 {
		parts = append(parts, "")
	}
	return "arn:" + parts[1] + ":apigateway:" + parts[3] + "::/apikeys/" + id
}

// members returns the names of a request's non-empty members, and of enabled if it is true.
func members(r apikey.Request) (names []string) {
	for _, m := range []struct {
		name  string
		given bool
	}{
		{"customerId", r.CustomerID != ""}, {"name", r.Name != ""}, {"enabled: true", r.Enabled}, {"description", r.Description != ""},
		{"stageKeys", len(r.StageKeys) > 0}, {"tags", len(r.Tags) > 0}, {"usagePlanIds", len(r.UsagePlanIDs) > 0},
	} {
		if m.given {
			names = append(names, m.name)
		}
	}
	return names
}
