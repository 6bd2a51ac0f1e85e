package function

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var burstFigures = flag.String("burst.figures", "", "the file to write the figures of bursts to, for make bench")

// burstFigure is the result of one burst, in virtual time. internal/cmd/bench reads it.
type burstFigure struct {
	SignUps  int
	Rate     float64      // set, in keys a second, of all environments together
	Seconds  float64      // until the last was done
	Billed   float64      // seconds of all invocations
	Received int          // messages, each as often as it was received
	Most     int          // receives of the message that needed most
	Dead     int          // messages that reached the dead-letter queue
	Created  int          // CreateApiKey calls that made a key
	Wasted   int          // those that did not
	Real     float64      // seconds that the simulation took
	Drained  [][2]float64 // seconds, messages done by then
}

// TestBurstFigures plays bursts for make bench and checks nothing: the tests of the pace do.
func TestBurstFigures(t *testing.T) {
	if *burstFigures == "" {
		t.Skip("writes figures for make bench: give -burst.figures")
	}
	var figures struct {
		Bursts  []burstFigure
		Plans   []planFigure
		Outages []outageFigure
	}
	for _, signUps := range []int{100, 1_000, 10_000, 100_000} {
		figures.Bursts = append(figures.Bursts, playBurst(t, signUps))
	}
	for _, window := range []time.Duration{0, 300 * time.Millisecond, time.Second, 2500 * time.Millisecond} {
		figures.Plans = append(figures.Plans, playPlans(t, window, 1_000))
	}
	const day = 23 * time.Hour
	for _, o := range outages() {
		for _, receives := range []int{5, burstMaxReceives} {
			switch o.How {
			case "refused":
				figures.Outages = append(figures.Outages, playOutage(t, o, day, 460, false, receives))
			case "hanging":
				figures.Outages = append(figures.Outages, playOutage(t, o, day, 10_000, true, receives))
			}
		}
	}
	text, err := json.Marshal(figures)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*burstFigures, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func playBurst(t *testing.T, signUps int) burstFigure {
	const rate, points = 2, 100
	f := burstFigure{SignUps: signUps, Rate: burstEnvironments * rate}
	real := time.Now()
	synctest.Test(t, func(t *testing.T) {
		server := newQuotaServer()
		server.Quotas.MaxKeys = 0
		q := newQueue(signUps)
		start, ended := time.Now(), make(chan struct{})
		go func() {
			defer close(ended)
			every := time.Duration(float64(signUps) / f.Rate / points * float64(time.Second))
			for done := 0; done < signUps; time.Sleep(every) {
				q.mu.Lock()
				done = q.done + q.dead
				q.mu.Unlock()
				f.Drained = append(f.Drained, [2]float64{time.Since(start).Seconds(), float64(done)})
			}
		}()
		f.Seconds = q.drain(t, server, rate).Seconds()
		<-ended
		f.Billed, f.Received, f.Most, f.Dead = q.billed.Seconds(), q.received, q.most, q.dead
		f.Created, f.Wasted = createCalls(server)
	})
	f.Real = time.Since(real).Seconds()
	return f
}
