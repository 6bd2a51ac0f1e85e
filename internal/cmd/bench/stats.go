package main

import "slices"

// spread is the median and the quartiles of samples.
type spread struct{ low, median, high float64 }

// spreadOf needs at least one sample.
func spreadOf(samples []float64) spread {
	sorted := slices.Sorted(slices.Values(samples))
	return spread{quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)}
}

// quantile interpolates between the two nearest samples.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// A sampler takes one sample, in seconds or bytes.
type sampler func() (float64, error)

// samples are those of several things measured in turns.
type samples struct {
	each int         // in a round
	of   [][]float64 // by thing, in order of time
}

// takeTurns measures several things in turns, so that a machine which slows down slows
// all of them. The order is reversed for every other sample, because a later thing finds
// the machine awake.
func takeTurns(rounds, each int, things ...sampler) (samples, error) {
	s := samples{each, make([][]float64, len(things))}
	for n := range rounds * each {
		for i := range things {
			if n%2 != 0 {
				i = len(things) - 1 - i
			}
			sample, err := things[i]()
			if err != nil {
				return samples{}, err
			}
			s.of[i] = append(s.of[i], sample)
		}
	}
	return s, nil
}

func (s samples) spread(thing int) spread { return spreadOf(s.of[thing]) }

// ratio returns the ratio of two things' medians, with the quartiles of the rounds' own
// ratios, which show how far it can be trusted.
func (s samples) ratio(thing, other int) spread {
	ours, others := s.of[thing], s.of[other]
	var rounds []float64
	for i := 0; i < len(ours); i += s.each {
		rounds = append(rounds, spreadOf(ours[i:i+s.each]).median/spreadOf(others[i:i+s.each]).median)
	}
	r := spreadOf(rounds)
	r.median = spreadOf(ours).median / spreadOf(others).median
	return r
}
