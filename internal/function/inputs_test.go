package function

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"createkey/internal/test/payload"
)

// The messages in this file are what people really send, according to public bug reports and
// AWS's own pages.

const cutShort = "it ends too early, and was perhaps cut short: an API Gateway that sends to SQS cuts it at each & unless its mapping template has $util.urlEncode($input.body)"

func TestReasonOfARejectionSaysWhatToFix(t *testing.T) {
	const at = "2026-11-27T12:00:00Z"
	const encodedTwice = "it is JSON inside a string, encoded once too often: send it without the quotes and backslashes around it"
	asText := func(doc string) string { return asJSON(doc) }
	for name, test := range map[string]struct{ body, reason string }{
		"a boolean in quotes, as the AWS page for Marketplace sellers has it": {
			`{"name":"k1","customerId":"c1","enabled":"true"}`,
			"enabled: must be a boolean, not a string: write true or false, without quotes",
		},
		"an account id without quotes in YAML": {
			"customerId: 012345671234\nname: n\n", "customerId: must be a string, not a number: put it in quotes",
		},
		"an account id without quotes in JSON": {
			`{"customerId": 111122223333, "name": "n"}`, "customerId: must be a string, not a number: put it in quotes",
		},
		"the same in an end":                {event("API Key End Requested", at, `{"customerId":111122223333}`), "customerId: must be a string, not a number: put it in quotes"},
		"the same in a rotation":            {event("API Key Rotation Requested", at, `{"CustomerId":"c","name":true}`), "CustomerId: unknown member: it is spelled customerId; name: must be a string, not a boolean: put it in quotes"},
		"an end of a key":                   {event("API Key End Requested", at, `{"name":"n","key_id":"k"}`), "key_id: unknown member: it is spelled keyId"},
		"an end with a member of a sign-up": {event("API Key End Requested", at, `{"name":"n","enabled":false}`), "enabled: unknown member: take it out, or use one of customerId, keyId, name"},
		"an answer as a rotation":           {event("API Key Rotation Requested", at, `{"id":"k","name":"n"}`), "id: unknown member: it belongs to an answer, not to a request: take it out"},
		"a rotation in a string":            {event("API Key Rotation Requested", at, asText(`{"name":"n"}`)), "detail: " + encodedTwice},
		"CloudFormation spelling": {
			`{"CustomerId":"c","Name":"n","Tags":[{"Key":"team","Value":"a"}]}`,
			"CustomerId: unknown member: it is spelled customerId; Name: unknown member: it is spelled name; Tags: unknown member: it is spelled tags; " +
				`Tags: must be an object, not a list: write {"KEY": "VALUE"}, not [{"Key": "KEY", "Value": "VALUE"}]`,
		},
		"detail in a string":  {event("API Key Requested", at, asText(named("n"))), "detail: " + encodedTwice},
		"body in a string":    {asText(named("n")), "body: " + encodedTwice},
		"Message in a string": {payload.Notification("n1", asText(named("n"))), "Message: " + encodedTwice},
		"the structure of SNS without its switch": {
			payload.Notification("n1", asJSON(map[string]string{"default": named("n")})),
			"default: is for a message that is published with MessageStructure=json, and this one was not: publish it so, or publish the request alone",
		},
		"the input of PutEvents on a queue": {
			asJSON(map[string]string{"Source": "crm", "DetailType": "API Key Requested", "Detail": named("n")}),
			"payload: is the input of PutEvents (put it on a bus, or send its Detail alone), not a request for an API key",
		},
		"the input of SendMessage": {
			asJSON(map[string]string{"QueueUrl": "q", "MessageBody": named("n")}),
			"payload: is the input of SendMessage (send its MessageBody alone), not a request for an API key",
		},
		"an answer sent back": {
			`{"id":"a1","value":"` + explicitValue + `","name":"n","createdDate":"2026-11-27T12:00:00Z","stageKeys":["a1b2/prod"]}`,
			"id: unknown member: it belongs to an answer, not to a request: take it out; createdDate: unknown member: it belongs to an answer, not to a request: take it out; " +
				`stageKeys[0]: must be an object, not a string: write {"restApiId": "ID", "stageName": "STAGE"}, not "ID/STAGE"`,
		},
		"a trailing comma":           {"{\n  \"name\": \"n\",\n}", "body: is not valid JSON (line 3, column 1): take out the comma before it"},
		"a body cut at an ampersand": {`{"customerId":"AT`, "body: is not valid JSON (line 1, column 17): " + cutShort},
	} {
		t.Run(name, func(t *testing.T) {
			inEnvironment(t, func(e *environment) {
				e.invoke(sqsBatch(test.body))
				if got := e.wantLog("m0 rejected")["m0"].Reason; got != test.reason {
					e.Errorf("the reason is\n%s\nwant\n%s", got, test.reason)
				}
				if calls := e.calls(); calls != "" {
					e.Errorf("calls were %s, want none", calls)
				}
			})
		})
	}
}

