package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"createkey/internal/apikey"
)

// Bounds of retries. The SDK retries a call that fails as a whole, and we retry the entries
// that a call leaves behind: as often, and with the SDK's back-off, which is random up to
// twice as long each time.
const (
	maxAttempts = 6
	maxBackoff  = 20 * time.Second
	callTimeout = 30 * time.Second
)

// sender sends the good messages of one file to one destination.
type sender struct {
	file   string // as the user named it
	kind   *kind
	to     destination
	out    io.Writer // progress
	faults io.Writer // file:line: fault
	bar    bool      // show a progress bar on faults

	journal  *journal
	progress *progressbar.ProgressBar // nil until something is sent
	bad      int                      // rows that the function would reject
	sent     int
	unsent   int // of the good ones
}

func sendCommand(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("send", flag.ExitOnError)
	file := flags.String("file", "", "one request in JSON or YAML, or many as CSV or JSON lines")
	queueURL := flags.String("queue-url", "", "the queue to send to")
	eventBus := flags.String("event-bus", "", "the name or the ARN of the event bus to send to")
	source := flags.String("source", anySource, "the source of the events")
	asks := flags.String("kind", "sign-up", kindUsage)
	confirm := flags.Bool("confirm", false, "send; without it all is checked and nothing is sent")
	_ = flags.Parse(args) // exits on an error
	k, err := kindOf(*asks)
	if err != nil {
		return err
	}
	to, err := newDestination(*queueURL, *eventBus, *source, k)
	if err != nil {
		return err
	}
	if *confirm {
		cfg, err := loadConfig(ctx)
		if err != nil {
			return err
		}
		to.connect(cfg)
	}
	s := &sender{file: *file, kind: k, to: to, out: os.Stdout, faults: os.Stderr, bar: term.IsTerminal(int(os.Stderr.Fd()))}
	return s.run(ctx, *confirm)
}

// loadConfig reads the SDK's own settings: Region, credentials, endpoints.
func loadConfig(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxAttempts, maxBackoff })
		}),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(callTimeout)))
	if err == nil && cfg.Region == "" {
		err = usageError("AWS_REGION must be set")
	}
	return cfg, err
}

// run checks the whole file, and sends the good messages that were not sent before. It
// returns an error if anything is bad or unsent.
func (s *sender) run(ctx context.Context, confirmed bool) error {
	rows, err := readRows(s.file, s.kind)
	if err != nil {
		return err
	}
	if s.journal, err = readJournal(s.file, s.to.String()); err != nil {
		return err
	}
	events := s.kind.asks != apikey.SignUp // whose time decides what came first
	if events {
		s.kind.at = cmp.Or(s.journal.began, time.Now())
	}
	good := s.check(rows)
	rest := make([]message, 0, len(good))
	for _, m := range good {
		if !s.journal.take(m) {
			rest = append(rest, m)
		}
	}
	_, _ = fmt.Fprintf(s.out, "%s: %d good, %d bad, %d sent before.\n", s.file, len(good), s.bad, len(good)-len(rest))
	if n := count(good, func(m message) bool { return strings.Contains(m.secretName, "/_/") }); n > 0 {
		_, _ = fmt.Fprintf(s.out, "%d without a customerId: those of one name share one key.\n", n)
	}
	if n := count(good, func(m message) bool { return m.disabled }); n > 0 {
		_, _ = fmt.Fprintf(s.out, "%d for a disabled key: enabled is false unless the row says true.\n", n)
	}
	switch {
	case !confirmed:
		_, _ = fmt.Fprintf(s.out, "Dry run: %d %ss would go to %s; CONFIRM=yes sends them.\n", len(rest), s.kind.name, s.to)
	case len(rest) == 0:
		_, _ = fmt.Fprintf(s.out, "Nothing is left to send to %s, says %s.\n", s.to, s.journal.path)
	default:
		if events && s.journal.began.IsZero() {
			err = s.journal.add([]journalLine{{At: s.kind.at, To: s.to.String(), Began: true}})
		}
		if err == nil {
			err = s.send(ctx, rest)
		}
		_, _ = fmt.Fprintf(s.out, "%d sent to %s; what AWS acknowledged is in %s.\n", s.sent, s.to, s.journal.path)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w (%d bad, %d unsent; the same command sends the rest)", err, s.bad, s.unsent)
	case s.bad > 0 && !confirmed:
		return fmt.Errorf("%s: %d bad", s.file, s.bad)
	case s.bad+s.unsent > 0:
		return fmt.Errorf("%s: %d bad, %d unsent", s.file, s.bad, s.unsent)
	}
	return nil
}

