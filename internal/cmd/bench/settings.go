package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
)

// settings measures the function as it ships against other builds and settings.
// docs/design.md says which were kept, and why.
func (b *bench) settings(ctx context.Context) (table, error) {
	t := table{title: "Settings that were kept and rejected",
		columns: []string{"start to ready, ms", "/ as it ships", "warm call, ms", "/ as it ships", "peak memory, MB", "executable, MB"},
		note:    "Over plain HTTP. The second row is the same executable again: what differs no more than that is noise."}
	variants, err := b.variants(ctx)
	if err != nil {
		return t, err
	}
	var starts, calls, peaks, sizes []sampler
	for _, v := range variants {
		s, err := b.side(v.name, v.path, options{env: v.env})
		if err != nil {
			return t, err
		}
		starts = append(starts, func() (float64, error) { return s.start(ctx) })
		calls = append(calls, func() (float64, error) { return s.call(ctx, 1) })
		peaks = append(peaks, func() (float64, error) { return s.peakMemory(ctx, 10) })
		sizes = append(sizes, size(v.path))
	}
	start, err := takeTurns(20, 4, starts...)
	if err != nil {
		return t, err
	}
	var warm samples
	for _, rounds := range []int{10, 30} { // the first ten warm up
		if warm, err = takeTurns(rounds, 20, calls...); err != nil {
			return t, err
		}
	}
	file, err := takeTurns(1, 1, sizes...)
	if err != nil {
		return t, err
	}
	var peak samples
	if runtime.GOOS == "linux" {
		if peak, err = takeTurns(4, 1, peaks...); err != nil {
			return t, err
		}
	}
	for i, v := range variants {
		r := row{what: v.name, cells: []string{
			milliseconds.print(start.spread(i)), times.print(start.ratio(i, 0)),
			milliseconds.print(warm.spread(i)), times.print(warm.ratio(i, 0)), "", megabytes.print(file.spread(i)),
		}}
		if peak.of != nil {
			r.cells[4] = megabytes.print(peak.spread(i))
		}
		t.rows = append(t.rows, r)
	}
	return t, b.close()
}

type variant struct {
	name, path string
	env        []string
}

func (b *bench) variants(ctx context.Context) ([]variant, error) {
	variants := []variant{
		{name: "as it ships", path: b.createkey},
		{name: "as it ships, again", path: b.createkey},
		{name: "GOMAXPROCS=1", path: b.createkey, env: []string{"GOMAXPROCS=1"}},
		{name: "GOGC=400", path: b.createkey, env: []string{"GOGC=400"}},
		{name: "GOGC=off, GOMEMLIMIT=180MiB", path: b.createkey, env: []string{"GOGC=off", "GOMEMLIMIT=180MiB"}},
	}
	profile := filepath.Join(b.dir, "warm.cpu")
	if err := goTest(ctx, root, os.Stderr, "-count=1", "-run", "^$", "-bench", "^BenchmarkNewKey$", "-benchtime", "10000x",
		"-o", filepath.Join(b.dir, "warm.test"), "-cpuprofile", profile, "./internal/function"); err != nil {
		return nil, err
	}
	for _, v := range []struct {
		name  string
		env   []string
		flags []string
	}{
		{"PGO, by the profile of a new key", nil, append([]string{"-pgo", profile}, asShipped...)},
		{"GOAMD64=v3", []string{"GOAMD64=v3"}, asShipped},
		{"without -tags lambda.norpc", nil, asShipped[2:]},
		{"without -trimpath -s -w", nil, asShipped[:2]},
	} {
		if v.env != nil && runtime.GOARCH != "amd64" {
			continue
		}
		path, err := build(ctx, b.dir, v.name, root, function, v.env, v.flags...)
		if err != nil {
			return nil, err
		}
		variants = append(variants, variant{name: v.name, path: path})
	}
	return variants, nil
}
