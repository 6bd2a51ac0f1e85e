package main

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
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

func TestInterleave(t *testing.T) {
	var order string
	sample := func(name string, values ...float64) func() (float64, error) {
		return func() (float64, error) {
			order += name
			v := values[0]
			values = append(values[1:], v)
			return v, nil
		}
	}
	c, err := interleave(2, 3, sample("a", 2, 4, 6, 8, 10, 12), sample("b", 2, 2, 2, 10, 10, 10))
	if err != nil {
		t.Fatal(err)
	}
	if want := "abbaabbaabba"; order != want {
		t.Errorf("order %s, want %s", order, want)
	}
	want := comparison{
		ours:  spread{4.5, 7, 9.5},
		other: spread{2, 6, 10},
		ratio: spread{1.25, 7.0 / 6, 1.75}, // the rounds' are 4/2 and 10/10
	}
	if c != want {
		t.Errorf("got %v, want %v", c, want)
	}

	broken := errors.New("broken")
	_, err = interleave(1, 1, sample("a", 1), func() (float64, error) { return 0, broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestVerdicts(t *testing.T) {
	of := func(ours, ratio float64) comparison {
		return comparison{ours: spread{ours, ours, ours}, ratio: spread{ratio, ratio, ratio}}
	}
	rows := []row{
		ratioRow("at the bound", milliseconds, of(9, 1.15), 1.15),
		ratioRow("over it", milliseconds, of(0, 1.16), 1.15),
		ratioRow("no number", milliseconds, of(0, math.NaN()), 1.15),
		ownRow("at the bound", plainBytes, of(12*megabyte, 9), 12*megabyte),
		ownRow("over it", plainBytes, of(12*megabyte+1, 0), 12*megabyte),
		{what: "not measured", verdict: "not measured"},
	}
	var got []string
	for _, r := range rows {
		got = append(got, r.verdict)
	}
	if want := []string{holds, missed, missed, holds, missed, "not measured"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if misses, err := printTable(io.Discard, rows); misses != 3 || err != nil {
		t.Errorf("%d misses (%v), want 3", misses, err)
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
