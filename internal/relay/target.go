package relay

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// target is where connections go: the link, and what its text said last.
type target struct {
	path string
	buf  [256]byte
	text string
	addr unix.Sockaddr
}

// read reads the link. It is about a microsecond, so it is done for each connection:
// nothing needs to be told of a switch.
func (t *target) read() (unix.Sockaddr, error) {
	n, err := unix.Readlink(t.path, t.buf[:])
	if err != nil {
		return nil, fmt.Errorf("read link %s: %w", t.path, err)
	}
	if string(t.buf[:n]) == t.text {
		return t.addr, nil
	}
	if n == len(t.buf) {
		return nil, fmt.Errorf("link %s: its text is too long for an address", t.path)
	}
	text := string(t.buf[:n])
	addr, err := ParseTarget(text)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", t.path, err)
	}
	t.text, t.addr = text, addr
	return addr, nil
}

// longestPath is what fits into sockaddr_un with its last NUL (unix(7)).
const longestPath = 107

// ParseTarget reads the text of a target: 127.0.0.1:20001, [::1]:20001 or
// unix:/run/web/web.sock.
func ParseTarget(text string) (unix.Sockaddr, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !filepath.IsAbs(path) || len(path) > longestPath {
			return nil, fmt.Errorf("%q: a socket's path begins with / and has at most %d bytes", text, longestPath)
		}
		return &unix.SockaddrUnix{Name: path}, nil
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
		return nil, fmt.Errorf("%q is no target; one is 127.0.0.1:20001, [::1]:20001 or unix:/run/web/web.sock", text)
	}
	if ip := at.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}, nil
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}, nil
}

// dial begins a connection. Until it is there, writing to it says EAGAIN.
func dial(addr unix.Sockaddr) (fd int, connected bool, err error) {
	family := unix.AF_UNIX
	switch addr.(type) {
	case *unix.SockaddrInet4:
		family = unix.AF_INET
	case *unix.SockaddrInet6:
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, fmt.Errorf("make a socket: %w", err)
	}
	if family != unix.AF_UNIX {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // slower without
	}
	switch err := unix.Connect(fd, addr); err {
	case nil:
		return fd, true, nil
	case unix.EINPROGRESS:
		return fd, false, nil
	default:
		sysClose(fd)
		return -1, false, err
	}
}

// name is the target for people.
func (t *target) name() string {
	if t.text == "" {
		return t.path
	}
	return t.path + " -> " + t.text
}
