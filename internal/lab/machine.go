package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Options say what machine to boot.
type Options struct {
	Name  string // its host name; "": lab
	Suite string // one of Suites, by name
	Root  string // a root file system to use instead of the suite's image
	Binds []Bind // directories and files of the host to show inside

	// Packages are Debian packages beyond those every machine has, for tests that
	// need what most do not. Each list is an image of its own (see Image), so few
	// lists are better than short ones. They do nothing beside Root.
	Packages []string

	// Limits makes MemoryMax=, CPUQuota= and TasksMax= real on a host whose
	// controllers are not in the unified tree. Without it systemd accepts and
	// silently ignores them there; with it they work on every host.
	Limits bool

	// Capabilities are CAP_ names beyond those systemd-nspawn leaves.
	Capabilities []string

	// SystemCalls are names and @groups beyond those systemd-nspawn allows.
	// "bpf" is always allowed: without it IPAddressDeny= is silently ignored.
	SystemCalls []string
}

// Bind shows a directory or file of the host inside a machine.
type Bind struct {
	Host     string // absolute
	Inside   string // absolute; "": the same path
	Writable bool
}

// Machine is a throwaway machine. Its methods may be called from many
// goroutines at once; Kill, PowerOff, Restart and Close wait for one another.
type Machine struct {
	Name  string
	Suite Suite

	opts  Options
	space *workspace

	power sync.Mutex // held while the machine is being started or stopped

	mu  sync.Mutex
	now *boot // nil when the machine is off
}

