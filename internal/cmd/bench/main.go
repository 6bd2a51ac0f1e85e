// Command bench measures the function against what people use instead, in one run of
// some minutes: a bare handler on the same SDK, a bare handler of aws-lambda-go, a
// handler on boto3, and the AWS CLI. All of them run on this machine against a local
// AWS, the functions in a local Lambda, in turns. It prints tables, and writes them
// and plots into docs/.
//
// Figures are medians with their quartiles; a ratio's quartiles are those of the ratios
// of the single rounds. If a figure misses its bound, the exit status is 1; but if other
// programs used more than 15 % of a processor during the run, the misses are shown and
// the status is 3.
//
// Usage, in the module's root:
//
//	bench -bootstrap PATH -boto3 VENV -aws PATH -benchstat PATH [-docs DIR]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Exit statuses.
const (
	exitFailed = 1 // a bound was missed, or could not be measured
	exitUsage  = 2
	exitNoise  = 3 // a bound was missed on a busy machine
)

// errNoise reports missed bounds while other programs used the machine.
var errNoise = errors.New("bounds were missed on a busy machine: run it again on a quiet one")

func main() {
	var p programs
	flag.StringVar(&p.createkey, "bootstrap", "", "the function's executable, as `make local-bootstrap` builds it")
	flag.StringVar(&p.aws, "aws", "", "the AWS CLI")
	venv := flag.String("boto3", "", "a Python virtual environment that has boto3")
	benchstat := flag.String("benchstat", "", "golang.org/x/perf/cmd/benchstat")
	docs := flag.String("docs", "docs", "where to write benchmarks.md and the plots")
	flag.Parse()
	if p.createkey == "" || p.aws == "" || *venv == "" || *benchstat == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: -bootstrap, -aws, -boto3 and -benchstat must be given, and nothing but -docs beside them")
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, p, *venv, *benchstat, *docs)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errNoise):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitNoise)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
}

func run(ctx context.Context, p programs, venv, benchstat, docs string) (err error) {
	dir, err := os.MkdirTemp("", "createkey-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{programs: p, dir: dir}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.build(ctx, venv); err != nil {
		return err
	}
	meter := listen()
	tables, err := b.measure(ctx)
	if err != nil {
		return err
	}
	statistics, err := b.allocations(ctx, benchstat)
	if err != nil {
		return err
	}
	others, known := meter.others()
	missing, bounds := misses(tables)
	quiet := fmt.Sprintf("others used %.0f %% of a processor meanwhile", 100*others)
	if !known {
		quiet = "what others used of it cannot be told"
	}
	summary := fmt.Sprintf("%d of %d bounds reached; %s.", bounds-missing, bounds, quiet)

	for _, t := range tables {
		if err := t.print(os.Stdout); err != nil {
			return err
		}
	}
	fmt.Printf("\nALLOCATIONS\n%s\n%s\n", statistics, summary)
	if err := b.draw(docs); err != nil {
		return err
	}
	if err := write(filepath.Join(docs, "benchmarks.md"), tables, statistics, summary); err != nil {
		return err
	}
	switch {
	case missing > 0 && known && others > quietBelow:
		return errNoise
	case missing > 0:
		return fmt.Errorf("%d of %d bounds missed", missing, bounds)
	}
	return nil
}

// build makes what is not built yet.
func (b *bench) build(ctx context.Context, venv string) (err error) {
	if b.floor, err = build(ctx, b.dir, "floor", module, "peers/floor", nil, asShipped...); err != nil {
		return err
	}
	if b.sdk, err = build(ctx, b.dir, "sdk", module, "peers/sdk", nil, asShipped...); err != nil {
		return err
	}
	if b.unconnected, err = buildUnconnected(ctx, b.dir); err != nil {
		return err
	}
	if b.boto3, err = python(b.dir, venv, "boto3"); err != nil {
		return err
	}
	return builtAlike(b.createkey, b.sdk)
}

// measure measures all tables.
func (b *bench) measure(ctx context.Context) ([]table, error) {
	var tables []table
	for _, take := range []func(context.Context) (table, error){
		b.speed, b.batches, b.firstCalls, b.settings, b.messages, b.playBursts, b.planRates, b.outagesOfADay, b.growth, b.readme,
	} {
		begin := time.Now()
		t, err := take(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "measured in %3.0f s: %s\n", time.Since(begin).Seconds(), t.title)
		tables = append(tables, t)
	}
	return append(tables, b.costs()), nil
}

func (b *bench) draw(docs string) error {
	for _, f := range b.bursts {
		if f.SignUps == boundSignUps {
			if err := drawDrain(docs, f); err != nil {
				return err
			}
		}
	}
	if len(b.cold) < len(memorySizes) {
		return nil // the table says that it was not measured
	}
	return drawFirstCalls(docs, coldNames, b.cold)
}

// write writes the report for docs/.
func write(path string, tables []table, statistics, summary string) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Benchmarks\n\nWritten by `make bench` on %s; do not edit. Machine: %s. %s\n\n"+
		"Medians, with the quartiles in brackets; a ratio's are those of the rounds' own ratios, measured in turns. "+
		"MB is 1,000,000 bytes, but for a function's memory. The peers are in [internal/cmd/bench/peers](../internal/cmd/bench/peers), and do the same work on the same local AWS.\n",
		time.Now().UTC().Format("2 January 2006"), machine(), summary)
	for _, t := range tables {
		t.markdown(&text)
		switch t.title {
		case "First call by memory":
			fmt.Fprint(&text, "\n![First call by memory](first-call.svg)\n")
		case "Bursts of sign-ups, in virtual time":
			fmt.Fprint(&text, "\n![Keys made of 10,000 sign-ups](burst.svg)\n")
		}
	}
	fmt.Fprintf(&text, "\n## Allocations\n\nOf one message that makes a key, the local AWS in the same process included on both sides (`testing.B`, benchstat).\n\n"+
		"```\n%s```\n", statistics)
	return os.WriteFile(path, text.Bytes(), 0o644)
}

// machine names the machine of this run.
func machine() string {
	model := "unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			model = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(name), ": "))
			break
		}
	}
	return fmt.Sprintf("%d × %s, %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
