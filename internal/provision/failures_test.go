package provision_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

// operations are all calls of the algorithm, each with the call at which an earlier delivery
// must die for the next one to make it ("" if every new key takes it).
var operations = []struct {
	name    string
	earlier string
	keyMade bool // by then, the delivery has made or found its key
}{
	{"GetUsagePlan", "", false},
	{"CreateSecret", "", false},
	{"GetSecretValue", "CreateSecret", false},
	{"CreateApiKey", "", false},
	{"GetApiKeys", "CreateApiKey", false},
	{"GetApiKey", "CreateApiKey", false},
	{"CreateUsagePlanKey", "", true},
	{"PutSecretValue", "", true},
}

// A message is retried after any error that is not known to be the message's fault. Once AWS
// has recovered, one more delivery finishes it.
func TestFailureOfAnyCallIsRetriedAndLosesNothing(t *testing.T) {
	faults := map[string]error{
		"429":         awslocal.TooManyRequests,
		"500":         awslocal.InternalFailure,
		"503":         awslocal.ServiceUnavailable,
		"denied":      awslocal.AccessDenied,
		"lost answer": awslocal.ErrConnectionLost,
	}
	for _, op := range operations {
		for what, fault := range faults {
			for _, at := range []moment{before, after} {
				t.Run(fmt.Sprintf("%s/%s %s", op.name, what, at), func(t *testing.T) {
					inWorld(t, func(w *world) {
						addPlans(w)
						r := request(withPlans("plan1"))
						if op.earlier != "" {
							w.interrupted(after, op.earlier, r)
						}
						w.newEnvironment()
						w.fail(at, op.name, always, fault)
						want := "retried: " + op.name
						if op.keyMade {
							want = "retried (unfinished): " + op.name
						}
						w.wantOutcome(w.provision(r), want)

						w.heal()
						want = "created"
						if op.name == "PutSecretValue" && at == after {
							want = "existing" // it was finished before its answer was lost
						}
						w.wantOutcome(w.provision(r), want)
						w.wantComplete(r, "plan1")
					})
				})
			}
		}
	}
}

// The SDK retries a call whose answer was lost or throttled, and finds what the first attempt
// did: one delivery is enough.
func TestSDKsRetryMakesNoSecondKey(t *testing.T) {
	for _, op := range operations {
		for _, fault := range []error{awslocal.ErrConnectionLost, awslocal.TooManyRequests} {
			t.Run(op.name+"/"+fault.Error(), func(t *testing.T) {
				inWorld(t, func(w *world) {
					addPlans(w)
					r := request(withPlans("plan1"))
					if op.earlier != "" {
						w.interrupted(after, op.earlier, r)
					}
					w.newEnvironment()
					w.fail(after, op.name, 2, fault)
					w.wantOutcome(w.provision(r), "created")
					w.wantComplete(r, "plan1")
				})
			})
		}
	}
}

// The quota of 10,000 keys, which has an alarm, is not the message's fault.
func TestKeyQuotaIsRetriedUnderItsCode(t *testing.T) {
	inWorld(t, func(w *world) {
		w.aws.Quotas.MaxKeys = 1
		other := w.finished(request(func(r *apikey.Request) { r.Name = "other" }))
		w.wantOutcome(w.provision(request()), "retried (quota): CreateApiKey: LimitExceededException")
		w.operatorDeletesKey(other.ID)
		w.wantOutcome(w.provision(request()), "created")
		w.wantComplete(request())
	})
}

func badRequest(message string) *awslocal.Error {
	return &awslocal.Error{Status: http.StatusBadRequest, Code: "BadRequestException", Message: message}
}

