//go:build unix && !linux

package lambdalocal

import "syscall"

// sysProcAttr gives the child a process group of its own, to be killed as one.
// Without a parent-death signal an orphan ends when it next asks for work and
// finds the Runtime API gone.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
