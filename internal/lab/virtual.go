package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// VirtualOptions say what virtual machine to boot.
type VirtualOptions struct {
	Name     string   // its host name; "": lab
	Suite    string   // one of Suites, by name
	Packages []string // as in Options
	Programs []Bind   // files of the host to show inside, read-only
	Memory   int      // MiB; 0: 512
}

// Virtual is a throwaway machine with a kernel and a disk of its own: user-mode
// Linux. Cut takes its power, and what was not synced is lost, as with real iron;
// its control groups are all in the unified tree, with every controller. It boots
// in some seconds where a Machine needs half of one. Its methods may be called
// from many goroutines at once; Cut, PowerOff, Restart and Close wait for one
// another.
//
// The invariant of the package holds for it too: its processes, its network and
// its connections end with their owner, however that ends.
type Virtual struct {
	Name  string
	Suite Suite

	opts  VirtualOptions
	space *workspace
	base  string // the disk it began with, shared and never written

	power sync.Mutex // held while the machine is being started or stopped

	mu  sync.Mutex
	now *virtualBoot // nil when the machine is off
}

// CheckVirtual says what this host lacks to boot virtual machines; nil when it
// lacks nothing.
func CheckVirtual() error {
	if runtime.GOARCH != "amd64" {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot boot a virtual machine: user-mode Linux is for amd64 only"}
	}
	if err := Check(); err != nil {
		return err
	}
	for _, need := range []struct{ program, pkg string }{
		{"linux.uml", "user-mode-linux"},
		{"mkfs.ext4", "e2fsprogs"},
		{"ip", "iproute2"},
	} {
		if _, err := exec.LookPath(need.program); err != nil {
			return &landfast.Error{
				Kind: landfast.Unavailable,
				Msg:  fmt.Sprintf("cannot boot a virtual machine: %s is needed", need.program),
				Hint: "apt-get install " + need.pkg,
			}
		}
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot boot a virtual machine: it needs tun devices for its network", Err: err}
	}
	return f.Close()
}

// BootVirtual boots a virtual machine and returns when everything in it has been
// started. It must be run as root, in the module, whose agent it builds;
// CheckVirtual says what is missing. The caller must Close the machine.
func BootVirtual(ctx context.Context, o VirtualOptions) (*Virtual, error) {
	if o.Name == "" {
		o.Name = "lab"
	}
	if o.Memory == 0 {
		o.Memory = 512
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
	if err := CheckVirtual(); err != nil {
		return nil, err
	}
	base, err := virtualDisk(ctx, o.Suite, o.Packages)
	if err != nil {
		return nil, err
	}
	program, err := Build(ctx, "github.com/landfast/landfast/internal/lab/cmd/agent")
	if err != nil {
		return nil, err
	}
	space, err := newWorkspace(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	v := &Virtual{Name: o.Name, Suite: suite, opts: o, space: space, base: base}
	if err := v.prepare(program); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	if err := v.Restart(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("boot %s (%s): %w", o.Name, o.Suite, err), v.Close())
	}
	return v, nil
}

// shared is the one directory of the host that the machine sees, at hostDir.
func (v *Virtual) shared() string { return filepath.Join(v.space.dir, "shared") }

// prepare lays out what the machine sees of the host: the agent, the programs, and
// a script that its first process runs before it becomes systemd.
func (v *Virtual) prepare(agent string) error {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // documented never to fail
	if err := os.MkdirAll(v.shared(), 0o755); err != nil {
		return fmt.Errorf("prepare the machine: %w", err)
	}
	script := fmt.Sprintf(virtualSetup, hex.EncodeToString(id), v.Name)
	programs := append([]Bind{{Host: agent, Inside: agentInside}}, v.opts.Programs...)
	for i, p := range programs {
		name := fmt.Sprintf("program-%d", i)
		if err := copyProgram(p.Host, filepath.Join(v.shared(), name)); err != nil {
			return fmt.Errorf("show %s to the machine: %w", p.Host, err)
		}
		inside := p.Inside
		if inside == "" {
			inside = p.Host
		}
		script += fmt.Sprintf("show %s %s\n", name, shellQuote(inside))
	}
	if err := os.WriteFile(filepath.Join(v.shared(), "setup"), []byte(script), 0o644); err != nil {
		return fmt.Errorf("prepare the machine: %w", err)
	}
	return nil
}

// copyProgram copies: the machine must not see a cache that others use.
func copyProgram(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (v *Virtual) current() (*virtualBoot, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.now == nil || v.now.over() {
		return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: "machine " + v.Name + " is off", Hint: "start it with Restart"}
	}
	return v.now, nil
}

// Restart boots the machine with what is on its disk, after switching it off in
// an orderly way if it is still on.
func (v *Virtual) Restart(ctx context.Context) error {
	if err := v.PowerOff(ctx); err != nil {
		return err
	}
	v.power.Lock()
	defer v.power.Unlock()
	b, err := v.start(ctx)
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.now = b
	v.mu.Unlock()
	return nil
}

// PowerOff shuts the machine down as systemd does and waits until it is off.
// Doing it to a machine that is off does nothing.
func (v *Virtual) PowerOff(ctx context.Context) error {
	return v.stop(func(b *virtualBoot) error {
		if _, err := b.begin(ctx, Cmd{Argv: []string{"systemctl", "poweroff", "--no-block"}}); err != nil {
			return err
		}
		select {
		case <-b.exited:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("power off %s: %w", v.Name, context.Cause(ctx))
		}
	})
}

// Cut takes the power away, at this instant: the kernel of the machine dies with
// all it had not written to its disk. Doing it to a machine that is off does
// nothing.
func (v *Virtual) Cut() error {
	return v.stop(func(b *virtualBoot) error {
		if err := b.process.Signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("cut the power of %s: %w", v.Name, err)
		}
		select {
		case <-b.exited:
			return nil
		case <-time.After(20 * time.Second):
			return fmt.Errorf("cut the power of %s: its kernel does not end", v.Name)
		}
	})
}

// stop ends the present boot.
func (v *Virtual) stop(end func(*virtualBoot) error) error {
	v.power.Lock()
	defer v.power.Unlock()
	v.mu.Lock()
	b := v.now
	v.mu.Unlock()
	if b == nil {
		return nil
	}
	if !b.over() {
		if err := end(b); err != nil {
			return err
		}
	}
	v.mu.Lock()
	v.now = nil
	v.mu.Unlock()
	return nil
}

// Close cuts the power and removes everything of the machine.
func (v *Virtual) Close() error {
	err := v.Cut()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) //nolint:forbidigo // what is called to clean up comes after the caller's context
	defer cancel()
	return errors.Join(err, v.space.remove(ctx))
}

// Console is the end of what the machine wrote on its console, for an error
// message.
func (v *Virtual) Console() string {
	text, err := os.ReadFile(filepath.Join(v.space.dir, "console"))
	if err != nil {
		return err.Error()
	}
	return tail(text, 20)
}