func TestWhatAPIGatewayRefusesIsRejectedInItsOwnWords(t *testing.T) {
	onStage := request(func(r *apikey.Request) { r.StageKeys = []apikey.StageKey{{RestAPIID: "none", StageName: "prod"}} })
	refuse := func(message string) func(w *world) {
		return func(w *world) { w.fail(before, "CreateApiKey", always, badRequest(message)) }
	}
	const calls = "CreateSecret CreateApiKey"
	run(t, []scenario{{
		name:    "BadRequest",
		given:   refuse("Invalid tag key"),
		request: request(), want: "rejected: request: API Gateway refused it: BadRequestException: Invalid tag key",
		calls: calls, leaves: "no key, pending",
	}, {
		name:    "a value, with the advice to delete the secret",
		given:   refuse("Invalid value"),
		request: request(withValue(explicit)), want: "rejected: delete secret test/acme/Dev+Key without a recovery window before sending another",
		calls: calls, leaves: "no key, pending",
	}, {
		name: "the value of an earlier message, with the same advice",
		given: func(w *world) {
			w.interrupted(after, "CreateSecret", request(withValue(explicit)))
			refuse("Invalid value")(w)
		},
		request: request(), want: "rejected: delete secret test/acme/Dev+Key without a recovery window before sending another",
		calls: "CreateSecret GetSecretValue CreateApiKey", leaves: "no key, pending",
	}, {
		name:    "an unknown stage",
		given:   func(w *world) { w.aws.Stages = map[string]bool{} },
		request: onStage, want: "rejected: Invalid stage identifier specified",
		calls: calls, leaves: "no key, pending",
	}, {
		name: "but NotFound without a stage in the request is no refusal",
		given: func(w *world) {
			w.fail(before, "CreateApiKey", 1, &awslocal.Error{Status: http.StatusNotFound, Code: "NotFoundException", Message: "?"})
		},
		request: request(), want: "retried: CreateApiKey: NotFoundException",
		calls: calls, leaves: "no key, pending",
	}})
	inWorld(t, func(w *world) {
		refuse("Invalid tag key")(w)
		if got := w.provision(request()); strings.Contains(got, "delete secret") {
			w.Errorf("outcome is %q, want no advice on the secret: no sender gave the value", got)
		}
		w.heal()
		w.wantOutcome(w.provision(request(withDescription("corrected"))), "created")
	})
}

// AWS's message is withheld if it quotes the value, or eight characters of it. Every test
// checks that no part of a value is passed on; this one also checks that the rest is.
func TestMessageThatQuotesTheValueIsWithheld(t *testing.T) {
	for _, quoted := range []string{explicit, explicit[:8], explicit[len(explicit)-8:]} {
		for _, op := range []string{"CreateSecret", "CreateApiKey", "PutSecretValue"} {
			inWorld(t, func(w *world) {
				w.fail(before, op, always, badRequest("Invalid: '"+quoted+"'"))
				got := w.provision(request(withValue(explicit)))
				if !strings.Contains(got, "BadRequestException: (withheld: it quotes the value)") {
					w.Errorf("%s: the outcome does not say that the message is withheld (not shown)", op)
				}
			})
		}
	}
}

// A rotation and the end behind it deal with two values, and quote neither.
func TestMessageThatQuotesTheNextValueIsWithheld(t *testing.T) {
	inWorld(t, func(w *world) {
		addPlans(w)
		living := w.finishedAt(signUpAt(1, withPlans("plan1")))
		wait(5 * time.Minute)
		quoting := func() error {
			for _, k := range w.keysOf(request()) {
				if k.ID != living {
					return badRequest("Invalid: " + string(k.Value))
				}
			}
			return errors.New("there is no key of the next value")
		}
		withheld := func(got, call string) {
			w.Helper()
			if !strings.Contains(got, call) || !strings.Contains(got, "BadRequestException: (withheld: it quotes the value)") {
				w.Errorf("%s: the outcome does not say that the message is withheld (not shown)", call)
			}
		}
		w.on(before, "CreateUsagePlanKey", 1, quoting)
		withheld(w.provision(rotationAt(2)), "CreateUsagePlanKey (plan1)")
		w.on(before, "PutSecretValue", 1, quoting)
		withheld(w.provision(rotationAt(2)), "PutSecretValue")
		w.on(before, "UpdateApiKey", 1, func() error { return nil }) // of the living key
		w.on(before, "UpdateApiKey", 1, quoting)
		withheld(w.provision(endAt(3)), "UpdateApiKey")
	})
}

