package schema_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"createkey/events/schema"
	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/provision"
	"createkey/internal/test/awslocal"
)

// readyDetail returns the detail of the function's event for this request.
func readyDetail(t *testing.T, request string) any {
	t.Helper()
	aws := &awslocal.Server{}
	aws.AddUsagePlan(awslocal.UsagePlan{ID: "gold01"})
	doc, err := document.Parse([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	r, secretName, err := apikey.Parse(doc, "apikeys/", "d-1")
	if err != nil {
		t.Fatal(err)
	}
	p := provision.New(apigateway.NewFromConfig(aws.Config()), secretsmanager.NewFromConfig(aws.Config()))
	result, err := p.Provision(t.Context(), r, secretName)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(struct {
		apikey.Key
		SecretName string           `json:"secretName"`
		SecretARN  string           `json:"secretArn"`
		Status     provision.Status `json:"status"`
		Generation int              `json:"generation"`
		MessageID  string           `json:"messageId"`
	}{result.Key, secretName, result.SecretARN, result.Status, result.Generation, "m-1"})
	if err != nil {
		t.Fatal(err)
	}
	return parseJSON(t, text)
}

// with returns a copy of an object in which one member is added or replaced.
func with(object any, name string, value any) any {
	members := map[string]any{name: value}
	for other, v := range object.(map[string]any) {
		if other != name {
			members[other] = v
		}
	}
	return members
}

func without(object any, name string) any {
	members := with(object, name, nil).(map[string]any)
	delete(members, name)
	return members
}

// details are samples of one outcome event's detail.
type details struct {
	schema    schema.Schema
	good, bad []any
}

func outcomes(t *testing.T) []details {
	t.Helper()
	full := readyDetail(t, `{"name": "Gold", "customerId": "cust-1", "enabled": true, "description": "d", "tags": {"team": "billing"},
		"stageKeys": [{"restApiId": "a1", "stageName": "prod"}], "usagePlanIds": ["gold01"]}`)
	unnamed := readyDetail(t, `{}`)
	told := parseJSON(t, []byte(`{"messageId": "m-1", "customerId": "cust-1", "name": "Gold", "secretName": "apikeys/cust-1/Gold", "reasons": ["enabled: must be a boolean, not a string: write true or false, without quotes"]}`))
	hardly := parseJSON(t, []byte(`{"messageId": "m-1", "reasons": ["body: must be a string"]}`))
	ready := details{schema: ready, good: []any{full, unnamed, with(full, "later", "unknown member"), with(full, "status", "existing")}}
	for name := range without(full, "no").(map[string]any) {
		if !slices.Contains([]string{"name", "customerId", "description", "createdDate", "lastUpdatedDate"}, name) {
			ready.bad = append(ready.bad, without(full, name))
		}
		ready.bad = append(ready.bad, with(full, name, nil))
	}
	ready.bad = append(ready.bad, with(full, "value", "fake-value-0123456789"), with(full, "status", "rejected"), with(full, "secretArn", "x"),
		with(full, "createdDate", "yesterday"), with(full, "secretName", ""), with(full, "id", ""), with(full, "stageKeys", []any{map[string]any{}}),
		with(full, "usagePlanIds", []any{""}), with(full, "tags", map[string]any{"a": true}), []any{})
	return []details{
		ready,
		{
			schema: rejected,
			good:   []any{told, hardly, with(told, "later", json.Number("1"))},
			bad: []any{without(told, "messageId"), without(told, "reasons"), with(told, "reasons", []any{}), with(told, "reasons", "text"),
				with(told, "reasons", []any{""}), with(told, "name", nil), with(told, "secretName", true), with(told, "value", "fake-value-0123456789")},
		},
	}
}

func TestOutcomes(t *testing.T) {
	for _, o := range outcomes(t) {
		compiled := compileSchema(t, o.schema)
		for _, detail := range o.good {
			if err := compiled.Validate(detail); err != nil {
				t.Errorf("%s refuses a good detail: %v", o.schema.Name, err)
			}
		}
		for i, detail := range o.bad {
			if compiled.Validate(detail) == nil {
				t.Errorf("%s accepts bad detail %d", o.schema.Name, i)
			}
		}
	}
}

// busEvent is an EventBridge event with that detail.
func busEvent(s schema.Schema, detail any) map[string]any {
	source := s.Source
	if source == "" {
		source = "onboarding"
	}
	return map[string]any{
		"version": "0", "id": "9b1f9a3c-27f4-4b52-9c1e-6e1df3a7c001", "detail-type": s.DetailType, "source": source,
		"account": "123456789012", "time": "2026-11-23T08:45:00Z", "region": "us-east-1", "resources": []any{}, "detail": detail,
	}
}

// compileRegistry compiles the registry's schema, which describes the whole event.
func compileRegistry(t testing.TB, s schema.Schema) *jsonschema.Schema {
	t.Helper()
	text, err := s.Registry()
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, parseJSON(t, text), "#/components/schemas/AWSEvent")
}

// The registry's schema accepts an event exactly where the JSON Schema accepts its
// detail, except for propertyNames, which OpenAPI 3.0 lacks.
func TestRegistryAndSchemaAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("judges 4,000 documents twice: run without -short")
	}
	for _, o := range outcomes(t) {
		compiled := compileRegistry(t, o.schema)
		for _, detail := range o.good {
			if err := compiled.Validate(busEvent(o.schema, detail)); err != nil {
				t.Errorf("%s refuses a good event: %v", o.schema.Name, err)
			}
		}
		for i, detail := range o.bad {
			if compiled.Validate(busEvent(o.schema, detail)) == nil {
				t.Errorf("%s accepts bad event %d", o.schema.Name, i)
			}
		}
		for _, member := range []string{"id", "detail", "detail-type"} {
			if compiled.Validate(without(busEvent(o.schema, o.good[0]), member)) == nil {
				t.Errorf("%s accepts an event without %s", o.schema.Name, member)
			}
		}
	}

	document, registry := parseJSON(t, requested.JSON()), compileRegistry(t, requested)
	tags := document.(map[string]any)["properties"].(map[string]any)["tags"].(map[string]any)
	delete(tags, "propertyNames")
	compiled := compile(t, document, "")
	for _, v := range judged() {
		if !v.expressible {
			continue
		}
		inSchema, inRegistry := compiled.Validate(v.instance) == nil, registry.Validate(busEvent(requested, v.instance)) == nil
		if inSchema != inRegistry {
			t.Fatalf("the schema accepts a request: %t; the registry's form: %t", inSchema, inRegistry)
		}
	}
}

