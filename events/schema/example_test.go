package schema_test

import (
	"bytes"
	"fmt"
	"log"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"createkey/events/schema"
)

// A sender can validate a request before sending it, with any JSON Schema validator.
func Example() {
	requested := schema.Schemas[0]
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(requested.JSON()))
	if err != nil {
		log.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(requested.File, document); err != nil {
		log.Fatal(err)
	}
	compiled := compiler.MustCompile(requested.File)
	for _, text := range []string{
		`{"customerId": "cust-1", "name": "Gold", "enabled": true}`,
		`{"customerId": "cust-1", "name": "Gold", "enabled": "true"}`,
	} {
		request, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("valid:", compiled.Validate(request) == nil)
	}
	// Output:
	// valid: true
	// valid: false
}
