// Package leaktest fails the tests of a package that leave goroutines behind.
//
// It is for TestMain and imported by tests only. It looks once, when every test
// of the package has ended, so it works with parallel tests; what it finds
// belongs to one of them, and the stack says which.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a goroutine that was told to end may take to do so.
const patience = 5 * time.Second

// Main runs the tests of a package and then fails when a goroutine is left over:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
func Main(m *testing.M) {
	if m.Run() != 0 {
		return // testing ends the process with that code
	}
	if left := Left(patience); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines left over:\n\n%s\n\n", len(left), strings.Join(left, "\n\n"))
		// The one way left to fail: the tests' own verdict has been given.
		panic("goroutines left over when all tests had ended; see above")
	}
}

// Left gives the stacks of the goroutines that neither the caller nor the
// testing package accounts for, after waiting at most limit for them to end.
func Left(limit time.Duration) []string {
	end := time.After(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := foreign()
		if len(left) == 0 {
			return nil
		}
		select {
		case <-end:
			return left
		case <-tick.C:
		}
	}
}

// foreign lists the goroutines other than the calling one that are not known to
// live as long as the process.
func foreign() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	// The first is the calling goroutine.
	all := strings.Split(strings.TrimSpace(string(buf)), "\n\n")[1:]
	var left []string
	for _, stack := range all {
		if !lasting(stack) {
			left = append(left, stack)
		}
	}
	return left
}

// lasting tells whether a goroutine is one that the runtime, the standard
// library or the testing package starts once and never ends.
func lasting(stack string) bool {
	for _, of := range []string{
		"testing.Main(",
		"testing.(*M).",
		"testing.runTests",
		"testing.tRunner.func", // a parent that waits for parallel tests
		"testing.runFuzzing(",
		"os/signal.signal_recv",
		"os/signal.loop",
		"runtime.ensureSigM",
		"runtime.goexit0",
	} {
		if strings.Contains(stack, of) {
			return true
		}
	}
	return false
}
