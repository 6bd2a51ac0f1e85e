package handover_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"html"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"pgregory.net/rapid"

	"createkey/examples/handover"
	"createkey/internal/apikey"
	"createkey/internal/document"
	"createkey/internal/provision"
	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

const prefix = "keys/"

// account is an AWS account in which createkey makes keys.
type account struct {
	*testing.T
	aws awslocal.Server
}

func (a *account) secrets() *secretsmanager.Client {
	return secretsmanager.NewFromConfig(a.aws.Config())
}

// makeKey makes the key of a request, and returns what `API Key Ready` says of it.
func (a *account) makeKey(customerID, name string) events.EventBridgeEvent {
	a.Helper()
	return a.send(apikey.SignUp, customerID, name, time.Time{})
}

// send has createkey process a message, and returns the outcome event.
func (a *account) send(kind apikey.Kind, customerID, name string, at time.Time) events.EventBridgeEvent {
	a.Helper()
	members := map[string]any{"customerId": customerID, "name": name}
	if kind == apikey.SignUp {
		members["enabled"] = true
	}
	request, err := json.Marshal(members)
	if err != nil {
		a.Fatal(err)
	}
	doc, err := document.Parse(request)
	if err != nil {
		a.Fatal(err)
	}
	var r apikey.Request
	var secretName string
	if kind == apikey.SignUp {
		r, secretName, err = apikey.Parse(doc, prefix, "")
		r.Time = at
	} else {
		r, secretName, err = apikey.ParseChange(doc, kind, at, prefix)
	}
	if err != nil {
		a.Fatal(err)
	}
	result, err := provision.New(apigateway.NewFromConfig(a.aws.Config()), a.secrets()).Provision(a.Context(), r, secretName)
	if err != nil {
		a.Fatal(err)
	}
	detail, err := json.Marshal(struct {
		apikey.Key
		SecretName string           `json:"secretName"`
		SecretARN  string           `json:"secretArn"`
		Status     provision.Status `json:"status"`
		Generation int              `json:"generation"`
	}{result.Key, secretName, result.SecretARN, result.Status, result.Generation})
	if err != nil {
		a.Fatal(err)
	}
	detailType := map[provision.Status]string{provision.Ended: "API Key Ended", provision.Rotated: "API Key Rotated"}[result.Status]
	return events.EventBridgeEvent{Source: "createkey", DetailType: cmp.Or(detailType, "API Key Ready"), Detail: detail}
}

// isValueOf reports whether a text is the value of a customer's one key.
func (a *account) isValueOf(text, customerID string) bool {
	return slices.ContainsFunc(a.aws.Keys(), func(k awslocal.Key) bool {
		return k.CustomerID == customerID && string(k.Value) == text
	})
}

// isLiving reports whether a text is the value of the newest key that is enabled.
func (a *account) isLiving(text string) bool {
	value := ""
	for _, k := range a.aws.Keys() { // in the order in which they were made
		if k.Enabled {
			value = string(k.Value)
		}
	}
	return value == text
}

