package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// onEach runs a test on a machine of each suite, without landfast in it.
func onEach(t *testing.T, f func(t *testing.T, m *lab.Machine)) {
	t.Helper()
	labtest.Require(t)
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) { f(t, labtest.Boot(t, lab.Options{Suite: suite})) })
	}
}

func TestMachineIsUp(t *testing.T) {
	onEach(t, func(t *testing.T, m *lab.Machine) {
		if got := labtest.Run(t, m, "systemctl", "is-system-running"); got != "running" {
			t.Errorf("is-system-running = %q, want running\n%s", got, labtest.Run(t, m, "systemctl", "--failed"))
		}
		version := labtest.Run(t, m, "systemctl", "--version")
		if want := fmt.Sprintf("systemd %d ", m.Suite.Systemd); !strings.HasPrefix(version, want) {
			t.Errorf("systemctl --version = %q, want %q…", version, want)
		}
		if got := labtest.Run(t, m, "hostname"); got != m.Name {
			t.Errorf("hostname = %q, want %q", got, m.Name)
		}
	})
}

func TestExec(t *testing.T) {
	onEach(t, func(t *testing.T, m *lab.Machine) {
		r, err := m.Exec(t.Context(), "sh", "-c", `echo "$1"; echo bad >&2; exit 7`, "sh", `$HOME %n`)
		if err != nil {
			t.Fatal(err)
		}
		if want := (lab.Result{Stdout: "$HOME %n\n", Stderr: "bad\n", Code: 7}); r != want {
			t.Errorf("Exec = %+v, want %+v", r, want)
		}
		r, err = m.Exec(t.Context(), "sh", "-c", "kill -TERM $$")
		if err != nil || r.Code != 128+15 {
			t.Errorf("Exec of a program that dies of SIGTERM = %+v, %v; want code 143", r, err)
		}
		if _, err := m.Exec(t.Context(), "no-such-program"); err == nil {
			t.Error("Exec of a program that is not there: no error")
		}
		env := labtest.Run(t, m, "env")
		for line := range strings.Lines(env) {
			name, _, _ := strings.Cut(line, "=")
			if !strings.Contains(" PATH HOME USER LANG TERM ", " "+name+" ") {
				t.Errorf("the environment has %q", line)
			}
		}
		// Not in any unit of the machine, and not in the host's groups either.
		if got := labtest.Run(t, m, "cat", "/proc/self/cgroup"); !strings.Contains(got, ":/guest") {
			t.Errorf("control groups of Exec:\n%s", got)
		}
		if a, b := labtest.Run(t, m, "grep", "CapBnd", "/proc/self/status"), labtest.Run(t, m, "grep", "CapBnd", "/proc/1/status"); a != b {
			t.Errorf("capabilities of Exec are %s, those of the machine %s", a, b)
		}
		if got := labtest.Run(t, m, "readlink", "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/pid", "/proc/self/ns/uts", "/proc/self/ns/ipc", "/proc/self/ns/cgroup"); got !=
			labtest.Run(t, m, "readlink", "/proc/1/ns/net", "/proc/1/ns/mnt", "/proc/1/ns/pid", "/proc/1/ns/uts", "/proc/1/ns/ipc", "/proc/1/ns/cgroup") {
			t.Errorf("Exec is not in the machine's namespaces: %s", got)
		}
	})
}

func TestContextKillsTheProcessGroup(t *testing.T) {
	onEach(t, func(t *testing.T, m *lab.Machine) {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		p, err := m.Start(ctx, lab.Cmd{Argv: []string{"sh", "-c", "sleep 1000 & echo up; wait"}, Stdout: w})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if code, err := p.Wait(); code != 137 || err != nil {
			t.Errorf("Wait = %d, %v; want 137, nil", code, err)
		}
		// Its parent is gone before it; process 1 has still to reap it.
		labtest.Run(t, m, "timeout", "20", "sh", "-c", "while pgrep -x -P 1 sleep; do :; done >/dev/null")
	})
}

func TestFilesAndLinks(t *testing.T) {
	onEach(t, func(t *testing.T, m *lab.Machine) {
		if err := m.WriteFile("/srv/app/releases/1/hello", []byte("hi"), 0o640); err != nil {
			t.Fatal(err)
		}
		labtest.Run(t, m, "ln", "-s", "/srv/app/releases/1", "/srv/app/current")
		got, err := m.ReadFile("/srv/app/current/hello")
		if err != nil || string(got) != "hi" {
			t.Errorf("ReadFile over an absolute link = %q, %v", got, err)
		}
		if got := labtest.Run(t, m, "stat", "-c", "%a", "/srv/app/current/hello"); got != "640" {
			t.Errorf("mode = %s, want 640", got)
		}
		if _, err := os.Stat(m.Path("/run/dbus/system_bus_socket")); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat("/srv/app"); err == nil {
			t.Error("the file is on the host")
		}
	})
}

