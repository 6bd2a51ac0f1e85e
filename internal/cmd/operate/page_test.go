package main

import (
	"encoding/json"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"createkey/internal/test/awslocal"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type statement struct {
	Action, Resource oneOrMore
}

// oneOrMore is a text or a list of texts: IAM accepts either.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = []string{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}

// policy returns the statements below a heading of docs/operations.md.
func policy(t *testing.T, heading string) []statement {
	t.Helper()
	_, section, _ := strings.Cut(page(t), "\n#### "+heading+"\n")
	_, text, _ := strings.Cut(section, "```json\n")
	text, _, _ = strings.Cut(text, "```")
	text = strings.NewReplacer("REGION", awslocal.Region, "ACCOUNT", awslocal.AccountID, "STACK/", prefix).Replace(text)
	var document struct{ Statement []statement }
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatalf("%s: %v", heading, err)
	}
	return document.Statement
}

// needs returns the permissions that a call needs, as "action resource". API Gateway's
// management API uses the HTTP method as the action and the path as the resource
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html).
func needs(c awslocal.Call) []string {
	if c.Service == "apigateway" {
		return []string{"apigateway:" + c.Method + " arn:aws:apigateway:" + awslocal.Region + "::" + c.Path}
	}
	secret := " arn:aws:secretsmanager:" + awslocal.Region + ":" + awslocal.AccountID + ":secret:" + c.Resource + "-AbCdEf"
	if c.Operation == "ListSecrets" {
		secret = " *"
	}
	all := []string{"secretsmanager:" + c.Operation + secret}
	if c.Tagged {
		all = append(all, "secretsmanager:TagResource"+secret)
	}
	return all
}

// wildcard matches as IAM does: its * also matches slashes.
func wildcard(pattern, text string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", ":"), strings.ReplaceAll(text, "/", ":"))
	return ok && err == nil
}

// Each policy of the page allows all calls of its command, and nothing that it never needs.
func TestPoliciesAllowWhatIsCalled(t *testing.T) {
	for heading, command := range map[string]func(p *place){
		"The permissions of an audit": func(p *place) {
			for i, name := range slices.Sorted(maps.Keys(faults)) {
				if name != thousands {
					faults[name](p, "faulty-"+strconv.Itoa(i))
				}
			}
			time.Sleep(2 * time.Hour)
			p.aws.ResetCalls()
			p.audit()
		},
		"The permissions of an adoption": func(p *place) {
			id := p.byHand()
			p.addSecret(prefix+"no-value", "")
			p.aws.ResetCalls()
			if printed, err := p.adopt(file(id), true); err != nil {
				t.Fatal(printed, err)
			}
		},
	} {
		t.Run(heading, func(t *testing.T) {
			statements, used := policy(t, heading), map[string]bool{}
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t)
				command(p)
				for _, c := range p.aws.Calls() {
					for _, need := range needs(c) {
						action, resource, _ := strings.Cut(need, " ")
						allowed := false
						for _, s := range statements {
							for _, r := range s.Resource {
								if slices.Contains(s.Action, action) && wildcard(r, resource) {
									allowed, used[action+" "+r] = true, true
								}
							}
						}
						if !allowed {
							t.Errorf("%s is not allowed", need)
						}
					}
				}
			})
			for _, s := range statements {
				for _, action := range s.Action {
					for _, r := range s.Resource {
						if !used[action+" "+r] {
							t.Errorf("%s on %s is allowed, but nothing needs it", action, r)
						}
					}
				}
			}
		})
	}
}

// The page explains each kind of finding, and has the sections that the advice names.
func TestThePageHasWhatFindingsSay(t *testing.T) {
	text := page(t)
	kinds := []*kind{kindGone, kindDisabled, kindEnabled, kindNoPlan, kindPending, kindNoRecord, kindScheduled, kindAnother, kindForeign, kindNewer, kindQuota}
	for i, k := range kinds {
		if k.rank != i+1 || !strings.Contains(text, "\n| `"+k.name+"` | ") {
			t.Errorf("%s: rank %d is wrong, or the page's table does not have it", k.name, k.rank)
		}
		for _, names := range regexp.MustCompile(`\[([^\]]+)\]`).FindAllStringSubmatch(k.do, -1) {
			titles := strings.Split(names[1], ", ")
			if strings.Contains(text, "\n### "+names[1]+"\n") { // a title with a comma
				titles = nil
			}
			for _, title := range titles {
				if !strings.Contains(text, "\n### "+title+"\n") {
					t.Errorf("%s: the page has no %q", k.name, title)
				}
			}
		}
	}
	if rows := regexp.MustCompile("(?m)^\\| `[a-z-]+` \\| ").FindAllString(text, -1); len(rows) < len(kinds) {
		t.Errorf("the page's table has %d rows", len(rows))
	}
}

func TestSettings(t *testing.T) {
	for prefix, ok := range map[string]bool{"": false, "createkey": false, "createkey/": true} {
		_, err := settings(func(name string) string {
			return map[string]string{"SECRET_PREFIX": prefix, "LOG_LEVEL": "of another program"}[name]
		})
		if (err == nil) != ok {
			t.Errorf("SECRET_PREFIX=%q: %v", prefix, err)
		}
	}
}

func TestKeyARN(t *testing.T) {
	const secretARN = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:createkey/acme/Gold-AbCdEf"
	if got, want := keyARN(secretARN, "a1b2c3"), "arn:aws-cn:apigateway:cn-north-1::/apikeys/a1b2c3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	r := report{out: &b}
	r.finding(finding{kind: kindGone, keyID: "a1b2c3d4e5", secretName: prefix + "acme/Gold", what: "what"})
	r.finding(finding{kind: kindQuota, what: "what"})
	r.summary(8000, 1, 2)
	want := "KEY-GONE          a1b2c3d4e5  createkey/acme/Gold\n  what\n  Do: " + kindGone.do + "\n" +
		"QUOTA             -           \n  what\n  Do: " + kindQuota.do + "\nKeys: 8000 of 10000. Records: 1. Findings: 2.\nWhat stands in brackets is a section of docs/operations.md.\n"
	if b.String() != want {
		t.Errorf("printed\n%s, want\n%s", b.String(), want)
	}
}
