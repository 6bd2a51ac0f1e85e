package pace

import (
	"context"
	"time"
)

// Sleep waits, and reports whether it did: not where the context would end first, or
// does. A time of zero or less needs no waiting.
func Sleep(ctx context.Context, wait time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	if wait <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}
