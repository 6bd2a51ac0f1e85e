package conformance

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

const (
	keyPage = "D docs.aws.amazon.com/apigateway/latest/api/API_CreateApiKey.html"
	// recordedKeys are AWS calls with their answers, made on 2026-09-25.
	recordedKeys = "V recorded: github.com/radkawar/stackd testdata/aws/apigateway/api_keys.json"
	// localstackChecks are what LocalStack adds to moto in create_api_key.
	localstackChecks = "V error text; localstack services/apigateway"
)

var keyCases = []Case{
	{
		Name: "key/defaults", Source: recordedKeys,
		Behaviour: "a key made of nothing but a name is disabled and has a generated value",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			switch {
			case err != nil:
				return err
			case out.Enabled:
				return errors.New("the key is enabled")
			case len(aws.ToString(out.Value)) < 20:
				return errors.New("no value of 20 characters or more was generated")
			case out.CreatedDate == nil || out.LastUpdatedDate == nil:
				return errors.New("dates are missing")
			case len(out.StageKeys) != 0:
				return errors.New("there are stage keys")
			}
			return nil
		},
	},
	{
		Name: "key/round-trip", Source: recordedKeys,
		Behaviour: "every member of the request comes back",
		run: func(e *env) error {
			value := e.value(40)
			out, err := e.createKey(&apigateway.CreateApiKeyInput{
				Name: &e.name, Description: aws.String("a description"), CustomerId: aws.String("customer"),
				Value: &value, Enabled: true, Tags: map[string]string{"conformance:a": "b/c"},
			})
			switch {
			case err != nil:
				return err
			case aws.ToString(out.Name) != e.name, aws.ToString(out.Description) != "a description",
				aws.ToString(out.CustomerId) != "customer", !out.Enabled, out.Tags["conformance:a"] != "b/c":
				return errors.New("a member differs")
			case aws.ToString(out.Value) != value:
				return errors.New("the value differs")
			}
			return nil
		},
	},
	{
		Name: "key/id-is-not-the-value", Source: recordedKeys,
		Behaviour: "id and value differ",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err == nil && aws.ToString(out.Id) == aws.ToString(out.Value) {
				err = errors.New("the id is the value")
			}
			return err
		},
	},
	{
		Name: "key/empty-value-is-generated", Source: "V AWS-verified emulator test",
		Behaviour: "an empty value is as good as none",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: aws.String("")})
			if err == nil && len(aws.ToString(out.Value)) < 20 {
				err = errors.New("no value of 20 characters or more was generated")
			}
			return err
		},
	},
	{
		Name: "key/value-of-19", Source: recordedKeys,
		Behaviour: "a value of 19 characters is refused",
		run: func(e *env) error {
			_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: aws.String(e.value(19))})
			return refused(err, "BadRequestException", "API Key value should be at least 20 characters")
		},
	},
	{
		Name: "key/value-of-20-and-128", Source: "V the errors for 19 and 129",
		Behaviour: "values of 20 and of 128 characters are accepted",
		run: func(e *env) error {
			_, short := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: aws.String(e.value(20))})
			_, long := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: aws.String(e.value(128))})
			return errors.Join(short, long)
		},
	},
	{
		Name: "key/value-of-129", Source: localstackChecks,
		Behaviour: "a value of 129 characters is refused",
		run: func(e *env) error {
			_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: aws.String(e.value(129))})
			return refused(err, "BadRequestException", "API Key value exceeds maximum size of 128 characters")
		},
	},
	{
		Name: "key/name-of-1025", Source: localstackChecks,
		Behaviour: "a name of 1,024 characters is accepted, one of 1,025 refused",
		run: func(e *env) error {
			pad := func(n int) *string { return aws.String(e.name + strings.Repeat("x", n-len(e.name))) }
			if _, err := e.createKey(&apigateway.CreateApiKeyInput{Name: pad(1024)}); err != nil {
				return err
			}
			_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: pad(1025)})
			return refused(err, "BadRequestException", "Invalid API Key name, can be at most 1024 characters.")
		},
	},
	{
		Name: "key/description-of-125001", Source: localstackChecks,
		Behaviour: "a description of 125,001 characters is refused",
		run: func(e *env) error {
			_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Description: aws.String(strings.Repeat("x", 125_001))})
			return refused(err, "BadRequestException", "Invalid API Key description specified.")
		},
	},
	{
		Name: "key/tag-of-aws", Source: keyPage,
		Behaviour: "a tag whose key begins with aws: is refused",
		run: func(e *env) error {
			_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Tags: map[string]string{"aws:x": "y"}})
			return refused(err, "BadRequestException", "")
		},
	},
	{
		Name: "key/same-name", Source: recordedKeys,
		Behaviour: "the same name twice makes two keys",
		run: func(e *env) error {
			first, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err != nil {
				return err
			}
			second, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err == nil && aws.ToString(first.Id) == aws.ToString(second.Id) {
				err = errors.New("both have one id")
			}
			return err
		},
	},
	{
		Name: "key/same-value", Source: recordedKeys,
		Behaviour: "the same value twice conflicts, whatever else differs",
		run: func(e *env) error {
			value := e.value(40)
			if _, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: &value}); err != nil {
				return err
			}
			_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: aws.String(e.name + "-other"), Value: &value, CustomerId: aws.String("other")})
			return refused(err, "ConflictException", "API Key already exists")
		},
	},
	{
		Name: "key/value-of-a-deleted-key", Source: "U",
		Behaviour: "a key's deletion frees its value",
		run: func(e *env) error {
			value := e.value(40)
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: &value})
			if err != nil {
				return err
			}
			if _, err := e.Gateway.DeleteApiKey(e.ctx, &apigateway.DeleteApiKeyInput{ApiKey: out.Id}); err != nil {
				return err
			}
			return e.eventually(func() error {
				_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Value: &value})
				return err
			})
		},
	},
	{
		Name: "key/get", Source: recordedKeys,
		Behaviour: "GetApiKey gives the value only where asked for it, and the tags",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Tags: map[string]string{"conformance:a": "b"}})
			if err != nil {
				return err
			}
			return e.eventually(func() error {
				without, err := e.Gateway.GetApiKey(e.ctx, &apigateway.GetApiKeyInput{ApiKey: out.Id})
				if err != nil {
					return err
				}
				with, err := e.Gateway.GetApiKey(e.ctx, &apigateway.GetApiKeyInput{ApiKey: out.Id, IncludeValue: aws.Bool(true)})
				switch {
				case err != nil:
					return err
				case without.Value != nil:
					return errors.New("the value comes unasked")
				case aws.ToString(with.Value) != aws.ToString(out.Value):
					return errors.New("the value differs")
				case without.Tags["conformance:a"] != "b":
					return errors.New("the tag is missing")
				}
				return nil
			})
		},
	},
	{
		Name: "key/unknown", Source: "V error text; moto",
		Behaviour: "an unknown key is not found, by GetApiKey and by DeleteApiKey",
		run: func(e *env) error {
			id := aws.String("doesnotexist")
			_, get := e.Gateway.GetApiKey(e.ctx, &apigateway.GetApiKeyInput{ApiKey: id})
			_, del := e.Gateway.DeleteApiKey(e.ctx, &apigateway.DeleteApiKeyInput{ApiKey: id})
			const text = "Invalid API Key identifier specified"
			return errors.Join(refused(get, "NotFoundException", text), refused(del, "NotFoundException", text))
		},
	},
	{
		Name: "key/deleted", Source: "D API_DeleteApiKey",
		Behaviour: "a deleted key is not found",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err != nil {
				return err
			}
			if _, err := e.Gateway.DeleteApiKey(e.ctx, &apigateway.DeleteApiKeyInput{ApiKey: out.Id}); err != nil {
				return err
			}
			return e.eventually(func() error {
				_, err := e.Gateway.GetApiKey(e.ctx, &apigateway.GetApiKeyInput{ApiKey: out.Id})
				return refused(err, "NotFoundException", "")
			})
		},
	},
	{
		Name: "key/update", Source: recordedKeys,
		Behaviour: "/enabled, /name, /description and /customerId can be replaced",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err != nil {
				return err
			}
			replace := func(path, value string) types.PatchOperation {
				return types.PatchOperation{Op: types.OpReplace, Path: &path, Value: &value}
			}
			up, err := e.Gateway.UpdateApiKey(e.ctx, &apigateway.UpdateApiKeyInput{ApiKey: out.Id, PatchOperations: []types.PatchOperation{
				replace("/enabled", "true"), replace("/name", e.name+"-new"), replace("/description", "new"), replace("/customerId", "new"),
			}})
			if err == nil && (!up.Enabled || aws.ToString(up.Name) != e.name+"-new" || aws.ToString(up.Description) != "new" || aws.ToString(up.CustomerId) != "new") {
				err = errors.New("a member was not replaced")
			}
			return err
		},
	},
	{
		Name: "key/tag", Source: "D API_TagResource; the ARN of a key is in the developer guide's ARN format reference",
		Behaviour: "TagResource adds tags to a key that has some, and GetApiKey shows all",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Tags: map[string]string{"team": "billing"}})
			if err != nil {
				return err
			}
			_, err = e.Gateway.TagResource(e.ctx, &apigateway.TagResourceInput{
				ResourceArn: aws.String("arn:aws:apigateway:" + e.Gateway.Options().Region + "::/apikeys/" + aws.ToString(out.Id)), Tags: map[string]string{"createkey:secret": e.name},
			})
			if err != nil {
				return err
			}
			return e.eventually(func() error {
				key, err := e.Gateway.GetApiKey(e.ctx, &apigateway.GetApiKeyInput{ApiKey: out.Id})
				if err == nil && (len(key.Tags) != 2 || key.Tags["team"] != "billing" || key.Tags["createkey:secret"] != e.name) {
					err = fmt.Errorf("it shows %d tags, or others", len(key.Tags))
				}
				return err
			})
		},
	},
	{
		Name: "key/update-refused", Source: recordedKeys,
		Behaviour: "the value cannot be replaced, and nothing beside it in the same request is",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, Description: aws.String("old")})
			if err != nil {
				return err
			}
			_, err = e.Gateway.UpdateApiKey(e.ctx, &apigateway.UpdateApiKeyInput{ApiKey: out.Id, PatchOperations: []types.PatchOperation{
				{Op: types.OpReplace, Path: aws.String("/description"), Value: aws.String("new")},
				{Op: types.OpReplace, Path: aws.String("/value"), Value: aws.String(e.value(40))},
			}})
			if err := refused(err, "BadRequestException", "Invalid patch path  '/value' specified for op 'replace'."); err != nil {
				return err
			}
			return e.eventually(func() error {
				after, err := e.Gateway.GetApiKey(e.ctx, &apigateway.GetApiKeyInput{ApiKey: out.Id})
				if err == nil && aws.ToString(after.Description) != "old" {
					err = errors.New("the description was replaced")
				}
				return err
			})
		},
	},
	{
		Name: "keys/name-is-a-prefix", Source: recordedKeys,
		Behaviour: "nameQuery is a prefix and case-sensitive",
		run: func(e *env) error {
			for _, suffix := range []string{"-Abc", "-Abcd", "-abc"} {
				if _, err := e.createKey(&apigateway.CreateApiKeyInput{Name: aws.String(e.name + suffix)}); err != nil {
					return err
				}
			}
			return e.listed(&apigateway.GetApiKeysInput{NameQuery: aws.String(e.name + "-Abc")}, e.name+"-Abc", e.name+"-Abcd")
		},
	},
	{
		Name: "keys/customer", Source: recordedKeys,
		Behaviour: "customerId filters",
		run: func(e *env) error {
			for _, customer := range []string{"a", "b"} {
				in := &apigateway.CreateApiKeyInput{Name: aws.String(e.name + "-" + customer), CustomerId: aws.String(e.RunID + customer)}
				if _, err := e.createKey(in); err != nil {
					return err
				}
			}
			return e.listed(&apigateway.GetApiKeysInput{CustomerId: aws.String(e.RunID + "b")}, e.name+"-b")
		},
	},
	{
		Name: "keys/values", Source: recordedKeys,
		Behaviour: "a list has the values only where asked for them",
		run: func(e *env) error {
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name})
			if err != nil {
				return err
			}
			return e.eventually(func() error {
				without, err := e.Gateway.GetApiKeys(e.ctx, &apigateway.GetApiKeysInput{NameQuery: &e.name})
				if err != nil {
					return err
				}
				with, err := e.Gateway.GetApiKeys(e.ctx, &apigateway.GetApiKeysInput{NameQuery: &e.name, IncludeValues: aws.Bool(true)})
				switch {
				case err != nil:
					return err
				case len(without.Items) != 1 || len(with.Items) != 1:
					return errors.New("the key is not listed")
				case without.Items[0].Value != nil:
					return errors.New("the value comes unasked")
				case aws.ToString(with.Items[0].Value) != aws.ToString(out.Value):
					return errors.New("the value differs")
				}
				return nil
			})
		},
	},
	{
		Name: "keys/pages", Source: recordedKeys,
		Behaviour: "limit cuts pages, position continues, the last page has none",
		run: func(e *env) error {
			var want []string
			for i := range 5 {
				name := fmt.Sprint(e.name, "-", i)
				if _, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &name}); err != nil {
					return err
				}
				want = append(want, name)
			}
			if err := e.listed(&apigateway.GetApiKeysInput{NameQuery: &e.name, Limit: aws.Int32(2)}, want...); err != nil {
				return err
			}
			first, err := e.Gateway.GetApiKeys(e.ctx, &apigateway.GetApiKeysInput{NameQuery: &e.name, Limit: aws.Int32(2)})
			if err == nil && (len(first.Items) != 2 || first.Position == nil) {
				err = fmt.Errorf("the first page of limit 2 has %d items, position %t", len(first.Items), first.Position != nil)
			}
			return err
		},
	},
	{
		Name: "keys/position", Source: recordedKeys,
		Behaviour: "a position holds a key's value, asked for or not: neither it nor a URL with it may be logged",
		run: func(e *env) error {
			value := e.value(40)
			for _, in := range []*apigateway.CreateApiKeyInput{
				{Name: aws.String(e.name + "-1"), Value: &value},
				{Name: aws.String(e.name + "-2")},
			} {
				if _, err := e.createKey(in); err != nil {
					return err
				}
			}
			return e.eventually(func() error {
				out, err := e.Gateway.GetApiKeys(e.ctx, &apigateway.GetApiKeysInput{NameQuery: &e.name, Limit: aws.Int32(1)})
				if err != nil {
					return err
				}
				encoded, err := url.QueryUnescape(aws.ToString(out.Position))
				if err != nil {
					return errors.New("the position is not escaped as in a URL")
				}
				text, err := base64.StdEncoding.DecodeString(encoded)
				if err != nil || string(text) != "apiKey=S"+value+"&name=S"+e.name+"-1" {
					return errors.New("the position is something else")
				}
				return nil
			})
		},
	},
}

