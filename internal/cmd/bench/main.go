// Command bench measures the function beside a bare handler on the same SDK
// packages, in turns, in one run of about half a minute: both run in a local
// Lambda against a local AWS over loopback sockets. It prints a table and exits
// with 1 where a figure misses its bound.
//
// Figures are medians with their quartiles. The work of others on the machine
// blurs them: run it on an idle one before believing a bound to be missed.
//
// Usage:
//
//	bench -bootstrap PATH
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// The bounds.
const (
	mostStart  = 1.15 // times the bare handler's
	mostWarm   = 1.15 // times the bare handler's
	mostBatch  = 1.5  // times a batch of one
	mostSize   = 12 * megabyte
	mostMemory = 25 * megabyte
)

// batchSize is how many requests a large batch has, delay what is added to each
// AWS call where concurrency is to show.
const (
	batchSize = 10
	delay     = 50 * time.Millisecond
)

// Exit statuses.
const (
	exitFailed = 1 // a bound was missed, or could not be measured
	exitUsage  = 2
)

func main() {
	bootstrap := flag.String("bootstrap", "", "the function's executable, as `make local-bootstrap` builds it")
	flag.Parse()
	if *bootstrap == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: -bootstrap must name the function's executable, and nothing else is taken")
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bootstrap)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
}

func run(ctx context.Context, bootstrap string) (err error) {
	dir, err := os.MkdirTemp("", "createkey-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	peer, err := buildPeer(ctx, dir, "sdk")
	if err != nil {
		return err
	}
	if err := builtAlike(bootstrap, peer); err != nil {
		return err
	}
	rows, err := measure(ctx, bootstrap, peer)
	if err != nil {
		return err
	}
	fmt.Print("Medians (quartiles); a busy machine blurs them. Beside it: a bare handler that makes the same\n" +
		"three AWS calls with the same SDK and checks nothing; or what is named. MB is 1,000,000 bytes.\n\n")
	misses, err := printTable(os.Stdout, rows)
	if err != nil {
		return err
	}
	if misses > 0 {
		return fmt.Errorf("%d of %d bounds missed", misses, len(rows))
	}
	return nil
}

// measure takes all the figures. To measure a further peer, give it a side and
// rows of its own.
func measure(ctx context.Context, bootstrap, peer string) ([]row, error) {
	var sides []*side
	defer func() {
		for _, s := range sides {
			_ = s.box.Close()
		}
	}()
	setUp := func(name, executable string, delay time.Duration) (*side, error) {
		s, err := newSide(name, executable, delay)
		if err == nil {
			sides = append(sides, s)
		}
		return s, err
	}
	createkey, err := setUp("createkey", bootstrap, 0)
	if err != nil {
		return nil, err
	}
	bare, err := setUp("bare handler", peer, 0)
	if err != nil {
		return nil, err
	}
	slow, err := setUp("createkey with slow calls", bootstrap, delay)
	if err != nil {
		return nil, err
	}
	slowBare, err := setUp("bare handler with slow calls", peer, delay)
	if err != nil {
		return nil, err
	}

	starts, err := interleave(40, 5,
		func() (float64, error) { return createkey.start(ctx) },
		func() (float64, error) { return bare.start(ctx) })
	if err != nil {
		return nil, err
	}

	var calls comparison
	for _, rounds := range []int{10, 40} { // the first ten warm up
		calls, err = interleave(rounds, 20,
			func() (float64, error) { return createkey.call(ctx, 1) },
			func() (float64, error) { return bare.call(ctx, 1) })
		if err != nil {
			return nil, err
		}
	}

	if _, err := slow.start(ctx); err != nil {
		return nil, err
	}
	batches, err := interleave(20, 1,
		func() (float64, error) { return slow.call(ctx, batchSize) },
		func() (float64, error) { return slow.call(ctx, 1) })
	if err != nil {
		return nil, err
	}

	sizes, err := interleave(1, 1,
		func() (float64, error) { return size(bootstrap) },
		func() (float64, error) { return size(peer) })
	if err != nil {
		return nil, err
	}

	rows := []row{
		ratioRow("start to ready", milliseconds, starts, mostStart),
		ratioRow("warm call", milliseconds, calls, mostWarm),
		ratioRow(fmt.Sprintf("batch of %d (beside one; %s a call)", batchSize, delay), milliseconds, batches, mostBatch),
		ownRow("executable", plainBytes, sizes, mostSize),
	}
	if runtime.GOOS == "linux" {
		peaks, err := interleave(6, 1,
			func() (float64, error) { return slow.peakMemory(ctx, batchSize) },
			func() (float64, error) { return slowBare.peakMemory(ctx, batchSize) })
		if err != nil {
			return nil, err
		}
		rows = append(rows, ownRow(fmt.Sprintf("peak memory, batch of %d", batchSize), megabytes, peaks, mostMemory))
	} else {
		rows = append(rows, row{what: "peak memory", verdict: "not measured: needs Linux"})
	}

	for _, s := range sides {
		if err := s.check(); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// size returns the bytes of a file.
func size(path string) (float64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()), nil
}
