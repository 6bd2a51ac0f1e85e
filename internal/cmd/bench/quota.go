package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// quotaPeriod is the period over which a quota is enforced. Lambda does not document its
// own; 20 ms was observed (pwrdrvr/lambda-dispatch issue 246).
const quotaPeriod = 20 * time.Millisecond

// wholeProcessor is the memory, in MB, at which Lambda gives one vCPU
// (https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).
const wholeProcessor = 1769

// A quota is a control group whose processes get the CPU time of a Lambda function with
// some memory size. Close it once they are gone.
type quota struct{ dir string }

// newQuota needs permission to make control groups, which mostly means root.
func newQuota(memoryMB int) (*quota, error) {
	period := quotaPeriod.Microseconds()
	limit := strconv.FormatInt(period*int64(memoryMB)/wholeProcessor, 10)
	name := fmt.Sprintf("createkey-bench-%d-%d", os.Getpid(), memoryMB)
	first := filepath.Join("/sys/fs/cgroup/cpu", name) // cgroups(7), version 1
	if err := os.Mkdir(first, 0o755); err == nil {
		q := &quota{first}
		return q.or(errors.Join(
			q.write("cpu.cfs_period_us", strconv.FormatInt(period, 10)),
			q.write("cpu.cfs_quota_us", limit)))
	}
	const root = "/sys/fs/cgroup" // version 2
	if err := (&quota{root}).write("cgroup.subtree_control", "+cpu"); err != nil {
		return nil, err
	}
	q := &quota{filepath.Join(root, name)}
	if err := os.Mkdir(q.dir, 0o755); err != nil {
		return nil, err
	}
	return q.or(q.write("cpu.max", limit+" "+strconv.FormatInt(period, 10)))
}

func (q *quota) or(err error) (*quota, error) {
	if err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

// hold puts a process under the quota.
func (q *quota) hold(pid int) error { return q.write("cgroup.procs", strconv.Itoa(pid)) }

func (q *quota) write(file, text string) error {
	return os.WriteFile(filepath.Join(q.dir, file), []byte(text), 0)
}

// Close removes the group.
func (q *quota) Close() error { return os.Remove(q.dir) }
