package function

import (
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"createkey/internal/apikey"
)

func TestSettings(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	defaults := Settings{SecretPrefix: "apikeys/", CreateKeyRate: 2}
	with := func(change func(*Settings)) Settings {
		s := defaults
		change(&s)
		return s
	}
	tests := []struct {
		name string
		env  map[string]string
		want Settings
	}{
		{"defaults", nil, defaults},
		{"empty means unset", map[string]string{
			"SECRET_PREFIX": "", "KMS_KEY_ID": "", "USAGE_PLAN_ID": "", "RESOURCE_TAGS": "", "OUTCOME_BUS": "", "DEAD_LETTER_QUEUE_URL": "", "CREATE_KEY_RATE": "", "LOG_LEVEL": "",
		}, defaults},
		{"prefix", map[string]string{"SECRET_PREFIX": "my-Stack_1/+=.@/"}, with(func(s *Settings) { s.SecretPrefix = "my-Stack_1/+=.@/" })},
		{"longest prefix", map[string]string{"SECRET_PREFIX": long(apikey.MaxPrefixLength-1) + "/"}, with(func(s *Settings) { s.SecretPrefix = long(apikey.MaxPrefixLength-1) + "/" })},
		{"key id", map[string]string{"KMS_KEY_ID": "1234abcd-12ab-34cd-56ef-1234567890ab"}, with(func(s *Settings) { s.KMSKeyID = "1234abcd-12ab-34cd-56ef-1234567890ab" })},
		{"key ARN", map[string]string{"KMS_KEY_ID": "arn:aws:kms:us-east-1:123456789012:key/mrk-1234"}, with(func(s *Settings) { s.KMSKeyID = "arn:aws:kms:us-east-1:123456789012:key/mrk-1234" })},
		{"key alias", map[string]string{"KMS_KEY_ID": "alias/customers"}, with(func(s *Settings) { s.KMSKeyID = "alias/customers" })},
		{"plan", map[string]string{"USAGE_PLAN_ID": "a1b2c3"}, with(func(s *Settings) { s.UsagePlanID = "a1b2c3" })},
		{"bus", map[string]string{"OUTCOME_BUS": "aws.partner/Example_1-2"}, with(func(s *Settings) { s.OutcomeBus = "aws.partner/Example_1-2" })},
		{"dead-letter queue", map[string]string{"DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/letters"}, with(func(s *Settings) {
			s.DeadLetterQueueURL = "https://sqs.us-east-1.amazonaws.com/123456789012/letters"
		})},
		{"dead-letter queue of an emulator", map[string]string{"DEAD_LETTER_QUEUE_URL": "http://localhost:4566/000000000000/letters.fifo"}, with(func(s *Settings) {
			s.DeadLetterQueueURL = "http://localhost:4566/000000000000/letters.fifo"
		})},
		{"rate", map[string]string{"CREATE_KEY_RATE": "2.5"}, with(func(s *Settings) { s.CreateKeyRate = 2.5 })},
		{"slowest rate", map[string]string{"CREATE_KEY_RATE": "0.01"}, with(func(s *Settings) { s.CreateKeyRate = 0.01 })},
		{"tags", map[string]string{"RESOURCE_TAGS": "CostCentre=42,team:a/b=x=y z,Empty="}, with(func(s *Settings) {
			s.ResourceTags = map[string]string{"CostCentre": "42", "team:a/b": "x=y z", "Empty": ""}
		})},
		{"tags of any letters, numbers and spaces", map[string]string{"RESOURCE_TAGS": "Größe=½ Ⅷ,顧客=鍵\u3000\u00a0٣"}, with(func(s *Settings) {
			s.ResourceTags = map[string]string{"Größe": "½ Ⅷ", "顧客": "鍵\u3000\u00a0٣"}
		})},
		{"most tags", map[string]string{"RESOURCE_TAGS": tags(10)}, with(func(s *Settings) {
			s.ResourceTags = map[string]string{}
			for i := range 10 {
				s.ResourceTags[strconv.Itoa(i)+long(127)] = strings.Repeat("é", 256)
			}
		})},
		{"DEBUG", map[string]string{"LOG_LEVEL": "DEBUG"}, with(func(s *Settings) { s.Debug = true })},
		{"INFO", map[string]string{"LOG_LEVEL": "INFO"}, defaults},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ReadSettings(func(name string) string { return test.env[name] })
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

// tags returns n tags of the maximum lengths that AWS allows.
func tags(n int) string {
	var list []string
	for i := range n {
		list = append(list, strconv.Itoa(i%10)+strings.Repeat("x", 127-i/10)+"="+strings.Repeat("é", 256))
	}
	return strings.Join(list, ",")
}

func TestBadSettingIsNamedAndNeverQuoted(t *testing.T) {
	const marker = "QUOTED" // in every bad value
	tests := map[string][]string{
		"SECRET_PREFIX":   {marker + " /", marker + "%/", marker + "/\n", "ä" + marker + "/", marker, "/" + marker, marker + strings.Repeat("x", apikey.MaxPrefixLength) + "/"},
		"KMS_KEY_ID":      {marker + " ", "arn:" + marker + "?", marker + strings.Repeat("x", 2048)},
		"USAGE_PLAN_ID":   {marker + "/", marker + " ", "../" + marker, marker + strings.Repeat("x", 128)},
		"CREATE_KEY_RATE": {marker, "0", "-1", "0.009", "NaN", "Inf", "-Inf", "1e999", "2 ", "2\n" + marker},
		"LOG_LEVEL":       {"WARN" + marker, "WARN", "ERROR", "debug", "INFO "},
		"RESOURCE_TAGS": {
			marker, "=" + marker, "a=" + marker + ",", ",a=" + marker, "a=" + marker + ",b", "a=" + marker + ";b=c", marker + "=\n",
			"aws:a=" + marker, "AWS:" + marker + "=", "createkey:secret=" + marker, marker + "=1," + marker + "=2", tags(11),
			"a=€" + marker, "a=e\u0301" + marker, "a=😀" + marker, "a=\u200b" + marker, marker + strings.Repeat("x", 123) + "=", "a=" + marker + strings.Repeat("x", 251),
		},
		"DEAD_LETTER_QUEUE_URL": {
			"DeadLetterQueue" + marker, "arn:aws:sqs:us-east-1:123456789012:" + marker, "https://", "https://" + marker, "https://" + marker + "/",
			"https:///" + marker, "https:" + marker, "ftp://host/" + marker, "//host/" + marker, "/" + marker, "http://" + marker + "/\n",
			"http://[host/" + marker, " https://host/" + marker,
		},
		"OUTCOME_BUS": {marker + " ", "arn:aws:events:us-east-1:123456789012:event-bus/" + marker, marker + strings.Repeat("x", 256)},
	}
	for name, values := range tests {
		for _, value := range values {
			_, err := ReadSettings(func(n string) string { return map[string]string{name: value}[n] })
			if err == nil {
				t.Errorf("%s: %q was accepted", name, value)
				continue
			}
			if got := err.Error(); !strings.HasPrefix(got, name+": must be ") || strings.Count(got, ": must be ") != 1 || strings.Contains(got, marker) {
				t.Errorf("%s: the error is %q, want this variable alone, and its value not quoted", name, got)
			}
		}
	}
}

// `sam local` passes a queue's logical id instead of its URL, and has no such queue.
func TestDeadLetterQueueOfSAMLocalIsNone(t *testing.T) {
	s, err := ReadSettings(func(name string) string {
		return map[string]string{"DEAD_LETTER_QUEUE_URL": "DeadLetterQueue", "AWS_SAM_LOCAL": "true"}[name]
	})
	if err != nil || s.DeadLetterQueueURL != "" {
		t.Errorf("got %q, %v, want no queue and no error", s.DeadLetterQueueURL, err)
	}
	_, err = ReadSettings(func(name string) string {
		return map[string]string{"DEAD_LETTER_QUEUE_URL": "arn:aws:sqs:us-east-1:123456789012:letters", "AWS_SAM_LOCAL": "true"}[name]
	})
	if err == nil {
		t.Error("an ARN was accepted: it is no logical id")
	}
}

// What the template lets through must not stop the start. Of ASCII it lets through all that the
// function takes.
func TestTemplateAllowsNoOtherTags(t *testing.T) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	class := regexp.MustCompile(`\[\^(A-Za-z0-9 [^]]+)\]`).FindStringSubmatch(string(template))
	if class == nil {
		t.Fatal("the pattern of ResourceTags is not where it was")
	}
	allows := regexp.MustCompile("^[" + regexp.MustCompile(`\\u(\w{4})`).ReplaceAllString(class[1], `\x{$1}`) + "]$")
	for r := rune(0); r <= unicode.MaxRune; r++ {
		text := string(r)
		if !utf8.ValidRune(r) || r == ',' { // which separates tags
			continue
		}
		if allowed, taken := allows.MatchString(text), isTagText(text, 1); allowed && !taken || r < utf8.RuneSelf && allowed != taken {
			t.Errorf("%U: the template allows it: %t, the function takes it: %t", r, allowed, taken)
		}
	}
}

func TestAllBadSettingsAreNamedTogether(t *testing.T) {
	_, err := ReadSettings(func(name string) string { return "bad value?" })
	if err == nil {
		t.Fatal("bad values were accepted")
	}
	for _, name := range []string{"SECRET_PREFIX", "KMS_KEY_ID", "USAGE_PLAN_ID", "RESOURCE_TAGS", "CREATE_KEY_RATE", "LOG_LEVEL", "OUTCOME_BUS", "DEAD_LETTER_QUEUE_URL"} {
		if strings.Count(err.Error(), name+": must be ") != 1 {
			t.Errorf("the error does not name %s once: %v", name, err)
		}
	}
}
