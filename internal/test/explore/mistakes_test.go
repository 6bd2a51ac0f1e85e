package explore

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var mistakes = flag.Bool("explore.mistakes", false, "show that every deliberate mistake is found; builds the explorer for each of them")

// A change is an edit of internal/provision that makes a mistake. Its old text
// must be there exactly once: a mistake that the code has outgrown is noticed.
type change struct{ old, new string }

const provisionFile = "../../provision/provision.go"

// TestMistakes shows that each mistake, made in the code that ships, is found by the
// explorer alone, which then names the promise. The mistake is made in an overlay
// of the go command's: the tree stays as it is, and the code has no switches.
func TestMistakes(t *testing.T) {
	if !*mistakes {
		t.Skip("takes some minutes: make test-mistakes")
	}
	for _, test := range []struct {
		mistake string
		changes []change
		broken  string // what the explorer says
	}{
		{"a delivery that finds the secret there carries on with a value of its own", []change{{
			"\t\tif err := j.readRecord(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n",
			"\t\tif err := j.readRecord(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif !j.record.Finished() {\n\t\t\tj.record.Value = value\n\t\t}\n",
		}}, "promise [12]"},
		{"a corrected request changes the value of a pending record", []change{{
			`return failure.Reject("value: differs from the one in secret %s, which is final: "+`,
			`j.record = pending
			_, err := j.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &j.secretName, SecretString: in.SecretString})
			if err == nil {
				return nil
			}
			return failure.Reject("value: "+`,
		}}, "promise [13]"},
		{"an explicit value other than the stored one is ignored", []change{
			{"if !j.record.Finished() && !value.Equal(j.record.Value) && !j.request.Value.IsZero() {", "if false {"},
			{"if !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value) {", "if false {"},
		}, "promise 3|answers agree"},
		{"the key is made before the secret", []change{{
			"\tif err := j.writeAhead(ctx); err != nil {",
			"\tif j.record.Value = r.Value; r.Value.IsZero() {\n\t\tj.record.Value, _ = apikey.GenerateValue(j.Random)\n\t}\n" +
				"\tif err := j.makeKey(ctx); err != nil {\n\t\treturn j.result, err\n\t}\n\tif err := j.writeAhead(ctx); err != nil {",
		}}, "promise 2"},
		{"the finished record is put under a token of the delivery's own", []change{{
			"ClientRequestToken: aws.String(apikey.StepToken(j.secretName), 2),", "",
		}}, "promise 4"},
		{"a Conflict is taken as success without finding the key and its tags", []change{{"return j.findKey(ctx)", "return nil"}}, "promise 3|answers agree"},
		{"a Conflict without a visible key is taken for somebody else's key", []change{{
			`return failure.Retry("CreateApiKey: ConflictException, and no key with this value can be seen yet")`,
			`return failure.Reject("value: somebody else's key has it")`,
		}}, "answers agree|promise 3"},
		{"a key without our tag is adopted", []change{
			{"if key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName) {", "if false {"},
			{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", `if d := key.Tags[apikey.TagRequest]; d != "" && d != j.request.Digest() {`},
		}, "promise 3"},
		{"a secret without our marker is adopted", []change{{
			"case err != nil:\n\t\treturn failure.Reject(", "case err != nil:\n\t\trecord = apikey.Record{Value: j.request.Value}\n\tcase false:\n\t\treturn failure.Reject(",
		}}, "promise [34]"},
		{"the digest on the key is ignored", []change{
			{"digest := key.Tags[apikey.TagRequest]", "digest := key.Tags[apikey.TagRequest]\n\tdigest = j.request.Digest()"},
			{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", "if false {"},
		}, "promise 3|answers agree"},
		{"a key that was found is not attached to its usage plan", []change{
			{"\tresult Result\n}", "\tresult Result\n\tfound bool\n}"},
			{"\tj.result.Key = key\n\tif key.Tags", "\tj.result.Key, j.found = key, true\n\tif key.Tags"},
			{"\terr = j.attachPlans(ctx)\n", "\tif !j.found {\n\t\terr = j.attachPlans(ctx)\n\t}\n"},
		}, "promise 3"},
		{"NotFound right after 'already exists' is taken as final", []change{{
			"o.Retryer = retry.AddWithErrorCodes(", "_ = retry.AddWithErrorCodes(",
		}, {
			`return failure.Retry("GetSecretValue: ResourceNotFoundException: secret %s exists, and cannot be seen yet; "+`,
			`return failure.Reject("request: its secret is gone: %s"+`,
		}}, "answers agree|promise 3"},
		{"a key too young to be seen is taken as revoked", []change{{
			"if j.Now().Sub(recorded.CreatedDate) < visibleWithin {", "if j.Now().Sub(recorded.CreatedDate) < 0*visibleWithin {",
		}}, "answers agree|promise 3"},
		{"the key of a finished record is made again after its deletion", []change{{
			"\t\tif j.Now().Sub(recorded.CreatedDate) < visibleWithin {",
			"\t\tif j.Now().Sub(recorded.CreatedDate) > visibleWithin {\n\t\t\treturn j.result, j.makeKey(ctx)\n\t\t}\n\t\tif j.Now().Sub(recorded.CreatedDate) < visibleWithin {",
		}}, "promise 1"},

		// Any other line of the algorithm.
		{"the record is put under the secret's name in place of its ARN", []change{{"SecretId:           &j.result.SecretARN,", "SecretId:           &j.secretName,"}}, "promise 3"},
		{"the tag of the secret is not checked", []change{{"if key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName) {", "if false {"}}, "promise|answers"},
		{"the tag of the content is not checked", []change{{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", "if false {"}}, "promise 3|answers"},
		{"the record is finished before the plans are attached", []change{
			{"\terr = j.attachPlans(ctx)\n\tif err == nil {\n\t\terr = j.finish(ctx)\n", "\terr = j.finish(ctx)\n\tif err == nil {\n\t\terr = j.attachPlans(ctx)\n"}}, "promise [34]"},
		{"the plans are not attached", []change{{"\terr = j.attachPlans(ctx)\n", "\terr = nil\n"}}, "promise 3"},
		{"a finished record is not noticed", []change{{"if j.record.Finished() {\n\t\treturn j.repeat(ctx)", "if false {\n\t\treturn j.repeat(ctx)"}}, "promise|answers"},
		{"the plans are not looked at first", []change{{"plans, err := p.choosePlans(ctx, r)", "plans, err := j.wanted, error(nil)"}}, "promise 3"},
		{"a repeat whose plan is gone is rejected", []change{{"return j.unlessFinished(ctx, err)", "return Result{}, err"}}, "promise 3|answers"},
		{"a plan's fault is final though the record could not be read", []change{{"case failure.IsRejected(fault) && failure.IsRetryable(err):", "case false:"}}, "answers|promise 3"},
		{"the stray is adopted", []change{{"\tdefault:\n\t\treturn j.unfinished(failure.Retry(\"key %s is a stray", "\tdefault:\n\t\tj.result.Status = Existing\n\t\treturn nil\n\tcase \"-\":\n\t\treturn j.unfinished(failure.Retry(\"key %s is a stray"}}, "answers|promise"},
		{"a refused record is taken for ours", []change{{"return j.finishedByAnother(ctx)", "return nil"}}, "answers|promise"},
		{"a refused record is taken for ours, and created", []change{{"return j.finishedByAnother(ctx)", "j.result.Status = Created\n\t\treturn nil"}}, "answers|promise"},
		{"a lost answer of PutSecretValue is success", []change{{"return j.unfinished(retryable(\"PutSecretValue\", err, j.record.Value))", "j.result.Status = Created\n\t\treturn nil"}}, "answers"},
		{"a lost answer of CreateApiKey is a rejection", []change{{"return retryable(\"CreateApiKey\", err, j.record.Value)", "return failure.Reject(\"request: no\")"}}, "answers"},
		{"a refused GetSecretValue is a rejection", []change{{"return retryable(\"GetSecretValue\", err, j.record.Value)", "return failure.Reject(\"request: no\")"}}, "answers"},
		{"a refused CreateSecret is a rejection", []change{{"return retryable(\"CreateSecret\", err, value)", "return failure.Reject(\"request: no\")"}}, "answers|promise 3"},
		{"a refused CreateSecret is no reason to stop", []change{{"return retryable(\"CreateSecret\", err, value)", "j.record.Value = value\n\t\treturn nil"}}, "promise [12]"},
		{"a refused GetApiKey is a rejection", []change{{"return j.result, retryable(\"GetApiKey\", err, j.record.Value)", "return j.result, failure.Reject(\"request: no\")"}}, "answers"},
		{"a refused GetApiKeys is an empty list", []change{{"return retryable(\"GetApiKeys\", err, j.record.Value)", "id = \"theirs\""}}, "answers|promise"},
		{"GetSecretValue right after 'exists' is called once", []change{{"j.getRecord(ctx, retryNotFound)", "j.getRecord(ctx)"}}, "promise 3"},
		{"PutSecretValue is called once", []change{{"\t}, retryNotFound)", "\t})"}}, "promise 3"},
		{"a key without its record is not told", []change{{"err.Code = failure.CodeUnfinished", ""}}, "answers"},
		{"the quota is not told", []change{{"Code: failure.CodeQuota, ", ""}}, "answers"},
		{"a disabled key is told as ready", []change{{"if j.request.Enabled && !key.Enabled {", "if false {"}}, "answers agree|promise 3"},
		{"a key that was taken out of its plans is told as ready", []change{{"if len(recorded.UsagePlanIDs) > 0 && len(key.UsagePlanIDs) == 0 {", "if false {"}}, "answers agree|promise 3"},
		{"a key that cannot be seen in its plans yet is taken as revoked", []change{{"case taken && j.Now().Sub(recorded.CreatedDate) < visibleWithin:", "case false:"}}, "answers agree"},
		{"a revoked key is retried for ever", []change{{"if j.Now().Sub(recorded.CreatedDate) < visibleWithin {", "if true {"}}, "promise 3"},
		{"the tags of the record are not asked", []change{{"if digest == \"\" {", "if false {"}}, "answers|promise 3"},
		{"a repeat's explicit value is ignored", []change{{"if !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value) {", "if false {"}}, "answers|promise 3"},
		{"a pending record's value is not compared", []change{{"if !j.record.Finished() && !value.Equal(j.record.Value) && !j.request.Value.IsZero() {", "if false {"}}, "answers|promise 3"},
		{"what API Gateway refuses for good is retried", []change{{"case code == codeBadRequest,\n", "case false,\n"}}, "promise 3"},
		{"a key is looked for by its name only", []change{{"if id != \"\" || err != nil || j.drawn {", "if true {"}}, "promise 3"},
		{"the key has no tags", []change{{"Tags:               r.AllTags(j.secretName),", ""}}, "promise 3"},
		{"the key has another value than the record", []change{{"Value:              aws.String(j.record.Value.Reveal()),", ""}}, "promise 2"},
		{"the key is never enabled", []change{{"Enabled:            r.Enabled,", ""}}, "promise 3"},
		{"the key has no description", []change{{"Description:        optional(r.Description),", ""}}, "promise 3"},
		{"the key has no name", []change{{"Name:               optional(r.Name),", ""}}, "promise 3"},
		{"the key has no customer", []change{{"CustomerId:         optional(r.CustomerID),", ""}}, "promise 3"},
		{"the record has no plans", []change{{"j.result.Key.UsagePlanIDs = append([]string{}, j.wanted...)", ""}}, "promise 3"},
		{"the record has no key", []change{{"j.record.Key = j.result.Key", ""}}, "promise|answers"},
		{"the repeat answers without the key", []change{{"\tj.result.Key = recorded\n\tkey, err", "\tkey, err"}}, "answers"},
		{"an incomplete answer of PutSecretValue is success", []change{{"switch err = answered(err, func() *string { return out.VersionId }); errorCode(err) {", "switch _ = out; errorCode(err) {"}}, "answers|promise"},
	} {
		t.Run(test.mistake, func(t *testing.T) {
			explore := exec.Command("go", "test", "-count=1", "-overlay", overlay(t, test.changes), "-run", "^TestExplore$", ".")
			out, err := explore.CombinedOutput()
			found := regexp.MustCompile("(?s)breaks (" + test.broken + ").*?\nFAIL").Find(out)
			if err == nil || found == nil {
				t.Fatalf("not found:\n%.3000s", out)
			}
			t.Logf("%s", bytes.TrimSuffix(found, []byte("\nFAIL")))
		})
	}
}

// overlay writes the changed source beside the tree, and returns the file that
// tells the go command to build it in the original's place.
func overlay(t *testing.T, changes []change) string {
	source, err := os.ReadFile(provisionFile)
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
	original, err := filepath.Abs(provisionFile)
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
