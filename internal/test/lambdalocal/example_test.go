package lambdalocal_test

import (
	"context"
	"fmt"
	"os"

	"createkey/internal/test/lambdalocal"
)

// One process serves one invocation after the other. When it crashes, the invocation answers
// as in Lambda, and the next one starts another process.
func ExampleFunction_Invoke() {
	f := &lambdalocal.Function{
		Path: os.Args[0], // this test binary, which behaves as a bootstrap
		Env:  []string{"LAMBDALOCAL_CHILD=handler"},
	}
	defer func() { _ = f.Close() }()
	for _, payload := range []string{`{}`, `{}`, `{"do": "exit", "size": 3}`, `{}`} {
		response, err := f.Invoke(context.Background(), []byte(payload))
		if err != nil {
			fmt.Println(err) // a fault of this machine; the function's errors are in the response
			return
		}
		fmt.Printf("cold: %t, error: %q\n", response.ColdStart, response.FunctionError)
	}
	// Output:
	// cold: true, error: ""
	// cold: false, error: ""
	// cold: false, error: "Unhandled"
	// cold: true, error: ""
}
