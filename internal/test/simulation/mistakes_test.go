package simulation_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"createkey/internal/model"
)

var mistakes = flag.Bool("simulate.mistakes", false, "show that every deliberate mistake is caught; builds the function for each of them")

// A change is an edit of internal/provision that makes a mistake. Its old text
// must be there exactly once: a mistake that the code has outgrown is noticed.
type change struct{ old, new string }

const provision = "../provision/provision.go"

// TestMistakes shows that each mistake of internal/model, made in the code, is
// caught within the histories of `make test`. The mistake is made in an overlay
// of the go command's: the tree stays as it is, and the code has no switches.
func TestMistakes(t *testing.T) {
	if !*mistakes {
		t.Skip("takes a minute or two: make test-mistakes")
	}
	for _, test := range []struct {
		mistake model.Mistake
		changes []change
		broken  string // what the simulation says
	}{
		{model.ValueAfterLostLock, []change{{
			"\t\tif err := j.readRecord(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n",
			"\t\tif err := j.readRecord(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif !j.record.Finished() {\n\t\t\tj.record.Value = value\n\t\t}\n",
		}}, "promise [12]"},
		{model.CorrectionChangesValue, []change{{
			`return failure.Reject("value: differs from the one in secret %s, which is final: "+`,
			`j.record = pending
			_, err := j.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &j.secretName, SecretString: in.SecretString})
			if err == nil {
				return nil
			}
			return failure.Reject("value: "+`,
		}}, "promise [13]"},
		{model.ValueDifferenceIgnored, []change{
			{"if !j.record.Finished() && !value.Equal(j.record.Value) && !j.request.Value.IsZero() {", "if false {"},
			{"if !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value) {", "if false {"},
		}, "promise 3|answers agree"},
		{model.KeyBeforeSecret, []change{{
			"\tif err := j.writeAhead(ctx); err != nil {",
			"\tif j.record.Value = r.Value; r.Value.IsZero() {\n\t\tj.record.Value, _ = apikey.GenerateValue(j.Random)\n\t}\n" +
				"\tif err := j.makeKey(ctx); err != nil {\n\t\treturn j.result, err\n\t}\n\tif err := j.writeAhead(ctx); err != nil {",
		}}, "promise 2"},
		{model.PutWithoutFixedToken, []change{{
			"ClientRequestToken: aws.String(apikey.FinishedToken(j.secretName)),", "",
		}}, "promise 4"},
		{model.ConflictTakenAsSuccess, []change{{"return j.findKey(ctx)", "return nil"}}, "promise 3|answers agree"},
		{model.UnseenKeyTakenAsForeign, []change{{
			`return failure.Retry("CreateApiKey: ConflictException, and no key with this value can be seen yet")`,
			`return failure.Reject("value: somebody else's key has it")`,
		}}, "answers agree"},
		{model.ForeignKeyAdopted, []change{
			{"if key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName) {", "if false {"},
			{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", `if d := key.Tags[apikey.TagRequest]; d != "" && d != j.request.Digest() {`},
		}, "promise 3"},
		{model.ForeignSecretAdopted, []change{{
			"case err != nil:\n\t\treturn failure.Reject(", "case err != nil:\n\t\trecord = apikey.Record{Value: j.request.Value}\n\tcase false:\n\t\treturn failure.Reject(",
		}}, "promise [23]"},
		{model.DigestIgnored, []change{
			{"digest := key.Tags[apikey.TagRequest]", "digest := key.Tags[apikey.TagRequest]\n\tdigest = j.request.Digest()"},
			{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", "if false {"},
		}, "promise 3|answers agree"},
		{model.FoundKeyNotAttached, []change{
			{"\tresult Result\n}", "\tresult Result\n\tfound bool\n}"},
			{"\tj.result.Key = key\n\tif key.Tags", "\tj.result.Key, j.found = key, true\n\tif key.Tags"},
			{"\terr = j.attachPlans(ctx)\n", "\tif !j.found {\n\t\terr = j.attachPlans(ctx)\n\t}\n"},
		}, "promise 3"},
		{model.NotFoundTakenAsFinal, []change{{
			"o.Retryer = retry.AddWithErrorCodes(", "_ = retry.AddWithErrorCodes(",
		}, {
			`return failure.Retry("GetSecretValue: ResourceNotFoundException: secret %s exists, and cannot be seen yet", j.secretName)`,
			`return failure.Reject("request: its secret is gone")`,
		}}, "answers agree"},
		{model.YoungKeyTakenAsRevoked, []change{{
			"if time.Since(recorded.CreatedDate) < visibleWithin {", "if time.Since(recorded.CreatedDate) < 0*visibleWithin {",
		}}, "answers agree"},
		{model.RevokedKeyMadeAgain, []change{{
			"\t\tif time.Since(recorded.CreatedDate) < visibleWithin {",
			"\t\tif time.Since(recorded.CreatedDate) > visibleWithin {\n\t\t\treturn j.result, j.makeKey(ctx)\n\t\t}\n\t\tif time.Since(recorded.CreatedDate) < visibleWithin {",
		}}, "promise 1"},
	} {
		t.Run(string(test.mistake), func(t *testing.T) {
			simulate := exec.Command("go", "test", "-count=1", "-overlay", overlay(t, test.changes),
				"-run", "^TestSimulation$", "../../functions/createkey")
			out, err := simulate.CombinedOutput()
			caught := regexp.MustCompile("seed [0-9]+ breaks (" + test.broken + ").*").Find(out)
			if err == nil || caught == nil {
				t.Fatalf("not caught:\n%.2000s", out)
			}
			t.Logf("%s", caught)
		})
	}
}

// overlay writes the changed source beside the tree, and returns the file that
// tells the go command to build it in the original's place.
func overlay(t *testing.T, changes []change) string {
	source, err := os.ReadFile(provision)
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for _, c := range changes {
		if strings.Count(text, c.old) != 1 {
			t.Fatalf("internal/provision has changed: it has this %d times:\n%s", strings.Count(text, c.old), c.old)
		}
		text = strings.Replace(text, c.old, c.new, 1)
	}
	original, err := filepath.Abs(provision)
	if err != nil {
		t.Fatal(err)
	}
	changed, file := filepath.Join(t.TempDir(), "provision.go"), filepath.Join(t.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: []byte(text), file: replace} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}
