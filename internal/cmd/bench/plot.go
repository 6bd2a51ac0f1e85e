package main

import (
	"fmt"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// The plots' size.
const width, height = 18 * vg.Centimeter, 10 * vg.Centimeter

// drawDrain draws how a burst drains, next to AWS's quota.
func drawDrain(dir string, f burst) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%d sign-ups at once: keys made", f.SignUps)
	p.X.Label.Text, p.Y.Label.Text = "minutes (virtual)", "keys"
	p.Legend.Top, p.Legend.Left = true, true
	var drained plotter.XYs
	for _, point := range f.Drained {
		drained = append(drained, plotter.XY{X: point[0] / 60, Y: point[1]})
	}
	const quota = 5
	all := float64(f.SignUps)
	if err := plotutil.AddLines(p, "createkey, 2 environments", drained, "AWS's quota, 5 a second for the account",
		plotter.XYs{{X: 0, Y: 0}, {X: all / quota / 60, Y: all}}); err != nil {
		return err
	}
	return p.Save(width, height, filepath.Join(dir, "burst.svg"))
}

// drawFirstCalls draws the first call by memory, with the bound.
func drawFirstCalls(dir string, names []string, cold []samples) error {
	p := plot.New()
	p.Title.Text = "First call over TLS, by memory"
	p.X.Label.Text, p.Y.Label.Text = "", "ms (median)"
	p.Y.Min = 1
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Legend.Top = true
	p.NominalX(memoryNames()...)
	var lines []any
	for i, name := range names {
		var line plotter.XYs
		for at, s := range cold {
			line = append(line, plotter.XY{X: float64(at), Y: s.spread(i).median * 1e3})
		}
		lines = append(lines, name, line)
	}
	if err := plotutil.AddLinePoints(p, lines...); err != nil {
		return err
	}
	return p.Save(width, height, filepath.Join(dir, "first-call.svg"))
}

func memoryNames() []string {
	var names []string
	for _, mb := range memorySizes {
		names = append(names, fmt.Sprintf("%d MB", mb))
	}
	return names
}
