package steer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/steer"
)

// pins is a directory for pins, on a file system of its own, in a network that is up.
func pins(t *testing.T) string {
	t.Helper()
	if os.Getenv(envInside) == "" {
		t.Skip("steers the network: must be run as root")
	}
	up(t)
	dir := t.TempDir() + "/landfast"
	t.Cleanup(func() { unmount(dir) })
	switch err := steer.Probe("/sys/fs/bpf/landfast"); {
	case errors.Is(err, fs.ErrPermission):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return dir
}

// up switches the loopback interface on.
var up = func(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		t.Fatal(err)
	}
}

// unmount ends what is pinned in dir.
func unmount(dir string) { _ = unix.Unmount(filepath.Dir(dir), unix.MNT_DETACH) }

// table loads a table that is the test's own.
func table(t *testing.T) *steer.Table {
	t.Helper()
	tab, err := steer.Load(t.Context(), pins(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tab.Close)
	return tab
}

// server says its name to everybody who connects.
type server struct {
	net.Listener
	all sync.WaitGroup
}

func serve(t *testing.T, name, address string) *server {
	t.Helper()
	return serveWith(t, &net.ListenConfig{}, name, address)
}

func serveWith(t *testing.T, config *net.ListenConfig, name, address string) *server {
	t.Helper()
	if name != "mptcp" {
		config.SetMultipathTCP(false)
	}
	network := "tcp"
	if strings.HasPrefix(address, "0.0.0.0") {
		network = "tcp4"
	}
	l, err := config.Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l}
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, name+" "+c.LocalAddr().String())
			_ = c.Close()
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	_ = s.Close()
	s.all.Wait()
}

func (s *server) port() uint16 { return uint16(s.Addr().(*net.TCPAddr).Port) }

// ask connects once and gives what is said, or "refused".
func ask(t *testing.T, address string) string {
	t.Helper()
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		if strings.Contains(err.Error(), "refused") {
			return "refused"
		}
		return err.Error()
	}
	defer c.Close()
	text, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func says(t *testing.T, address, want string) {
	t.Helper()
	if got := ask(t, address); got != want {
		t.Errorf("%s says %q, want %q", address, got, want)
	}
}

func public(t *testing.T, s string) steer.Public {
	t.Helper()
	p, err := steer.ParsePublic(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func self() steer.Owner { return steer.Owner{PID: os.Getpid()} }

// set steers to a server of this process.
func set(t *testing.T, tab *steer.Table, to string, s *server) steer.Switched {
	t.Helper()
	done, err := tab.Set(t.Context(), steer.Switch{Public: public(t, to), Owner: self(), Private: s.port()})
	if err != nil {
		t.Fatal(err)
	}
	if !done.Done {
		t.Fatalf("%+v", done)
	}
	return done
}

func refused(t *testing.T, err error, kind landfast.Kind, parts ...string) {
	t.Helper()
	if err == nil || landfast.KindOf(err) != kind {
		t.Fatalf("error %v of kind %s, want kind %s", err, landfast.KindOf(err), kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestAppOnLoopbackIsServedEverywhere(t *testing.T) {
	tab := table(t)
	one, two := serve(t, "one", "127.0.0.1:0"), serve(t, "two", "[::]:0")
	done := set(t, tab, "8080", one)
	if !slices.Equal(done.Families, []steer.Family{steer.IPv4}) || len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "over IPv6 are refused") {
		t.Errorf("%+v", done)
	}
	says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
	says(t, "127.5.5.5:8080", "one 127.5.5.5:8080")
	says(t, "[::1]:8080", "refused")

	done = set(t, tab, "8080", two)
	if !slices.Equal(done.Families, []steer.Family{steer.IPv4, steer.IPv6}) || len(done.Warnings) != 0 {
		t.Errorf("%+v", done)
	}
	says(t, "127.0.0.1:8080", "two 127.0.0.1:8080")
	says(t, "[::1]:8080", "two [::1]:8080")

	// What the new one cannot serve does not stay with the old one.
	set(t, tab, "8080", one)
	says(t, "[::1]:8080", "refused")
	says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
	if was, err := tab.Unset(t.Context(), public(t, "8080")); !was || err != nil {
		t.Errorf("unset: %v, %v", was, err)
	}
	says(t, "127.0.0.1:8080", "refused")
	if was, err := tab.Unset(t.Context(), public(t, "8080")); was || err != nil {
		t.Errorf("unset again: %v, %v", was, err)
	}
}

// TestLoopbackOfIPv6ServesOnlyThat: a socket bound to one address of IPv6 is never for
// both families, whatever IPV6_V6ONLY was.
func TestLoopbackOfIPv6ServesOnlyThat(t *testing.T) {
	tab := table(t)
	both := &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) })
	}}
	done := set(t, tab, "8080", serveWith(t, both, "six", "[::1]:0"))
	if !slices.Equal(done.Families, []steer.Family{steer.IPv6}) || !strings.Contains(done.Warnings[0], "over IPv4 are refused") {
		t.Errorf("%+v", done)
	}
	says(t, "[::1]:8080", "six [::1]:8080")
	says(t, "127.0.0.1:8080", "refused")
}

