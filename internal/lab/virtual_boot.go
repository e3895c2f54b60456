package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// virtualLimit bounds a boot on a busy host.
const virtualLimit = 3 * time.Minute

// virtualBoot is one run of a virtual machine, from power on to power off.
type virtualBoot struct {
	process *os.Process // the machine's kernel; what it started dies with it
	network *os.File    // the network namespace that it shares with nobody
	name    string

	exited chan struct{} // closed when nothing of the machine runs any more
	failed error         // why it ended; valid once exited is closed

	mu    sync.Mutex
	conns map[net.Conn]struct{} // closed with the machine, which cannot do it itself
}

func (b *virtualBoot) over() bool {
	select {
	case <-b.exited:
		return true
	default:
		return false
	}
}

// start runs the machine's kernel and waits until everything in it was started.
func (v *Virtual) start(ctx context.Context) (*virtualBoot, error) {
	ctx, cancel := context.WithTimeout(ctx, virtualLimit)
	defer cancel()
	b, err := v.launch(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.await(ctx); err != nil {
		_ = b.process.Kill()
		<-b.exited
		return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: "the machine did not come up\n" + v.Console(), Err: errors.Join(err, b.failed)}
	}
	return b, nil
}

// launch starts the kernel in a network of its own, at whose other end nobody but
// this process is, and as the first process of a process namespace, so that the
// kernel of the host ends all its processes with it. It dies with this process.
func (v *Virtual) launch(ctx context.Context) (*virtualBoot, error) {
	console, err := os.OpenFile(filepath.Join(v.space.dir, "console"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the machine's console: %w", err)
	}
	defer func() { _ = console.Close() }()
	uml := filepath.Join(v.space.dir, "uml")
	if err := removeTree(uml); err != nil {
		return nil, err
	}
	cmd := exec.Command("linux.uml", //nolint:noctx // the machine outlives the context it was booted in
		"ubd0="+filepath.Join(v.space.dir, "disk")+","+v.base, "root=/dev/ubda", "rw", "init="+initPath,
		fmt.Sprintf("mem=%dM", v.opts.Memory), "hostfs="+v.shared(),
		// The host hands over many segments at once, which the driver drops without gro.
		"vec0:transport=tap,ifname=tap0,depth=64,gro=1",
		"con=null", "con0=null,fd:1", "ssl=null", "umid=machine", "uml_dir="+uml,
		"quiet", "systemd.show_status=0")
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Dir(v.space.dir)) // where its memory is a file
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = ownSession()
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID
	b := &virtualBoot{name: v.Name, exited: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	started := make(chan error, 1)
	// The thread stays until the end: see Machine.launch.
	onThread(func() {
		network, err := ownNetwork(ctx)
		if err == nil {
			err = cmd.Start()
		}
		b.network = network
		started <- err
		if err != nil {
			return
		}
		if err := cmd.Wait(); err != nil {
			b.failed = fmt.Errorf("user-mode Linux: %w", err)
		}
		b.disconnect()
		close(b.exited)
		_ = network.Close()
	})
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start user-mode Linux: %w", err)
	}
	b.process = cmd.Process
	return b, nil
}

// ownNetwork moves the calling thread into a new network with one tun device, and
// gives the network. It ends with the last process and descriptor in it.
func ownNetwork(ctx context.Context) (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("make a network: %w", err)
	}
	for _, argv := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "tuntap", "add", "tap0", "mode", "tap"},
		{"ip", "addr", "add", hostAddr + "/24", "dev", "tap0"},
		{"ip", "link", "set", "tap0", "up"},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%v: %w: %s", argv, err, out)
		}
	}
	return os.Open("/proc/thread-self/ns/net")
}

// await waits for the agent and then for the end of the boot.
func (b *virtualBoot) await(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the machine or with this function
		select {
		case <-b.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := until(ctx, virtualLimit, func() error {
		// The first packets are lost while the machine has no address.
		try, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		c, err := b.dialAgent(try)
		if err == nil {
			b.drop(c)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reach its agent: %w", err)
	}
	p, err := b.begin(ctx, Cmd{Argv: []string{"systemctl", "is-system-running", "--wait"}})
	if err != nil {
		return err
	}
	// A machine with a failed unit is up as well.
	_, err = p.Wait()
	return errors.Join(err, context.Cause(ctx))
}

// dialAgent connects to the agent. The connection is closed when the machine ends;
// drop closes it earlier.
func (b *virtualBoot) dialAgent(ctx context.Context) (net.Conn, error) {
	fd, err := socketIn(b.network, unix.AF_INET)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "agent")
	defer func() { _ = f.Close() }()
	to := netip.MustParseAddrPort(guestAddr + ":" + agentPort)
	if err := connect(ctx, f, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return nil, err
	}
	c, err := net.FileConn(f) // a duplicate
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns == nil {
		return nil, errors.Join(errPowerless(b.name), c.Close())
	}
	b.conns[c] = struct{}{}
	return c, nil
}

func errPowerless(name string) error {
	return &landfast.Error{Kind: landfast.Unavailable, Msg: "machine " + name + " has no power", Hint: "start it with Restart"}
}

// drop closes a connection to the agent.
func (b *virtualBoot) drop(c net.Conn) {
	b.mu.Lock()
	delete(b.conns, c)
	b.mu.Unlock()
	_ = c.Close()
}

// disconnect closes every connection: nobody at the other end does it.
func (b *virtualBoot) disconnect() {
	b.mu.Lock()
	conns := b.conns
	b.conns = nil
	b.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
}
