package executable_test

import (
	"flag"
	"testing"

	"createkey/internal/test/sandbox"
)

var recordFolder = flag.String("executable.record", "", "folder for TestExecutable's recording, which the tests of the template need")

// TestExecutable checks the contract's promises on the shipped executable: in a local Lambda,
// over real sockets, against a local AWS that hangs, and kills it at any call. The promises are
// checked on the state of that AWS, never on the executable's own output, which is then compared
// with the state.
func TestExecutable(t *testing.T) {
	executable, err := sandbox.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if *recordFolder != "" {
		t.Cleanup(func() { writeRecord(t, *recordFolder) })
	}
	for _, promise := range []struct {
		name string
		test func(t *testing.T, executable string)
	}{
		{"MakesTheCallsThatAreFaultedBelow", testCallsMade},
		{"MakesExactlyOneKey_WhateverHappensToACall", testFaultSweep},
		{"LosesNoRejectedMessage_WhateverHappensToACall", testSetAsideSweep},
		{"StartsInSAMLocal", testSAMLocal},
		{"RetriesWhenTheQuotaOfKeysIsUsedUp", testQuota},
		{"AnswersABatchBeforeItsTimeIsUp_WhenAWSHangs", testHangingBatch},
		{"StopsTheStart_NamingEveryBadVariableAndNoValue", testBadSettings},
		{"ConnectsToAWSBeforeItsFirstMessage", testConnects},
		{"LivesThroughEndReturnAndRotation", testLife},
		{"EndsAsTheNewestMessageSays_BesideOthersWithTheSameMessages", testCrowd},
		{"HandlesEachSampleAsItStates", testSamples},
	} {
		t.Run(promise.name, func(t *testing.T) {
			t.Parallel() // most of the time is waiting
			promise.test(t, executable)
		})
	}
}