const listenerUnit = `[Service]
Type=notify
ExecStart=/usr/bin/python3 /srv/listener.py
[Install]
WantedBy=multi-user.target
`

// listener tells systemd when it listens, so that nothing has to be waited for.
const listener = `import http.server, os, socket
os.chdir("/srv/www")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), http.server.SimpleHTTPRequestHandler)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
`

// serve starts a web server in the machine that answers /hello.
func serve(t *testing.T, m *lab.Machine) {
	t.Helper()
	for path, text := range map[string]string{
		"/srv/www/hello":                       "hello from " + m.Suite.Name,
		"/srv/listener.py":                     listener,
		"/etc/systemd/system/listener.service": listenerUnit,
	} {
		if err := m.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	labtest.Run(t, m, "systemctl", "daemon-reload")
	labtest.Run(t, m, "systemctl", "enable", "--now", "listener.service")
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDial(t *testing.T) {
	onEach(t, func(t *testing.T, m *lab.Machine) {
		serve(t, m)
		c := m.HTTP()
		defer c.CloseIdleConnections()
		want := "hello from " + m.Suite.Name
		if got := get(t, c, "http://localhost:8080/hello"); got != want {
			t.Errorf("GET = %q, want %q", got, want)
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for range 5 {
					r, err := c.Get("http://127.0.0.1:8080/hello")
					if err != nil {
						t.Error(err)
						return
					}
					if text, _ := io.ReadAll(r.Body); string(text) != want {
						t.Errorf("GET = %q, want %q", text, want)
					}
					_ = r.Body.Close()
				}
			})
		}
		all.Wait()
		if _, err := m.Dial(t.Context(), "tcp", "127.0.0.1:9"); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("dial of a closed port: %v, want connection refused", err)
		}
		conn, err := m.Dial(t.Context(), "unix", "/var/run/dbus/system_bus_socket")
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	})
}

func TestKillAndRestartKeepTheDisk(t *testing.T) {
	onEach(t, func(t *testing.T, m *lab.Machine) {
		serve(t, m)
		labtest.Run(t, m, "touch", "/run/gone", "/srv/kept")
		first := m.Leader()
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
		if m.Leader() != 0 || unix.Kill(first, 0) == nil {
			t.Error("the machine runs after Kill")
		}
		if _, err := m.Exec(t.Context(), "true"); err == nil {
			t.Error("Exec in a machine that is off: no error")
		}
		if _, err := os.Stat(m.Path("/srv/kept")); err != nil {
			t.Errorf("the disk of a machine that is off: %v", err)
		}
		if text, err := m.Journal(t.Context(), "listener.service"); err != nil || !strings.Contains(text, "listener.service") {
			t.Errorf("the journal of a machine that is off: %v\n%s", err, text)
		}
		if err := m.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := m.HTTP()
		defer c.CloseIdleConnections()
		if got := get(t, c, "http://127.0.0.1:8080/hello"); !strings.HasPrefix(got, "hello from") {
			t.Errorf("GET after the restart = %q", got)
		}
		if r, err := m.Exec(t.Context(), "test", "-e", "/run/gone"); err != nil || r.Code != 1 {
			t.Errorf("/run outlived a power cut: %+v %v", r, err)
		}
		if text, err := m.Journal(t.Context(), "listener.service"); err != nil || strings.Count(text, "Started listener.service") != 2 {
			t.Errorf("the journal of both boots: %v\n%s", err, text)
		}
		if err := m.PowerOff(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := m.PowerOff(t.Context()); err != nil {
			t.Errorf("PowerOff of a machine that is off: %v", err)
		}
	})
}

// TestLimits proves that a limit is enforced, not only accepted, or else that
// the machine is refused.
func TestLimits(t *testing.T) {
	labtest.Require(t)
	for _, suite := range labtest.Suites() {
		t.Run(suite, func(t *testing.T) {
			m, err := lab.Boot(t.Context(), lab.Options{Suite: suite, Limits: true})
			if s, _ := lab.SuiteNamed(suite); s.Unified && landfast.KindOf(err) == landfast.Unavailable {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := m.Close(); err != nil {
					t.Error(err)
				}
			}()
			r, err := m.Exec(t.Context(), "systemd-run", "--quiet", "--wait", "--pipe", "--property=MemoryMax=40M",
				"python3", "-c", "x = bytearray(200 << 20); print(len(x))")
			if err != nil {
				t.Fatal(err)
			}
			if r.Code == 0 || r.Stdout != "" {
				t.Errorf("200 MB in a unit with MemoryMax=40M: %+v", r)
			}
		})
	}
}

// TestManyAtOnce boots machines side by side; each has its own control groups,
// network and disk.
func TestManyAtOnce(t *testing.T) {
	labtest.Require(t)
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			m := labtest.Boot(t, lab.Options{Suite: labtest.Suites()[0]})
			// All have the same name, so only their groups can keep them apart.
			labtest.Run(t, m, "systemd-run", "--quiet", "--unit=same", "sleep", "1000")
			labtest.Run(t, m, "systemctl", "stop", "same")
			serve(t, m)
			c := m.HTTP()
			defer c.CloseIdleConnections()
			get(t, c, "http://127.0.0.1:8080/hello")
		})
	}
}