func TestAddressComesBeforePort(t *testing.T) {
	tab := table(t)
	one, two, three := serve(t, "one", "[::]:0"), serve(t, "two", "127.0.0.1:0"), serve(t, "three", "[::1]:0")
	set(t, tab, "127.0.0.7:8080", two)
	says(t, "127.0.0.7:8080", "two 127.0.0.7:8080")
	says(t, "127.0.0.1:8080", "refused")
	set(t, tab, "8080", one)
	set(t, tab, "[::1]:8081", three)
	says(t, "127.0.0.7:8080", "two 127.0.0.7:8080")
	says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
	says(t, "[::1]:8081", "three [::1]:8081")
	set(t, tab, "0.0.0.0:8082", one)
	says(t, "127.0.0.1:8082", "one 127.0.0.1:8082")
	says(t, "[::1]:8082", "refused")
	all, err := tab.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%s %s %s", e.Public, e.Family, e.Private))
	}
	want := []string{
		fmt.Sprintf("8080 ipv4 [::]:%d", one.port()), fmt.Sprintf("8080 ipv6 [::]:%d", one.port()),
		fmt.Sprintf("127.0.0.7:8080 ipv4 127.0.0.1:%d", two.port()),
		fmt.Sprintf("[::1]:8081 ipv6 [::1]:%d", three.port()),
		fmt.Sprintf("8082 ipv4 [::]:%d", one.port()),
	}
	if !slices.Equal(got, want) {
		t.Errorf("entries\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if p := all[0].Processes; len(p) != 1 || p[0].PID != os.Getpid() {
		t.Errorf("processes of the first: %+v", p)
	}
	_, err = tab.Set(t.Context(), steer.Switch{Public: public(t, "[::1]:8080"), Owner: self(), Private: two.port()})
	refused(t, err, landfast.Invalid, "cannot serve [::1]:8080")
}

func TestEntryGoesWithItsSocket(t *testing.T) {
	tab := table(t)
	one := serve(t, "one", "127.0.0.1:0")
	set(t, tab, "8080", one)
	sorry := serve(t, "sorry", "0.0.0.0:8080")
	says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
	all, err := tab.Entries()
	if err != nil || len(all) != 1 || len(all[0].Behind) != 1 || all[0].Behind[0].PID != os.Getpid() {
		t.Errorf("entries: %+v, %v", all, err)
	}
	one.stop()
	says(t, "127.0.0.1:8080", "sorry 127.0.0.1:8080")
	if all, err := tab.Entries(); err != nil || len(all) != 0 {
		t.Errorf("entries: %+v, %v", all, err)
	}
	sorry.stop()
	says(t, "127.0.0.1:8080", "refused")
}

