package lambdalocal

import "syscall"

// sysProcAttr gives the child a process group of its own, to be killed as one,
// and the parent's death as its own.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
