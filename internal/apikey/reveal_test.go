package apikey

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Only files that must send a value, or compare two, may read it. This is the only list
// of them.
func TestRevealCallers(t *testing.T) {
	may := []string{
		"internal/apikey/value.go",        // Equal, QuotedIn
		"internal/apikey/record.go",       // Encode: the secret's text
		"internal/cmd/operate/adopt.go",   // CreateSecret, for an existing key
		"internal/function/setaside.go",   // a rejected message, to the dead-letter queue
		"internal/provision/life.go",      // PutSecretValue, and the keys of ends and rotations
		"internal/provision/provision.go", // CreateSecret, CreateApiKey
	}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && path != root || path == filepath.Join(root, "internal", "test")) {
			return fs.SkipDir // .git, .aws-sam, and what does not ship
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		// Without the parenthesis, to find method values as well as calls.
		if strings.Contains(string(text), ".Reveal") && !slices.Contains(may, filepath.ToSlash(file)) {
			t.Errorf("%s reads values", file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
