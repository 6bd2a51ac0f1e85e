package lambdalocal

import "syscall"

// sysProcAttr puts the child into its own process group, to be killed as one, and makes it
// die with its parent.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
