package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// journal records what AWS acknowledged, in a file beside the input, so that an
// interrupted run can resume. It names a message by a digest of its text, so that the
// input may be corrected in between and holds the only copy of the text.
type journal struct {
	path string
	size int64          // of its whole lines, in bytes
	sent map[string]int // digest -> how often the destination acknowledged it
	// began is when the first run to the destination began: the time of its ends and
	// rotations, so that one sent twice counts once. Zero: no run has begun.
	began time.Time
	file  *os.File // nil until the first line is added
}

// journalSuffix is in .gitignore.
const journalSuffix = ".sent"

type journalLine struct {
	At        time.Time `json:"at"`
	To        string    `json:"to"`
	Line      int       `json:"line,omitempty"`
	SHA256    string    `json:"sha256,omitempty"`
	MessageID string    `json:"messageId,omitempty"`
	Began     bool      `json:"began,omitempty"` // the line is about a run, not a message
}

// readJournal reads the journal of an input; it may be missing.
func readJournal(input, to string) (*journal, error) {
	j := &journal{path: input + journalSuffix, sent: map[string]int{}}
	text, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// A line that a crash cut short is ignored: its messages are sent again.
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	j.size = int64(len(text))
	for line := range bytes.Lines(text) {
		var l journalLine
		if json.Unmarshal(line, &l) != nil || l.SHA256 == "" && !l.Began {
			return nil, fmt.Errorf("%s: is not a journal of what was sent: move it away", j.path)
		}
		switch {
		case l.To != to:
		case l.Began && j.began.IsZero():
			j.began = l.At
		case !l.Began:
			j.sent[l.SHA256]++
		}
	}
	return j, nil
}

// take reports whether a message was acknowledged before. Each acknowledgement counts for
// one message with the same text.
func (j *journal) take(m message) bool {
	digest := m.digest()
	if j.sent[digest] == 0 {
		return false
	}
	j.sent[digest]--
	return true
}

// open opens the journal for appending. It drops a last line that a crash cut short.
func (j *journal) open() (err error) {
	if j.file, err = os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	if err := j.file.Truncate(j.size); err != nil {
		return err
	}
	_, err = j.file.Seek(j.size, io.SeekStart)
	return err
}

// add records that messages were acknowledged, before the next ones are sent.
func (j *journal) add(lines []journalLine) error {
	if len(lines) == 0 {
		return nil
	}
	if j.file == nil {
		if err := j.open(); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	for _, l := range lines {
		if err := encoder.Encode(l); err != nil {
			return err
		}
	}
	_, err := j.file.Write(b.Bytes())
	return err
}

func (j *journal) close() {
	if j.file != nil {
		_ = j.file.Close() // each line is written already
	}
}
