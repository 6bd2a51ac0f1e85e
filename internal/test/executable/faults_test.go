package executable_test

import (
	"context"
	"slices"

	"createkey/internal/test/awslocal"
)

// A fault hits an AWS call: the process is killed by SIGKILL, the call is never answered, or it
// is answered with an error.
type fault struct {
	name   string
	after  bool // once the call has taken effect
	kill   bool
	hang   bool
	answer error
}

// strikeAt makes a fault hit the next call of an operation.
func (w *world) strikeAt(operation string, f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.struck = 0
	w.choose = func(c awslocal.Call, after bool) *fault {
		if c.Operation != operation || after != f.after || w.struck > 0 {
			return nil
		}
		return &f
	}
}

// strikeNoMore ends the faults, and returns how many hit.
func (w *world) strikeNoMore() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.choose = nil
	return w.struck
}

// takeCalled returns the operations called since the last takeCalled.
func (w *world) takeCalled() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	called := w.called
	w.called = nil
	return called
}

// strike is the hook of the AWS.
func (w *world) strike(ctx context.Context, c awslocal.Call, after bool) error {
	w.mu.Lock()
	if !after {
		w.called = append(w.called, c.Operation)
		seen.paths.LoadOrStore(callKind{c.Service, c.Operation, c.Method, c.Tagged}, c.Path)
	}
	var f *fault
	if w.choose != nil {
		f = w.choose(c, after)
	}
	if f == nil {
		w.mu.Unlock()
		return nil
	}
	w.struck++
	if f.kill {
		w.box.Function.Kill()
		for _, b := range w.broken() {
			if !slices.Contains(w.told, b) {
				w.told = append(w.told, b)
				w.t.Errorf("when killed at %s: %s", c.Operation, b)
			}
		}
	}
	w.mu.Unlock()

	switch {
	case f.kill:
		return awslocal.ErrConnectionLost
	case f.hang:
		<-ctx.Done() // the client has hung up
		return awslocal.ErrConnectionLost
	default:
		return f.answer
	}
}