// count returns how many of the messages are so.
func count(messages []message, so func(message) bool) (n int) {
	for _, m := range messages {
		if so(m) {
			n++
		}
	}
	return n
}

// check validates every row as the function will, and reports the bad ones.
func (s *sender) check(rows []row) (good []message) {
	for _, r := range rows {
		m, err := s.judge(r)
		if err == nil {
			good = append(good, m)
			continue
		}
		s.bad++
		for _, reason := range r.reasons(err) {
			s.fault(r.line, reason)
		}
	}
	return good
}

func (s *sender) judge(r row) (message, error) {
	if r.err != nil {
		return message{}, r.err
	}
	text, payload, err := s.to.prepare(r.document)
	if err != nil {
		return message{}, err
	}
	verdicts, err := judge(payload)
	if err != nil {
		return message{}, err
	}
	v := verdicts[0] // our payloads carry one message
	return message{line: r.line, document: r.document, text: text, secretName: v.secretName, hasValue: v.hasValue, disabled: v.asks == asksDisabled}, v.err
}

// fault reports a fault in the form of a compiler's.
func (s *sender) fault(line int, text string) {
	if line > 0 {
		text = fmt.Sprintf("%d: %s", line, text)
	} else {
		text = " " + text
	}
	if s.progress != nil {
		_ = s.progress.Clear()
	}
	_, _ = fmt.Fprintf(s.faults, "%s:%s\n", s.file, text)
}

// send sends batch after batch. It reports entries that AWS does not take, and goes on; an
// error, of a whole call or of the journal, ends it.
func (s *sender) send(ctx context.Context, messages []message) error {
	s.unsent = len(messages)
	defer s.journal.close()
	s.progress = progressbar.NewOptions(len(messages), progressbar.OptionSetWriter(s.faults), progressbar.OptionSetVisibility(s.bar),
		progressbar.OptionSetDescription("sending"), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	defer func() { _ = s.progress.Finish() }()
	backoff := retry.NewExponentialJitterBackoff(maxBackoff)
	for len(messages) > 0 {
		pending := messages[:batchSize(messages)]
		messages = messages[len(pending):]
		for attempt := range maxAttempts {
			before := len(pending)
			var err error
			if pending, err = s.sendBatch(ctx, pending, attempt == maxAttempts-1); err != nil {
				return err
			}
			_ = s.progress.Add(before - len(pending))
			if len(pending) == 0 {
				break
			}
			delay, err := backoff.BackoffDelay(attempt, nil)
			if err != nil {
				return err
			}
			if err := sleep(ctx, delay); err != nil {
				return err
			}
		}
	}
	return nil
}

// batchSize returns how many of the messages go into one call: at least one.
func batchSize(messages []message) int {
	bytes := 0
	for i, m := range messages {
		if bytes += len(m.text); i == maxEntries || i > 0 && bytes > maxBatchBytes {
			return i
		}
	}
	return len(messages)
}

// sendBatch makes one call, records what was taken, reports what never will be, and
// returns what is worth a retry, unless this was the last one.
func (s *sender) sendBatch(ctx context.Context, batch []message, last bool) (again []message, err error) {
	answers, err := s.to.put(ctx, batch)
	if err != nil {
		return nil, describe(err, batch)
	}
	var taken []journalLine
	for i, a := range answers {
		m := batch[i]
		switch {
		case a.code == "":
			taken = append(taken, journalLine{At: time.Now().UTC(), To: s.to.String(), Line: m.line, SHA256: m.digest(), MessageID: a.id})
		case a.again && !last:
			again = append(again, m)
		default:
			s.fault(m.line, "not sent: "+a.code)
		}
	}
	s.sent += len(taken)
	s.unsent -= len(taken)
	return again, s.journal.add(taken)
}

// describe returns what may be printed of an SDK error: no text of AWS or the network if a
// message holds a key's value, because the text could quote it.
func describe(err error, batch []message) error {
	secret := slices.ContainsFunc(batch, func(m message) bool { return m.hasValue })
	var api smithy.APIError
	switch {
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.As(err, &api) && secret:
		return errors.New(api.ErrorCode())
	case errors.As(err, &api):
		return fmt.Errorf("%s: %s", api.ErrorCode(), strings.TrimSuffix(api.ErrorMessage(), "."))
	case secret:
		return errors.New("the call failed, or its answer could not be read")
	}
	return err
}

var errInterrupted = errors.New("interrupted")

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return errInterrupted
	case <-timer.C:
		return nil
	}
}
