package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects to an address inside the machine: "tcp" (also "tcp4", "tcp6")
// with a literal IP address or "localhost", or "unix" with a path or an abstract
// "@name". It costs a few system calls more than a plain dial, so a load test may
// use it.
func (m *Machine) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := m.dial(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s in %s: %w", addr, m.Name, err)
	}
	return c, nil
}

func (m *Machine) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	b, err := m.current()
	if err != nil {
		return nil, err
	}
	family, to, err := m.sockaddr(network, addr)
	if err != nil {
		return nil, err
	}
	there, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", b.leader))
	if err != nil {
		return nil, err
	}
	defer func() { _ = there.Close() }()
	fd, err := socketIn(there, family)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), addr)
	defer func() { _ = f.Close() }()
	if err := connect(ctx, f, to); err != nil {
		return nil, err
	}
	return net.FileConn(f) // a duplicate
}

// HTTP is a client whose connections are made inside the machine, whatever host
// name the URL has, so that http://localhost:8080/ is the machine's port 8080.
// It opens as many connections as it is asked for and follows no proxy. Call its
// CloseIdleConnections when done.
func (m *Machine) HTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return m.Dial(ctx, network, addr)
		},
		MaxIdleConnsPerHost: 1000,
		DisableCompression:  true,
	}}
}

// sockaddr reads an address. Only literal ones: a name would be asked of the
// host's resolver, which knows nothing of the machine.
func (m *Machine) sockaddr(network, addr string) (family int, to unix.Sockaddr, err error) {
	if network == "unix" {
		if !strings.HasPrefix(addr, "@") {
			addr = m.Path(addr)
		}
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: addr}, nil
	}
	if !strings.HasPrefix(network, "tcp") {
		return 0, nil, net.UnknownNetworkError(network)
	}
	if port, ok := strings.CutPrefix(addr, "localhost:"); ok {
		addr = "127.0.0.1:" + port
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, nil, err
	}
	if ap.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}, nil
}

// socketIn makes a stream socket in a network namespace. A socket stays in the
// namespace it was made in, so only this moment needs a thread.
func socketIn(there *os.File, family int) (int, error) {
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return 0, err
	}
	defer func() { _ = here.Close() }()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return 0, fmt.Errorf("enter the machine's network: %w", err)
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if back := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); back != nil {
		// Left locked: the thread must never run anything else.
		return 0, errors.Join(err, fmt.Errorf("leave the machine's network: %w", back))
	}
	runtime.UnlockOSThread()
	return fd, os.NewSyscallError("socket", err)
}

// connect connects a non-blocking socket, waiting in the runtime's poller.
func connect(ctx context.Context, f *os.File, to unix.Sockaddr) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var result error
	begun := false
	err = raw.Write(func(fd uintptr) bool {
		if !begun {
			begun = true
			result = unix.Connect(int(fd), to)
			return !errors.Is(result, unix.EINPROGRESS)
		}
		done := false
		done, result = connected(int(fd))
		return done
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	return os.NewSyscallError("connect", result)
}

// connected tells whether a connect in progress has ended, and how. A socket
// that never was connected counts as writable for the poller, so being woken
// alone proves nothing.
func connected(fd int) (bool, error) {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return true, err
	}
	if code != 0 {
		return true, unix.Errno(code)
	}
	_, err = unix.Getpeername(fd)
	if errors.Is(err, unix.ENOTCONN) {
		return false, nil
	}
	return true, err
}
