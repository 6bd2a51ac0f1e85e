package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"createkey/internal/apikey"
)

// The columns of a file of keys: a key's id, and members of the request that its sender will
// send for it. Members without a column are taken from the key.
const (
	columnID          = "id"
	columnCustomerID  = "customerId"
	columnName        = "name"
	columnDescription = "description"
	columnPlans       = "usagePlanIds"
	columnAgreement   = "agreementId"
	columnTag         = "tags." // KEY follows

	knownColumns  = "id, customerId, name; where wanted description, usagePlanIds, tags.KEY, agreementId"
	listSeparator = ";"
)

var plainColumns = []string{columnID, columnCustomerID, columnName, columnDescription, columnPlans, columnAgreement}

// row is one key to adopt.
type row struct {
	line  int               // on which it begins, from 1
	cells map[string]string // by column of the file
	err   error             // a refusal: why there are no cells
}

func (r row) id() string { return r.cells[columnID] }

// has reports whether the file has a column.
func (r row) has(column string) bool {
	_, given := r.cells[column]
	return given
}

// tags returns the row's tags, and whether the file has any tag column.
func (r row) tags() (tags map[string]string, given bool) {
	tags = map[string]string{}
	for column, cell := range r.cells {
		if key, isTag := strings.CutPrefix(column, columnTag); isTag {
			given = true
			if cell != "" {
				tags[key] = cell
			}
		}
	}
	return tags, given
}

func (r row) plans() (plans []string) {
	for plan := range strings.SplitSeq(r.cells[columnPlans], listSeparator) {
		if plan = strings.TrimSpace(plan); plan != "" {
			plans = append(plans, plan)
		}
	}
	slices.Sort(plans)
	return plans
}

// A refusal is the reason why a key is not adopted. It holds no value.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) refusal { return refusal(fmt.Sprintf(format, args...)) }

func readFile(path string) ([]row, error) {
	if path == "" {
		return nil, errors.New("FILE: must name a CSV file with the columns " + knownColumns)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// readRows reads RFC 4180 with a header. An error is about the whole file, and nothing of it
// is adopted then; a row's own faults are in the row.
func readRows(text []byte) ([]row, error) {
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))) // spreadsheets write it
	reader.FieldsPerRecord = -1                                                        // a short row is a fault of that row alone
	header, err := reader.Read()
	if err == nil {
		err = checkHeader(header)
	}
	if err != nil {
		return nil, fmt.Errorf("line 1: must name the columns: %s", knownColumns)
	}
	var rows []row
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // the rest may be the inside of a cell
			return nil, errors.New("is not valid CSV behind line " + strconv.Itoa(lastLine(rows)))
		}
		if !slices.ContainsFunc(cells, func(cell string) bool { return cell != "" }) {
			continue
		}
		line, _ := reader.FieldPos(0)
		rows = append(rows, newRow(line, header, cells))
	}
	if len(rows) == 0 {
		return nil, errors.New("holds no keys")
	}
	return rows, nil
}

func lastLine(rows []row) int {
	if len(rows) == 0 {
		return 1
	}
	return rows[len(rows)-1].line
}

var errHeader = errors.New("an unknown, a repeated or a missing column")

func checkHeader(header []string) error {
	for i, column := range header {
		key, isTag := strings.CutPrefix(column, columnTag)
		if !slices.Contains(plainColumns, column) && (!isTag || key == "") || slices.Contains(header[:i], column) {
			return errHeader
		}
	}
	for _, column := range []string{columnID, columnCustomerID, columnName} {
		if !slices.Contains(header, column) {
			return errHeader
		}
	}
	return nil
}

// newRow checks what can be checked without AWS.
func newRow(line int, header, cells []string) row {
	r := row{line: line, cells: map[string]string{}}
	if len(cells) != len(header) {
		r.err = refuse("row: has %d cells, and the header %d", len(cells), len(header))
		return r
	}
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			r.err = refuse("%s: must be UTF-8", header[i])
		}
		r.cells[header[i]] = cell
	}
	switch {
	case r.err != nil:
	case r.id() == "":
		r.err = refuse("id: must be given: the id, not the value, of an API key")
	case !isID(r.id()): // it may be a value
		r.err = refuse("id: must be the id of an API key: letters and digits, 10 as a rule; this has %d characters", len(r.id()))
	case r.cells[columnAgreement] == apikey.EveryHold:
		r.err = refuse("agreementId: must be the id of an AWS Marketplace agreement")
	case utf8.RuneCountInString(r.cells[columnName]) > apikey.MaxNameLength:
		r.err = refuse("name: must be at most %d characters", apikey.MaxNameLength)
	}
	return r
}

// isID reports whether a text can be a key's id, ten letters and digits. A value has at
// least 20 characters, and must not get into a message.
func isID(text string) bool {
	return len(text) < apikey.MinValueLength && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