func TestConsumer(t *testing.T) {
	a := &account{T: t}
	event := a.makeKey("cust-1", "Gold plan")
	delivered := 0
	c := handover.Consumer{Secrets: a.secrets(), Deliver: func(_ context.Context, told handover.Told, value string) error {
		delivered++
		if told.CustomerID != "cust-1" || told.Name != "Gold plan" || !a.isValueOf(value, "cust-1") {
			t.Error("got another customer's key, value or name")
		}
		return nil
	}}
	for range 2 { // events are delivered at least once
		if err := c.Handle(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	if delivered != 2 {
		t.Errorf("delivered %d times, want 2", delivered)
	}
	c.Deliver = func(context.Context, handover.Told, string) error { return errors.New("the vault is sealed") }
	if err := c.Handle(t.Context(), event); err == nil || !strings.Contains(err.Error(), "delivering the key of customer cust-1: the vault is sealed") {
		t.Errorf("got error %v, want that the vault is sealed", err)
	}
}

// Whatever order the events came in, and however often, the customer's vault holds what
// the newest message of the key's life left.
func TestConsumer_ThroughALife(t *testing.T) {
	a := &account{T: t}
	vault := map[string]string{}
	c := handover.Consumer{
		Secrets: a.secrets(),
		Deliver: func(_ context.Context, told handover.Told, value string) error {
			vault[told.CustomerID] = value
			return nil
		},
		End: func(_ context.Context, told handover.Told) error {
			delete(vault, told.CustomerID)
			return nil
		},
	}
	random := rand.New(rand.NewPCG(1, 1))
	start := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	var told []events.EventBridgeEvent
	for i, step := range []struct {
		kind  apikey.Kind
		at    int // minutes
		holds bool
	}{
		{apikey.SignUp, 1, true}, {apikey.Rotation, 2, true}, {apikey.End, 3, false},
		{apikey.SignUp, 1, false}, {apikey.SignUp, 4, true}, {apikey.SignUp, 1, true},
	} {
		told = append(told, a.send(step.kind, "cust-1", "Gold", start.Add(time.Duration(step.at)*time.Minute)))
		for range 20 {
			random.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
			for _, event := range told {
				if err := c.Handle(t.Context(), event); err != nil {
					t.Fatal(err)
				}
			}
			if value, held := vault["cust-1"]; held != step.holds || held && !a.isLiving(value) {
				t.Fatalf("step %d: the vault has a value: %t, want the living key's: %t", i, held, step.holds)
			}
		}
	}
}

// A read that is behind the event shows the key before a rotation.
func TestConsumer_WaitsForTheRecord(t *testing.T) {
	a := &account{T: t}
	event := a.makeKey("cust-1", "Gold")
	event.DetailType, event.Detail = "API Key Rotated", bytes.Replace(event.Detail, []byte(`"generation":1`), []byte(`"generation":2`), 1)
	c := handover.Consumer{Secrets: a.secrets(), Deliver: func(context.Context, handover.Told, string) error {
		t.Error("delivered the previous key")
		return nil
	}}
	if err := c.Handle(t.Context(), event); err == nil || err.Error() != "the key is not ready yet" {
		t.Errorf("got error %v, want that the key is not ready yet", err)
	}
}

func TestConsumer_Fails(t *testing.T) {
	a := &account{T: t}
	event := a.makeKey("cust-1", "Gold")
	refused := (*awslocal.Error)(nil)
	a.aws.Before = func(context.Context, awslocal.Call) error {
		if refused == nil {
			return nil
		}
		return refused
	}
	c := handover.Consumer{Secrets: a.secrets(), Deliver: func(context.Context, handover.Told, string) error {
		t.Error("delivered in spite of the fault")
		return nil
	}}
	put := func(text string) string {
		name := "keys/other/" + aws.ToString(secretID(text))
		out, err := a.secrets().CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &text})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.ARN)
	}
	pending, foreign, text := put(`{"format":"createkey/1","value":"fake-value-of-nobody","ID":"of a later version"}`), put(`{"password":"fake-value"}`), put("fake-value")
	for _, test := range []struct {
		name, detail string
		refused      *awslocal.Error
		want         string
	}{
		{"not an event of createkey", `{"id": "x"}`, nil, "no secretArn"},
		{"no detail", ``, nil, "no secretArn"},
		{"a denial", string(event.Detail), awslocal.AccessDenied, "AccessDeniedException"},
		{"a record whose key is not made", `{"secretArn": "` + pending + `"}`, nil, "not ready yet"},
		{"a secret that is not there", `{"secretArn": "keys/none"}`, nil, "not ready yet"},
		{"a foreign secret", `{"secretArn": "` + foreign + `"}`, nil, "not a record of createkey's"},
		{"not a document", `{"secretArn": "` + text + `"}`, nil, "not a record of createkey's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused = test.refused
			err := c.Handle(t.Context(), events.EventBridgeEvent{Detail: json.RawMessage(test.detail)})
			if err == nil || !strings.Contains(err.Error(), test.want) || promise.Leaks(&a.aws, []byte(err.Error()), "fake-value") {
				t.Errorf("want an error with %q that does not quote the secret", test.want)
			}
		})
	}
}

