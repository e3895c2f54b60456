package leaktest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/leaktest"
)

const leakEnv = "LANDFAST_TEST_LEAK"

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestLeftSeesAGoroutineUntilItEnds(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		<-stop
	}()
	left := leaktest.Left(0)
	if !strings.Contains(strings.Join(left, "\n"), "TestLeftSeesAGoroutineUntilItEnds") {
		t.Errorf("Left = %q, want the goroutine of this test", left)
	}
	close(stop)
	<-stopped
	if left := leaktest.Left(time.Minute); len(left) > 0 {
		t.Errorf("Left after it ended = %q", left)
	}
}

// TestMainFails runs this test binary again with a test that leaks.
func TestMainFails(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeaks$")
	cmd.Env = append(os.Environ(), leakEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("the tests of a package that leaks passed:\n%s", out)
	}
	if !strings.Contains(string(out), "1 goroutines left over") || !strings.Contains(string(out), "leakHere") {
		t.Errorf("the output does not name the goroutine:\n%s", out)
	}
}

func TestLeaks(t *testing.T) {
	if os.Getenv(leakEnv) == "" {
		t.Skip("run by TestMainFails")
	}
	go leakHere()
}

func leakHere() { select {} }
