// Package crashtest kills a program at every system call by which it changes
// the file system, so that a test can look at what it leaves.
//
// The program is the test binary itself: its TestMain calls Main with the acts
// it can be told to do. strace(1) does the killing; where it cannot be used the
// tests are skipped. A kill shows the order of changes, not what a disk without
// power forgets of them: for that, Calls gives the order of flushes.
package crashtest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// changing are the system calls that change a file system or flush it. Those
// with a question mark are not known everywhere.
const changing = "openat,mkdirat,?renameat,renameat2,symlinkat,linkat,unlinkat," +
	"write,pwrite64,ftruncate,fchown,fchownat,fchmod,fchmodat,?fchmodat2,fsync,fdatasync,syncfs,mount,?bpf"

const (
	envAct = "LANDFAST_CRASHTEST_ACT"
	envDir = "LANDFAST_CRASHTEST_DIR"
	marker = "/landfast-crashtest-starts-here"
)

// Main is called by TestMain. It does one act when this process was started to
// do that, and runs the tests otherwise.
func Main(m *testing.M, acts map[string]func(dir string) error) {
	name := os.Getenv(envAct)
	if name == "" {
		m.Run()
		return
	}
	// strace counts the calls of each thread by itself.
	runtime.LockOSThread()
	_ = syscall.Mkdir(marker+"/never", 0) // fails; it marks the trace
	if err := acts[name](os.Getenv(envDir)); err != nil {
		panic(err)
	}
}

// Call is one system call of an act.
type Call struct {
	Name string
	Nth  int    // among the calls of this name
	Text string // as strace shows it
}

// Calls does an act in dir and gives the calls by which it changed the file
// system, in their order.
func Calls(t *testing.T, act, dir string) []Call {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	out, err := child(t, act, dir, "-y", "-o", trace, "-e", "trace=?mkdir,"+changing).CombinedOutput()
	if err != nil {
		if strings.Contains(string(out), "ptrace") {
			t.Skipf("strace cannot be used: %s", out)
		}
		t.Fatalf("act %s: %v\n%s", act, err, out)
	}
	calls, err := parse(trace)
	if err != nil || len(calls) == 0 {
		t.Fatalf("trace of act %s: %d calls, %v", act, len(calls), err)
	}
	return calls
}

// Everywhere prepares a directory, does an act in it that is killed right
// before one of its calls, and checks what is left; and so for every call.
func Everywhere(t *testing.T, act string, prepare, check func(t *testing.T, dir string)) {
	t.Helper()
	EveryNth(t, 1, act, prepare, check)
}

// EveryNth is Everywhere at every nth call, for acts with very many.
func EveryNth(t *testing.T, n int, act string, prepare, check func(t *testing.T, dir string)) {
	t.Helper()
	first := t.TempDir()
	prepare(t, first)
	calls := Calls(t, act, first)
	check(t, first)
	for i, call := range calls {
		if i%n != 0 {
			continue
		}
		t.Run(fmt.Sprintf("%s-%d", call.Name, call.Nth), func(t *testing.T) {
			dir := t.TempDir()
			prepare(t, dir)
			inject := fmt.Sprintf("inject=%s:signal=KILL:when=%d", call.Name, call.Nth)
			out, err := child(t, act, dir, "-o", "/dev/null", "-e", "trace="+call.Name, "-e", inject).CombinedOutput()
			if !killed(err) {
				t.Fatalf("not killed before %s: %v\n%s", call.Text, err, out)
			}
			check(t, dir)
			if t.Failed() {
				t.Logf("killed before %s", call.Text)
			}
		})
	}
}

// FailEveryNth prepares a directory, does an act in it of which one call fails
// with that error (a name as of errno(3)), and checks what is left and whether
// the act has said so; and so for every nth call.
func FailEveryNth(t *testing.T, n int, act, errno string, prepare func(t *testing.T, dir string), check func(t *testing.T, dir string, failed bool)) {
	t.Helper()
	first := t.TempDir()
	prepare(t, first)
	for i, call := range Calls(t, act, first) {
		if i%n != 0 {
			continue
		}
		t.Run(fmt.Sprintf("%s-%d", call.Name, call.Nth), func(t *testing.T) {
			dir := t.TempDir()
			prepare(t, dir)
			inject := fmt.Sprintf("inject=%s:error=%s:when=%d", call.Name, errno, call.Nth)
			out, err := child(t, act, dir, "-o", "/dev/null", "-e", "trace="+call.Name, "-e", inject).CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() < 0) {
				t.Fatalf("%s with %s: %v\n%s", call.Text, errno, err, out)
			}
			check(t, dir, err != nil)
			if t.Failed() {
				t.Logf("failed at %s\n%s", call.Text, out)
			}
		})
	}
}

func child(t *testing.T, act, dir string, strace ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-f", "-qq"}, strace...) // --seccomp-bpf would be faster but injects no signal

	cmd := exec.CommandContext(t.Context(), "strace", append(args, self)...)
	cmd.Env = Env(act, dir)
	return cmd
}

// Env is the environment in which the test binary does an act in dir.
func Env(act, dir string) []string {
	return append(os.Environ(), envAct+"="+act, envDir+"="+dir)
}

// killed reports whether strace says that its program was killed. It kills
// itself in the same way then.
func killed(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status := exit.Sys().(syscall.WaitStatus)
	return status.Signaled() && status.Signal() == syscall.SIGKILL || status.ExitStatus() == 128+int(syscall.SIGKILL)
}

var line = regexp.MustCompile(`^(\d+) +(\w+)\((.*)$`)

// parse reads the calls of the thread that made the marker, those behind it.
// Opening a file changes something only when it creates it.
func parse(trace string) ([]Call, error) {
	f, err := os.Open(trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	type key struct{ thread, name string }
	seen := map[key]int{}
	thread := ""
	var calls []Call
	for lines := bufio.NewScanner(f); lines.Scan(); {
		m := line.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		k := key{m[1], m[2]}
		seen[k]++
		switch {
		case strings.Contains(m[3], marker):
			thread = m[1]
		case m[1] != thread, m[2] == "openat" && !strings.Contains(m[3], "O_CREAT"):
		case m[2] != "mkdir":
			calls = append(calls, Call{Name: m[2], Nth: seen[k], Text: m[2] + "(" + m[3]})
		}
	}
	return calls, nil
}
