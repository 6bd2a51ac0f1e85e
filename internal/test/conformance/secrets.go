package conformance

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

const (
	tokenTable = "V AWS-verified emulator test of ClientRequestToken"
	// recordedSecrets are AWS calls with their answers, made on 2026-09-24.
	recordedSecrets     = "V recorded: github.com/radkawar/stackd testdata/aws/secretsmanager/lifecycle.json"
	localstackSnapshots = "V localstack tests/aws/services/secretsmanager, validated on AWS"
	// deleting is the answer of every operation on a secret's content once its deletion is
	// scheduled.
	deleting = "because it was marked for deletion"
)

var arnSuffix = regexp.MustCompile(`^-[A-Za-z0-9]{6}$`)

var secretCases = []Case{
	{
		Name: "secret/create", Source: "D API_CreateSecret; " + localstackSnapshots,
		Behaviour: "the token is the version's id, the version is AWSCURRENT, the ARN ends in the name, a hyphen and six characters",
		run: func(e *env) error {
			out, err := e.createSecret(e.name, "one", 1)
			if err != nil {
				return err
			}
			_, suffix, found := strings.Cut(aws.ToString(out.ARN), ":secret:"+e.name)
			switch {
			case !found || !arnSuffix.MatchString(suffix):
				return fmt.Errorf("ARN is %q", aws.ToString(out.ARN))
			case aws.ToString(out.Name) != e.name || aws.ToString(out.VersionId) != e.token(1):
				return errors.New("name or version differs")
			}
			return errors.Join(e.current(e.name, "one", 1), e.labels(map[int]string{1: "AWSCURRENT"}))
		},
	},
	{
		Name: "secret/create-again", Source: tokenTable,
		Behaviour: "CreateSecret with the same token and content succeeds and makes nothing",
		run: func(e *env) error {
			first, err := e.createSecret(e.name, "one", 1)
			if err != nil {
				return err
			}
			second, err := e.createSecret(e.name, "one", 1)
			if err == nil && (aws.ToString(first.ARN) != aws.ToString(second.ARN) || aws.ToString(second.VersionId) != e.token(1)) {
				err = errors.New("ARN or version differs")
			}
			return err
		},
	},
	{
		Name: "secret/create-other-content", Source: tokenTable,
		Behaviour: "CreateSecret with the same token and other content is refused",
		run: func(e *env) error {
			if _, err := e.createSecret(e.name, "one", 1); err != nil {
				return err
			}
			_, err := e.createSecret(e.name, "two", 1)
			return errors.Join(refused(err, "ResourceExistsException", ""), e.current(e.name, "one", 1))
		},
	},
	{
		Name: "secret/create-other-token", Source: localstackSnapshots,
		Behaviour: "CreateSecret with another token is refused, even with the same content",
		run: func(e *env) error {
			if _, err := e.createSecret(e.name, "one", 1); err != nil {
				return err
			}
			_, err := e.createSecret(e.name, "one", 2)
			return errors.Join(
				refused(err, "ResourceExistsException", "The operation failed because the secret "+e.name+" already exists."),
				e.current(e.name, "one", 1))
		},
	},
	{
		Name: "secret/put", Source: recordedSecrets,
		Behaviour: "PutSecretValue moves AWSCURRENT to the new version and leaves AWSPREVIOUS behind",
		run: func(e *env) error {
			if err := e.versions("one", "two"); err != nil {
				return err
			}
			return errors.Join(e.current(e.name, "two", 2), e.labels(map[int]string{1: "AWSPREVIOUS", 2: "AWSCURRENT"}))
		},
	},
	{
		Name: "secret/put-again", Source: tokenTable,
		Behaviour: "PutSecretValue with the same token and content succeeds and changes nothing",
		run: func(e *env) error {
			if err := e.versions("one", "two"); err != nil {
				return err
			}
			_, err := e.putSecret("two", 2)
			return errors.Join(err, e.current(e.name, "two", 2), e.labels(map[int]string{1: "AWSPREVIOUS", 2: "AWSCURRENT"}))
		},
	},
	{
		Name: "secret/put-other-content", Source: recordedSecrets,
		Behaviour: "PutSecretValue with the same token and other content is refused",
		run: func(e *env) error {
			if err := e.versions("one", "two"); err != nil {
				return err
			}
			_, err := e.putSecret("three", 2)
			return errors.Join(refused(err, "ResourceExistsException", ""), e.current(e.name, "two", 2))
		},
	},
	{
		Name: "secret/put-again-with-label", Source: recordedSecrets,
		Behaviour: "a repeated PutSecretValue that names a label moves that label",
		run: func(e *env) error {
			if err := e.versions("one", "two"); err != nil {
				return err
			}
			out, err := e.Secrets.PutSecretValue(e.ctx, &secretsmanager.PutSecretValueInput{
				SecretId: &e.name, SecretString: aws.String("two"), ClientRequestToken: aws.String(e.token(2)), VersionStages: []string{"LABEL"},
			})
			if err == nil && (!slices.Contains(out.VersionStages, "LABEL") || !slices.Contains(out.VersionStages, "AWSCURRENT")) {
				err = fmt.Errorf("the version has labels %q", out.VersionStages)
			}
			return err
		},
	},
	{
		Name: "secret/token-of-31", Source: "V recorded: github.com/radkawar/stackd testdata/aws/secretsmanager/write_validation.json",
		Behaviour: "a ClientRequestToken of fewer than 32 characters is refused",
		run: func(e *env) error {
			_, err := e.Secrets.CreateSecret(e.ctx, &secretsmanager.CreateSecretInput{
				Name: &e.name, SecretString: aws.String("one"), ClientRequestToken: aws.String(strings.Repeat("x", 31)),
			})
			return refused(err, "ValidationException", "")
		},
	},
	{
		Name: "secret/put-late", Source: "U D API_PutSecretValue says ignored, but labels given again are moved",
		Behaviour: "a repeated PutSecretValue does not move AWSCURRENT back",
		run: func(e *env) error {
			if err := e.versions("one", "two", "three"); err != nil {
				return err
			}
			_, err := e.putSecret("two", 2)
			return errors.Join(err, e.current(e.name, "three", 3), e.labels(map[int]string{2: "AWSPREVIOUS", 3: "AWSCURRENT"}))
		},
	},
	{
		Name: "secret/put-unknown", Source: "D API_PutSecretValue",
		Behaviour: "PutSecretValue does not find an unknown secret",
		run: func(e *env) error {
			_, err := e.putSecret("one", 1)
			return refused(err, "ResourceNotFoundException", "")
		},
	},
	{
		Name: "secret/unknown", Source: localstackSnapshots,
		Behaviour: "an unknown secret is not found",
		run: func(e *env) error {
			_, err := e.Secrets.GetSecretValue(e.ctx, &secretsmanager.GetSecretValueInput{SecretId: &e.name})
			return refused(err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		},
	},
	{
		Name: "secret/by-version", Source: recordedSecrets,
		Behaviour: "a version is found by id, by label and by both; not by what does not belong together",
		run: func(e *env) error {
			if err := e.versions("one", "two"); err != nil {
				return err
			}
			get := func(id, stage string) (string, error) {
				in := &secretsmanager.GetSecretValueInput{SecretId: &e.name}
				if id != "" {
					in.VersionId = &id
				}
				if stage != "" {
					in.VersionStage = &stage
				}
				out, err := e.Secrets.GetSecretValue(e.ctx, in)
				if err != nil {
					return "", err
				}
				return aws.ToString(out.SecretString), nil
			}
			found := func(id, stage string) error {
				return e.eventually(func() error {
					text, err := get(id, stage)
					if err == nil && text != "one" {
						err = errors.New("the content is not the first version's")
					}
					return err
				})
			}
			// The existing version comes first: once it is found, NotFound is not lag.
			err := errors.Join(found(e.token(1), ""), found("", "AWSPREVIOUS"), found(e.token(1), "AWSPREVIOUS"))
			if err != nil {
				return err
			}
			_, mismatch := get(e.token(1), "AWSCURRENT")
			_, noVersion := get(e.token(9), "")
			_, noLabel := get("", "AWSPENDING")
			const noValue = "Secrets Manager can't find the specified secret value for "
			return errors.Join(
				refused(mismatch, "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."),
				refused(noVersion, "ResourceNotFoundException", noValue+"VersionId: "),
				refused(noLabel, "ResourceNotFoundException", noValue+"staging label: AWSPENDING"))
		},
	},
	{
		Name: "secret/by-arn", Source: "D API_GetSecretValue, SecretId",
		Behaviour: "a secret is found by its ARN",
		run: func(e *env) error {
			out, err := e.createSecret(e.name, "one", 1)
			if err != nil {
				return err
			}
			return e.current(aws.ToString(out.ARN), "one", 1)
		},
	},
	{
		Name: "secret/name-like-an-arn", Source: "V AWS-verified emulator test",
		Behaviour: "a name that ends in a hyphen and six characters is found by name, but not by an ARN without the suffix",
		run: func(e *env) error {
			name := e.name + "-abcdef"
			out, err := e.createSecret(name, "one", 1)
			if err != nil {
				return err
			}
			arn := aws.ToString(out.ARN)
			_, err = e.Secrets.GetSecretValue(e.ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(arn[:len(arn)-7])})
			return errors.Join(e.current(name, "one", 1), refused(err, "ResourceNotFoundException", ""))
		},
	},
	{
		Name: "secret/bad-name", Source: "V AWS-verified emulator test",
		Behaviour: "a name with any other character than A-Za-z0-9/_+=.@- is refused",
		run: func(e *env) error {
			var errs []error
			for _, c := range []string{" ", "*", ":", "#", "é"} {
				_, err := e.createSecret(e.name+c, "one", 1)
				errs = append(errs, refused(err, "ValidationException", ""))
			}
			return errors.Join(errs...)
		},
	},
	{
		Name: "secret/good-name", Source: localstackSnapshots,
		Behaviour: "a name may hold every one of A-Za-z0-9/_+=.@-",
		run: func(e *env) error {
			_, err := e.createSecret(e.name+"/Az09_+=.@-", "one", 1)
			return err
		},
	},
	{
		Name: "secret/long-name", Source: "D API_CreateSecret, Name",
		Behaviour: "a name of 512 characters is accepted, one of 513 refused",
		run: func(e *env) error {
			if _, err := e.createSecret(e.name+strings.Repeat("x", 512-len(e.name)), "one", 1); err != nil {
				return err
			}
			_, err := e.createSecret(e.name+strings.Repeat("x", 513-len(e.name)), "one", 1)
			return refused(err, "ValidationException", "")
		},
	},
	{
		Name: "secret/size", Source: "D reference_limits.html",
		Behaviour: "a content of 65,536 bytes is accepted, one of 65,537 refused",
		run: func(e *env) error {
			if _, err := e.createSecret(e.name, strings.Repeat("x", 65_536), 1); err != nil {
				return err
			}
			_, err := e.putSecret(strings.Repeat("x", 65_537), 2)
			if err == nil {
				return errors.New("accepted")
			}
			return e.current(e.name, strings.Repeat("x", 65_536), 1)
		},
	},
	{
		Name: "secret/tags", Source: "D API_CreateSecret, Tags",
		Behaviour: "tags given to CreateSecret are there",
		run: func(e *env) error {
			// Not through e.createSecret, which sends no tags; its cleanup works even so.
			_, err := e.Secrets.CreateSecret(e.ctx, &secretsmanager.CreateSecretInput{
				Name: &e.name, SecretString: aws.String("one"), ClientRequestToken: aws.String(e.token(1)),
				Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}},
			})
			if err != nil {
				return err
			}
			if _, err := e.createSecret(e.name, "one", 1); err != nil {
				return err
			}
			return e.eventually(func() error {
				out, err := e.Secrets.DescribeSecret(e.ctx, &secretsmanager.DescribeSecretInput{SecretId: &e.name})
				if err == nil && (len(out.Tags) != 1 || aws.ToString(out.Tags[0].Key) != "a" || aws.ToString(out.Tags[0].Value) != "b") {
					err = fmt.Errorf("%d tags, want a: b", len(out.Tags))
				}
				return err
			})
		},
	},
	{
		Name: "deletion/create", Source: localstackSnapshots,
		Behaviour: "a name scheduled for deletion cannot be created, not even with the first token",
		run: func(e *env) error {
			if err := e.schedule(); err != nil {
				return err
			}
			const text = "You can't create this secret because a secret with this name is already scheduled for deletion."
			return e.eventually(func() error {
				_, same := e.createSecret(e.name, "one", 1)
				_, other := e.createSecret(e.name, "one", 2)
				return errors.Join(refused(same, "InvalidRequestException", text), refused(other, "InvalidRequestException", text))
			})
		},
	},
	{
		Name: "deletion/get-and-put", Source: recordedSecrets,
		Behaviour: "a secret scheduled for deletion can be neither read nor written",
		run: func(e *env) error {
			if err := e.schedule(); err != nil {
				return err
			}
			return e.eventually(func() error {
				_, get := e.Secrets.GetSecretValue(e.ctx, &secretsmanager.GetSecretValueInput{SecretId: &e.name})
				_, put := e.putSecret("two", 2)
				return errors.Join(refused(get, "InvalidRequestException", deleting), refused(put, "InvalidRequestException", deleting))
			})
		},
	},
	{
		Name: "deletion/describe", Source: recordedSecrets,
		Behaviour: "a secret scheduled for deletion can be described, and says so",
		run: func(e *env) error {
			if err := e.schedule(); err != nil {
				return err
			}
			return e.eventually(func() error {
				out, err := e.Secrets.DescribeSecret(e.ctx, &secretsmanager.DescribeSecretInput{SecretId: &e.name})
				if err == nil && out.DeletedDate == nil {
					err = errors.New("DeletedDate is missing")
				}
				return err
			})
		},
	},
	{
		Name: "deletion/restore", Source: recordedSecrets,
		Behaviour: "a restored secret is what it was",
		run: func(e *env) error {
			if err := e.schedule(); err != nil {
				return err
			}
			if _, err := e.Secrets.RestoreSecret(e.ctx, &secretsmanager.RestoreSecretInput{SecretId: &e.name}); err != nil {
				return err
			}
			return e.current(e.name, "one", 1)
		},
	},
	{
		Name: "deletion/list", Source: "D API_ListSecrets; the filter name is a case-sensitive prefix",
		Behaviour: "ListSecrets filters by name and leaves out what is scheduled for deletion, unless asked for it",
		run: func(e *env) error {
			for _, suffix := range []string{"-a", "-ab", "-b"} {
				if _, err := e.createSecret(e.name+suffix, "one", 1); err != nil {
					return err
				}
			}
			_, err := e.Secrets.DeleteSecret(e.ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String(e.name + "-ab"), RecoveryWindowInDays: aws.Int64(7)})
			if err != nil {
				return err
			}
			count := func(planned bool) (int, error) {
				out, err := e.Secrets.ListSecrets(e.ctx, &secretsmanager.ListSecretsInput{
					Filters:                []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{e.name + "-a"}}},
					IncludePlannedDeletion: &planned,
				})
				if err != nil {
					return 0, err
				}
				return len(out.SecretList), nil
			}
			return e.eventually(func() error {
				without, err := count(false)
				if err != nil {
					return err
				}
				with, err := count(true)
				if err == nil && (without != 1 || with != 2) {
					err = fmt.Errorf("%d secrets, with those to be deleted %d; want 1 and 2", without, with)
				}
				return err
			})
		},
	},
	{
		Name: "deletion/window", Source: "D API_DeleteSecret, RecoveryWindowInDays",
		Behaviour: "a recovery window is 7 to 30 days, and does not go with a forced deletion",
		run: func(e *env) error {
			if _, err := e.createSecret(e.name, "one", 1); err != nil {
				return err
			}
			var errs []error
			for _, in := range []*secretsmanager.DeleteSecretInput{
				{RecoveryWindowInDays: aws.Int64(6)},
				{RecoveryWindowInDays: aws.Int64(31)},
				{RecoveryWindowInDays: aws.Int64(7), ForceDeleteWithoutRecovery: aws.Bool(true)},
			} {
				in.SecretId = &e.name
				_, err := e.Secrets.DeleteSecret(e.ctx, in)
				errs = append(errs, refused(err, "InvalidParameterException", ""))
			}
			return errors.Join(append(errs, e.current(e.name, "one", 1))...)
		},
	},
	{
		Name: "deletion/force", Source: "D API_DeleteSecret: the name is free after a while",
		Behaviour: "after a deletion without recovery the secret is not found and its name can be taken, for a new ARN",
		run: func(e *env) error {
			first, err := e.createSecret(e.name, "one", 1)
			if err != nil {
				return err
			}
			_, err = e.Secrets.DeleteSecret(e.ctx, &secretsmanager.DeleteSecretInput{SecretId: &e.name, ForceDeleteWithoutRecovery: aws.Bool(true)})
			if err != nil {
				return err
			}
			err = e.eventually(func() error {
				_, err := e.Secrets.GetSecretValue(e.ctx, &secretsmanager.GetSecretValueInput{SecretId: &e.name})
				return refused(err, "ResourceNotFoundException", "")
			})
			if err != nil {
				return err
			}
			return e.eventually(func() error {
				second, err := e.createSecret(e.name, "two", 2)
				if err == nil && aws.ToString(first.ARN) == aws.ToString(second.ARN) {
					err = errors.New("the ARN is the same")
				}
				return err
			})
		},
	},
	{
		Name: "deletion/force-unknown", Source: "D API_DeleteSecret, ForceDeleteWithoutRecovery",
		Behaviour: "forcing the deletion of an unknown secret is no error; deleting it otherwise is",
		run: func(e *env) error {
			_, forced := e.Secrets.DeleteSecret(e.ctx, &secretsmanager.DeleteSecretInput{SecretId: &e.name, ForceDeleteWithoutRecovery: aws.Bool(true)})
			_, plain := e.Secrets.DeleteSecret(e.ctx, &secretsmanager.DeleteSecretInput{SecretId: &e.name})
			return errors.Join(forced, refused(plain, "ResourceNotFoundException", ""))
		},
	},
}

