package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secretstypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"golang.org/x/sync/errgroup"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/pace"
	"createkey/internal/provision"
)

// pacedAt is the pacer's rate for CreateApiKey, which this program never calls; all calls
// together may come twice as fast.
const pacedAt = 1

// API Gateway's and Secrets Manager's largest pages, and how many secrets are read
// concurrently: GetSecretValue has a quota of 10,000 a second
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const (
	keysPerPage    = 500
	secretsPerPage = 100
	readers        = 8
)

// account is createkey's part of an AWS account in a Region. Its errors hold no value.
type account struct {
	keys    *apigateway.Client // paced
	secrets *secretsmanager.Client
}

func newAccount(cfg aws.Config) *account {
	pacer := pace.New(pacedAt)
	return &account{
		keys: apigateway.NewFromConfig(cfg, func(o *apigateway.Options) {
			o.APIOptions = append(o.APIOptions, pacer.Apply)
		}),
		secrets: secretsmanager.NewFromConfig(cfg),
	}
}

// The error codes that are handled here.
const (
	codeKeyNotFound     = "NotFoundException"         // API Gateway's
	codeBadRequest      = "BadRequestException"       // likewise
	codeSecretNotFound  = "ResourceNotFoundException" // Secrets Manager's
	codeSecretForbidden = "InvalidRequestException"   // scheduled for deletion, among others
	codeSecretExists    = "ResourceExistsException"
	codeBadSecretName   = "ValidationException"
)

// failed describes a failed call, without anything that AWS may have quoted.
func failed(ctx context.Context, call string, err error, values ...apikey.Value) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return fmt.Errorf("%s: %s", call, awserr.Describe(err, values...))
}

// listedKey is what is kept of a listed key: about 300 bytes.
type listedKey struct {
	id, customerID, name string
	enabled              bool
	created              time.Time
	tag                  string // what createkey:secret holds; empty: none, or none seen
}

func summaryOf(k types.ApiKey) listedKey {
	return listedKey{
		id: aws.ToString(k.Id), customerID: aws.ToString(k.CustomerId), name: aws.ToString(k.Name),
		enabled: k.Enabled, created: aws.ToTime(k.CreatedDate), tag: k.Tags[apikey.TagSecret],
	}
}

// listKeys returns all keys by id: 20 calls for 10,000. tagged reports whether the list
// shows tags: the API's model has them, but no AWS page says that they are filled in
// (https://docs.aws.amazon.com/apigateway/latest/api/API_GetApiKeys.html). If any key
// shows tags, those that show none have none.
func (a *account) listKeys(ctx context.Context, p *progress) (keys map[string]listedKey, tagged bool, err error) {
	keys = map[string]listedKey{}
	pages := apigateway.NewGetApiKeysPaginator(a.keys, &apigateway.GetApiKeysInput{Limit: aws.Int32(keysPerPage), IncludeValues: aws.Bool(false)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, false, failed(ctx, "GetApiKeys", err)
		}
		for _, k := range page.Items {
			keys[aws.ToString(k.Id)] = summaryOf(k)
			tagged = tagged || len(k.Tags) > 0
		}
		p.tell("keys", len(keys))
	}
	return keys, tagged, nil
}

// key returns a key with its tags; ok is false if there is no key with that id.
func (a *account) key(ctx context.Context, id string) (key listedKey, ok bool, err error) {
	out, err := a.keys.GetApiKey(ctx, &apigateway.GetApiKeyInput{ApiKey: &id})
	switch {
	case awserr.Code(err) == codeKeyNotFound:
		return listedKey{}, false, nil
	case err != nil:
		return listedKey{}, false, failed(ctx, "GetApiKey ("+id+")", err)
	}
	return summaryOf(types.ApiKey{Id: out.Id, CustomerId: out.CustomerId, Name: out.Name, Enabled: out.Enabled, CreatedDate: out.CreatedDate, Tags: out.Tags}), true, nil
}

// keysOfPlans returns the ids of all keys that are in any usage plan. It lists the keys of
// each plan, a call for 500, because listing the plans of each key would take 83 minutes
// for 10,000.
func (a *account) keysOfPlans(ctx context.Context, p *progress) (map[string]bool, error) {
	plans, err := a.plans(ctx, "")
	if err != nil {
		return nil, err
	}
	attached := map[string]bool{}
	for _, plan := range plans {
		pages := apigateway.NewGetUsagePlanKeysPaginator(a.keys, &apigateway.GetUsagePlanKeysInput{UsagePlanId: plan.Id, Limit: aws.Int32(keysPerPage)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if awserr.Code(err) == codeKeyNotFound { // the plan was deleted since
				break
			} else if err != nil {
				return nil, failed(ctx, "GetUsagePlanKeys ("+aws.ToString(plan.Id)+")", err)
			}
			for _, k := range page.Items { // items hold the keys' values: only the id is read
				attached[aws.ToString(k.Id)] = true
			}
			p.tell("keys of usage plans", len(attached))
		}
	}
	return attached, nil
}

// plans returns the usage plans of a key, or all of them if keyID is empty.
func (a *account) plans(ctx context.Context, keyID string) ([]types.UsagePlan, error) {
	in := &apigateway.GetUsagePlansInput{Limit: aws.Int32(keysPerPage)}
	if keyID != "" {
		in.KeyId = &keyID
	}
	var plans []types.UsagePlan
	pages := apigateway.NewGetUsagePlansPaginator(a.keys, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed(ctx, "GetUsagePlans", err)
		}
		plans = append(plans, page.Items...)
	}
	return plans, nil
}