func TestRefusals(t *testing.T) {
	tab := table(t)
	one := serve(t, "one", "127.0.0.1:0")
	try := func(s steer.Switch) error {
		if s.Owner == (steer.Owner{}) {
			s.Owner = self()
		}
		done, err := tab.Set(t.Context(), s)
		if done.Done {
			t.Errorf("done: %+v", done)
		}
		return err
	}
	p := public(t, "8080")
	t.Run("mptcp", func(t *testing.T) {
		config := &net.ListenConfig{}
		config.SetMultipathTCP(true)
		s := serveWith(t, config, "mptcp", "127.0.0.1:0")
		refused(t, try(steer.Switch{Public: p, Private: s.port()}), landfast.Invalid,
			"with MPTCP", "GODEBUG=multipathtcp=0", "net.mptcp.enabled=0")
	})
	t.Run("ordinary listener", func(t *testing.T) {
		s := serve(t, "ordinary", "127.0.0.1:8080")
		refused(t, try(steer.Switch{Public: p, Private: one.port()}), landfast.Conflict,
			"port 8080 is taken: steer.test (process ", "listens there")
		says(t, "127.0.0.1:8080", "ordinary 127.0.0.1:8080")
		// Elsewhere it is in nobody's way.
		if _, err := tab.Set(t.Context(), steer.Switch{Public: public(t, "127.0.0.9:8080"), Owner: self(), Private: one.port()}); err != nil {
			t.Error(err)
		}
		done, err := tab.Set(t.Context(), steer.Switch{Public: p, Owner: self(), Private: one.port(), Anyway: true})
		if err != nil || len(done.Warnings) != 2 || !strings.Contains(done.Warnings[1], "gets no connections") {
			t.Errorf("%+v, %v", done, err)
		}
		says(t, "127.0.0.1:8080", "one 127.0.0.1:8080")
		if _, err := tab.Unset(t.Context(), p); err != nil {
			t.Error(err)
		}
		s.stop()
	})
	t.Run("same port", func(t *testing.T) {
		refused(t, try(steer.Switch{Public: public(t, "8080"), Private: 8080}), landfast.Invalid, "cannot be public and private")
	})
	t.Run("does not listen", func(t *testing.T) {
		refused(t, try(steer.Switch{Public: p, Private: 9}), landfast.Unavailable, "does not listen on port 9, but on 127.0.0.1:", "$PORT")
	})
	t.Run("ended", func(t *testing.T) {
		cmd := exec.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		refused(t, try(steer.Switch{Public: p, Private: 9, Wait: time.Hour, Owner: steer.Owner{PID: cmd.Process.Pid}}), landfast.NotFound, "has ended")
		refused(t, try(steer.Switch{Public: p, Private: 9, Wait: time.Hour, Owner: steer.Owner{Unit: "no.service"}}), landfast.NotFound, "no.service has ended")
	})
	t.Run("not wanted", func(t *testing.T) {
		if err := try(steer.Switch{Public: p, Private: one.port(), If: func() (bool, error) { return false, nil }}); err != nil {
			t.Error(err)
		}
		says(t, "127.0.0.1:8080", "refused")
	})
	t.Run("another network", func(t *testing.T) {
		cmd := exec.Command("sleep", "60")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}()
		refused(t, try(steer.Switch{Public: p, Private: 9, Wait: time.Hour, Owner: steer.Owner{PID: cmd.Process.Pid}}), landfast.Invalid,
			"sleep (process ", "has a network of its own", "PrivateNetwork=")
	})
}

func TestSetWaitsUntilTheOwnerListens(t *testing.T) {
	tab := table(t)
	probe := serve(t, "x", "127.0.0.1:0")
	port := probe.port()
	probe.stop()
	result := make(chan error, 1)
	go func() {
		_, err := tab.Set(t.Context(), steer.Switch{Public: public(t, "8080"), Owner: self(), Private: port, Wait: time.Minute})
		result <- err
	}()
	serve(t, "late", fmt.Sprintf("127.0.0.1:%d", port))
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	says(t, "127.0.0.1:8080", "late 127.0.0.1:8080")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tab.Set(ctx, steer.Switch{Public: public(t, "8080"), Owner: self(), Private: 9, Wait: time.Hour}); err == nil {
		t.Error("waited for nothing")
	}
}

