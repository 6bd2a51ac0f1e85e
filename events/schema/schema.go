// Package schema holds what senders and listeners can check their documents
// with: JSON Schemas (2020-12) of requests and of the outcome events, and
// the same in the form that an EventBridge schema registry wants.
//
// It guarantees that the schema of a request accepts what package apikey accepts, and
// rejects what it rejects by a rule that a schema can say; a test gives both the same
// documents, and lists what a schema cannot say. Every outcome event that the function
// sends is valid by its schema. template.yaml, a registry with the schemas in
// EventBridge's form, is generated (`make schemas`), and a test says when it is out of date.
//
// A sender or a listener takes the .json files of this folder, or [Schema.JSON], to a
// validator of JSON Schema. For code bindings, where the Region has schema registries:
//
//	aws cloudformation deploy --template-file events/schema/template.yaml --stack-name createkey-schemas
package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed *.json
var files embed.FS

// Schema is the schema of one event's detail.
type Schema struct {
	// Name is its name in a schema registry, source@DetailType as in AWS's own
	// registries; a request may come from any source.
	Name       string
	File       string // of the JSON Schema
	DetailType string
	Source     string // of the event; empty: any
}

// Schemas are all of them: those of the requests, and of the outcome events.
var Schemas = []Schema{
	{Name: "APIKeyRequested", File: "api-key-requested.json", DetailType: "API Key Requested"},
	{Name: "createkey@APIKeyReady", File: "api-key-ready.json", DetailType: "API Key Ready", Source: "createkey"},
	{Name: "createkey@APIKeyRejected", File: "api-key-rejected.json", DetailType: "API Key Rejected", Source: "createkey"},
	{Name: "APIKeyEndRequested", File: "api-key-end-requested.json", DetailType: "API Key End Requested"},
	{Name: "APIKeyRotationRequested", File: "api-key-rotation-requested.json", DetailType: "API Key Rotation Requested"},
	{Name: "createkey@APIKeyEnded", File: "api-key-ended.json", DetailType: "API Key Ended", Source: "createkey"},
	{Name: "createkey@APIKeyRotated", File: "api-key-rotated.json", DetailType: "API Key Rotated", Source: "createkey"},
}

// JSON returns the JSON Schema.
func (s Schema) JSON() []byte {
	text, err := files.ReadFile(s.File)
	if err != nil {
		panic(err) // the list above names a file that was not embedded
	}
	return text
}

// Registry returns the content of an AWS::EventSchemas::Schema of type OpenApi3:
// the event's envelope under the name AWSEvent, as in AWS's own registries, from
// which code bindings are generated, and its detail, less what OpenAPI 3.0
// cannot say (https://spec.openapis.org/oas/v3.0.3#schema-object).
func (s Schema) Registry() ([]byte, error) {
	var detail map[string]any
	if err := json.Unmarshal(s.JSON(), &detail); err != nil {
		return nil, fmt.Errorf("%s: %w", s.File, err)
	}
	name := s.detailName()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(map[string]any{
		"openapi": "3.0.0",
		"info":    map[string]any{"title": name, "version": "1.0.0"},
		"paths":   map[string]any{},
		"components": map[string]any{"schemas": map[string]any{
			"AWSEvent": s.envelope("#/components/schemas/" + name),
			name:       openAPI(detail),
		}},
	})
	return b.Bytes(), err
}

// Template returns a CloudFormation template of an EventBridge schema registry that
// holds the [Schemas]. It is one of its own because StackSets and Service Catalog refuse
// a template with a type that a Region lacks, even under a condition that is false.
func Template() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(registryTemplate)
	for _, s := range Schemas {
		content, err := s.Registry()
		if err != nil {
			return nil, err
		}
		indented := strings.ReplaceAll(string(bytes.TrimSpace(content)), "\n", "\n        ")
		fmt.Fprintf(&b, schemaResource, s.detailName(), s.Name, s.DetailType, indented)
	}
	return b.Bytes(), nil
}

const registryTemplate = `# Written by "make schemas" from the JSON Schemas beside it.
AWSTemplateFormatVersion: "2010-09-09"
Description: "createkey: an EventBridge schema registry with the events that createkey is asked by and answers with, for code bindings."

Resources:
  Registry:
    Type: AWS::EventSchemas::Registry
    Properties:
      Description: The events that createkey is asked by and answers with
`

const schemaResource = `
  %[1]s:
    Type: AWS::EventSchemas::Schema
    Properties:
      RegistryName: !GetAtt Registry.RegistryName
      SchemaName: %[2]q
      Type: OpenApi3
      Description: Events of detail type %[3]q
      Content: |
        %[4]s
`

// detailName returns the name of the detail's schema in the registry's form, which is
// the logical id in the template, too.
func (s Schema) detailName() string { return s.Name[strings.IndexByte(s.Name, '@')+1:] }

// envelope is the schema of an EventBridge event
// (https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html).
func (s Schema) envelope(detail string) map[string]any {
	text := map[string]any{"type": "string"}
	envelope := map[string]any{
		"type":                        "object",
		"required":                    []string{"detail-type", "resources", "detail", "id", "source", "time", "region", "version", "account"},
		"x-amazon-events-detail-type": s.DetailType,
		"properties": map[string]any{
			"detail":      map[string]any{"$ref": detail},
			"account":     text,
			"detail-type": map[string]any{"type": "string", "enum": []string{s.DetailType}},
			"id":          text,
			"region":      text,
			"resources":   map[string]any{"type": "array", "items": text},
			"source":      text,
			"time":        map[string]any{"type": "string", "format": "date-time"},
			"version":     text,
		},
	}
	if s.Source != "" {
		envelope["x-amazon-events-source"] = s.Source
	}
	return envelope
}

// openAPI turns a schema into OpenAPI 3.0's dialect, as far as the schemas here
// use what the two do not share.
func openAPI(schema map[string]any) map[string]any {
	out := map[string]any{}
	for keyword, value := range schema {
		switch keyword {
		case "$schema", "$id", "propertyNames": // has no counterpart; the description says the rule
			continue
		case "properties":
			members := map[string]any{}
			for name, member := range value.(map[string]any) {
				members[name] = openAPI(member.(map[string]any))
			}
			value = members
		case "anyOf":
			var options []any
			for _, option := range value.([]any) {
				options = append(options, openAPI(option.(map[string]any)))
			}
			value = options
		case "items", "not", "additionalProperties":
			if inner, ok := value.(map[string]any); ok { // additionalProperties may be a boolean
				value = openAPI(inner)
			}
		}
		out[keyword] = value
	}
	return out
}
