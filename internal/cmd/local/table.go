package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// table prints rows as they come, so that the user sees the function at work.
type table struct {
	out    io.Writer
	colour bool
}

var columns = []struct {
	title string
	width int
}{{"", 37}, {"MESSAGE", 9}, {"OUTCOME", 8}, {"EVENT", 8}, {"KEY ID", 10}, {"PLAN", 6}, {"SECRET NAME / REASON", 0}}

// colours of the outcomes, as ANSI codes.
var colours = map[string]int{"created": 32, "existing": 36, "ended": 35, "rotated": 34, "rejected": 31, "retried": 33}

// newTable prints the header; title is that of the first column. It colours only on a
// terminal, and never if NO_COLOR is set (https://no-color.org).
func newTable(out *os.File, title string) *table {
	info, err := out.Stat()
	t := &table{out: out, colour: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	titles[0] = title
	t.print(titles, "")
	return t
}

func (t *table) row(sample string, m played) {
	line := m.Line
	t.print([]string{
		sample, abbreviate(line.MessageID), line.Outcome, orDash(m.event), orDash(line.KeyID), orDash(strings.Join(m.plans, ",")), orDash(line.SecretName),
	}, line.Outcome)
	if line.Reason != "" {
		for reason := range strings.SplitSeq(line.Reason, "; ") {
			t.below(reason)
		}
	}
	if m.setAside {
		t.below("set aside: it is in the dead-letter queue")
	}
}

// below prints a text under the last cells of a row.
func (t *table) below(text string) {
	_, _ = fmt.Fprintf(t.out, "%s  %s\n", strings.Repeat(" ", columns[0].width+columns[1].width+1), text)
}

func (t *table) print(cells []string, outcome string) {
	var b strings.Builder
	for i, cell := range cells {
		text := cell
		if code, ok := colours[outcome]; ok && t.colour && columns[i].title == "OUTCOME" {
			text = fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, cell)
		}
		b.WriteString(text)
		b.WriteString(strings.Repeat(" ", max(1, columns[i].width+1-utf8.RuneCountInString(cell))))
	}
	_, _ = fmt.Fprintln(t.out, strings.TrimRight(b.String(), " "))
}

// abbreviate shortens an id, keeping enough to find it in the sample.
func abbreviate(id string) string {
	const shown = 8
	if utf8.RuneCountInString(id) <= shown+1 {
		return orDash(id)
	}
	return string([]rune(id)[:shown]) + "…"
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
