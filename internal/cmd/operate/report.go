package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A kind of finding has a name, for programs, and advice for a person. The titles in
// brackets are sections of docs/operations.md.
type kind struct {
	rank     int // in the report
	name, do string
}

var (
	kindGone = &kind{1, "key-gone", "where it was revoked, send an end, and the record says so [Rotate a key, or end it]; " +
		"to issue another, delete the secret without a recovery window, and send the request again [Issue a key anew]"}
	kindDisabled = &kind{2, "key-disabled", "where it was revoked for good, send an end, and the record says so [Rotate a key, or end it]; " +
		"else enable the key [Revoke]"}
	kindEnabled  = &kind{3, "key-enabled", "disable the key [Revoke]; a customer who has come back needs another sign-up, and gets another key"}
	kindNoPlan   = &kind{4, "no-usage-plan", "attach the key to a usage plan [Another usage plan]; where it was taken out to revoke it, disable it [Revoke]"}
	kindPending  = &kind{5, "record-pending", "find why its message fails, fix that and redrive it, or send the request again [RetriedAlarm, DeadLetterAlarm]"}
	kindNoRecord = &kind{6, "no-record", "where the customer uses the key, adopt it before its request comes again [Adopt keys made by hand]; " +
		"else disable it, and delete it when nobody has missed it [A secret deleted by mistake]"}
	kindScheduled = &kind{7, "secret-scheduled", "restore the secret before its recovery window ends [A secret deleted by mistake]"}
	kindAnother   = &kind{8, "another-record", "find out which key the customer uses; disable the other, and put back the record or the tag that somebody changed [Find a customer's key and request]"}
	kindForeign   = &kind{9, "record-foreign", "move the secret to a name without the prefix: createkey rejects every request for its name"}
	kindNewer     = &kind{10, "record-newer", "audit with the version that wrote it, and deploy that: this one retries every message for it"}
	kindQuota     = &kind{11, "quota", "delete the keys of customers who have left [The key quota is near]"}
)

// A finding is one thing that needs action.
type finding struct {
	*kind
	keyID, secretName string // empty: none
	what              string
}

// report prints an audit: a row for each finding with the advice below it, or a JSON object
// a line. Nothing is written before the end, so that an interrupted audit prints no report.
type report struct {
	out  io.Writer
	json bool
}

type findingLine struct {
	Finding    string `json:"finding"`
	KeyID      string `json:"keyId,omitempty"`
	SecretName string `json:"secretName,omitempty"`
	What       string `json:"what"`
	Do         string `json:"do"`
}

func (r report) line(document any) {
	encoder := json.NewEncoder(r.out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(document)
}

func (r report) finding(f finding) {
	if r.json {
		r.line(findingLine{f.name, f.keyID, f.secretName, f.what, f.do})
		return
	}
	_, _ = fmt.Fprintf(r.out, "%s%s%s\n  %s\n  Do: %s\n", pad(strings.ToUpper(f.name), 18), pad(f.keyID, 12), f.secretName, f.what, f.do)
}

// summary ends the report.
func (r report) summary(keys, records, findings int) {
	if r.json {
		r.line(struct {
			Keys     int `json:"keys"`
			MaxKeys  int `json:"maxKeys"`
			Records  int `json:"records"`
			Findings int `json:"findings"`
		}{keys, maxKeys, records, findings})
		return
	}
	_, _ = fmt.Fprintf(r.out, "Keys: %d of %d. Records: %d. Findings: %d.\n", keys, maxKeys, records, findings)
	if findings > 0 {
		_, _ = fmt.Fprintln(r.out, "What stands in brackets is a section of docs/operations.md.")
	}
}

func pad(text string, width int) string {
	if text == "" {
		text = "-"
	}
	return text + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(text)))
}

// progress shows how far a command is, on a terminal only.
type progress struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

func newProgress(out *os.File) *progress {
	return &progress{out: out, bar: progressbar.NewOptions(-1, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(),
		progressbar.OptionSetVisibility(term.IsTerminal(int(out.Fd()))), progressbar.OptionClearOnFinish())}
}

// tell shows that n of something are done. A nil progress shows nothing.
func (p *progress) tell(what string, n int) {
	if p != nil {
		p.bar.Describe(what)
		_ = p.bar.Set(n)
	}
}

// clear makes room for a line.
func (p *progress) clear() {
	if p != nil {
		_ = p.bar.Clear()
	}
}

func (p *progress) done() {
	if p != nil {
		_ = p.bar.Finish()
	}
}

// note prints a line beside the report.
func (p *progress) note(text string) {
	if p != nil {
		_, _ = fmt.Fprintln(p.out, "operate: "+text)
	}
}