// stageCases come last, because an emulator that encodes stage keys wrongly cannot list its
// keys once one has stage keys.
var stageCases = []Case{
	{
		Name: "key/unknown-stage", Source: "V error text",
		Behaviour: "a stage key of an unknown stage is refused",
		Stage:     true, // without a known stage, the target may accept any
		run: func(e *env) error {
			_, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, StageKeys: []types.StageKey{{
				RestApiId: aws.String("doesnotexist"), StageName: aws.String("nowhere"),
			}}})
			const text = "Invalid stage identifier specified" // the code is not known
			switch {
			case err == nil:
				return errors.New("accepted")
			case !strings.Contains(err.Error(), text):
				return fmt.Errorf("want %q: %w", text, err)
			}
			return nil
		},
	},
	{
		Name: "key/stage-keys", Source: recordedKeys,
		Behaviour: "stage keys go in as objects and come out as strings",
		Stage:     true,
		run: func(e *env) error {
			api, stage, _ := strings.Cut(e.Stage, "/")
			out, err := e.createKey(&apigateway.CreateApiKeyInput{Name: &e.name, StageKeys: []types.StageKey{{RestApiId: &api, StageName: &stage}}})
			if err == nil && (len(out.StageKeys) != 1 || out.StageKeys[0] != e.Stage) {
				err = fmt.Errorf("stage keys come out as %q", out.StageKeys)
			}
			return err
		},
	},
}

// listed checks that in lists exactly the keys with those names, in any order, over any number
// of pages.
func (e *env) listed(in *apigateway.GetApiKeysInput, want ...string) error {
	return e.eventually(func() error {
		found := make(map[string]bool)
		pages := apigateway.NewGetApiKeysPaginator(e.Gateway, in)
		for n := 0; pages.HasMorePages(); n++ {
			if n > 10 {
				return errors.New("the pages do not end")
			}
			page, err := pages.NextPage(e.ctx)
			if err != nil {
				return err
			}
			for _, k := range page.Items {
				name := aws.ToString(k.Name)
				if found[name] {
					return fmt.Errorf("%q is listed twice", name)
				}
				found[name] = true
			}
		}
		for _, name := range want {
			if !found[name] {
				return fmt.Errorf("%q is not listed", name)
			}
		}
		if len(found) != len(want) {
			return fmt.Errorf("%d keys are listed, want %d", len(found), len(want))
		}
		return nil
	})
}