// TestOnDisk keeps machines where there is no memory to keep them in.
func TestOnDisk(t *testing.T) {
	labtest.Require(t)
	dir := t.TempDir()
	t.Setenv("LANDFAST_LAB_DIR", dir)
	m := labtest.Boot(t, lab.Options{Name: "disk", Suite: labtest.Suites()[0]})
	if !strings.HasPrefix(m.Path("/"), "/proc/") {
		t.Errorf("the path of a file in a running machine: %s", m.Path("/"))
	}
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(m.Path("/"), dir) {
		t.Errorf("the machine is at %s, not below %s", m.Path("/"), dir)
	}
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// left lists what a closed machine must not leave behind.
func left(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		"/sys/fs/cgroup/*/landfast-lab/" + name + "-*", "/sys/fs/cgroup/landfast-lab/" + name + "-*",
		"/dev/shm/landfast-lab/" + name + "-*",
	} {
		m, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, m...)
	}
	for _, file := range []string{"/proc/self/mountinfo"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "/"+name+"-") {
				found = append(found, strings.TrimSpace(line))
			}
		}
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		if text, err := os.ReadFile(c); err == nil && strings.Contains(string(text), "--machine="+name+"-") {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

func TestCloseLeavesNothing(t *testing.T) {
	labtest.Require(t)
	m, err := lab.Boot(t.Context(), lab.Options{Name: "closing", Suite: labtest.Suites()[0], Limits: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(left(t, "closing")) == 0 {
		t.Fatal("the check finds nothing of a running machine, so it would prove nothing")
	}
	if _, err := m.Start(context.Background(), lab.Cmd{Argv: []string{"sleep", "1000"}}); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if found := left(t, "closing"); len(found) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(found, "\n"))
	}
}

// TestBootCutShort ends the context somewhere on the way up.
func TestBootCutShort(t *testing.T) {
	labtest.Require(t)
	for _, after := range []time.Duration{time.Millisecond, 40 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		m, err := lab.Boot(ctx, lab.Options{Name: "short", Suite: labtest.Suites()[0]})
		cancel()
		if err == nil { // quicker than the context: nothing was cut short
			err = m.Close()
		} else if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Boot cut short after %s: %v", after, err)
		}
		if found := left(t, "short"); len(found) > 0 {
			t.Errorf("left behind after %s (%v):\n%s", after, err, strings.Join(found, "\n"))
		}
	}
}

// TestOwnerKilled kills a process that owns a machine; the next Boot removes
// what is left of it.
func TestOwnerKilled(t *testing.T) {
	labtest.Require(t)
	owner := startOwner(t)
	if len(left(t, "orphan")) == 0 {
		t.Fatal("the check finds nothing of a running machine, so it would prove nothing")
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait() // killed, as asked
	labtest.Boot(t, lab.Options{Name: "next", Suite: labtest.Suites()[0]})
	if found := left(t, "orphan"); len(found) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(found, "\n"))
	}
}

func TestRefusals(t *testing.T) {
	for _, o := range []lab.Options{{Suite: "woody"}, {Name: "../x", Suite: "bookworm"}} {
		if m, err := lab.Boot(t.Context(), o); err == nil {
			t.Errorf("Boot(%+v): no error", o)
			_ = m.Close()
		}
	}
}
