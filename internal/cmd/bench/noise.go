package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// quietBelow is the share of one processor that other programs may use in a run whose
// figures count.
const quietBelow = 0.15

// A noise meter measures how much of the machine others use.
type noise struct {
	start        time.Time
	all, our     time.Duration
	cannotBeRead bool
}

func listen() *noise {
	n := &noise{start: time.Now()}
	n.all, n.our, n.cannotBeRead = processorTimes()
	return n
}

// others returns the share of one processor that other programs, or other machines on
// the same host, have used since listen; false if that cannot be read.
func (n *noise) others() (share float64, ok bool) {
	all, our, cannotBeRead := processorTimes()
	if cannotBeRead || n.cannotBeRead {
		return 0, false
	}
	return max(0, ((all-n.all)-(our-n.our)).Seconds()/time.Since(n.start).Seconds()), true
}

// processorTimes returns the time for which the machine's processors were busy or stolen,
// and how much of it this process and its ended children used.
func processorTimes() (all, our time.Duration, cannotBeRead bool) {
	text, err := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if err != nil || len(fields) < 9 {
		return 0, 0, true
	}
	const tick = 10 * time.Millisecond          // USER_HZ, proc(5)
	for _, i := range []int{1, 2, 3, 6, 7, 8} { // user, nice, system, irq, softirq, steal; not idle and iowait
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, 0, true
		}
		all += time.Duration(ticks) * tick
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			return 0, 0, true
		}
		our += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return all, our, false
}
