package serve

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstSocket is where systemd's sockets begin (SD_LISTEN_FDS_START).
const firstSocket = 3

// Inherited are the sockets that systemd hands over to this process
// (sd_listen_fds(3)), or none. It may be called once.
func Inherited(getenv func(string) string) ([]net.Listener, error) {
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 1 || getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	var all []net.Listener
	for fd := firstSocket; fd < firstSocket+n; fd++ {
		f := os.NewFile(uintptr(fd), "socket "+strconv.Itoa(fd))
		l, err := net.FileListener(f)
		_ = f.Close() // the listener has its own copy
		if err != nil {
			return nil, fmt.Errorf("take socket %d from systemd: %w", fd, err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false) // the file is systemd's
		}
		all = append(all, l)
	}
	return all, nil
}

// Notify tells the service manager at address (NOTIFY_SOCKET) a state, as
// sd_notify(3) does. Nobody is told when there is none.
func Notify(address, state string) {
	if address == "" {
		return
	}
	if name, ok := strings.CutPrefix(address, "@"); ok {
		address = "\x00" + name
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte(state)) // who asked and does not listen cannot be told so
}