// Boot boots a machine and returns when everything in it has been started. It
// must be run as root and needs systemd-nspawn; Check says what is missing. The
// caller must Close the machine.
func Boot(ctx context.Context, o Options) (*Machine, error) {
	if o.Name == "" {
		o.Name = "lab"
	}
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{0,40}$`).MatchString(o.Name) {
		return nil, &landfast.Error{
			Kind: landfast.Invalid,
			Msg:  fmt.Sprintf("cannot boot a machine named %q", o.Name),
			Hint: "use at most 41 lower-case letters, digits and dashes",
		}
	}
	suite, err := SuiteNamed(o.Suite)
	if err != nil {
		return nil, err
	}
	if err := Check(); err != nil {
		return nil, err
	}
	if o.Limits && suite.Unified && !unified() {
		return nil, &landfast.Error{
			Kind: landfast.Unavailable,
			Msg:  fmt.Sprintf("cannot limit a machine of suite %s: its systemd needs the unified control group hierarchy, and this host's controllers are elsewhere", suite.Name),
			Hint: "boot the host with systemd.unified_cgroup_hierarchy=1",
		}
	}
	if o.Root == "" {
		if o.Root, err = Image(ctx, o.Suite, o.Packages...); err != nil {
			return nil, err
		}
	}
	space, err := newWorkspace(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	m := &Machine{Name: o.Name, Suite: suite, opts: o, space: space}
	if err := m.prepare(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if err := m.Restart(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("boot %s (%s): %w", o.Name, o.Suite, err), m.Close())
	}
	return m, nil
}

// initProgram becomes systemd after making the controllers writable that
// systemd-nspawn gives read-only; systemd looks once, when it starts.
const initProgram = `#!/bin/sh
for c in memory cpu cpuacct pids; do
	[ ! -d /sys/fs/cgroup/$c ] || mount -o remount,bind,rw /sys/fs/cgroup/$c || exit 1
done
exec /lib/systemd/systemd "$@"
`

const initPath = "/usr/local/sbin/landfast-lab-init"

// prepare lays out the machine's disk: the image below, its own layer above.
func (m *Machine) prepare() error {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // documented never to fail
	files := []struct {
		path, text string
		mode       os.FileMode
	}{
		// Fixed for the machine's life, so that its journal goes on after a restart.
		{"/etc/machine-id", hex.EncodeToString(id) + "\n", 0o444},
		{"/etc/hostname", m.Name + "\n", 0o644},
		{"/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 " + m.Name + "\n", 0o644},
		{initPath, initProgram, 0o755},
	}
	upper := filepath.Join(m.space.dir, "upper")
	for _, f := range files {
		p := filepath.Join(upper, f.path)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return fmt.Errorf("prepare the machine: %w", err)
		}
		if err := os.WriteFile(p, []byte(f.text), f.mode); err != nil {
			return fmt.Errorf("prepare the machine: %w", err)
		}
	}
	work := filepath.Join(m.space.dir, "work")
	for _, d := range []string{work, m.disk()} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return fmt.Errorf("prepare the machine: %w", err)
		}
	}
	return mountOverlay(m.opts.Root, upper, work, m.disk())
}

// disk is the machine's root file system as the host sees it, also while the
// machine is off.
func (m *Machine) disk() string { return filepath.Join(m.space.dir, "root") }

// current is the boot the machine is in, or an error when it is off.
func (m *Machine) current() (*boot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil || m.now.over() {
		return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: "machine " + m.Name + " is off", Hint: "start it with Restart"}
	}
	return m.now, nil
}

// Leader is the process id, on the host, of the machine's process 1; 0 when the
// machine is off.
func (m *Machine) Leader() int {
	b, err := m.current()
	if err != nil {
		return 0
	}
	return b.leader
}

// Bus is the D-Bus address of the machine's system bus, for clients on the host.
func (m *Machine) Bus() string {
	return fmt.Sprintf("unix:path=/proc/%d/root/run/dbus/system_bus_socket", m.Leader())
}

// Restart boots the machine with what is on its disk, after switching it off in
// an orderly way if it is still on.
func (m *Machine) Restart(ctx context.Context) error {
	if err := m.PowerOff(ctx); err != nil {
		return err
	}
	m.power.Lock()
	defer m.power.Unlock()
	b, err := m.start(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.now = b
	m.mu.Unlock()
	return nil
}

// PowerOff shuts the machine down as systemd does and waits until it is off.
// Doing it to a machine that is off does nothing.
func (m *Machine) PowerOff(ctx context.Context) error {
	return m.stop(ctx, func(b *boot) error {
		// systemd(1): the signal for poweroff.target.
		if err := b.signal(unix.Signal(34 + 4)); err != nil {
			return err
		}
		select {
		case <-b.exited:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("power off %s: %w", m.Name, context.Cause(ctx))
		}
	})
}

// Kill ends every process of the machine at once, as a power cut does, and
// waits until they are gone. Unlike after a power cut, what was written is there
// afterwards even if it was never synced: the page cache is the host's. Doing it
// to a machine that is off does nothing.
func (m *Machine) Kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) //nolint:forbidigo // a crash has no caller to be cut short by
	defer cancel()
	return m.stop(ctx, func(b *boot) error {
		if err := b.signal(unix.SIGKILL); err != nil {
			return err
		}
		select {
		case <-b.exited:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("kill %s: %w\n%s", m.Name, ctx.Err(), m.Console())
		}
	})
}

// stop ends the present boot with end and takes away what only a boot needs.
func (m *Machine) stop(ctx context.Context, end func(*boot) error) error {
	m.power.Lock()
	defer m.power.Unlock()
	m.mu.Lock()
	b := m.now
	m.mu.Unlock()
	if b == nil {
		return nil
	}
	if err := end(b); err != nil {
		return err
	}
	m.mu.Lock()
	m.now = nil
	m.mu.Unlock()
	return m.clear(ctx)
}

// clear removes the machine's control groups.
func (m *Machine) clear(ctx context.Context) error {
	return guarded(ctx, filepath.Dir(m.space.dir), func() error { return removeGroups(ctx, m.space.id) })
}

// Close kills the machine and removes everything of it.
func (m *Machine) Close() error {
	err := m.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) //nolint:forbidigo // what is called to clean up comes after the caller's context
	defer cancel()
	return errors.Join(err, m.space.remove(ctx))
}

// Console is the end of what the machine and systemd-nspawn wrote on the
// console, for an error message.
func (m *Machine) Console() string {
	text, err := os.ReadFile(filepath.Join(m.space.dir, "console"))
	if err != nil {
		return err.Error()
	}
	return tail(text, 20)
}
