package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestSpreadOf(t *testing.T) {
	tests := map[string]struct {
		samples []float64
		want    spread
	}{
		"one":             {[]float64{7}, spread{7, 7, 7}},
		"two":             {[]float64{2, 1}, spread{1.25, 1.5, 1.75}},
		"odd, unsorted":   {[]float64{5, 1, 4, 2, 3}, spread{2, 3, 4}},
		"even":            {[]float64{1, 2, 3, 4}, spread{1.75, 2.5, 3.25}},
		"one is far away": {[]float64{1, 1, 1, 1, 1000}, spread{1, 1, 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := spreadOf(test.samples); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestTakeTurns(t *testing.T) {
	var order string
	sample := func(name string, values ...float64) sampler {
		return func() (float64, error) {
			order += name
			v := values[0]
			values = append(values[1:], v)
			return v, nil
		}
	}
	s, err := takeTurns(2, 2, sample("a", 2, 4, 8, 12), sample("b", 2, 2, 10, 10), sample("c", 1, 1, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if want := "abccbaabccba"; order != want {
		t.Errorf("order %s, want %s", order, want)
	}
	if got, want := s.spread(0), (spread{3.5, 6, 9}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	// Of the rounds: 3/2 and 10/10.
	if got, want := s.ratio(0, 1), (spread{1.125, 1, 1.375}); got != want {
		t.Errorf("ratio %v, want %v", got, want)
	}

	broken := errors.New("broken")
	if _, err = takeTurns(1, 1, func() (float64, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestVerdicts(t *testing.T) {
	for name, test := range map[string]struct{ got, want verdict }{
		"at the bound":   {within(1.15, 1.15), reached},
		"over it":        {within(1.16, 1.15), missed},
		"no number":      {within(math.NaN(), 1.15), missed},
		"both":           {both(reached, reached), reached},
		"only the first": {both(reached, missed), missed},
		"only the other": {both(missed, reached), missed},
	} {
		if test.got != test.want {
			t.Errorf("%s: %s, want %s", name, test.got, test.want)
		}
	}
	tables := []table{{rows: []row{{verdict: reached}, {verdict: none}}}, {rows: []row{{verdict: missed}}}}
	if missing, bounds := misses(tables); missing != 1 || bounds != 2 {
		t.Errorf("%d of %d missed, want 1 of 2", missing, bounds)
	}
}

func TestTableIsPrintedWithItsVerdicts(t *testing.T) {
	one := table{title: "Speed", note: "A note.", columns: []string{"ours", "theirs"}, rows: []row{
		{what: "start", cells: []string{"1", "2"}, bound: "at most 1", verdict: missed}, {what: "size", cells: []string{"3"}},
	}}
	var text, markdown strings.Builder
	if err := one.print(&text); err != nil {
		t.Fatal(err)
	}
	one.markdown(&markdown)
	if want := "\nSPEED\nfigure  ours  theirs  bound      \nstart   1     2       at most 1  MISSED\nsize    3                        \n"; text.String() != want {
		t.Errorf("got %q, want %q", text.String(), want)
	}
	if want := "\n## Speed\n\nA note.\n\n| figure | ours | theirs | bound |  |\n|---|---|---|---|---|\n" +
		"| start | 1 | 2 | at most 1 | MISSED |\n| size | 3 |  |  |  |\n"; markdown.String() != want {
		t.Errorf("got %q, want %q", markdown.String(), want)
	}
}

func TestNoiseIsNotOurOwnWork(t *testing.T) {
	meter := listen()
	others, known := meter.others()
	if runtime.GOOS == "linux" != known || others < 0 {
		t.Errorf("others use %v of a processor, known: %t; want at least 0, known on Linux only", others, known)
	}
}

func TestBatchNamesEveryCustomerOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, first := range []int{0, 10} {
		text, err := batch(first, 10)
		if err != nil {
			t.Fatal(err)
		}
		var payload struct {
			Records []struct{ MessageID, Body, EventSource string }
		}
		if err := json.Unmarshal(text, &payload); err != nil {
			t.Fatal(err)
		}
		for _, r := range payload.Records {
			var request struct{ CustomerID string }
			if err := json.Unmarshal([]byte(r.Body), &request); err != nil {
				t.Fatal(err)
			}
			if r.EventSource != "aws:sqs" || seen[r.MessageID] || seen[request.CustomerID] {
				t.Errorf("message %s of customer %s: not an SQS message, or seen before", r.MessageID, request.CustomerID)
			}
			seen[r.MessageID], seen[request.CustomerID] = true, true
		}
	}
	if len(seen) != 40 {
		t.Errorf("%d ids and customers, want 40", len(seen))
	}
}

func TestHighWaterMark(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	touched := make([]byte, 64<<20)
	for i := range touched {
		touched[i] = 1
	}
	got, err := highWaterMark(os.Getpid())
	runtime.KeepAlive(touched)
	if err != nil || got < 64<<20 {
		t.Errorf("%.0f bytes (%v), want at least the 64 MiB in use", got, err)
	}
}

func TestQuota(t *testing.T) {
	q, err := newQuota(128)
	if err != nil {
		t.Skip("no control group can be made here: ", err)
	}
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if err := q.hold(child.Process.Pid); err != nil {
		t.Error(err)
	}
	held, err := os.ReadFile(filepath.Join(q.dir, "cgroup.procs"))
	if want := strconv.Itoa(child.Process.Pid) + "\n"; err != nil || string(held) != want {
		t.Errorf("held %q (%v), want %q", held, err, want)
	}
	if err := errors.Join(in.Close(), child.Wait(), q.Close()); err != nil {
		t.Error(err)
	}
}