// A secret is what is kept of a secret: about 500 bytes, and no value.
type secret struct {
	name, arn string
	scheduled bool      // for deletion: nothing more is known
	fault     error     // why this version cannot read the record
	written   time.Time // the version that is current

	finished, ended bool // neither: pending
	rotating        bool // a rotation is under way
	keyID, previous string
	enabled         bool      // the key, as it was recorded
	planned         bool      // the record names usage plans
	created         time.Time // the key
	tag, digest     string    // of the key, as recorded
}

var errNoValue = errors.New("the secret has no value")

// listSecrets returns the secrets whose names begin with a prefix, including those
// scheduled for deletion: 100 calls of ListSecrets for 10,000, and a GetSecretValue for
// each that is not scheduled. (BatchGetSecretValue would be one call for twenty, but one
// more permission on every secret of the account.)
func (a *account) listSecrets(ctx context.Context, prefix string, p *progress) (map[string]secret, error) {
	secrets := map[string]secret{}
	pages := secretsmanager.NewListSecretsPaginator(a.secrets, &secretsmanager.ListSecretsInput{
		Filters:                []secretstypes.Filter{{Key: secretstypes.FilterNameStringTypeName, Values: []string{prefix}}},
		IncludePlannedDeletion: aws.Bool(true), MaxResults: aws.Int32(secretsPerPage),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failed(ctx, "ListSecrets", err)
		}
		read := make([]*secret, len(page.SecretList))
		group, each := errgroup.WithContext(ctx)
		group.SetLimit(readers)
		for i, entry := range page.SecretList {
			name := aws.ToString(entry.Name)
			switch {
			case !strings.HasPrefix(name, prefix):
			case entry.DeletedDate != nil:
				read[i] = &secret{name: name, scheduled: true}
			default:
				group.Go(func() (err error) {
					read[i], err = a.secret(each, name)
					return err
				})
			}
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		for _, s := range read {
			if s != nil {
				secrets[s.name] = *s
			}
		}
		p.tell("secrets", len(secrets))
	}
	return secrets, nil
}

// secret reads a secret; nil: there is no secret with that name.
func (a *account) secret(ctx context.Context, name string) (*secret, error) {
	s, _, err := a.record(ctx, name)
	return s, err
}

// record reads a secret, and its record as far as there is one.
func (a *account) record(ctx context.Context, name string, options ...func(*secretsmanager.Options)) (*secret, apikey.Record, error) {
	out, err := a.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name}, options...)
	switch awserr.Code(err) {
	case codeBadSecretName: // somebody wrote it into a key's tag
		return nil, apikey.Record{}, nil
	case codeSecretNotFound, codeSecretForbidden:
		s, err := a.unreadable(ctx, name, err)
		return s, apikey.Record{}, err
	}
	if err != nil {
		return nil, apikey.Record{}, failed(ctx, "GetSecretValue ("+name+")", err)
	}
	s := &secret{name: name, arn: aws.ToString(out.ARN), written: aws.ToTime(out.CreatedDate)}
	r, err := apikey.ParseRecord(aws.ToString(out.SecretString))
	s.fault = err
	s.finished, s.ended, s.rotating = r.Finished(), r.HasEnded(), r.Next != nil
	s.keyID, s.previous, s.enabled, s.created = r.Key.ID, r.Previous, r.Key.Enabled, r.Key.CreatedDate
	s.planned, s.tag, s.digest = len(r.Key.UsagePlanIDs) > 0, r.Key.Tags[apikey.TagSecret], r.Key.Tags[apikey.TagRequest]
	return s, r, nil
}

// unreadable returns why a secret's value could not be read: it is gone, scheduled for
// deletion, or has no value.
func (a *account) unreadable(ctx context.Context, name string, why error) (*secret, error) {
	out, err := a.secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	switch {
	case awserr.Code(err) == codeSecretNotFound:
		return nil, nil
	case err != nil:
		return nil, failed(ctx, "DescribeSecret ("+name+")", err)
	case out.DeletedDate != nil:
		return &secret{name: name, scheduled: true}, nil
	case awserr.Code(why) == codeSecretNotFound:
		return &secret{name: name, fault: errNoValue, written: aws.ToTime(out.LastChangedDate)}, nil
	}
	return nil, failed(ctx, "GetSecretValue ("+name+")", why)
}

// fullKey returns a key as API Gateway describes it, with its value and its usage plans.
func (a *account) fullKey(ctx context.Context, id string) (key apikey.Key, value apikey.Value, plans []types.UsagePlan, err error) {
	out, err := a.keys.GetApiKey(ctx, &apigateway.GetApiKeyInput{ApiKey: &id, IncludeValue: aws.Bool(true)})
	switch code := awserr.Code(err); {
	case code == codeKeyNotFound:
		return key, value, nil, refuse("id: there is no such key in this account and Region")
	case strings.HasPrefix(code, "AccessDenied"):
		return key, value, nil, refuse("id: your permissions do not reach its value (%s)", awserr.Describe(err))
	case err != nil:
		return key, value, nil, failed(ctx, "GetApiKey ("+id+")", err)
	}
	value = apikey.NewValue(aws.ToString(out.Value))
	out.Value = nil
	if value.IsZero() {
		return key, value, nil, refuse("id: your permissions do not reach its value: API Gateway left it out")
	}
	if key, err = provision.KeyFrom(*out); err != nil {
		return key, value, nil, failed(ctx, "GetApiKey ("+id+")", err)
	}
	plans, err = a.plans(ctx, id)
	for _, plan := range plans {
		key.UsagePlanIDs = append(key.UsagePlanIDs, aws.ToString(plan.Id))
	}
	return key, value, plans, err
}
