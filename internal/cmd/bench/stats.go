package main

import "slices"

// spread is the median of some samples and their quartiles.
type spread struct{ low, median, high float64 }

// spreadOf needs at least one sample.
func spreadOf(samples []float64) spread {
	sorted := slices.Sorted(slices.Values(samples))
	return spread{quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)}
}

// quantile interpolates between the two samples that are nearest.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// comparison is two things measured side by side.
type comparison struct {
	ours, other spread
	// ratio has the ratio of the medians, and the quartiles of the rounds' own
	// ratios: how far the ratio can be trusted.
	ratio spread
}

// interleave measures ours and other in turns, so that a machine which slows
// down slows both: so many rounds, and in each so many samples of either. Who
// goes first changes every time, for the second finds the machine awake.
func interleave(rounds, each int, ours, other func() (float64, error)) (comparison, error) {
	var allOurs, allOther, ratios []float64
	for n := range rounds * each {
		for _, oursNow := range []bool{n%2 == 0, n%2 != 0} {
			measure, samples := other, &allOther
			if oursNow {
				measure, samples = ours, &allOurs
			}
			sample, err := measure()
			if err != nil {
				return comparison{}, err
			}
			*samples = append(*samples, sample)
		}
		if begin := n + 1 - each; (n+1)%each == 0 {
			ratios = append(ratios, spreadOf(allOurs[begin:]).median/spreadOf(allOther[begin:]).median)
		}
	}
	c := comparison{ours: spreadOf(allOurs), other: spreadOf(allOther), ratio: spreadOf(ratios)}
	c.ratio.median = c.ours.median / c.other.median
	return c, nil
}
