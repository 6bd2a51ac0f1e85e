package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// A burst is what internal/function's TestBurstFigures writes about one.
type burst struct {
	SignUps                               int
	Rate, Seconds, Billed                 float64
	Received, Most, Dead, Created, Wasted int
	Real                                  float64
	Drained                               [][2]float64
}

// signUps of the burst that has bounds.
const boundSignUps = 10_000

// playBursts measures bursts of sign-ups that meet AWS's quotas, in virtual time.
func (b *bench) playBursts(ctx context.Context) (table, error) {
	t := table{title: "Bursts of sign-ups, in virtual time", columns: []string{
		"drained in, s", "% of the set rate", "receives a message", "to the dead-letter queue", "wasted CreateApiKey calls", "computed in, s",
	}, note: "The real handler in two environments at the default rate, against a local AWS with the quotas of an account and 40 ms a call. " +
		"The 10,000 keys that an account may have are left out."}
	file := filepath.Join(b.dir, "bursts.json")
	if err := goTest(ctx, root, os.Stderr, "-count=1", "-timeout=1h", "-run", "^TestBurstFigures$", "./internal/function", "-burst.figures", file); err != nil {
		return t, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	var figures struct {
		Bursts  []burst
		Plans   []planBurst
		Outages []outage
	}
	if err := json.Unmarshal(text, &figures); err != nil {
		return t, fmt.Errorf("reading %s: %w", file, err)
	}
	b.bursts, b.plans, b.outages = figures.Bursts, figures.Plans, figures.Outages
	for _, f := range b.bursts {
		percent := 100 * float64(f.SignUps) / f.Seconds / f.Rate
		wasted := 100 * float64(f.Wasted) / float64(f.Wasted+f.Created)
		r := row{what: fmt.Sprintf("%d sign-ups", f.SignUps), cells: []string{
			fmt.Sprintf("%.0f", f.Seconds), fmt.Sprintf("%.1f", percent), fmt.Sprintf("%.2f (most %d)", float64(f.Received)/float64(f.SignUps), f.Most),
			strconv.Itoa(f.Dead), fmt.Sprintf("%d (%.1f %%)", f.Wasted, wasted), fmt.Sprintf("%.1f", f.Real),
		}}
		if f.SignUps == boundSignUps {
			r.bound = fmt.Sprintf("at least %d %% of the rate, at most %d %% wasted", leastRate, mostWasted)
			r.verdict = both(within(leastRate, percent), within(wasted, mostWasted))
		}
		t.rows = append(t.rows, r)
	}
	return t, nil
}

// A planBurst is what internal/function's TestBurstFigures writes about a burst with a usage
// plan.
type planBurst struct {
	Window, Seconds             float64
	SignUps, Wasted, Most, Dead int
}

// planRates measures the rates of keys with a usage plan.
func (b *bench) planRates(context.Context) (table, error) {
	t := table{title: "Keys with a usage plan, in virtual time", columns: []string{
		"keys a second", "wasted CreateUsagePlanKey calls a key", "receives of one message, at most", "to the dead-letter queue", "computed for sign-ups",
	}, note: "As above, with a default usage plan. AWS support says that it refuses a CreateUsagePlanKey which comes less than about a second after another " +
		"of the Region (https://github.com/serverless/serverless/issues/12065); the local AWS refuses within the window of the first column."}
	for _, f := range b.plans {
		wasted := float64(f.Wasted) / float64(f.SignUps)
		r := row{what: fmt.Sprintf("%.1f s", f.Window), cells: []string{
			fmt.Sprintf("%.2f", float64(f.SignUps)/f.Seconds), fmt.Sprintf("%.2f", wasted), strconv.Itoa(f.Most), strconv.Itoa(f.Dead), strconv.Itoa(f.SignUps),
		}}
		if f.Window == 1 {
			r.bound, r.verdict = "at most 1 wasted call a key", within(wasted, 1)
		}
		t.rows = append(t.rows, r)
	}
	return t, nil
}

// An outage is what internal/function's TestBurstFigures writes about one.
type outage struct {
	Service, How                  string
	Hours, Recovered              float64
	SignUps, Receives, Dead, Most int
	AtOnce                        bool
}

// outagesOfADay measures what happens to sign-ups while a service fails.
func (b *bench) outagesOfADay(context.Context) (table, error) {
	t := table{title: "A day without a service, in virtual time", columns: []string{
		"sign-ups", "receives allowed", "to the dead-letter queue", "receives of one message, at most", "minutes from recovery to the last key",
	}, note: "The real handler in two environments, while every call of one service fails for 23 hours. The template allows 480 receives, three minutes apart; " +
		"5 is what queues have by habit."}
	for _, f := range b.outages {
		load, recovered := fmt.Sprintf("%d, 20 an hour", f.SignUps), fmt.Sprintf("%.1f", f.Recovered/60)
		if f.AtOnce {
			load = fmt.Sprintf("%d at once", f.SignUps)
		}
		if f.Recovered < 0 {
			recovered = "none was made after it"
		}
		r := row{what: f.Service + ", " + f.How, cells: []string{load, strconv.Itoa(f.Receives), strconv.Itoa(f.Dead), strconv.Itoa(f.Most), recovered}}
		if f.Receives > 5 {
			r.bound, r.verdict = "no dead letter", within(float64(f.Dead), 0)
		}
		t.rows = append(t.rows, r)
	}
	return t, nil
}

// growth measures whether a process slows down or grows over its life.
func (b *bench) growth(ctx context.Context) (table, error) {
	t := table{title: "One process, over its life", columns: []string{"ms a message", "peak memory, MB"},
		note: "The real executable, in batches of ten, a new customer each, and no time between them. The local AWS answers at once."}
	if runtime.GOOS != "linux" {
		t.rows = []row{{what: "NOT MEASURED: needs Linux"}}
		return t, nil
	}
	s, err := b.side("createkey", b.createkey, options{})
	if err != nil {
		return t, err
	}
	var settled float64
	for _, messages := range []int{100, 1_000, 10_000, 100_000} {
		begin, before := time.Now(), s.requests
		for s.requests < messages {
			if _, err := s.send(ctx, 10); err != nil {
				return t, err
			}
		}
		each := time.Since(begin).Seconds() / float64(messages-before)
		peak, err := s.highWaterMark()
		if err != nil {
			return t, err
		}
		r := row{what: fmt.Sprintf("up to %d messages", messages), cells: []string{
			milliseconds.print(spread{each, each, each}), megabytes.print(spread{peak, peak, peak})}}
		switch messages {
		case 1_000:
			settled = peak
		case 100_000:
			r.bound = fmt.Sprintf("memory at most %.2f of that at 1,000 (%.2f)", mostGrowth, peak/settled)
			r.verdict = within(peak/settled, mostGrowth)
		}
		t.rows = append(t.rows, r)
	}
	return t, b.close()
}

// allocations runs Go's own benchmarks of a message, and returns benchstat's
// comparison of createkey with the bare SDK handler.
func (b *bench) allocations(ctx context.Context, benchstat string) (string, error) {
	var files []string
	for _, side := range []struct{ name, in, pkg string }{{"sdk", module, "./peers/sdk"}, {"createkey", root, "./internal/function"}} {
		file, err := os.Create(filepath.Join(b.dir, side.name+".txt"))
		if err != nil {
			return "", err
		}
		err = goTest(ctx, side.in, file, "-run", "^$", "-bench", "^BenchmarkNewKey$", "-benchmem", "-benchtime", "2000x", "-count", "8", side.pkg)
		if err := errors.Join(err, file.Close()); err != nil {
			return "", err
		}
		files = append(files, side.name+"="+file.Name())
	}
	out, err := exec.CommandContext(ctx, benchstat, append([]string{"-ignore", "pkg"}, files...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("benchstat: %w: %s", err, out)
	}
	return string(out), nil
}

func goTest(ctx context.Context, in string, output *os.File, args ...string) error {
	test := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
	test.Dir = in
	test.Stdout, test.Stderr = output, os.Stderr
	if err := test.Run(); err != nil {
		return fmt.Errorf("go test %v: %w", args, err)
	}
	return nil
}

// Prices, in US dollars, of us-east-1. AWS changes them: see its price pages.
const (
	pricesOf           = "as far as known in November 2026"
	priceGBSecond      = 0.0000133334 // Lambda, arm64
	priceInvocation    = 0.20 / 1e6
	priceSecret        = 0.40 // a month
	priceSecretsCall   = 0.05 / 1e4
	priceQueueRequest  = 0.40 / 1e6
	functionGB         = 0.25 // the template's MemorySize
	batchSize          = 2    // the template's BatchSize
	keysCosted         = 1000
	secretsCalls       = 2 // CreateSecret, PutSecretValue
	queueCallsForBatch = 2 // receive, delete; the sender's is its own
)

// readme measures the commands of the README when they are typed for the second time.
func (b *bench) readme(ctx context.Context) (table, error) {
	t := table{title: "The README's commands", columns: []string{"s", "processor s"},
		note: "All is compiled before; of the tests nothing is cached (`GOFLAGS=-count=1`)."}
	for _, target := range []string{"run", "test"} {
		var took time.Duration
		var made *exec.Cmd
		for _, flags := range []string{"-run=^$", "-count=1"} { // the first time to compile
			made = exec.CommandContext(ctx, "make", target)
			made.Env = append(os.Environ(), "GOFLAGS="+flags, "MAKEFLAGS=")
			begin := time.Now()
			if out, err := made.CombinedOutput(); err != nil {
				return t, fmt.Errorf("make %s: %w: the last of its output is %q", target, err, out[max(0, len(out)-1000):])
			}
			took = time.Since(begin)
		}
		processor := made.ProcessState.UserTime() + made.ProcessState.SystemTime()
		t.rows = append(t.rows, row{what: "make " + target, cells: []string{fmt.Sprintf("%.0f", took.Seconds()), fmt.Sprintf("%.0f", processor.Seconds())}})
	}
	return t, nil
}

// costs returns the cost of a thousand keys that are requested one by one, and of a
// thousand requested at once.
func (b *bench) costs() table {
	t := table{title: "What a thousand keys cost", columns: []string{"GB-seconds", "Lambda, $", "SQS, $", "Secrets Manager's calls, $", "Secrets Manager, $ a month"},
		note: fmt.Sprintf("Keys × (seconds a key × %.2f GB × $%.10f + invocations a key × $%.8f) + SQS requests × $%.8f + %d × keys × $%.6f, and keys × $%.2f every month: "+
			"list prices of us-east-1 (arm64), %s, without the free tier. The seconds are measured above: one by one, the batch of one at %s a call; at once, "+
			"the burst of %d, whose messages wait for the pace while Lambda counts. Empty receives of an idle queue, logs, alarms and the bus are not in it.",
			functionGB, priceGBSecond, priceInvocation, priceQueueRequest, secretsCalls, priceSecretsCall, priceSecret, pricesOf, delay, boundSignUps)}
	add := func(what string, secondsAKey, keysAnInvocation float64) {
		invocations := keysCosted / keysAnInvocation
		gbSeconds := keysCosted * secondsAKey * functionGB
		t.rows = append(t.rows, row{what: what, cells: []string{
			fmt.Sprintf("%.0f", gbSeconds),
			fmt.Sprintf("%.4f", gbSeconds*priceGBSecond+invocations*priceInvocation),
			fmt.Sprintf("%.4f", invocations*queueCallsForBatch*priceQueueRequest),
			fmt.Sprintf("%.4f", keysCosted*secretsCalls*priceSecretsCall),
			fmt.Sprintf("%.0f", keysCosted*priceSecret),
		}})
	}
	add("one by one", b.trickle, 1)
	for _, f := range b.bursts {
		if f.SignUps == boundSignUps {
			add("at once", f.Billed/float64(f.SignUps), batchSize)
		}
	}
	return t
}
