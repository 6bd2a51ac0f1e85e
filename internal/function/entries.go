package function

import (
	"context"
	"errors"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/awserr"
	"createkey/internal/failure"
	"createkey/internal/pace"
)

// The limits of one call of PutEvents or SendMessageBatch
// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html,
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html).
const (
	maxEntries = 10
	// maxEntriesSize is what the entries may have together, in bytes. AWS takes a
	// megabyte of either by now; this is the limit before, which not every partition
	// and emulator has left behind. An entry that is larger goes alone.
	maxEntriesSize = 256 << 10
)

// entryFault says why an entry was not accepted, and whether it may be a moment later.
// The zero fault: it was accepted.
type entryFault struct {
	text    string
	passing bool
}

// sendEntries sends entries of those sizes, in bytes, in as few calls as their limits
// allow, and returns for each the reason why it was not accepted, or an empty string.
// send sends the entries of those indexes in one call, and returns a fault for each.
//
// Entries that were refused for the moment inside a successful answer are sent again
// until a turn would come too late: a whole delivery costs more.
func sendEntries(ctx context.Context, sizes []int, send func(indexes []int) []entryFault) []string {
	faults := make([]string, len(sizes))
	for first := 0; first < len(sizes); {
		n := fitting(sizes[first:])
		left := make([]int, n) // the entries to send
		for i := range left {
			left[i] = first + i
		}
		for wait := firstResend; ; wait *= 2 {
			var again []int
			for i, fault := range send(left) {
				faults[left[i]] = fault.text
				if fault.passing {
					again = append(again, left[i])
				}
			}
			if left = again; len(left) == 0 || !pace.Sleep(ctx, wait) {
				break
			}
		}
		first += n
	}
	return faults
}

// fitting returns how many entries of those sizes go into one call, at least one.
func fitting(sizes []int) int {
	total := 0
	for i, size := range sizes {
		total += size
		if i > 0 && (total > maxEntriesSize || i == maxEntries) {
			return i
		}
	}
	return len(sizes)
}

// describeCall returns what is safe to print of a call that failed or panicked; values
// are those that it sent.
func describeCall(err error, values ...apikey.Value) string {
	if panicked, ok := errors.AsType[*failure.RetryableError](err); ok { // by guard
		return panicked.Reason
	}
	return awserr.Describe(err, values...)
}

// firstResend is the wait before entries are sent again; it doubles each time.
const firstResend = 100 * time.Millisecond