// Errors of the SDK and net/http quote what they could not read, and the answers of five
// calls hold a value.
func TestAnswerThatCannotBeReadIsNotQuoted(t *testing.T) {
	garble := map[string]func(answer []byte) []byte{
		"cut off": func(a []byte) []byte { return a[:len(a)-2] },
		"of wrong shape": func(a []byte) []byte {
			return []byte(`{"id":[` + string(a) + `],"ARN":[` + string(a) + `],"item":` + string(a) + `}`)
		},
		"a list":   func(a []byte) []byte { return []byte(`[` + string(a) + `]`) },
		"not JSON": func(a []byte) []byte { return append([]byte("<html>"), a...) },
	}
	for what, change := range garble {
		for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusInternalServerError} {
			for _, op := range operations {
				t.Run(fmt.Sprintf("%s/%s %d", op.name, what, status), func(t *testing.T) {
					inWorld(t, func(w *world) {
						addPlans(w)
						r := request(withValue(explicit), withPlans("plan1"))
						if op.earlier != "" {
							w.interrupted(after, op.earlier, r)
						}
						garbling := false
						w.on(after, op.name, always, func() error { garbling = true; return nil })
						w.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
							resp, err := next.RoundTrip(r)
							if err != nil || !garbling {
								return resp, err
							}
							garbling = false
							answer, _ := io.ReadAll(resp.Body)
							answer = change(append(answer[:len(answer)-1], []byte(`,"also":"`+explicit+`"}`)...))
							resp.StatusCode, resp.ContentLength = status, int64(len(answer))
							resp.Body = io.NopCloser(bytes.NewReader(answer))
							return resp, nil
						})
						got := w.provision(r)
						if status == http.StatusOK && (what == "cut off" || what == "not JSON") {
							want := "retried: " + op.name
							if op.keyMade {
								want = "retried (unfinished): " + op.name
							}
							w.wantOutcome(got, want)
							if !strings.Contains(got, "the call failed, or its answer could not be read") {
								w.Errorf("%s: the outcome does not say what happened (not shown)", op.name)
							}
						}
						w.heal()
						if got != "created" {
							w.provision(r)
						}
						w.wantComplete(r, "plan1")
					})
				})
			}
		}
	}
}

// answer replaces AWS's answer after the call took effect.
func (w *world) answer(operation string, times, status int, answer string) {
	due := false
	w.on(after, operation, times, func() error { due = true; return nil })
	w.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err == nil && due {
			due = false
			resp.StatusCode, resp.ContentLength, resp.Body = status, int64(len(answer)), io.NopCloser(strings.NewReader(answer))
		}
		return resp, err
	})
}

// The SDK gives an empty code to some errors that a proxy before AWS may answer. They are
// errors like any other, not successes.
func TestErrorWithoutACodeIsRetried(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusServiceUnavailable} {
		for _, op := range operations {
			t.Run(fmt.Sprint(op.name, " ", status), func(t *testing.T) {
				inWorld(t, func(w *world) {
					addPlans(w)
					r := request(withPlans("plan1"))
					if op.earlier != "" {
						w.interrupted(after, op.earlier, r)
					}
					w.answer(op.name, always, status, `{"__type":"#"}`)
					want := "retried: " + op.name
					if op.keyMade {
						want = "retried (unfinished): " + op.name
					}
					got := w.provision(r)
					if status == http.StatusBadRequest { // which the SDK does not retry
						w.wantOutcome(got, want)
					}
					w.heal()
					if got != "created" {
						w.provision(r)
					}
					w.wantComplete(r, "plan1")
				})
			})
		}
	}
}

// Only API Gateway's own NotFoundException says that a key is gone. A 404 from a proxy, or from
// an emulator that lacks the operation, does not: a repeat would be rejected as revoked, and an
// end would leave its key enabled.
func TestNotFoundOfAnythingButAPIGatewayIsRetried(t *testing.T) {
	answers := map[string]string{
		"XML":                    `<?xml version="1.0"?><Error><Code>NotFoundException</Code><Message>Invalid API Key identifier specified</Message></Error>`,
		"HTML":                   "<html><body>404 Not Found</body></html>",
		"no body":                "",
		"JSON of another server": `{"message":"Not Found"}`,
	}
	messages := map[string]struct {
		message   apikey.Request
		operation string
	}{
		"repeat":   {signUpAt(1), "GetApiKey"},
		"rotation": {rotationAt(2), "GetApiKey"},
		"end":      {endAt(2), "UpdateApiKey"},
	}
	for what, answer := range answers {
		for name, test := range messages {
			t.Run(name+" "+what, func(t *testing.T) {
				inWorld(t, func(w *world) {
					w.finishedAt(signUpAt(1))
					wait(6 * time.Minute)
					w.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
						if !strings.HasPrefix(r.URL.Path, "/apikeys/") {
							return next.RoundTrip(r)
						}
						return &http.Response{
							StatusCode: http.StatusNotFound, Request: r, ContentLength: int64(len(answer)),
							Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(answer)),
						}, nil
					})
					w.wantOutcome(w.provision(test.message), "retried: "+test.operation)
				})
			})
		}
	}
}

