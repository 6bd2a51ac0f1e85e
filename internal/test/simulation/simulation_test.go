package simulation_test

import (
	"flag"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"createkey/internal/function"
	"createkey/internal/test/simulation"
)

var (
	simulatedSeeds    = flag.Int("simulate.seeds", 250, "number of simulated histories")
	simulatedSeed     = flag.Uint64("simulate.seed", 0, "simulate this seed alone, and print its history")
	simulatedProgress = flag.Bool("simulate.progress", false, "print the progress, and at the end the tally of what was reached")
)

// simulated is the handler as it ships, except for the source of its values.
func simulated(cfg aws.Config, s simulation.Settings, random io.Reader, output io.Writer) simulation.Environment {
	h := function.New(cfg, function.Settings{
		SecretPrefix: s.SecretPrefix, UsagePlanID: s.UsagePlanID, OutcomeBus: s.OutcomeBus, DeadLetterQueueURL: s.DeadLetterQueueURL,
		CreateKeyRate: s.CreateKeyRate, Debug: s.Debug,
	}, function.NewLogger(output, ""))
	h.Provisioner.Random = random
	return h
}

// TestSimulation runs the whole handler through seeded histories of deliveries, faults and
// operators, and checks the four promises after every step: see package simulation.
func TestSimulation(t *testing.T) {
	options := simulation.Options{Seeds: *simulatedSeeds, Seed: *simulatedSeed}
	if testing.Short() {
		options.Seeds = min(options.Seeds, 20)
	}
	if *simulatedProgress {
		options.Progress = os.Stdout
	}
	simulation.Run(t, simulated, options)
}

// TestSimulationDeterminism checks that a history depends on the seed alone, so that a
// failure can be replayed.
func TestSimulationDeterminism(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		first, second := simulation.History(t, simulated, seed+1), simulation.History(t, simulated, seed+1)
		if !slices.Equal(first, second) {
			for i := range min(len(first), len(second)) {
				if first[i] != second[i] {
					t.Fatalf("seed %d: line %d differs:\n%s\n%s", seed+1, i, first[i], second[i])
				}
			}
			t.Fatalf("seed %d: %d lines, and then %d", seed+1, len(first), len(second))
		}
	}
}