// A pipe whose input template drops members of a record cannot be answered message by
// message, so the whole payload is rejected.
func TestPipeWithAnInputTemplateIsRejectedByName(t *testing.T) {
	const noTemplate = "an EventBridge pipe must have no input template"
	const orList = ", and requests come one by one, not in a list"
	for name, test := range map[string]struct{ payload, reason string }{
		"the bodies alone":  {`[` + named("n") + `]`, `payload[0].eventSource: must be aws:sqs: ` + noTemplate + orList},
		"texts":             {`["n"]`, `payload[0].eventSource: must be aws:sqs: ` + noTemplate + orList},
		"no messageId":      {`[{"eventSource":"aws:sqs","body":"name: n"}]`, "payload[0].messageId: must not be empty: " + noTemplate},
		"no body":           {`[{"eventSource":"aws:sqs","messageId":"m0"}]`, "body: must be a string, not null: " + noTemplate},
		"the body unpacked": {`[{"eventSource":"aws:sqs","messageId":"m0","body":` + named("n") + `}]`, "body: must be a string, not an object: " + noTemplate},
	} {
		t.Run(name, func(t *testing.T) {
			inEnvironment(t, func(e *environment) {
				e.invoke(test.payload)
				for _, l := range e.lines() {
					if l.Outcome != "rejected" || l.Reason != test.reason {
						e.Errorf("%s: %s, want rejected: %s", l.Outcome, l.Reason, test.reason)
					}
				}
			})
		})
	}
}

// AWS's documented event names the customer in agreement.acceptorId, and has no acceptor
// (https://docs.aws.amazon.com/marketplace/latest/buyerguide/cancellation-adjustment-eventbridge.html).
func TestCancellationRequestIsRejectedWithItsCustomer(t *testing.T) {
	for _, status := range []string{"Pending Approval", "Approved", "Rejected", "Cancelled"} {
		inEnvironment(t, func(e *environment) {
			detailType := "Agreement Cancellation Request " + status + " - Proposer"
			e.invoke(sqsBatch(asJSON(map[string]any{
				"version": "0", "id": "e1", "source": "aws.agreement-marketplace", "detail-type": detailType,
				"detail": map[string]any{"agreement": map[string]string{"id": "agmt-1", "acceptorId": "444455556666"}},
			})))
			const advice = "a person decides, and License Deprovisioned - Manufacturer tells if that ends the license"
			l := e.wantLog(`m0 rejected: detail-type: "` + detailType + `" of AWS Marketplace makes no key and ends none: ` + advice)["m0"]
			if l.CustomerID != "444455556666" {
				e.Errorf("%s: the log names customer %q, want 444455556666", status, l.CustomerID)
			}
		})
	}
}

// The page for senders has the mapping template with which API Gateway sends a body to SQS
// unchanged. Without $util.urlEncode an & cuts the body and a + becomes a blank, so that the
// key silently becomes another customer's.
func TestMappingTemplateForSendersKeepsTheBody(t *testing.T) {
	page, err := os.ReadFile("../../docs/sending.md")
	if err != nil {
		t.Fatal(err)
	}
	template := regexp.MustCompile(`Action=SendMessage\S+`).FindString(string(page))
	const encoded = "$util.urlEncode($input.body)"
	if !strings.Contains(template, encoded) {
		t.Fatalf("the page's template is %q, without %s", template, encoded)
	}
	// sent returns the message that SQS reads from API Gateway's form.
	sent := func(template, body string) string {
		form, err := url.ParseQuery(strings.NewReplacer(encoded, url.QueryEscape(body), "$input.body", body).Replace(template))
		if err != nil {
			t.Fatal(err)
		}
		return form.Get("MessageBody")
	}
	plain := strings.Replace(template, encoded, "$input.body", 1)
	const plus, ampersand = `{"customerId":"kim+key@example.com"}`, `{"customerId":"AT&T"}`
	for name, test := range map[string]struct{ template, body, secret, reason string }{
		"a plus by the template of the page":       {template, plus, "test/kim=2Bkey=40example.com/_", ""},
		"an ampersand by the template of the page": {template, ampersand, "test/AT=26T/_", ""},
		"a plus without the encoding":              {plain, plus, "test/kim+key=40example.com/_", ""}, // kim key@example.com
		"an ampersand without the encoding":        {plain, ampersand, "", "body: is not valid JSON (line 1, column 17): " + cutShort},
	} {
		t.Run(name, func(t *testing.T) {
			inEnvironment(t, func(e *environment) {
				e.invoke(sqsBatch(sent(test.template, test.body)))
				if l := e.lines()["m0"]; l.SecretName != test.secret || l.Reason != test.reason {
					e.Errorf("%s: secret %q, reason %q; want %q, %q", l.Outcome, l.SecretName, l.Reason, test.secret, test.reason)
				}
			})
		})
	}
}