func TestSharedPortIsWarnedOf(t *testing.T) {
	tab := table(t)
	reuse := &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	one := serveWith(t, reuse, "one", "127.0.0.1:0")
	if done := set(t, tab, "127.0.0.1:8080", one); len(done.Warnings) != 0 {
		t.Errorf("one alone: %+v", done)
	}
	serveWith(t, reuse, "two", one.Addr().String())
	if done := set(t, tab, "127.0.0.1:8080", one); len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "2 sockets share") {
		t.Errorf("%+v", done)
	}
}

// TestTwoSocketsOfOneProcess is about programs that listen once for each family.
func TestTwoSocketsOfOneProcess(t *testing.T) {
	tab := table(t)
	four := serve(t, "four", "127.0.0.1:0")
	serve(t, "six", fmt.Sprintf("[::1]:%d", four.port()))
	set(t, tab, "8080", four)
	says(t, "127.0.0.1:8080", "four 127.0.0.1:8080")
	says(t, "[::1]:8080", "six [::1]:8080")
}

// TestQueueIsAccepted: connections that wait for the old owner stay its own, and it is
// waited for.
func TestQueueIsAccepted(t *testing.T) {
	tab := table(t)
	config := &net.ListenConfig{}
	config.SetMultipathTCP(false)
	l, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0") // nothing is accepted
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	old := &server{Listener: l}
	set(t, tab, "8080", old)
	const n = 5
	for range n {
		c, err := net.Dial("tcp", "127.0.0.1:8080")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	all, err := tab.Entries()
	if err != nil || len(all) != 1 || all[0].Waiting != n {
		t.Errorf("entries: %+v, %v", all, err)
	}
	next := serve(t, "next", "127.0.0.1:0")
	set(t, tab, "8080", next)
	says(t, "127.0.0.1:8080", "next 127.0.0.1:8080")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	refused(t, steer.Accepted(ctx, self(), old.port(), public(t, "8080")), landfast.Unavailable, fmt.Sprintf("has not accepted %d connections in time", n))
	result := make(chan error, 1)
	go func() { result <- steer.Accepted(t.Context(), self(), old.port(), public(t, "8080")) }()
	for range n {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if err := steer.Accepted(t.Context(), self(), 9, public(t, "8080")); err != nil {
		t.Errorf("of nobody who listens: %v", err)
	}
}

func TestLoadIsIdempotentAndAlone(t *testing.T) {
	dir := pins(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			tab, err := steer.Open(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			tab.Close()
		})
	}
	all.Wait()
	whole(t, dir)
	if mounts(t, filepath.Dir(dir)) != 1 {
		t.Error("mounted more than once")
	}
	for path, mode := range map[string]os.FileMode{dir: os.ModeDir | 0o700, dir + "/table": 0o600, dir + "/link": 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// whole checks that everything is pinned and nothing else is attached.
func whole(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "link" || entries[1].Name() != "table" {
		t.Errorf("pinned: %v, %v", entries, err)
	}
	eventually(t, func() error { // the kernel detaches a moment after the last pin went
		n, err := steer.Attached()
		if n != 1 || err != nil {
			return fmt.Errorf("%d programs are attached, %w", n, err)
		}
		return nil
	})
}

func mounts(t *testing.T, at string) int {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), " "+at+" bpf ")
}

func TestProbeLeavesNothing(t *testing.T) {
	dir := pins(t) // probes
	eventually(t, func() error {
		n, err := steer.Attached()
		if n != 0 || err != nil {
			return fmt.Errorf("%d programs are attached, %w", n, err)
		}
		return nil
	})
	if _, err := os.Stat(dir); err == nil {
		t.Error("it made a directory")
	}
}
