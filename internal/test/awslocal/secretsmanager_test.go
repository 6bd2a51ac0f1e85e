package awslocal_test

import (
	"reflect"
	"testing"

	"createkey/internal/test/awslocal"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func put(t *testing.T, sm *secretsmanager.Client, text string, n int) {
	t.Helper()
	_, err := sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String("s"), SecretString: &text, ClientRequestToken: aws.String(token(n)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A repeat leaves no trace: no version, no label, no date.
func TestRepetitionChangesNothing(t *testing.T) {
	s := &awslocal.Server{}
	_, sm := clients(s.Config())
	create := func() {
		t.Helper()
		_, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: aws.String("s"), SecretString: aws.String("one"), ClientRequestToken: aws.String(token(1)),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	create()
	put(t, sm, "two", 2)
	put(t, sm, "three", 3)
	states := len(s.SecretEver("s"))
	create()
	put(t, sm, "one", 1)
	put(t, sm, "two", 2)
	put(t, sm, "three", 3)
	if got := len(s.SecretEver("s")); got != states {
		t.Errorf("the secret has %d states, want %d as before", got, states)
	}
	if string(s.Secrets()[0].Current().String) != "three" {
		t.Error("the current content differs")
	}
}

// The old ARN is not that of a new secret with the same name.
func TestARNOfADeletedSecret(t *testing.T) {
	s := &awslocal.Server{}
	_, sm := clients(s.Config())
	in := &secretsmanager.CreateSecretInput{Name: aws.String("s"), SecretString: aws.String("one")}
	old, err := sm.CreateSecret(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sm.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: old.ARN, ForceDeleteWithoutRecovery: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := sm.CreateSecret(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	_, err = sm.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: old.ARN})
	if code(err) != "ResourceNotFoundException" {
		t.Errorf("old ARN: %v, want ResourceNotFoundException", err)
	}
	// A partial ARN, without the suffix, works.
	arn := *old.ARN
	if _, err := sm.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(arn[:len(arn)-7])}); err != nil {
		t.Errorf("partial ARN: %v", err)
	}
}

func TestUpdateSecretVersionStage(t *testing.T) {
	s := &awslocal.Server{}
	_, sm := clients(s.Config())
	_, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("s"), SecretString: aws.String("one"), ClientRequestToken: aws.String(token(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, sm, "two", 2)
	steps := []struct {
		name, stage, to, from string
		want                  string
		labels                map[string][]string // afterwards
	}{
		{"without naming the owner", "AWSCURRENT", token(1), "", "InvalidParameterException", map[string][]string{token(1): {"AWSPREVIOUS"}, token(2): {"AWSCURRENT"}}},
		{"back to the first", "AWSCURRENT", token(1), token(2), "", map[string][]string{token(1): {"AWSCURRENT"}, token(2): {"AWSPREVIOUS"}}},
		{"AWSCURRENT away", "AWSCURRENT", "", token(1), "InvalidParameterException", map[string][]string{token(1): {"AWSCURRENT"}, token(2): {"AWSPREVIOUS"}}},
		{"to an unknown version", "NEW", token(9), "", "ResourceNotFoundException", map[string][]string{token(1): {"AWSCURRENT"}, token(2): {"AWSPREVIOUS"}}},
		{"a new label", "NEW", token(2), "", "", map[string][]string{token(1): {"AWSCURRENT"}, token(2): {"AWSPREVIOUS", "NEW"}}},
		{"a label away", "NEW", "", token(2), "", map[string][]string{token(1): {"AWSCURRENT"}, token(2): {"AWSPREVIOUS"}}},
		{"a label from where it is not", "NEW", "", token(2), "InvalidParameterException", map[string][]string{token(1): {"AWSCURRENT"}, token(2): {"AWSPREVIOUS"}}},
	}
	for _, st := range steps {
		in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: aws.String("s"), VersionStage: &st.stage}
		if st.to != "" {
			in.MoveToVersionId = &st.to
		}
		if st.from != "" {
			in.RemoveFromVersionId = &st.from
		}
		_, err := sm.UpdateSecretVersionStage(t.Context(), in)
		if got := code(err); got != st.want {
			t.Errorf("%s: got %q, want %q", st.name, got, st.want)
		}
		labels := make(map[string][]string)
		for _, v := range s.Secrets()[0].Versions {
			labels[v.ID] = v.Stages
		}
		if !reflect.DeepEqual(labels, st.labels) {
			t.Errorf("%s: labels are %v, want %v", st.name, labels, st.labels)
		}
	}
}

func TestBinarySecret(t *testing.T) {
	_, sm := clients((&awslocal.Server{}).Config())
	want := []byte{0, 1, 0xff}
	if _, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("s"), SecretBinary: want}); err != nil {
		t.Fatal(err)
	}
	out, err := sm.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(out.SecretBinary, want) || out.SecretString != nil {
		t.Error("the content differs")
	}
}

func TestRefusedContent(t *testing.T) {
	tests := []struct{ name, operation, body, want string }{
		{"both forms", "CreateSecret", `{"Name":"s","ClientRequestToken":"` + token(1) + `","SecretString":"x","SecretBinary":"eA=="}`, "InvalidParameterException"},
		{"empty string", "CreateSecret", `{"Name":"s","ClientRequestToken":"` + token(1) + `","SecretString":""}`, "ValidationException"},
		{"none", "PutSecretValue", `{"SecretId":"s","ClientRequestToken":"` + token(1) + `"}`, "InvalidRequestException"},
		{"null", "PutSecretValue", `{"SecretId":"s","ClientRequestToken":"` + token(1) + `","SecretString":null}`, "InvalidRequestException"},
		{"no name", "CreateSecret", `{"ClientRequestToken":"` + token(1) + `"}`, "ValidationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &awslocal.Server{}
			_, header, _ := send(t, s, "POST", "/", "secretsmanager."+tt.operation, tt.body)
			if got := header.Get("X-Amzn-Errortype"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