// EventBridge refuses a schema that has a keyword from outside OpenAPI 3.0.
func TestRegistryIsOpenAPI(t *testing.T) {
	schemaObject := []string{
		"title", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
		"maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "required", "enum", "type", "allOf", "oneOf", "anyOf",
		"not", "items", "properties", "additionalProperties", "description", "format", "default", "nullable", "discriminator", "readOnly",
		"writeOnly", "xml", "externalDocs", "example", "deprecated", "$ref",
	}
	var check func(file string, node any)
	check = func(file string, node any) {
		switch node := node.(type) {
		case []any:
			for _, item := range node {
				check(file, item)
			}
		case map[string]any:
			for keyword, value := range node {
				switch {
				case strings.HasPrefix(keyword, "x-amazon-events-"):
				case !slices.Contains(schemaObject, keyword):
					t.Errorf("%s: %s is not a keyword of OpenAPI 3.0", file, keyword)
				case keyword == "properties":
					for _, member := range value.(map[string]any) {
						check(file, member)
					}
				case keyword != "default" && keyword != "enum" && keyword != "required":
					check(file, value)
				}
			}
		}
	}
	for _, s := range schema.Schemas {
		text, err := s.Registry()
		if err != nil {
			t.Fatal(err)
		}
		components := parseJSON(t, text).(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
		if len(components) != 2 {
			t.Errorf("%s: %d schemas, want the event and its detail", s.Name, len(components))
		}
		for _, component := range components {
			check(s.Name, component)
		}
	}
}
