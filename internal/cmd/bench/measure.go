package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/lambdalocal"
	"createkey/internal/test/payload"
	"createkey/internal/test/sandbox"
)

// The bounds.
const (
	mostStart      = 1.15  // times the bare handler's
	mostWarm       = 1.15  // times the bare handler's
	mostBatch      = 1.15  // times the bare handler's
	mostFirst      = 0.060 // seconds
	mostFirstRatio = mostFirst / 0.500
	mostSize       = 12 * megabyte
	mostMemory     = 25 * megabyte
	mostGrowth     = 1.25 // of memory, from a thousand messages on
	leastRate      = 98   // % of the rate set
	mostWasted     = 1    // % of CreateApiKey calls
)

// delay is added to each AWS call where concurrency matters; AWS takes about as long.
const delay = 50 * time.Millisecond

// A bench has the programs to measure.
type bench struct {
	programs
	dir   string // for temporary files
	sides []*side

	// The data of the plots and the costs.
	trickle float64   // seconds of a call that makes one key
	cold    []samples // of the first call, by memory size
	bursts  []burst
	plans   []planBurst
	outages []outage
}

type programs struct {
	createkey   string // as it ships
	unconnected string // and without its connections
	floor       string // a bare handler of aws-lambda-go
	sdk         string // a bare handler of the SDK
	boto3       string // the same in Python
	aws         string // the AWS CLI
}

// side sets a program up until the end of the run.
func (b *bench) side(name, executable string, o options) (*side, error) {
	s, err := newSide(name, executable, o)
	if err == nil {
		b.sides = append(b.sides, s)
	}
	return s, err
}

// close ends all sides, and returns an error if one of them did other work than it
// should have.
func (b *bench) close() (err error) {
	for _, s := range b.sides {
		err = errors.Join(err, s.check(), s.box.Close())
	}
	b.sides = nil
	return err
}

// four sets up the four functions alike.
func (b *bench) four(o options) (all [4]*side, err error) {
	for i, program := range []struct{ name, path string }{
		{"createkey", b.createkey}, {"bare SDK", b.sdk}, {"aws-lambda-go", b.floor}, {"boto3", b.boto3},
	} {
		o := o
		o.idle = program.path == b.floor
		if all[i], err = b.side(program.name, program.path, o); err != nil {
			return all, err
		}
	}
	return all, nil
}

var columns = []string{"createkey", "bare SDK", "aws-lambda-go", "boto3", "AWS CLI", "createkey / bare SDK"}

// comparison returns a row with the figures of the four functions, in their order.
func comparison(what string, u unit, s samples) row {
	r := row{what: what + ", " + u.name}
	for i := range s.of {
		r.cells = append(r.cells, u.print(s.spread(i)))
	}
	for len(r.cells) < len(columns)-1 {
		r.cells = append(r.cells, "")
	}
	r.cells = append(r.cells, times.print(s.ratio(0, 1)))
	return r
}

func (r row) most(ratio, most float64) row {
	r.bound, r.verdict = fmt.Sprintf("ratio at most %.2f", most), within(ratio, most)
	return r
}

// speed measures what everybody asks first.
func (b *bench) speed(ctx context.Context) (table, error) {
	t := table{title: "Speed and size", columns: columns, note: "Over plain HTTP to a local AWS that answers at once: what the program " +
		"itself costs. A call makes one key. The AWS CLI's figure is its two commands, one after the other."}
	sides, err := b.four(options{})
	if err != nil {
		return t, err
	}
	var starts, calls []sampler
	for _, s := range sides {
		starts = append(starts, func() (float64, error) { return s.start(ctx) })
		calls = append(calls, func() (float64, error) { return s.call(ctx, 1) })
	}
	start, err := takeTurns(20, 4, starts...)
	if err != nil {
		return t, err
	}
	first := samples{each: start.each}
	for _, s := range sides {
		first.of = append(first.of, s.firsts)
	}
	var warm samples
	for _, rounds := range []int{10, 40} { // the first ten warm up
		if warm, err = takeTurns(rounds, 20, calls...); err != nil {
			return t, err
		}
	}
	cli, err := b.commandLine(ctx)
	if err != nil {
		return t, err
	}
	warmRow := comparison("warm call", milliseconds, warm).most(warm.ratio(0, 1).median, mostWarm)
	warmRow.cells[4] = milliseconds.print(cli)
	t.rows = append(t.rows,
		comparison("start to ready", milliseconds, start).most(start.ratio(0, 1).median, mostStart),
		comparison("first call", milliseconds, first),
		warmRow)

	slow, err := b.four(options{delay: delay})
	if err != nil {
		return t, err
	}
	memory, err := b.memory(ctx, slow)
	if err != nil {
		return t, err
	}
	size, err := takeTurns(1, 1, size(b.createkey), size(b.sdk), size(b.floor))
	if err != nil {
		return t, err
	}
	sizes := comparison("executable", megabytes, size)
	sizes.bound, sizes.verdict = fmt.Sprintf("at most %.0f MB", mostSize/megabyte), within(size.spread(0).median, mostSize)
	t.rows = append(t.rows, memory, sizes)
	return t, b.close()
}

