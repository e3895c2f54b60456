package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/host"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd/systemdtest"
)

// changing are the system calls with which a host is changed.
func changing() []string {
	return []string{"mkdirat", "write", "fchown", "fchmod", "fsync", "renameat", "unlinkat", "symlinkat"}
}

// crashes are the changes that are killed, each from a host that is prepared by
// the one before it.
var crashes = []string{"install", "change", "uninstall", "purge"}

// TestChange is the process that is killed.
func TestChange(t *testing.T) {
	root := os.Getenv("LANDFAST_TEST_ROOT")
	if root == "" {
		t.Skip("run by TestApplyKilled")
	}
	// strace counts the calls of each thread: all that matter are made by one.
	runtime.LockOSThread()
	if err := change(t.Context(), root, os.Getenv("LANDFAST_TEST_CHANGE")); err != nil {
		t.Fatal(err)
	}
}

// change brings the host at root to where one of crashes ends.
func change(ctx context.Context, root, what string) error {
	h, err := host.Open(root, systemdtest.New(root))
	if err != nil {
		return err
	}
	defer h.Close()
	c, err := remaining(ctx, h, what)
	if err != nil {
		return err
	}
	return h.Apply(ctx, c)
}

// remaining is what is left to do for one of crashes.
func remaining(ctx context.Context, h *host.Host, what string) (plan.Changes, error) {
	switch what {
	case "install":
		return diff(ctx, h, webPlan())
	case "change":
		return diff(ctx, h, otherPlan())
	}
	return uninstall(ctx, h, otherPlan(), what == "purge")
}

// TestApplyKilled kills an apply at every system call that changes something,
// and lets another one finish; the same with a disk that is full.
func TestApplyKilled(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	if testing.Short() {
		t.Skip("runs the program many times: left out with -short")
	}
	// All of them take half a minute, so this is every ninth but in the full suite.
	stride := 9
	if os.Getenv("LANDFAST_LAB") == "1" {
		stride = 1
	}
	w := newWorld(t)
	for _, what := range crashes {
		start := t.TempDir()
		copyTree(t, w.root, start)
		if err := change(t.Context(), w.root, what); err != nil {
			t.Fatal(err)
		}
		want := settled(tree(t, w.root))
		t.Run(what, func(t *testing.T) {
			for _, fault := range []string{"signal=KILL", "error=ENOSPC"} {
				count := 0
				for _, call := range changing() {
					for n := 1; faultAt(t, strace, start, what, fault, call, n, want); n += stride {
						count++
					}
				}
				t.Logf("%s: %d times", fault, count)
				if count < 2 {
					t.Errorf("%s: only %d times: does strace still see the calls?", fault, count)
				}
			}
		})
	}
}

// faultAt does one change on a copy of start, with a fault at its nth such call,
// and then again to the end. It reports whether the first came to the fault.
func faultAt(t *testing.T, strace, start, what, fault, call string, n int, want []string) bool {
	t.Helper()
	root := filepath.Join(t.TempDir(), fmt.Sprint(n))
	copyTree(t, start, root)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call,
		"-e", fmt.Sprintf("inject=%s:%s:when=%d", call, fault, n), self, "-test.run=^TestChange$")
	cmd.Env = append(os.Environ(), "LANDFAST_TEST_ROOT="+root, "LANDFAST_TEST_CHANGE="+what)
	out, err := cmd.CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	// A full disk must be an error that says so.
	hit := failed && (fault != "signal=KILL" && exit.ExitCode() == 1 && strings.Contains(string(out), "no space left") ||
		fault == "signal=KILL" && (exit.ExitCode() == -1 || exit.ExitCode() == 137))
	if err != nil && !hit {
		t.Fatalf("%s at %s %d: %v\n%s", fault, call, n, err, out)
	}
	if err := change(t.Context(), root, what); err != nil {
		t.Errorf("%s at %s %d: the next one: %v", fault, call, n, err)
	}
	if d := cmp.Diff(want, settled(tree(t, root))); d != "" {
		t.Errorf("%s at %s %d (-want +got):\n%s", fault, call, n, d)
	}
	w := openWorld(t, root)
	c, err := remaining(t.Context(), w.host, what)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Empty() {
		t.Errorf("%s at %s %d: still to do:\n%s", fault, call, n, c.Text())
	}
	if err := os.RemoveAll(root); err != nil {
		t.Error(err)
	}
	return hit
}

// settled leaves out the directories of links that systemd makes and removes on
// the way; it does that within itself, and does not die with an apply.
func settled(lines []string) []string {
	return slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, ".wants drwx") })
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", "--no-target-directory", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, strings.TrimSpace(string(out)))
	}
}
