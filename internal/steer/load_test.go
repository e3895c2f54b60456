package steer_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile/crashtest"
	"github.com/landfast/landfast/internal/steer"
)

// acts are what this program does when it is started to be killed, or somewhere else.
var acts = map[string]func(dir string) error{
	"load":    func(dir string) error { return closed(steer.Load(context.Background(), pinsIn(dir))) },
	"load-in": func(dir string) error { return closed(steer.Load(context.Background(), dir)) },
}

// pinsIn is where acts that are killed pin: dir is a directory of the test alone.
func pinsIn(dir string) string { return dir + "/bpf/landfast" }

func closed(tab *steer.Table, err error) error {
	if err == nil {
		tab.Close()
	}
	return err
}

func TestLoadKilledAnywhere(t *testing.T) {
	pins(t)
	crashtest.Everywhere(t, "load", room, func(t *testing.T, dir string) {
		dir = pinsIn(dir)
		tab, err := steer.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tab.Close()
		whole(t, dir)
		s := serve(t, "one", "127.0.0.1:0")
		set(t, tab, "8080", s)
		says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
		s.stop()
		unmount(dir)
	})
}

// TestUpgradeKilledAnywhere: what is steered goes on being steered, whatever happens
// to a process that brings another program.
func TestUpgradeKilledAnywhere(t *testing.T) {
	pins(t)
	var s *server
	var before uint32
	prepare := func(t *testing.T, dir string) {
		room(t, dir)
		dir = pinsIn(dir)
		tab, err := steer.LoadOther(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tab.Close()
		s = serve(t, "one", "127.0.0.1:0")
		set(t, tab, "8080", s)
		if before, err = steer.Program(dir); err != nil {
			t.Fatal(err)
		}
	}
	crashtest.Everywhere(t, "load", prepare, func(t *testing.T, dir string) {
		dir = pinsIn(dir)
		says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
		if err := closed(steer.Load(t.Context(), dir)); err != nil {
			t.Fatal(err)
		}
		whole(t, dir)
		says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
		if now, err := steer.Program(dir); now == before || err != nil {
			t.Errorf("the program is still number %d, %v", now, err)
		}
		s.stop()
		unmount(dir)
	})
}

// room makes room for pins in a directory.
func room(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(filepath.Dir(pinsIn(dir)), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unmount(pinsIn(dir)) })
}

func TestOpenMends(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string) error{
		"the table is gone": func(_ *testing.T, dir string) error { return os.Remove(dir + "/table") },
		"the link is gone":  func(_ *testing.T, dir string) error { return os.Remove(dir + "/link") },
		"the network of the link is gone": func(t *testing.T, dir string) error {
			return os.Rename(foreign(t, dir+"2", true)+"/link", dir+"/link")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := pins(t)
			if err := closed(steer.Load(t.Context(), dir)); err != nil {
				t.Fatal(err)
			}
			if err := damage(t, dir); err != nil {
				t.Fatal(err)
			}
			var tab *steer.Table
			eventually(t, func() (err error) { // a network ends a moment after the last process in it
				tab, err = steer.Open(t.Context(), dir)
				return err
			})
			defer tab.Close()
			whole(t, dir)
			set(t, tab, "8080", serve(t, "one", "[::]:0"))
			says(t, "[::1]:8080", "one [::1]:8080")
		})
	}
}

// foreign pins the program of another network, which is gone again or goes with the
// test, and gives dir.
func foreign(t *testing.T, dir string, over bool) string {
	t.Helper()
	holder := exec.Command("sleep", "60")
	holder.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	}
	t.Cleanup(end)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nsenter", "--net="+fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid), program)
	cmd.Env = append(os.Environ(), "LANDFAST_CRASHTEST_ACT=load-in", "LANDFAST_CRASHTEST_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if over {
		end()
	}
	return dir
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-limit:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Run("pins of another network", func(t *testing.T) {
		dir := foreign(t, pins(t), false)
		refused(t, closed(steer.Open(t.Context(), dir)), landfast.Conflict, "steers in another network than that of this process")
		refused(t, closed(steer.Load(t.Context(), dir)), landfast.Conflict, "steers in another network than that of this process")
	})
	t.Run("a table of another shape", func(t *testing.T) {
		dir := pins(t)
		if err := closed(steer.Load(t.Context(), dir)); err != nil {
			t.Fatal(err)
		}
		if err := steer.PinForeignTable(dir); err != nil {
			t.Fatal(err)
		}
		refused(t, closed(steer.Open(t.Context(), dir)), landfast.Conflict, dir+"/table is of another version of landfast", "rm -r "+dir)
		refused(t, closed(steer.Load(t.Context(), dir)), landfast.Conflict, dir+"/table is of another version of landfast")
	})
	t.Run("no place for pins", func(t *testing.T) {
		dir := pins(t)
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := closed(steer.Open(t.Context(), dir+"/bpf/landfast")); err == nil {
			t.Error("it is open")
		}
	})
	t.Run("somebody holds the lock", func(t *testing.T) {
		dir := pins(t)
		if err := closed(steer.Load(t.Context(), dir)); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := closed(steer.Load(ctx, dir)); err == nil {
			t.Error("it loaded all the same")
		}
	})
}