// secretID makes a name of a text's length, which differs in the tests here.
func secretID(text string) *string { return aws.String(strings.Repeat("x", len(text))) }

// visit sends a buyer to the page, and returns its status and the values shown.
func visit(t *testing.T, p handover.Page, token string) (int, []string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/register", strings.NewReader(url.Values{"x-amzn-marketplace-token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("the page may be cached")
	}
	var values []string
	for _, match := range regexp.MustCompile(`<code>(.*?)</code>`).FindAllStringSubmatch(w.Body.String(), -1) {
		values = append(values, html.UnescapeString(match[1]))
	}
	return w.Code, values
}

func TestPage(t *testing.T) {
	a := &account{T: t}
	noted := map[string]bool{}
	var noteFails error
	p := handover.Page{
		Secrets: a.secrets(), Prefix: prefix,
		Resolve: func(_ context.Context, token string) (handover.Customer, error) {
			customer, ok := map[string]handover.Customer{
				"by identifier": {ID: "X01EXAMPLEX", AWSAccountID: "111122223333", ProductCode: "prod 1"},
				"by account":    {AWSAccountID: "444455556666", ProductCode: "prod 2"},
			}[token]
			if !ok {
				return handover.Customer{}, errors.New("ExpiredTokenException")
			}
			return customer, nil
		},
		FirstTime: func(_ context.Context, id string) (bool, error) {
			first := !noted[id]
			noted[id] = noteFails == nil
			return first && noteFails == nil, noteFails
		},
	}
	expect := func(token string, status int, customerID string, keys int) {
		t.Helper()
		got, values := visit(t, p, token)
		if got != status || len(values) != keys {
			t.Errorf("%s: status %d, want %d; %d values, want %d", token, got, status, len(values), keys)
		}
		for _, value := range values {
			if !a.isValueOf(value, customerID) {
				t.Errorf("%s: got another customer's value", token)
			}
		}
	}
	expect("", http.StatusForbidden, "", 0)
	expect("forged", http.StatusForbidden, "", 0)
	expect("by identifier", http.StatusServiceUnavailable, "", 0)
	expect("by account", http.StatusServiceUnavailable, "", 0)

	a.makeKey("X01EXAMPLEX", "prod 1")
	a.makeKey("444455556666", "prod 2")
	noteFails = errors.New("the table is gone")
	expect("by identifier", http.StatusBadGateway, "", 0)
	noteFails = nil
	expect("by identifier", http.StatusOK, "X01EXAMPLEX", 1)
	expect("by identifier", http.StatusOK, "", 0) // once
	expect("by account", http.StatusOK, "444455556666", 1)
	expect("by account", http.StatusOK, "", 0)

	a.send(apikey.End, "X01EXAMPLEX", "prod 1", time.Now())
	expect("by identifier", http.StatusServiceUnavailable, "", 0) // no value of a key that has ended
	a.send(apikey.SignUp, "X01EXAMPLEX", "prod 1", time.Now().Add(time.Minute))
	expect("by identifier", http.StatusOK, "X01EXAMPLEX", 1) // another key
	expect("by identifier", http.StatusOK, "", 0)
}

// The example spells the encoding out, so that it can be copied without createkey's packages.
func TestSecretNameIsTheFunctions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9 ._/@=+-]{0,20}`), rapid.StringN(0, 300, -1))
		customer, name := text.Draw(t, "customer"), text.Draw(t, "name")
		want, err := apikey.SecretName(prefix, customer, name, "")
		if err != nil {
			return // no identity
		}
		if got := handover.SecretName(prefix, customer, name); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

// docs/handover.md quotes the example word for word.
func TestTheDocsQuoteTheExample(t *testing.T) {
	docs, err := os.ReadFile("../../docs/handover.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	quotations := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(docs), -1)
	if len(quotations) < 3 {
		t.Errorf("got %d quotations, want at least 3", len(quotations))
	}
	for _, quotation := range quotations {
		if !strings.Contains(code.String(), quotation[1]) {
			t.Errorf("not in the example:\n%s", quotation[1])
		}
	}
}
