package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"createkey/internal/apikey"
	"createkey/internal/failure"
)

// row is one message of a file.
type row struct {
	line     int    // on which it begins, from 1; 0 where the file is one message
	document []byte // what to send
	err      error  // why there is no document: a *failure.RejectedError
	hint     string // how a cell was read that the function would reject
}

// reasons returns an error's faults, and the row's hint.
func (r row) reasons(err error) []string {
	if r.hint == "" {
		return reasons(err)
	}
	return append(slices.Clone(reasons(err)), r.hint)
}

// readRows reads a file: CSV or JSON lines by its name, otherwise one document as it is.
// An error is about the whole file, and nothing of it must be sent then.
func readRows(path string, k *kind) ([]row, error) {
	if path == "" {
		return nil, usageError("FILE must name a request, a payload, or a file of requests (.csv, .jsonl)")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError(err.Error())
	}
	var rows []row
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		if rows, err = readCSV(text, k); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	case ".jsonl", ".ndjson":
		rows = readLines(text)
	default:
		return []row{{document: text}}, nil
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: holds no requests", path)
	}
	return rows, nil
}

// readLines takes each line that is not blank as a document.
func readLines(text []byte) []row {
	var rows []row
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) > 0 {
			rows = append(rows, row{line: number, document: line})
		}
	}
	return rows
}

// listSeparator separates the items of a list in one cell.
const listSeparator = ";"

// readCSV reads RFC 4180 with a header that names the members. An empty cell means that
// the member is absent, but for keyId, which the function rejects where it is empty; a row without any cell is no row. The function judges the cells:
// TRUE and true are booleans, and "yes" goes to the validator as a string.
func readCSV(text []byte, k *kind) ([]row, error) {
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))) // spreadsheets write it
	reader.FieldsPerRecord = -1                                                        // a short row is a fault of that row alone: see fromCells
	header, err := reader.Read()
	if err != nil {
		return nil, errors.New("line 1: must name the columns: " + k.knownColumns())
	}
	if err := k.checkHeader(header); err != nil {
		return nil, err
	}
	var rows []row
	for {
		cells, err := reader.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case errors.As(err, &syntax) && syntax.StartLine == syntax.Line:
			rows = append(rows, row{line: syntax.Line, err: failure.Reject("row: is not valid CSV (column %d)", syntax.Column)})
			continue
		case syntax != nil:
			// After a quoted cell that ends wrongly on a later line, the rest may be the
			// inside of a cell.
			return nil, fmt.Errorf("line %d: is not valid CSV (in the row that begins on line %d): nothing behind it can be trusted", syntax.Line, syntax.StartLine)
		case err != nil:
			return nil, err
		}
		if !slices.ContainsFunc(cells, func(cell string) bool { return cell != "" }) {
			continue
		}
		line, _ := reader.FieldPos(0)
		r := row{line: line}
		r.document, r.hint, r.err = fromCells(header, cells)
		rows = append(rows, r)
	}
}

// The columns of a CSV file of sign-ups. stageKeys need JSON: AWS deprecates them.
var memberColumns = []string{"name", "customerId", "description", "enabled", "generateDistinctId", "value", "usagePlanIds"}

const tagColumn = "tags."

func (k *kind) knownColumns() string {
	if k.asks != apikey.SignUp {
		return strings.Join(k.columns, ", ")
	}
	return strings.Join(k.columns, ", ") + ", and " + tagColumn + "KEY for each tag"
}

func (k *kind) hasColumn(column string) bool {
	key, isTag := strings.CutPrefix(column, tagColumn)
	return slices.Contains(k.columns, column) || isTag && key != "" && k.asks == apikey.SignUp
}

func (k *kind) checkHeader(header []string) error {
	var faults []string
	for i, column := range header {
		switch {
		case !k.hasColumn(column):
			faults = append(faults, "unknown column "+strconv.Quote(column))
		case slices.Contains(header[:i], column):
			faults = append(faults, "repeated column "+strconv.Quote(column))
		}
	}
	if faults != nil {
		return fmt.Errorf("line 1: %s; the columns are %s", strings.Join(faults, "; "), k.knownColumns())
	}
	return nil
}

// fromCells makes a request's document from a row.
func fromCells(header, cells []string) (document []byte, hint string, err error) {
	if len(cells) != len(header) {
		return nil, "", failure.Reject("row: has %d cells, and the header %d", len(cells), len(header))
	}
	request, tags := map[string]any{}, map[string]string{}
	for i, cell := range cells {
		column := header[i]
		key, isTag := strings.CutPrefix(column, tagColumn)
		switch {
		case cell == "" && column != "keyId": // absent, it would end more than one key
		case !utf8.ValidString(cell): // encoding/json would replace it silently
			return nil, "", failure.Reject("%s: must be UTF-8", column)
		case isTag:
			tags[key] = cell
		case column == "enabled" || column == "generateDistinctId":
			switch {
			case strings.EqualFold(cell, "true"), strings.EqualFold(cell, "false"):
				request[column] = strings.EqualFold(cell, "true")
			default:
				request[column] = cell
				hint = "a cell is read as a boolean where it is true or false, and as a string otherwise"
			}
		case column == "usagePlanIds":
			plans := strings.Split(cell, listSeparator)
			for i := range plans {
				plans[i] = strings.TrimSpace(plans[i])
			}
			request[column] = plans
		default:
			request[column] = cell
		}
	}
	if len(tags) > 0 {
		request["tags"] = tags
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // the document's size is bounded
	err = encoder.Encode(request)
	return bytes.TrimSpace(b.Bytes()), hint, err
}