// memory measures a process's peak memory.
func (b *bench) memory(ctx context.Context, sides [4]*side) (row, error) {
	if runtime.GOOS != "linux" {
		return row{what: "peak memory", bound: "NOT MEASURED: needs Linux"}, nil
	}
	var peaks []sampler
	for _, s := range sides {
		peaks = append(peaks, func() (float64, error) { return s.peakMemory(ctx, 10) })
	}
	peak, err := takeTurns(6, 1, peaks...)
	if err != nil {
		return row{}, err
	}
	r := comparison("peak memory, batch of 10", megabytes, peak)
	r.bound, r.verdict = fmt.Sprintf("at most %.0f MB", mostMemory/megabyte), within(peak.spread(0).median, mostMemory)
	return r, nil
}

func size(path string) sampler {
	return func() (float64, error) {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		return float64(info.Size()), nil
	}
}

// commandLine measures the AWS CLI.
func (b *bench) commandLine(ctx context.Context) (spread, error) {
	box, err := sandbox.Start("127.0.0.1", b.floor, &awslocal.Server{})
	if err != nil {
		return spread{}, err
	}
	c := commandLine{aws: b.aws, endpoint: box.Endpoint}
	s, err := takeTurns(5, 1, func() (float64, error) { return c.call(ctx) })
	if err := errors.Join(err, box.Close()); err != nil {
		return spread{}, err
	}
	return s.spread(0), nil
}

// batches measures whether the messages of a batch wait for each other.
func (b *bench) batches(ctx context.Context) (table, error) {
	t := table{title: "Batches", columns: columns, note: fmt.Sprintf("Each AWS call takes %s here, about what it takes of AWS. "+
		"All take one message after the other; createkey's pace is set out of reach here.", delay)}
	sides, err := b.four(options{delay: delay})
	if err != nil {
		return t, err
	}
	for _, s := range sides {
		if _, err := s.start(ctx); err != nil {
			return t, err
		}
	}
	for _, batch := range []struct{ requests, rounds, sides int }{{1, 10, 4}, {10, 6, 4}, {100, 3, 2}} {
		var calls []sampler
		for _, s := range sides[:batch.sides] {
			calls = append(calls, func() (float64, error) { return s.call(ctx, batch.requests) })
		}
		taken, err := takeTurns(batch.rounds, 1, calls...)
		if err != nil {
			return t, err
		}
		r := comparison(fmt.Sprintf("batch of %d", batch.requests), milliseconds, taken)
		switch batch.requests {
		case 1:
			b.trickle = taken.spread(0).median
		case 10:
			r = r.most(taken.ratio(0, 1).median, mostBatch)
		}
		t.rows = append(t.rows, r)
	}
	return t, b.close()
}

// The programs whose first call is measured, and the memory sizes, in MB.
var (
	coldNames   = []string{"createkey", "without its connections", "bare SDK", "boto3"}
	memorySizes = []int{128, 256, 512, wholeProcessor}
)

// firstCalls measures the first call over TLS with the CPU time of small functions. It
// says so if control groups cannot be made.
func (b *bench) firstCalls(ctx context.Context) (table, error) {
	t := table{title: "First call by memory", columns: coldNames,
		note: fmt.Sprintf("From the first event to the answer, over TLS, one key, in ms. Initialisation, the last row, has the whole machine, as in Lambda; "+
			"then the process gets the share of one processor that Lambda gives for its memory, counted over %s. The local AWS answers at once.", quotaPeriod)}
	starts := samples{each: 1, of: make([][]float64, len(coldNames))}
	for _, memory := range memorySizes {
		q, err := newQuota(memory)
		if err != nil {
			t.rows = []row{{what: "NOT MEASURED: no control group can be made here, which needs root: " + err.Error()}}
			break
		}
		start, r, err := b.firstCall(ctx, q, memory)
		b.cold = append(b.cold, r)
		if err = errors.Join(err, b.close(), q.Close()); err != nil {
			return t, err
		}
		line := row{what: fmt.Sprintf("%d MB", memory)}
		for i := range coldNames {
			line.cells = append(line.cells, milliseconds.print(r.spread(i)))
			starts.of[i] = append(starts.of[i], start.of[i]...)
		}
		if ours, bare := r.spread(0).median, r.spread(2).median; memory == memorySizes[0] {
			line.bound = fmt.Sprintf("at most %.0f ms, and %.2f of the bare SDK (%.2f)", mostFirst*1e3, mostFirstRatio, ours/bare)
			line.verdict = both(within(ours, mostFirst), within(ours/bare, mostFirstRatio))
		}
		t.rows = append(t.rows, line)
	}
	if len(b.cold) > 0 {
		before := row{what: "before it: start to ready"}
		for i := range coldNames {
			before.cells = append(before.cells, milliseconds.print(starts.spread(i)))
		}
		t.rows = append(t.rows, before)
	}
	return t, nil
}

