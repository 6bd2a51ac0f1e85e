package document_test

import (
	"fmt"
	"log"

	"createkey/internal/document"
)

// JSON and YAML become the same nodes, so that one validator checks both.
func ExampleParse() {
	for _, text := range []string{
		`{"name": "Gold", "enabled": true}`,
		"name: Gold\nenabled: true\n",
	} {
		root, err := document.Parse([]byte(text))
		if err != nil {
			log.Fatal(err)
		}
		enabled, _ := root.Get("enabled")
		fmt.Println(root.GetText("name"), enabled.Bool, len(root.Members))
	}
	// Output:
	// Gold true 2
	// Gold true 2
}

// A text that is no document is an error, which says where and quotes nothing.
func ExampleParse_syntax() {
	_, err := document.Parse([]byte("{\n\t\"name\": \"Gold\",\n}"))
	fmt.Println("the request", err)
	// Output: the request is not valid JSON (line 3, column 1): take out the comma before it
}

// What encoding/json would repair silently stays visible: it would take the second name
// here, and U+FFFD for half a surrogate pair.
func ExampleNode() {
	root, err := document.Parse([]byte(`{"name": "Gold", "name": "Silver", "description": "\ud83d"}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range root.Members {
		if m.Fault != "" {
			fmt.Println(m.Name+":", m.Fault)
		}
		if m.Value.Fault != "" {
			fmt.Println(m.Name+":", m.Value.Fault)
		}
	}
	// Output:
	// name: repeated member
	// description: must not hold an unpaired surrogate
}
