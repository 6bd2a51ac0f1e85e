package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A unit is how figures are printed; samples are seconds or bytes.
type unit struct {
	name   string
	size   float64
	digits int
}

var (
	milliseconds = unit{"ms", 1e-3, 2}
	plainBytes   = unit{"bytes", 1, 0}
	megabytes    = unit{"MB", megabyte, 2}
)

const megabyte = 1e6

// print leaves out quartiles that say nothing.
func (u unit) print(s spread) string {
	text := fmt.Sprintf("%.*f", u.digits, s.median/u.size)
	if s.low != s.high {
		text += fmt.Sprintf(" (%.*f-%.*f)", u.digits, s.low/u.size, u.digits, s.high/u.size)
	}
	return text
}

// row is one figure and what it has to reach.
type row struct {
	what, ours, beside, ratio, bound, verdict string
}

const (
	holds  = "holds"
	missed = "MISSED"
)

// ratioRow is a row whose bound is on the ratio.
func ratioRow(what string, u unit, c comparison, most float64) row {
	r := newRow(what, u, c)
	r.bound, r.verdict = fmt.Sprintf("ratio <= %.2f", most), verdict(c.ratio.median, most)
	return r
}

// ownRow is a row whose bound is on our own figure.
func ownRow(what string, u unit, c comparison, most float64) row {
	r := newRow(what, u, c)
	r.bound, r.verdict = fmt.Sprintf("<= %.0f", most/u.size), verdict(c.ours.median, most)
	return r
}

func newRow(what string, u unit, c comparison) row {
	ratio := unit{"", 1, 2}
	return row{what: what + ", " + u.name, ours: u.print(c.ours), beside: u.print(c.other), ratio: ratio.print(c.ratio)}
}

func verdict(figure, most float64) string {
	if figure <= most { // not so for what is no number
		return holds
	}
	return missed
}

// printTable writes the rows as a table and returns how many miss their bound.
func printTable(w io.Writer, rows []row) (misses int, err error) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range append([]row{{"FIGURE", "CREATEKEY", "BESIDE IT", "RATIO", "BOUND", ""}}, rows...) {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.ours, r.beside, r.ratio, r.bound, r.verdict)
		if r.verdict == missed {
			misses++
		}
	}
	return misses, table.Flush()
}
