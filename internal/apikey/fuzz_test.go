package apikey

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"createkey/internal/failure"
)

// FuzzRequest checks that Parse handles any text, and that a request it accepts keeps
// every limit and survives being written and parsed again.
func FuzzRequest(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.document, v.get("delivery"))
	}
	samples, err := filepath.Glob("../../events/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, sample := range samples {
		if text, err := os.ReadFile(sample); err == nil {
			f.Add(text, "")
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, deliveryID string) {
		r, secret, err := parseText(text, deliveryID)
		if err != nil {
			rejected, ok := errors.AsType[*failure.RejectedError](err)
			if !ok || len(rejected.Reasons) == 0 {
				t.Fatalf("got a %T, want a *failure.RejectedError with reasons", err)
			}
			for _, reason := range rejected.Reasons {
				if path, rule, found := strings.Cut(reason, ": "); !found || path == "" || rule == "" {
					t.Fatal("a fault without a path or a rule")
				}
			}
			return
		}
		checkLimits(t, r)
		if want, err := SecretName(testPrefix, r.CustomerID, r.Name, deliveryID); err != nil || secret != want {
			t.Fatal("the secret's name is not that of the request's identity")
		}
		again, err := json.Marshal(writable(r))
		if err != nil {
			t.Fatal(err)
		}
		// Encoded again, it can take more bytes: its escapes may be longer.
		if len(again) > MaxDocumentSize {
			return
		}
		r2, secret2, err := parseText(again, deliveryID)
		if err != nil || secret2 != secret || r2.Digest() != r.Digest() || !r2.Value.Equal(r.Value) {
			t.Fatal("the request differs after being written and parsed again")
		}
	})
}

func checkLimits(t *testing.T, r Request) {
	t.Helper()
	within := func(what, text string, shortest, longest int) {
		if n := utf8.RuneCountInString(text); n < shortest || n > longest || !utf8.ValidString(text) {
			t.Fatalf("%s of %d characters accepted, or not UTF-8", what, n)
		}
	}
	within("name", r.Name, 0, 1024)
	within("description", r.Description, 0, 65536)
	within("customerId", r.CustomerID, 0, 65536)
	if !r.Value.IsZero() {
		within("value", r.Value.Reveal(), 20, 128)
	}
	for _, s := range r.StageKeys {
		within("restApiId", s.RestAPIID, 1, 65536)
		within("stageName", s.StageName, 1, 65536)
	}
	if len(r.Tags) > 48 {
		t.Fatalf("%d tags accepted", len(r.Tags))
	}
	for key, value := range r.Tags {
		within("tag's key", key, 1, 128)
		within("tag's value", value, 0, 256)
		if strings.HasPrefix(key, "aws:") || strings.HasPrefix(key, "createkey:") {
			t.Fatal("a reserved tag was accepted")
		}
	}
	plans := map[string]bool{}
	for _, id := range r.UsagePlanIDs {
		within("usage plan", id, 1, 65536)
		plans[id] = true
	}
	if len(r.UsagePlanIDs) > 10 || len(plans) != len(r.UsagePlanIDs) {
		t.Fatalf("%d usage plans accepted, %d of them different", len(r.UsagePlanIDs), len(plans))
	}
}

// writable returns a request as its sender could have written it.
func writable(r Request) map[string]any {
	stages := []map[string]string{}
	for _, s := range r.StageKeys {
		stages = append(stages, map[string]string{"restApiId": s.RestAPIID, "stageName": s.StageName})
	}
	tags, plans := r.Tags, r.UsagePlanIDs
	if tags == nil {
		tags = map[string]string{}
	}
	if plans == nil {
		plans = []string{}
	}
	return map[string]any{
		"name": r.Name, "description": r.Description, "enabled": r.Enabled, "generateDistinctId": r.GenerateDistinctID,
		"value": r.Value.Reveal(), "stageKeys": stages, "customerId": r.CustomerID, "tags": tags, "usagePlanIds": plans,
	}
}

// FuzzSecretName checks that every identity has a legal name of at most 512 characters,
// and that no two identities share one.
func FuzzSecretName(f *testing.F) {
	f.Add("cust-1", "n", "", "cust", "1/n", "")
	f.Add("", "", "d-1", "_", "_", "d-1")
	f.Add("", "_/d-1", "", "", "", "d-1")
	f.Add("a b", "", "", "a+b", "", "")
	f.Add("=5F", "", "", "_", "", "")
	f.Add(strings.Repeat("é", 200), "", "", strings.Repeat("é", 199), "é", "")
	f.Fuzz(func(t *testing.T, customer, name, delivery, customer2, name2, delivery2 string) {
		secret, err := SecretName(testPrefix, customer, name, delivery)
		secret2, err2 := SecretName(testPrefix, customer2, name2, delivery2)
		if err != nil || err2 != nil {
			if err != nil && customer+name+delivery != "" || err2 != nil && customer2+name2+delivery2 != "" {
				t.Fatal("an identity was refused")
			}
			return
		}
		if strings.Trim(secret, legalInSecretNames) != "" || len(secret) > 512 || !strings.HasPrefix(secret, testPrefix) {
			t.Fatal("not a legal name")
		}
		same := customer == customer2 && name == name2 && (customer+name != "" || delivery == delivery2)
		if (secret == secret2) != same {
			t.Fatalf("same identity: %t, same name: %t", same, !same)
		}
	})
}
