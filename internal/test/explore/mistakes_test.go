package explore

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var mistakes = flag.Bool("explore.mistakes", false, "check that every deliberate mistake is found; builds the explorer for each")

// A change is an edit of internal/provision. Its old text must occur exactly once, in whichever
// file, so that a mistake the code has outgrown is noticed.
type change struct{ old, new string }

const provisionFiles = "../../provision/*.go"

// A mistake consists of changes, and the explorer has to find it.
type mistake struct {
	mistake string
	changes []change
	broken  string // what the explorer says
}

// ofSignUps are mistakes that the scenes of sign-ups find.
var ofSignUps = []mistake{
	{"a delivery that finds the secret there carries on with a value of its own", []change{{
		"\treturn j.readRecord(ctx)\n}",
		"\terr = j.readRecord(ctx)\n\tif !j.record.Finished() && !j.record.HasEnded() {\n\t\tj.record.Value = value\n\t}\n\treturn err\n}",
	}}, "promise [12]"},
	{"a corrected request changes the value of a pending record", []change{{
		`return j.rejectedUnlessReturn(ctx, failure.Reject("value: differs from the one in secret %s, which is final: "+`,
		`pending := apikey.Record{Value: j.request.Value}
			_, err := j.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &j.secretName, SecretString: aws.String(pending.Encode().Reveal())})
			if err == nil {
				return errOvertaken
			}
			return j.rejectedUnlessReturn(ctx, failure.Reject("value: "+`,
	}}, "promise [134]"},
	{"an explicit value other than the stored one is ignored", []change{
		{"case !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value):", "case false:"},
		{"if !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value) {", "if false {"},
	}, "promise 3|answers agree"},
	{"the key is made before the secret", []change{{
		"\tif err := j.writeAhead(ctx); err != nil {",
		"\tif j.record.Value = r.Value; r.Value.IsZero() {\n\t\tj.record.Value, _ = apikey.GenerateValue(j.Random)\n\t}\n" +
			"\tif err := j.makeKey(ctx); err != nil {\n\t\treturn j.result, err\n\t}\n\tif err := j.writeAhead(ctx); err != nil {",
	}}, "promise 2"},
	{"the finished record is put under a random token", []change{{
		"ClientRequestToken: aws.String(apikey.StepToken(j.secretName, next.StepNumber)),", "",
	}}, "promise 4"},
	{"a Conflict is taken as success without finding the key and its tags", []change{{"return j.findKey(ctx)", "return nil"}}, "promise 3|answers agree"},
	{"a Conflict without a visible key is taken for a foreign key", []change{{
		`return apikey.Key{}, failure.Retry("CreateApiKey: ConflictException, and no key with %s can be seen yet", called)`,
		`return apikey.Key{}, failure.Reject("value: somebody else's key has it")`,
	}}, "answers agree|promise 3"},
	{"a key without our tag is adopted", []change{
		{"if key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName) {\n\t\treturn", "if false {\n\t\treturn"},
		{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", `if d := key.Tags[apikey.TagRequest]; d != "" && d != j.request.Digest() {`},
	}, "promise [34]"},
	{"a secret without our marker is adopted", []change{{
		"case err != nil:\n\t\treturn failure.Reject(", "case err != nil:\n\t\trecord = apikey.Record{Value: j.request.Value}\n\tcase false:\n\t\treturn failure.Reject(",
	}}, "promise [234]"},
	{"the digest on the key is ignored", []change{
		{"digest := key.Tags[apikey.TagRequest]", "digest := key.Tags[apikey.TagRequest]\n\tdigest = j.request.Digest()"},
		{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", "if false {"},
	}, "promise 3|answers agree"},
	{"a key that was found is not attached to its usage plan", []change{
		{"\tresult Result\n}", "\tresult Result\n\tfound bool\n}"},
		{"\tj.result.Key = key\n\tif key.Tags", "\tj.result.Key, j.found = key, true\n\tif key.Tags"},
		{"this request owns it.\n\tif err := j.attachPlans(ctx); err != nil {", "this request owns it.\n\tif j.found {\n\t\treturn j.finish(ctx)\n\t}\n\tif err := j.attachPlans(ctx); err != nil {"},
	}, "promise 3"},
	{"NotFound right after ResourceExists is taken as final", []change{{
		"o.Retryer = retry.AddWithErrorCodes(", "_ = retry.AddWithErrorCodes(",
	}, {
		`return failure.Retry("GetSecretValue: ResourceNotFoundException: secret %s exists, and cannot be seen yet; "+`,
		`return failure.Reject("request: its secret is gone: %s"+`,
	}}, "answers agree|promise 3"},
	{"a key too young to be seen is taken as revoked", []change{{"if j.young(recorded) {", "if false {"}}, "answers agree|promise 3"},
	{"the key of a finished record is made again after its deletion", []change{{
		"\t\tif j.young(recorded) {",
		"\t\tif !j.young(recorded) {\n\t\t\treturn j.makeKey(ctx)\n\t\t}\n\t\tif j.young(recorded) {",
	}}, "promise 1"},

	// The other lines of the algorithm.
	{"the record is put under the name of the secret instead of its ARN", []change{{"SecretId:           &j.result.SecretARN,", "SecretId:           &j.secretName,"}}, "promise [34]"},
	{"the tag of the secret is not checked", []change{{"if key.Tags[apikey.TagSecret] != apikey.SecretTag(j.secretName) {\n\t\treturn", "if false {\n\t\treturn"}}, "promise|answers"},
	{"the tag of the content is not checked", []change{{"if key.Tags[apikey.TagRequest] != j.request.Digest() {", "if false {"}}, "promise 3|answers"},
	{"the record is finished before the plans are attached", []change{{
		"\tif err := j.attachPlans(ctx); err != nil {\n\t\treturn err\n\t}\n\treturn j.finish(ctx)",
		"\tif err := j.finish(ctx); err != nil {\n\t\treturn err\n\t}\n\treturn j.attachPlans(ctx)",
	}}, "promise [34]"},
	{"the plans are not attached", []change{{"this request owns it.\n\tif err := j.attachPlans(ctx); err != nil {", "this request owns it.\n\tif err := error(nil); err != nil {"}}, "promise 3"},
	{"a finished record is not noticed", []change{{"case j.record.Finished():\n\t\treturn j.repeat(ctx)", "case false:\n\t\treturn j.repeat(ctx)"}}, "promise|answers"},
	{"the plans are not checked first", []change{{"plans, err := p.choosePlans(ctx, r)", "plans, err := j.wanted, error(nil)"}}, "promise 3"},
	{"a repeat whose plan is gone is rejected", []change{{"case err == nil && (j.record.Finished() || j.isOver()):", "case false:"}}, "promise 3|answers"},
	{"the fault of a plan is final though the record could not be read", []change{{"case failure.IsRejected(fault) && failure.IsRetryable(err):", "case false:"}}, "answers|promise 3"},
	{"a stray key is adopted", []change{{
		"\tcase r.Finished() && r.Number() == generation:\n",
		"\tcase r.Finished() && r.Number() == generation:\n\t\tj.result.Status, j.result.Generation = Existing, generation\n\t\treturn nil\n\tcase false:\n",
	}}, "answers|promise"},
	{"a refused record is taken for ours", []change{{"return j.finishedByAnother(ctx, finished.Generation, step)", "_ = step\n\tj.result.Status, j.result.Generation = Existing, finished.Generation\n\treturn nil"}}, "answers|promise"},
	{"a refused record is taken for ours, and created", []change{{"return j.finishedByAnother(ctx, finished.Generation, step)", "_ = step\n\tj.result.Status, j.result.Generation = Created, finished.Generation\n\treturn nil"}}, "answers|promise"},
	{"a lost answer of PutSecretValue is success", []change{{"\tcase ok:\n\t\treturn j.unfinished(again)", "\tcase ok:\n\t\t_ = again\n\t\tj.result.Status = Created\n\t\treturn nil"}}, "answers"},
	{"a lost answer of CreateApiKey is a rejection", []change{{"return notCreated(err, j.record.Value)", "return failure.Reject(\"request: no\")"}}, "answers"},
	{"a refused GetSecretValue is a rejection", []change{{"return retryable(\"GetSecretValue\", err, values(j.record)...)", "return failure.Reject(\"request: no\")"}}, "answers"},
	{"a refused CreateSecret is a rejection", []change{{"return retryable(\"CreateSecret\", err, first.Value)", "return failure.Reject(\"request: no\")"}}, "answers|promise 3"},
	{"a refused CreateSecret is no reason to stop", []change{{"return retryable(\"CreateSecret\", err, first.Value)", "j.record = first\n\treturn nil"}}, "promise [12]"},
	{"a refused GetApiKey is a rejection", []change{{"default:\n\t\treturn retryable(\"GetApiKey\", err, j.record.Value)", "default:\n\t\treturn failure.Reject(\"request: no\")"}}, "answers"},
	{"a refused GetApiKeys is an empty list", []change{{"return apikey.Key{}, retryable(\"GetApiKeys\", err, value)", "id = \"theirs\""}}, "answers|promise"},
	{"GetSecretValue right after ResourceExists is called once", []change{{"j.getRecord(ctx, retryNotFound)", "j.getRecord(ctx)"}}, "promise 3"},
	{"PutSecretValue is called once", []change{{"\t}, retryNotFound)", "\t})"}}, "promise 3"},
	{"a key without its record is not reported", []change{{"err.Code = failure.CodeUnfinished", ""}}, "answers"},
	{"the quota is not reported", []change{{"again.Code = failure.CodeQuota", ""}}, "answers"},
	{"a disabled key is reported as ready", []change{{"if j.request.Enabled && !key.Enabled {", "if false {"}}, "answers agree|promise 3"},
	{"a key that was taken out of its plans is reported as ready", []change{{"if len(key.UsagePlanIDs) == 0 {\n\t\ttaken", "if false {\n\t\ttaken"}}, "answers agree|promise 3"},
	{"a key that cannot be seen in its plans yet is taken as revoked", []change{{"case taken && j.young(recorded):", "case false:"}}, "answers agree"},
	{"a revoked key is retried forever", []change{{"if j.young(recorded) {", "if true {"}}, "promise 3"},
	{"the tags of the record are not read", []change{{"if digest == \"\" {", "if false {"}}, "answers|promise 3"},
	{"the explicit value of a repeat is ignored", []change{{"if !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value) {", "if false {"}}, "answers|promise 3"},
	{"the value of a pending record is not compared", []change{{"case !j.request.Value.IsZero() && !j.request.Value.Equal(j.record.Value):", "case false:"}}, "answers|promise 3"},
	{"what API Gateway refuses for good is retried", []change{{"case code == codeBadRequest,\n", "case false,\n"}}, "promise 3"},
	{"a key is looked for by its name only", []change{{"if id != \"\" || err != nil || j.drawn {", "if true {"}}, "promise 3"},
	{"the key has no tags", []change{{"Tags:               r.AllTags(j.secretName),", ""}}, "promise 3"},
	{"the key has another value than the record", []change{{"Value:              aws.String(j.record.Value.Reveal()),", ""}}, "promise 2"},
	{"the key is never enabled", []change{{"Enabled:            r.Enabled,", ""}}, "promise 3"},
	{"the key has no description", []change{{"Description:        optional(r.Description),", ""}}, "promise 3"},
	{"the key has no name", []change{{"Name:               optional(r.Name),", ""}}, "promise 3"},
	{"the key has no customer", []change{{"CustomerId:         optional(r.CustomerID),", ""}}, "promise 3"},
	{"the record has no plans", []change{{"j.result.Key.UsagePlanIDs = append([]string{}, j.wanted...)", ""}}, "promise 3"},
	{"the record has no key", []change{{"finished.Key = j.result.Key", ""}}, "promise|answers"},
	{"the repeat answers without the key", []change{{"j.result.Key, j.result.Generation = key, j.record.Number()", "j.result.Generation = j.record.Number()"}, {"j.result.Key, j.result.Generation = recorded, j.record.Number()", ""}}, "answers"},
	{"an incomplete answer of PutSecretValue is success", []change{{"switch err = answered(err, func() *string { return out.VersionId }); awserr.Code(err) {", "switch _ = out; awserr.Code(err) {"}}, "answers|promise"}}

// ofLives are mistakes that the scenes of lives find.
var ofLives = []mistake{
	{"an end does not fence a half-made value", []change{{"\tcase !r.Value.IsZero():\n\t\tif err := j.fence(", "\tcase false:\n\t\tif err := j.fence("}}, "promise [13]|answers"},
	{"a fence only disables the key that it finds", []change{
		{"_, err := j.keys.CreateApiKey(ctx, in)", "_ = in\n\terr := error(&types.ConflictException{})"},
		{"\tkey, err := j.bearer(ctx, value, \"the value to be ended\")\n\tif err != nil {\n\t\treturn err", "\tkey, err := j.bearer(ctx, value, \"\")\n\tif err != nil {\n\t\treturn nil"},
	}, "promise [13]|answers"},
	{"a fence is a key that is enabled", []change{{"_, err := j.keys.CreateApiKey(ctx, in)", "in.Enabled = true\n\t_, err := j.keys.CreateApiKey(ctx, in)"}}, "promise"},
	{"a fence that meets a Conflict does not disable the key", []change{{"return j.disable(ctx, key.ID, true)", "return nil"}}, "promise [13]|answers"},
	{"an end does not fence the next value of a rotation", []change{{"if r.Next != nil {\n\t\tif err := j.fence(", "if false {\n\t\tif err := j.fence("}}, "promise [13]|answers"},
	{"an end leaves the key before a rotation", []change{{"if r.Previous != \"\" {\n\t\treturn j.disablePrevious(ctx)", "if false {\n\t\treturn j.disablePrevious(ctx)"}}, "promise [13]|answers"},
	{"a return does not first do what the end stands for", []change{{"if err := j.stop(ctx); err != nil {\n\t\treturn err\n\t}\n\tvalue, ", "value, "}}, "promise [13]|answers"},
	{"a sign-up that is over carries on what a newer one began", []change{{"case j.isOver():\n\t\treturn j.over()\n\tcase j.record.Finished():", "case j.isOver() && j.record.HasEnded():\n\t\treturn j.over()\n\tcase j.record.Finished():"}}, "promise [34]|answers"},
	{"a sign-up that is over brings back what has ended", []change{{"return !end.IsZero() && !j.start().After(end)", "return false && !end.IsZero()"}}, "promise [34]|answers"},
	{"a sign-up that is over and loses the last step is reported as existing", []change{{"if j.isOver() {\n\t\t\treturn j.over()", "if false {\n\t\t\treturn j.over()"}}, "promise 4|answers"},
	{"a newer start is not written", []change{{"if !newer {", "if !newer || true {"}}, "promise 3|answers"},
	{"a start is not written with the finished record", []change{{"finished.Holds, _ = finished.Holds.Started(j.request.Agreement, j.request.License, j.start())", ""}}, "promise 3|answers"},
	{"an end that arrives later ends what is newer", []change{{"!r.HasEnded() && !holds.Held()", "!r.HasEnded()"}}, "promise [34]|answers"},
	{"an end lets go of one agreement and disables the key that another holds", []change{{"!r.HasEnded() && !holds.Held()", "!r.HasEnded() && (!holds.Held() || j.request.Agreement != apikey.EveryHold)"}}, "promise [34]|answers"},
	{"an end of one agreement lets go of all", []change{{"holds, newer := r.Heard().Ended(j.request.Agreement, j.request.Time)", "holds, newer := r.Heard().Ended(apikey.EveryHold, j.request.Time)"}}, "promise [34]|answers"},
	{"an end that is older than a start is not written", []change{{"if newer || next.HasEnded() != r.HasEnded() {", "if newer && false || next.HasEnded() != r.HasEnded() {"}}, "promise [34]|answers"},
	{"the end is written after the key is disabled", []change{{
		"\t\tnext.Ended = j.request.Time\n\t}\n",
		"\t\tnext.Ended = j.request.Time\n\t}\n\tif next.HasEnded() {\n\t\tif err := j.stop(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n",
	}}, "promise 4"},
	{"a repeat of an end disables nothing", []change{{
		"\tif err := j.stop(ctx); err != nil {\n\t\treturn err\n\t}\n\tj.result.Status, j.result.Generation = Ended, r.Number()",
		"\tif !r.HasEnded() {\n\t\tif err := j.stop(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\tj.result.Status, j.result.Generation = Ended, r.Number()",
	}}, "promise 3|answers"},
	{"a record is finished over an end", []change{{
		"return j.finishedByAnother(ctx, finished.Generation, step)",
		"_ = step\n\tif err := j.readRecord(ctx); err != nil {\n\t\treturn j.unfinished(failure.Retry(\"no\"))\n\t}\n\tj.result.Status = Created\n\treturn j.write(ctx, finished)",
	}}, "promise 4"},
	{"a return enables the key that has ended", []change{{
		"\tvalue, err := j.newValue()\n\tif err != nil {\n\t\treturn err\n\t}\n\tif !j.request",
		"\tif id := j.record.Key.ID; id != \"\" {\n\t\t_, _ = j.keys.UpdateApiKey(ctx, &apigateway.UpdateApiKeyInput{ApiKey: &id, PatchOperations: []types.PatchOperation{\n" +
			"\t\t\t{Op: types.OpReplace, Path: aws.String(\"/enabled\"), Value: aws.String(\"true\")},\n\t\t}})\n\t}\n" +
			"\tvalue, err := j.newValue()\n\tif err != nil {\n\t\treturn err\n\t}\n\tif !j.request",
	}}, "promise 4"},
	{"a return takes the value of what has ended", []change{{"begun := apikey.Record{Value: value,", "value = j.record.Value\n\tbegun := apikey.Record{Value: value,"}}, "promise"},
	{"a rotation forgets the key before", []change{{"= r.Next.Value, key, r.Key.ID, nil", "= r.Next.Value, key, \"\", nil"}}, "promise"},
	{"a rotation leaves the key before the last one enabled", []change{{"if r.Previous != \"\" {\n\t\tif err := j.disablePrevious(", "if false {\n\t\tif err := j.disablePrevious("}}, "promise 1"},
	{"a rotation makes a key whose value is in no record", []change{{"value := j.record.Next.Value\n", "value, _ := apikey.GenerateValue(j.Random)\n"}}, "promise 2"},
	{"a repeat of a rotation rotates", []change{{"if r.Next == nil && !j.request.Time.After(r.Since) {", "if false {"}}, "promise|answers"},
	{"a rotation that finishes an earlier one is reported as done", []change{{"if j.request.Time.After(rotated.Since) {", "if false {"}}, "answers"},
	{"a rotation of what is half made is rejected", []change{{`return failure.Retry("the key is still being made: it cannot be rotated yet")`, `return failure.Reject("request: no")`}}, "promise|answers"},
	{"a rotation makes a key without tags", []change{{"Enabled: living.Enabled, Tags: living.Tags,", "Enabled: living.Enabled,"}}, "promise 3"},
	{"a rotation attaches the key to no plan", []change{{"j.result.Key, j.wanted = key, living.UsagePlanIDs", "j.result.Key, j.wanted = key, nil"}}, "promise 3"},
	{"a rotation believes that a young key is in no plan", []change{{"if slices.ContainsFunc(r.Key.UsagePlanIDs, unseen) && j.young(r.Key) {", "if slices.ContainsFunc(r.Key.UsagePlanIDs, unseen) && false {"}}, "promise 3"},
	{"a young key before a rotation is taken for gone", []change{{"return j.disable(ctx, j.record.Previous, j.young(j.record.Key))", "return j.disable(ctx, j.record.Previous, false)"}}, "promise [13]|answers"},
	{"a young key that has to be disabled is taken for gone", []change{{"j.disable(ctx, r.Key.ID, j.young(r.Key))", "j.disable(ctx, r.Key.ID, false)"}}, "promise [13]|answers"},
	{"the key of a rotation without its record is not reported", []change{{
		"if again, ok := errors.AsType[*failure.RetryableError](err); ok {\n\t\treturn j.unfinished(again)", "if again, ok := errors.AsType[*failure.RetryableError](err); ok {\n\t\treturn again",
	}}, "answers"},
	{"a fenced key is taken for other content", []change{{"if key.Tags[apikey.TagRequest] == fenced {", "if false {"}}, "promise|answers"},
	{"a key that an end has disabled is reported as revoked", []change{{"if j.record.Step() != seen.Step() {", "if _ = seen; false {"}}, "answers"},
	{"a return is rejected for the key that an end has disabled", []change{{"if j.request.Kind == apikey.SignUp {\n\t\tif err := j.holdOn(ctx); err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn j.rejectedIfCurrent", "return j.rejectedIfCurrent"}}, "promise 3|answers"},
	{"an end of one agreement is rejected where the key is revoked", []change{{"case taken && j.request.Kind == apikey.SignUp:", "case taken:"}}, "answers|promise"},
	{"all steps have one token", []change{{"StepToken(j.secretName, next.StepNumber)", "StepToken(j.secretName, 2)"}}, "promise|answers"},
}

// TestMistakesCanBeMade notices code that has outgrown a mistake.
func TestMistakesCanBeMade(t *testing.T) {
	for _, test := range slices.Concat(ofSignUps, ofLives) {
		t.Run(test.mistake, func(t *testing.T) { overlay(t, test.changes) })
	}
}

// TestMistakes checks that the explorer alone finds each mistake in the shipped code, and
// names the promise. The mistake is made in an overlay of the go command: the tree is not
// changed, and the code has no switches.
func TestMistakes(t *testing.T) {
	if !*mistakes {
		t.Skip("takes some minutes: make test-mistakes")
	}
	for _, test := range ofSignUps {
		t.Run(test.mistake, func(t *testing.T) {
			t.Parallel()
			find(t, test, "-run=^TestExplore$", "-skip=^TestExplore$/^(brief|scenes)$/^life_")
		})
	}
	for _, test := range ofLives {
		t.Run(test.mistake, func(t *testing.T) { t.Parallel(); find(t, test, "-run=^TestExplore$/^(brief|scenes)$/^life_") })
	}
}

func find(t *testing.T, m mistake, scenes ...string) {
	args := append([]string{"test", "-count=1", "-vet=off", "-ldflags=-s -w", "-overlay", overlay(t, m.changes)}, scenes...)
	explore := exec.Command("go", append(args, ".", "-explore.first")...) //nolint:gosec // the arguments are this file's
	out, err := explore.CombinedOutput()
	found := regexp.MustCompile("(?s)breaks (" + m.broken + ").*?\nFAIL").Find(out)
	if err == nil || found == nil {
		t.Fatalf("not found:\n%.3000s", out)
	}
	t.Logf("%s", bytes.TrimSuffix(found, []byte("\nFAIL")))
}

// overlay writes the changed sources outside the tree, and returns the file that makes the go
// command build them instead of the originals.
func overlay(t *testing.T, changes []change) string {
	originals, err := filepath.Glob(provisionFiles)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range originals {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file) //nolint:gosec // of the tree
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(source)
	}
	changed := map[string]bool{}
	for _, c := range changes {
		times := 0
		for file, text := range texts {
			if n := strings.Count(text, c.old); n > 0 {
				times += n
				texts[file], changed[file] = strings.Replace(text, c.old, c.new, 1), true
			}
		}
		if times != 1 {
			t.Fatalf("internal/provision has changed: it has this %d times:\n%s", times, c.old)
		}
	}
	directory, replace := t.TempDir(), map[string]string{}
	write := func(name string, content []byte) string {
		name = filepath.Join(directory, name)
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for file := range changed {
		original, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		replace[original] = write(filepath.Base(file), []byte(texts[file]))
	}
	content, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	return write("overlay.json", content)
}
