package function

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"createkey/internal/apikey"
)

// Settings are what the environment sets of this program. Everything else is
// the AWS SDK's own: region, credentials, endpoints, CA bundle, retries.
type Settings struct {
	SecretPrefix string // SECRET_PREFIX: begins the name of every secret
	KMSKeyID     string // KMS_KEY_ID: encrypts the secrets; empty: aws/secretsmanager
	UsagePlanID  string // USAGE_PLAN_ID: for requests that name no plan; empty: none
	OutcomeBus   string // OUTCOME_BUS: the event bus that outcome events go to; empty: none
	// DEAD_LETTER_QUEUE_URL: the queue that rejected messages are sent to; empty: none,
	// and a rejected message stays where it came from.
	DeadLetterQueueURL string
	// RESOURCE_TAGS: on every secret and every key; nil: none.
	ResourceTags  map[string]string
	CreateKeyRate float64 // CREATE_KEY_RATE: keys a second for one environment
	Debug         bool    // LOG_LEVEL is DEBUG: log lines list the AWS calls made
}

const (
	defaultSecretPrefix  = "apikeys/"
	defaultCreateKeyRate = "2"
	// slowestRate keeps the wait for one turn inside Lambda's longest time-out.
	slowestRate = 0.01
)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// ReadSettings reads the settings and checks them as a whole: its error names
// every bad variable with the rule that it breaks, and never a variable's value.
func ReadSettings(getenv func(string) string) (Settings, error) {
	var faults []string
	fault := func(name, rule string) { faults = append(faults, name+": "+rule) }
	// text reads a variable of so many characters at most, out of those given, and
	// with that ending.
	text := func(name, absent, characters, ending string, longest int, rule string) string {
		value := cmp.Or(getenv(name), absent)
		if len(value) > longest || strings.Trim(value, characters) != "" || !strings.HasSuffix(value, ending) {
			fault(name, rule)
		}
		return value
	}
	s := Settings{
		// The slash keeps whoever may read the secrets of acme/ from those of acme2/.
		SecretPrefix: text("SECRET_PREFIX", defaultSecretPrefix, alphanumeric+"/_+=.@-", "/", apikey.MaxPrefixLength,
			fmt.Sprintf("must be at most %d characters of A-Z a-z 0-9 / _ + = . @ -, the last of them a slash", apikey.MaxPrefixLength)),
		KMSKeyID: text("KMS_KEY_ID", "", alphanumeric+":/_-", "", 2048,
			"must be the id, the ARN or the alias of a KMS key"),
		UsagePlanID: text("USAGE_PLAN_ID", "", alphanumeric+"_-", "", 128,
			"must be the id of a usage plan: letters, digits, - and _"),
		OutcomeBus: text("OUTCOME_BUS", "", alphanumeric+"._/-", "", 256,
			"must be the name, not the ARN, of an event bus: at most 256 characters of A-Z a-z 0-9 . _ / -"),
	}
	switch queue := getenv("DEAD_LETTER_QUEUE_URL"); {
	case queue == "" || isQueueURL(queue):
		s.DeadLetterQueueURL = queue
	case getenv("AWS_SAM_LOCAL") == "true" && strings.Trim(queue, alphanumeric) == "":
		// In `sam local` a queue's Ref is its logical id, and there is no queue.
	default:
		fault("DEAD_LETTER_QUEUE_URL", "must be the URL of a queue, such as https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE")
	}
	tags, err := resourceTags(getenv("RESOURCE_TAGS"))
	if err != nil {
		fault("RESOURCE_TAGS", err.Error())
	}
	s.ResourceTags = tags
	rate, err := strconv.ParseFloat(cmp.Or(getenv("CREATE_KEY_RATE"), defaultCreateKeyRate), 64)
	if err != nil || !(rate >= slowestRate) || math.IsInf(rate, 0) {
		fault("CREATE_KEY_RATE", fmt.Sprintf("must be a number of keys a second, at least %g", slowestRate))
	}
	s.CreateKeyRate = rate
	switch getenv("LOG_LEVEL") {
	case "", "INFO":
	case "DEBUG":
		s.Debug = true
	default:
		fault("LOG_LEVEL", "must be DEBUG or INFO: a higher level would lose the lines that metrics count")
	}
	if faults != nil {
		return Settings{}, errors.New(strings.Join(faults, "; "))
	}
	return s, nil
}

// isQueueURL reports whether a text is a URL with a host and a path, as every queue's is.
func isQueueURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && strings.Trim(u.Path, "/") != ""
}

// maxResourceTags leaves most of the 50 tags of a key to its sender.
const maxResourceTags = 10

// resourceTags reads tags in the form Key=Value,Key=Value. A value may be empty and hold
// "=". Its error is a rule, and never quotes the text.
func resourceTags(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	tags := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		switch _, repeated := tags[key]; {
		case !ok, key == "", !isTagText(key, apikey.MaxTagKeyLength), !isTagText(value, apikey.MaxTagValueLength):
			return nil, fmt.Errorf("must be Key=Value,Key=Value: keys of 1 to %d and values of at most %d "+
				"letters, digits, spaces and _ . : / = + - @", apikey.MaxTagKeyLength, apikey.MaxTagValueLength)
		case apikey.ReservedTagPrefix(key) != "":
			return nil, errors.New("must be tags whose keys begin with neither aws: nor createkey:, which are reserved")
		case repeated:
			return nil, errors.New("must be tags with different keys")
		}
		tags[key] = value
	}
	if len(tags) > maxResourceTags {
		return nil, fmt.Errorf("must be at most %d tags", maxResourceTags)
	}
	return tags, nil
}

// isTagText reports whether a text is of so many characters at most, all of which AWS
// generally allows in tags: \p{L}, \p{Z}, \p{N} and some signs. The template's pattern
// allows no others
// (https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html).
func isTagText(text string, longest int) bool {
	return utf8.RuneCountInString(text) <= longest && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
	})
}