func (b *bench) firstCall(ctx context.Context, q *quota, memory int) (start, first samples, err error) {
	var starts []sampler
	var sides []*side
	for _, path := range []string{b.createkey, b.unconnected, b.sdk, b.boto3} {
		dir, err := os.MkdirTemp(b.dir, "tls")
		if err != nil {
			return start, first, err
		}
		held := errors.New("not held")
		s, err := b.side(fmt.Sprintf("%s with %d MB", filepath.Base(path), memory), path, options{
			tls: dir, before: func(pid int) { held = q.hold(pid) },
		})
		if err != nil {
			return start, first, err
		}
		if path == b.boto3 { // which brings its own roots
			s.box.Function.Env = append(s.box.Function.Env, "AWS_CA_BUNDLE="+filepath.Join(dir, sandbox.RootsFile))
		}
		sides = append(sides, s)
		starts = append(starts, func() (float64, error) {
			ready, err := s.start(ctx)
			return ready, errors.Join(err, held)
		})
	}
	if start, err = takeTurns(9, 1, starts...); err != nil {
		return start, first, err
	}
	first.each = start.each
	for _, s := range sides {
		s.box.Function.Kill()
		first.of = append(first.of, s.firsts)
	}
	return start, first, nil
}

// messages measures the AWS calls and the time of each kind of message.
func (b *bench) messages(ctx context.Context) (table, error) {
	t := table{title: "Each kind of message", columns: []string{"calls", "which", "ms", "/ new key"},
		note: "The AWS calls as the local AWS counts them, and a warm call's time with AWS answering at once, in turns, a customer each. A usage plan is looked up once more in an environment's life."}
	s, err := b.side("createkey", b.createkey, options{idle: true})
	if err != nil {
		return t, err
	}
	plan := s.box.AWS.AddUsagePlan(awslocal.UsagePlan{Name: "gold"})
	bare := func(name, members string) string {
		return `{"customerId": "CUSTOMER", "name": "` + name + `"` + members + `}`
	}
	event := func(detailType, name string, minute int, members string) string {
		return fmt.Sprintf(`{"version": "0", "id": "e", "source": "bench", "detail-type": "API Key %s", "time": "2026-01-01T00:%02d:00Z", "detail": %s}`,
			detailType, minute, bare(name, members))
	}
	inPlan := `, "enabled": true, "usagePlanIds": ["` + plan + `"]`
	signUp := func(name string, minute int) string { return event("Requested", name, minute, inPlan) }
	kinds := []struct {
		what, body string
		most       int
	}{
		{"new key", bare("n", ""), 3},
		{"new key in a usage plan", bare("p", inPlan), 4},
		{"repeat", bare("n", ""), 3},
		{"repeat, in a usage plan", bare("p", inPlan), 4},
		{"end", event("End Requested", "ends", 2, ""), 4},
		{"repeat of the end", event("End Requested", "ends", 2, ""), 4},
		{"return, in a usage plan", signUp("ends", 3), 8},
		{"rotation, in a usage plan", event("Rotation Requested", "rotates", 2, ""), 8},
		{"repeat of the rotation", event("Rotation Requested", "rotates", 2, ""), 4},
		{"end after a rotation", event("End Requested", "rotates", 3, ""), 6},
		{"rejected message", bare("n", `, "enabled": "yes"`), 0},
	}
	took := samples{each: 1, of: make([][]float64, len(kinds))}
	calls := make([]string, len(kinds)) // of each kind, the same for every customer
	for round := range 101 {
		invoke := func(body string) (lambdalocal.Response, error) {
			body = strings.Replace(body, "CUSTOMER", "c"+strconv.Itoa(round), 1)
			return s.box.Function.Invoke(ctx, []byte(payload.SQS(payload.QueueARN, payload.Message{ID: "m", Body: body})))
		}
		for _, first := range []string{signUp("ends", 1), signUp("rotates", 1)} {
			if _, err := invoke(first); err != nil {
				return t, err
			}
		}
		for i, k := range kinds {
			s.box.AWS.ResetCalls()
			answer, err := invoke(k.body)
			if err != nil {
				return t, err
			}
			took.of[i] = append(took.of[i], answer.Duration.Seconds())
			var names []string
			for _, call := range s.box.AWS.Calls() {
				names = append(names, call.Operation)
			}
			switch made := strings.Join(names, ", "); {
			case round == 0:
				calls[i] = made
			case calls[i] != made:
				return t, fmt.Errorf("%s: made the calls %s, and for another customer %s", k.what, made, calls[i])
			}
		}
	}
	for i, k := range kinds {
		n := len(strings.FieldsFunc(calls[i], func(r rune) bool { return r == ',' }))
		t.rows = append(t.rows, row{
			what: k.what, cells: []string{strconv.Itoa(n), calls[i], milliseconds.print(took.spread(i)), times.print(took.ratio(i, 0))},
			bound: fmt.Sprintf("at most %d calls", k.most), verdict: within(float64(n), float64(k.most)),
		})
	}
	return t, b.close()
}
