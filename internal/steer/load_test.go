package steer_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile/crashtest"
	"github.com/landfast/landfast/internal/steer"
)

// acts are what this program does when it is started to be killed, or somewhere else.
var acts = map[string]func(dir string) error{
	"load":                func(dir string) error { return closed(steer.Load(context.Background(), pinsIn(dir))) },
	"load-with-both":      func(dir string) error { return loadWith(dir, unix.CAP_BPF, unix.CAP_NET_ADMIN) },
	"load-with-bpf":       func(dir string) error { return loadWith(dir, unix.CAP_BPF) },
	"load-with-net-admin": func(dir string) error { return loadWith(dir, unix.CAP_NET_ADMIN) },
	"load-told": func(dir string) error {
		fmt.Println(closed(steer.Load(context.Background(), dir)))
		return nil
	},
	"probe": func(string) error { return probe() },
	"probe-as-nobody": func(string) error {
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
		return probe()
	},
	"load-anywhere": func(dir string) error { return closed(steer.LoadAnywhere(context.Background(), dir)) },
}

// loadWith loads with a few capabilities only.
func loadWith(dir string, capabilities ...uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, c := range capabilities {
		data[c/32].Effective |= 1 << (c % 32)
		data[c/32].Permitted |= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return err
	}
	fmt.Println(closed(steer.Load(context.Background(), dir)))
	return nil
}

// TestLoadTakesTwoCapabilities where the BPF file system is mounted.
func TestLoadTakesTwoCapabilities(t *testing.T) {
	dir := pins(t)
	if err := closed(steer.Load(t.Context(), dir)); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for act, want := range map[string]string{
		"load-with-both": "<nil>\n", "load-with-bpf": "the kernel cannot steer here, although this is root", "load-with-net-admin": "the kernel cannot steer here, although this is root",
	} {
		for _, name := range []string{"/link", "/table"} { // making the table takes CAP_NET_ADMIN, the rest CAP_BPF
			if err := os.Remove(dir + name); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), "LANDFAST_CRASHTEST_ACT="+act, "LANDFAST_CRASHTEST_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s: %v, want %s\n%s", act, err, want, out)
		}
	}
}

// probe prints what Probe finds.
func probe() error {
	err := steer.Probe("/sys/fs/bpf/landfast")
	fmt.Println(errors.Is(err, fs.ErrPermission), landfast.KindOf(err), err)
	return nil
}

func TestProbeSaysWhyNot(t *testing.T) {
	pins(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ act, inject, want string }{
		{"probe", "", "false internal <nil>\n"},
		{"probe-as-nobody", "", "true unavailable steering takes rights that this process does not have: make a table: operation not permitted; run as root\n"},
		{"probe", "bpf:error=ENOSYS", "false unavailable the kernel cannot steer here: make a table: function not implemented; it takes Linux 5.9 with CONFIG_BPF_SYSCALL, and this is "},
		{"probe", "bpf:error=EINVAL:when=2+", "false unavailable the kernel cannot steer here: load a program: invalid argument; it takes Linux 5.9"},
		{"probe", "bpf:error=EPERM:when=3", "true unavailable the kernel cannot steer here, although this is root: a container, a sandbox or a lockdown refuses it: attach a program"},
		{"probe", "pidfd_getfd:error=EPERM", "true unavailable the kernel cannot steer here, although this is root: a container, a sandbox or a lockdown refuses it: pidfd_getfd"},
		{"probe", "pidfd_open:error=ENOSYS", "false unavailable the kernel cannot steer here: pidfd_open: function not implemented; it takes Linux 5.9"},
		{"probe", "sendto:error=ENOENT:when=1", "false unavailable cannot list the sockets of this host: sock_diag: no such file or directory"},
	} {
		argv := []string{program}
		if c.inject != "" {
			if _, err := exec.LookPath("strace"); err != nil {
				t.Skip("strace is not installed")
			}
			call, _, _ := strings.Cut(c.inject, ":")
			argv = []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=" + c.inject, program}
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "LANDFAST_CRASHTEST_ACT="+c.act, "LANDFAST_CRASHTEST_DIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), c.want) {
			t.Errorf("%s, %s: %v\n%swant %s", c.act, c.inject, err, out, c.want)
		}
	}
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
	cmd.Env = append(os.Environ(), "LANDFAST_CRASHTEST_ACT=load-anywhere", "LANDFAST_CRASHTEST_DIR="+dir)
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
	for flags, want := range map[string]string{
		"--net": "this process has a network of its own", "--mount": "and this process cannot mount it for the host; run `landfast steer load` first",
	} {
		t.Run("unshare "+flags, func(t *testing.T) {
			dir := pins(t)
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("unshare", flags, program)
			cmd.Env = append(os.Environ(), "LANDFAST_CRASHTEST_ACT=load-told", "LANDFAST_CRASHTEST_DIR="+dir)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %s\n%s", err, want, out)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("it made a directory")
			}
		})
	}
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
