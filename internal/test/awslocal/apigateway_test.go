package awslocal_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"createkey/internal/test/awslocal"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	gwtypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func TestTags(t *testing.T) {
	s := &awslocal.Server{}
	key := s.AddKey(awslocal.Key{Tags: map[string]string{"a": "1", "b": "2"}})
	gw, _ := clients(s.Config())
	arn := aws.String("arn:aws:apigateway:us-east-1::/apikeys/" + key.ID)
	if _, err := gw.TagResource(t.Context(), &apigateway.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"b": "3", "c": "4"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := gw.UntagResource(t.Context(), &apigateway.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a", "absent"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := gw.GetTags(t.Context(), &apigateway.GetTagsInput{ResourceArn: arn})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"b": "3", "c": "4"}; !reflect.DeepEqual(tags.Tags, want) {
		t.Errorf("tags are %v, want %v", tags.Tags, want)
	}
	// Only GetApiKey is certain to return tags: no caller may rely on lists for them.
	list, err := gw.GetApiKeys(t.Context(), &apigateway.GetApiKeysInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Tags != nil {
		t.Errorf("%d items listed, with tags %v; want one without", len(list.Items), list.Items[0].Tags)
	}
}

func TestTagLimits(t *testing.T) {
	fifty := make(map[string]string)
	for i := range 50 {
		fifty[fmt.Sprint(i)] = ""
	}
	fiftyOne := map[string]string{"one more": ""}
	for k := range fifty {
		fiftyOne[k] = ""
	}
	tests := []struct {
		name string
		tags map[string]string
		want string
	}{
		{"50 tags", fifty, ""},
		{"51 tags", fiftyOne, "BadRequestException"},
		{"key of 128", map[string]string{strings.Repeat("ä", 128): ""}, ""},
		{"key of 129", map[string]string{strings.Repeat("x", 129): ""}, "BadRequestException"},
		{"empty key", map[string]string{"": "x"}, "BadRequestException"},
		{"value of 256", map[string]string{"k": strings.Repeat("ä", 256)}, ""},
		{"value of 257", map[string]string{"k": strings.Repeat("x", 257)}, "BadRequestException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			gw, _ := clients((&awslocal.Server{}).Config())
			_, err := gw.CreateApiKey(t.Context(), &apigateway.CreateApiKeyInput{Tags: tt.tags})
			if got := code(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestUpdateUsagePlan(t *testing.T) {
	s := &awslocal.Server{Stages: map[string]bool{"api/a": true, "api/b": true}}
	gw, _ := clients(s.Config())
	plan, err := gw.CreateUsagePlan(t.Context(), &apigateway.CreateUsagePlanInput{
		Name: aws.String("plan"), ApiStages: []gwtypes.ApiStage{{ApiId: aws.String("api"), Stage: aws.String("a")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		op          gwtypes.Op
		path, value string
		want        string
	}{
		{gwtypes.OpReplace, "/productCode", "product", ""},
		{gwtypes.OpReplace, "/name", "renamed", ""},
		{gwtypes.OpReplace, "/description", "described", ""},
		{gwtypes.OpAdd, "/apiStages", "api:b", ""},
		{gwtypes.OpAdd, "/apiStages", "api:unknown", "BadRequestException"},
		{gwtypes.OpRemove, "/apiStages", "api:a", ""},
		{gwtypes.OpReplace, "/id", "x", "BadRequestException"},
	}
	for _, tt := range tests {
		_, err := gw.UpdateUsagePlan(t.Context(), &apigateway.UpdateUsagePlanInput{
			UsagePlanId: plan.Id, PatchOperations: []gwtypes.PatchOperation{{Op: tt.op, Path: &tt.path, Value: &tt.value}},
		})
		if got := code(err); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.op, tt.path, got, tt.want)
		}
	}
	want := []awslocal.UsagePlan{{
		ID: *plan.Id, Name: "renamed", Description: "described", ProductCode: "product",
		APIStages: []awslocal.APIStage{{APIID: "api", Stage: "b"}},
	}}
	if got := s.UsagePlans(); !reflect.DeepEqual(got, want) {
		t.Errorf("plans are %v, want %v", got, want)
	}
}

// CreateUsagePlan takes no product code: AWS accepts one in a patch only.
func TestCreateUsagePlanIgnoresProductCode(t *testing.T) {
	s := &awslocal.Server{}
	if status, _, _ := send(t, s, "POST", "/usageplans", "", `{"name":"plan","productCode":"p"}`); status != 201 {
		t.Fatalf("status %d, want success", status)
	}
	if got := s.UsagePlans()[0].ProductCode; got != "" {
		t.Errorf("product code is %q, want none", got)
	}
}

func TestDeletionDetaches(t *testing.T) {
	for _, deleted := range []string{"key", "plan", "pair"} {
		t.Run(deleted, func(t *testing.T) {
			s := &awslocal.Server{}
			s.AddKey(awslocal.Key{ID: "key"})
			s.AddUsagePlan(awslocal.UsagePlan{ID: "plan"})
			gw, _ := clients(s.Config())
			key, plan := aws.String("key"), aws.String("plan")
			_, err := gw.CreateUsagePlanKey(t.Context(), &apigateway.CreateUsagePlanKeyInput{UsagePlanId: plan, KeyId: key, KeyType: aws.String("API_KEY")})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.UsagePlanKeys("key"); !reflect.DeepEqual(got, []string{"plan"}) {
				t.Fatalf("the key is in plans %v, want one", got)
			}
			switch deleted {
			case "key":
				_, err = gw.DeleteApiKey(t.Context(), &apigateway.DeleteApiKeyInput{ApiKey: key})
			case "plan":
				_, err = gw.DeleteUsagePlan(t.Context(), &apigateway.DeleteUsagePlanInput{UsagePlanId: plan})
			case "pair":
				_, err = gw.DeleteUsagePlanKey(t.Context(), &apigateway.DeleteUsagePlanKeyInput{UsagePlanId: plan, KeyId: key})
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := s.UsagePlanKeys("key"); got != nil {
				t.Errorf("the key is still in plans %v", got)
			}
		})
	}
}

// Every paged list returns each object once, in order.
func TestPages(t *testing.T) {
	s := &awslocal.Server{}
	plan := s.AddUsagePlan(awslocal.UsagePlan{ID: "plan0"})
	gw, sm := clients(s.Config())
	for i := range 5 {
		key := s.AddKey(awslocal.Key{ID: fmt.Sprint("key", i)})
		if i > 0 {
			s.AddUsagePlan(awslocal.UsagePlan{ID: fmt.Sprint("plan", i)})
		}
		_, err := gw.CreateUsagePlanKey(t.Context(), &apigateway.CreateUsagePlanKeyInput{UsagePlanId: &plan, KeyId: &key.ID, KeyType: aws.String("API_KEY")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(fmt.Sprint("secret", i))}); err != nil {
			t.Fatal(err)
		}
	}
	lists := map[string]func() (pages int, ids []string, err error){
		"key": func() (pages int, ids []string, err error) {
			p := apigateway.NewGetApiKeysPaginator(gw, &apigateway.GetApiKeysInput{Limit: aws.Int32(2)})
			for p.HasMorePages() {
				out, err := p.NextPage(t.Context())
				if err != nil {
					return 0, nil, err
				}
				pages++
				for _, x := range out.Items {
					ids = append(ids, *x.Id)
				}
			}
			return pages, ids, nil
		},
		"plan": func() (pages int, ids []string, err error) {
			p := apigateway.NewGetUsagePlansPaginator(gw, &apigateway.GetUsagePlansInput{Limit: aws.Int32(2)})
			for p.HasMorePages() {
				out, err := p.NextPage(t.Context())
				if err != nil {
					return 0, nil, err
				}
				pages++
				for _, x := range out.Items {
					ids = append(ids, *x.Id)
				}
			}
			return pages, ids, nil
		},
		"plan's key": func() (pages int, ids []string, err error) {
			p := apigateway.NewGetUsagePlanKeysPaginator(gw, &apigateway.GetUsagePlanKeysInput{UsagePlanId: &plan, Limit: aws.Int32(2)})
			for p.HasMorePages() {
				out, err := p.NextPage(t.Context())
				if err != nil {
					return 0, nil, err
				}
				pages++
				for _, x := range out.Items {
					ids = append(ids, "plan's "+*x.Id)
				}
			}
			return pages, ids, nil
		},
		"secret": func() (pages int, ids []string, err error) {
			p := secretsmanager.NewListSecretsPaginator(sm, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(2)})
			for p.HasMorePages() {
				out, err := p.NextPage(t.Context())
				if err != nil {
					return 0, nil, err
				}
				pages++
				for _, x := range out.SecretList {
					ids = append(ids, *x.Name)
				}
			}
			return pages, ids, nil
		},
	}
	for kind, list := range lists {
		t.Run(kind, func(t *testing.T) {
			pages, got, err := list()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 5 {
				want = append(want, fmt.Sprint(kind, i))
			}
			if pages != 3 || !reflect.DeepEqual(got, want) {
				t.Errorf("%d pages with %v, want 3 with %v", pages, got, want)
			}
		})
	}
}

func TestPageSize(t *testing.T) {
	s := &awslocal.Server{}
	for range 501 {
		s.AddKey(awslocal.Key{})
	}
	gw, _ := clients(s.Config())
	for limit, want := range map[int32]int{0: 25, 1: 1, 500: 500, 501: 500} {
		in := &apigateway.GetApiKeysInput{}
		if limit > 0 {
			in.Limit = &limit
		}
		out, err := gw.GetApiKeys(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Items) != want || out.Position == nil {
			t.Errorf("limit %d gives %d keys, more to come: %t; want %d and more", limit, len(out.Items), out.Position != nil, want)
		}
	}
}