// versions makes a secret with several versions, under tokens 1, 2, 3 …
func (e *env) versions(contents ...string) error {
	if _, err := e.createSecret(e.name, contents[0], 1); err != nil {
		return err
	}
	for i, text := range contents[1:] {
		err := e.eventually(func() error {
			_, err := e.putSecret(text, i+2)
			return err
		})
		if err != nil {
			return fmt.Errorf("PutSecretValue: %w", err)
		}
	}
	return nil
}

// schedule makes a secret and schedules its deletion.
func (e *env) schedule() error {
	if _, err := e.createSecret(e.name, "one", 1); err != nil {
		return err
	}
	_, err := e.Secrets.DeleteSecret(e.ctx, &secretsmanager.DeleteSecretInput{SecretId: &e.name, RecoveryWindowInDays: aws.Int64(7)})
	return err
}

// labels checks each version that has a label; versions are identified by the number of their
// token.
func (e *env) labels(want map[int]string) error {
	return e.eventually(func() error {
		out, err := e.Secrets.DescribeSecret(e.ctx, &secretsmanager.DescribeSecretInput{SecretId: &e.name})
		if err != nil {
			return fmt.Errorf("DescribeSecret: %w", err)
		}
		labelled := 0
		for _, labels := range out.VersionIdsToStages {
			if len(labels) > 0 {
				labelled++
			}
		}
		if labelled != len(want) {
			return fmt.Errorf("%d versions have labels, want %d", labelled, len(want))
		}
		for n, label := range want {
			if got := out.VersionIdsToStages[e.token(n)]; len(got) != 1 || got[0] != label {
				return fmt.Errorf("version %d has labels %q, want %s", n, got, label)
			}
		}
		return nil
	})
}
