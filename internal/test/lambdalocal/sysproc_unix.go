//go:build unix && !linux

package lambdalocal

import "syscall"

// sysProcAttr puts the child into its own process group, to be killed as one. Without a
// parent-death signal an orphan ends when it next asks for work and finds the Runtime API gone.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
