package relay

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstSocket is where systemd's sockets begin (SD_LISTEN_FDS_START).
const firstSocket = 3

// Inherited are the sockets that systemd hands over to this process
// (sd_listen_fds(3)), or none. It may be called once.
func Inherited(getenv func(string) string) []int {
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 1 || getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil
	}
	var all []int
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		unix.CloseOnExec(fd)
		all = append(all, fd)
	}
	return all
}

// Listen makes a listening socket: at 127.0.0.1:8080, :8080 or unix:/run/x.sock,
// for when there is no systemd.
func Listen(ctx context.Context, address string) (int, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return -1, err
	}
	defer func() { _ = l.Close() }() // the relay has its own copy
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	sc, err := l.(interface {
		SyscallConn() (syscall.RawConn, error)
	}).SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("listen on %s: %w", address, err)
	}
	fd := -1
	var dupErr error
	err = sc.Control(func(s uintptr) { fd, dupErr = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = dupErr
	}
	if err != nil {
		return -1, fmt.Errorf("listen on %s: %w", address, err)
	}
	return fd, nil
}
