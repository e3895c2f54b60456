package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// boot is one run of a machine, from power on to power off.
type boot struct {
	nspawn *os.Process
	leader int
	proc   *os.Process // of the leader
	groups []string    // where processes from outside are put

	exited chan struct{} // closed when nothing of the machine runs any more
	failed error         // why systemd-nspawn ended; valid once exited is closed
}

func (b *boot) over() bool {
	select {
	case <-b.exited:
		return true
	default:
		return false
	}
}

func (b *boot) signal(sig os.Signal) error {
	err := b.proc.Signal(sig)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return fmt.Errorf("signal the machine: %w", err)
}

// start runs systemd-nspawn and waits until it reports that the machine is up.
func (m *Machine) start(ctx context.Context) (*boot, error) {
	notify, socket, err := m.listenNotify()
	if err != nil {
		return nil, err
	}
	b, err := m.launch(ctx, socket)
	if err != nil {
		return nil, errors.Join(err, notify.Close())
	}
	go func() {
		<-b.exited
		_ = notify.Close()
	}()
	leader, ready := make(chan int, 1), make(chan struct{})
	go readNotify(notify, leader, ready)
	err = b.await(ctx, leader, ready)
	if err == nil {
		b.groups, err = guestGroups(b.leader)
	}
	if err != nil {
		// The machine's process 1 may not be known yet; it dies with systemd-nspawn.
		_ = b.nspawn.Kill()
		<-b.exited
		return nil, errors.Join(err, m.clear(context.WithoutCancel(ctx)))
	}
	return b, nil
}

// await waits for the leader and then for the machine to be up.
func (b *boot) await(ctx context.Context, leader <-chan int, ready <-chan struct{}) error {
	for {
		select {
		case b.leader = <-leader:
			var err error
			if b.proc, err = os.FindProcess(b.leader); err != nil {
				return fmt.Errorf("find the machine's process 1: %w", err)
			}
		case <-ready:
			if b.proc == nil {
				return errors.New("systemd-nspawn did not name the machine's process 1")
			}
			return nil
		case <-b.exited:
			return &landfast.Error{Kind: landfast.Unavailable, Msg: "the machine did not come up", Err: b.failed}
		case <-ctx.Done():
			return fmt.Errorf("wait for the machine: %w", context.Cause(ctx))
		}
	}
}

// listenNotify makes the socket that systemd-nspawn reports to, as sd_notify(3)
// says.
func (m *Machine) listenNotify() (*net.UnixConn, string, error) {
	path := filepath.Join(m.space.dir, "notify")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, "", fmt.Errorf("listen for the machine: %w", err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, "", fmt.Errorf("listen for the machine: %w", err)
	}
	return c, path, nil
}

// readNotify reads until the socket is closed, so that the sender never waits.
// The leader is sent before ready is closed, and each once.
func readNotify(c *net.UnixConn, leader chan<- int, ready chan<- struct{}) {
	buf := make([]byte, 4096)
	named, up := false, false
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(buf[:n])) {
			line = strings.TrimSpace(line)
			if v, ok := strings.CutPrefix(line, "X_NSPAWN_LEADER_PID="); ok && !named {
				if pid, err := strconv.Atoi(v); err == nil {
					named = true
					leader <- pid
				}
			}
			if line == "READY=1" && named && !up {
				up = true
				close(ready)
			}
		}
	}
}

// launch starts systemd-nspawn in control groups of its own. It dies with this
// process, however that ends, and the machine with it.
func (m *Machine) launch(ctx context.Context, socket string) (*boot, error) {
	console, err := os.OpenFile(filepath.Join(m.space.dir, "console"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the machine's console: %w", err)
	}
	defer func() { _ = console.Close() }()
	argv := m.nspawn()
	var groups []string
	if scoped() {
		argv = append([]string{
			"systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes",
			"--unit=" + groupName + "-" + m.space.id + ".scope", "--",
		}, argv...)
	} else {
		err = guarded(ctx, filepath.Dir(m.space.dir), func() error {
			groups, err = makeGroups(m.space.id, m.opts.Limits)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // the machine outlives the context it was booted in
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "SYSTEMD_NSPAWN_LOCK=0")
	if m.Suite.Unified {
		cmd.Env = append(cmd.Env, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	}
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = ownSession()
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	b := &boot{exited: make(chan struct{})}
	started := make(chan error, 1)
	// The thread stays until the end: Pdeathsig is sent when the thread that
	// started the process ends, not when the whole process does.
	onThread(func() {
		err := startIn(groups, cmd)
		started <- err
		if err != nil {
			return
		}
		if err := cmd.Wait(); err != nil {
			b.failed = fmt.Errorf("systemd-nspawn: %w\n%s", err, m.Console())
		}
		close(b.exited)
	})
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("start systemd-nspawn: %w", err), m.clear(ctx))
	}
	b.nspawn = cmd.Process
	return b, nil
}

// startIn starts cmd in groups and leaves them again with the calling thread.
func startIn(groups []string, cmd *exec.Cmd) error {
	v2, leave, err := joinGroups(groups)
	defer leave()
	if err != nil {
		return err
	}
	if v2 != nil {
		defer func() { _ = v2.Close() }()
		cmd.SysProcAttr.UseCgroupFD = true
		cmd.SysProcAttr.CgroupFD = int(v2.Fd())
	}
	return cmd.Start()
}

// scoped tells whether the host's systemd owns the control groups, so that it
// must be asked for some.
func scoped() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil && unified()
}

// nspawn is the command line that boots the machine.
func (m *Machine) nspawn() []string {
	argv := []string{
		"systemd-nspawn", "--quiet", "--directory=" + m.disk(),
		"--machine=" + m.space.id, "--hostname=" + m.Name,
		"--register=no", "--keep-unit", "--settings=no",
		"--notify-ready=yes", "--console=pipe",
		"--private-network", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--system-call-filter=" + strings.Join(append([]string{"bpf"}, m.opts.SystemCalls...), " "),
	}
	if len(m.opts.Capabilities) > 0 {
		argv = append(argv, "--capability="+strings.Join(m.opts.Capabilities, ","))
	}
	for _, bind := range m.opts.Binds {
		inside, flag := bind.Inside, "--bind-ro="
		if inside == "" {
			inside = bind.Host
		}
		if bind.Writable {
			flag = "--bind="
		}
		argv = append(argv, flag+colons.Replace(bind.Host)+":"+colons.Replace(inside))
	}
	if m.opts.Limits && !unified() {
		return append(argv, initPath)
	}
	return append(argv, "--boot")
}

// colons escapes a path for systemd-nspawn's --bind=.
var colons = strings.NewReplacer(`\`, `\\`, ":", `\:`)
