package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// A unit says how figures are printed; samples are in seconds or bytes.
type unit struct {
	name   string
	size   float64
	digits int
}

var (
	milliseconds = unit{"ms", 1e-3, 2}
	megabytes    = unit{"MB", megabyte, 1}
	times        = unit{"", 1, 2}
)

const megabyte = 1e6

// print leaves out quartiles that equal the median.
func (u unit) print(s spread) string {
	text := fmt.Sprintf("%.*f", u.digits, s.median/u.size)
	if s.low != s.high {
		text += fmt.Sprintf(" (%.*f-%.*f)", u.digits, s.low/u.size, u.digits, s.high/u.size)
	}
	return text
}

// A table has figures, with a column for each program.
type table struct {
	title   string
	note    string // what the figures are, in Markdown
	columns []string
	rows    []row
}

// A row is one figure of each program, and the bound it has to meet.
type row struct {
	what  string
	cells []string
	bound string // empty, as is the verdict, if there is no bound
	verdict
}

type verdict string

const (
	none    verdict = ""
	reached verdict = "reached"
	missed  verdict = "MISSED"
)

// within judges a figure against its upper bound, which NaN misses.
func within(figure, most float64) verdict {
	if figure <= most {
		return reached
	}
	return missed
}

// both returns missed if either is.
func both(a, b verdict) verdict {
	if a == missed || b == missed {
		return missed
	}
	return reached
}

// misses counts the missed bounds, and all bounds.
func misses(tables []table) (missing, bounds int) {
	for _, t := range tables {
		for _, r := range t.rows {
			if r.verdict != none {
				bounds++
			}
			if r.verdict == missed {
				missing++
			}
		}
	}
	return missing, bounds
}

func (t table) lines() [][]string {
	lines := [][]string{append([]string{"figure"}, append(t.columns, "bound", "")...)}
	for _, r := range t.rows {
		line := append([]string{r.what}, r.cells...)
		for len(line) < len(t.columns)+1 {
			line = append(line, "")
		}
		lines = append(lines, append(line, r.bound, string(r.verdict)))
	}
	return lines
}

// print writes the table for a terminal.
func (t table) print(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "\n%s\n", strings.ToUpper(t.title)); err != nil {
		return err
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range t.lines() {
		fmt.Fprintln(columns, strings.Join(line, "\t"))
	}
	return columns.Flush()
}

// markdown writes the table for docs/.
func (t table) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n", t.title, t.note)
	for i, line := range t.lines() {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(line)))
		}
	}
}