// An answer that lacks what was asked for is no answer: it must not finish a record, make a
// key or reject anything.
func TestAnswerThatLacksWhatWasAskedForIsRetried(t *testing.T) {
	for _, op := range operations {
		if op.name == "GetApiKeys" {
			continue // a list without items is an empty list
		}
		for what, answer := range map[string]string{"no body": "", "no members": "{}", "empty members": `{"id":"","ARN":"","VersionId":"","value":"","tags":{}}`, "error": `{"__type":"InternalServiceError"}`} {
			t.Run(op.name+" "+what, func(t *testing.T) {
				inWorld(t, func(w *world) {
					addPlans(w)
					r := request(withPlans("plan1"))
					if op.earlier != "" {
						w.interrupted(after, op.earlier, r)
					}
					w.answer(op.name, 1, http.StatusOK, answer)
					want := "retried: " + op.name
					if op.keyMade {
						want = "retried (unfinished): " + op.name
					}
					got := w.provision(r)
					w.wantOutcome(got, want)
					if got != "created" && !strings.Contains(got, "the call failed, or its answer could not be read") {
						w.Errorf("%s: the outcome does not say what happened (not shown)", op.name)
					}
					w.heal()
					if got != "created" {
						w.provision(r)
					}
					w.wantComplete(r, "plan1")
				})
			})
		}
	}
}

// A page position of GetApiKeys holds a key's value, encoded, and net/http's errors quote the
// URL that contains it.
func TestPageThatCannotBeReadIsNotQuoted(t *testing.T) {
	inWorld(t, func(w *world) {
		for range 501 {
			w.aws.AddKey(awslocal.Key{Name: "Dev Key 2"})
		}
		w.interrupted(after, "CreateApiKey", request())
		w.through(func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.URL.Query().Has("position") {
				return nil, errors.New("connection reset")
			}
			return next.RoundTrip(r)
		})
		got := w.provision(request())
		w.wantOutcome(got, "retried: GetApiKeys: the call failed, or its answer could not be read")
		if strings.Contains(got, "?") {
			w.Error("the outcome quotes the URL (not shown)")
		}
	})
}

// An operator has to see why no call goes through.
func TestBrokenConnectionIsReportedWithItsCause(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"refused":     {&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "dial tcp: connection refused"},
		"unknown":     {&net.DNSError{Err: "no such host", Name: "apigateway.example", IsNotFound: true}, "lookup apigateway.example: no such host"},
		"untrusted":   {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"quotes":      {errors.New(`malformed HTTP response "` + explicit + `"`), "the call failed, or its answer could not be read"},
		"wrapped net": {fmt.Errorf("reading %s: %w", explicit, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}), "read tcp: connection reset"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.through(func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, test.err })
				w.wantOutcome(w.provision(request(withValue(explicit))), "retried: CreateSecret: "+test.want)
			})
		})
	}
}

func TestCallThatHangsEndsWithTheContext(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				addPlans(w)
				r := request(withPlans("plan1"))
				if op.earlier != "" {
					w.interrupted(after, op.earlier, r)
				}
				w.newEnvironment()
				hang := make(chan struct{})
				w.on(before, op.name, 1, func() error { <-hang; return awslocal.ErrConnectionLost })
				ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
				defer cancel()
				start := time.Now()
				w.wantOutcome(w.provisionWithin(ctx, r), map[bool]string{
					false: "retried: " + op.name, true: "retried (unfinished): " + op.name,
				}[op.keyMade])
				if took := time.Since(start); took != 3*time.Second {
					w.Errorf("took %v, want the time until the deadline", took)
				}
				close(hang)
				w.heal()
				w.wantOutcome(w.provision(r), "created")
				w.wantComplete(r, "plan1")
			})
		})
	}
}

func TestRecordMayFillASecretAndNotAByteMore(t *testing.T) {
	filling := func(w *world, over int) apikey.Request {
		r := request()
		name, err := apikey.SecretName(prefix, r.CustomerID, r.Name, "")
		if err != nil {
			w.Fatal(err)
		}
		r.Description = "d"
		r.Description += strings.Repeat("d", apikey.MaxRecordSize-r.RecordSize(name, nil)+over)
		return r
	}
	inWorld(t, func(w *world) {
		w.wantOutcome(w.provision(filling(w, 1)), "rejected: request: its record would take up to 65537 bytes")
		w.wantCalls("GetSecretValue")
		w.wantOutcome(w.provision(filling(w, 0)), "created")
	})
}
