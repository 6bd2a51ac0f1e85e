package executable_test

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"createkey/internal/test/payload"
)

// callKind is a kind of call, as permissions distinguish them.
type callKind struct {
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Method    string `json:"method"`
	Tagged    bool   `json:"tagged"`
}

// seen is what TestExecutable has seen of the executable.
var seen struct {
	paths  sync.Map // of a call of each callKind
	mu     sync.Mutex
	output bytes.Buffer // guarded by mu
}

// writeRecord writes calls.json, one AWS call of each kind, against which the function's role
// is checked, and output.log, everything that was written, against which the metric filters
// are. The output was checked: it holds no value.
func writeRecord(t *testing.T, folder string) {
	type call struct {
		callKind
		Path string `json:"path"`
	}
	var calls []call
	seen.paths.Range(func(kind, path any) bool {
		calls = append(calls, call{kind.(callKind), path.(string)})
		return true
	})
	slices.SortFunc(calls, func(a, b call) int { return cmp.Compare(a.Service+a.Operation, b.Service+b.Operation) })
	err := errors.Join(
		os.MkdirAll(folder, 0o750),
		os.WriteFile(filepath.Join(folder, "calls.json"), []byte(payload.JSON(calls)), 0o600),
		os.WriteFile(filepath.Join(folder, "output.log"), seen.output.Bytes(), 0o600),
	)
	if err != nil {
		t.Error(err)
	}
}
