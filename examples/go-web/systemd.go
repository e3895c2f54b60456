package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// listen takes the socket that systemd hands over (sd_listen_fds(3)), or opens
// $PORT when there is none.
func listen() (net.Listener, error) {
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) && n > 0 {
		f := os.NewFile(3, "socket") // SD_LISTEN_FDS_START
		defer func() { _ = f.Close() }()
		return net.FileListener(f)
	}
	port := os.Getenv("PORT")
	if port == "" {
		return nil, fmt.Errorf("nothing to listen on: neither a socket from systemd nor $PORT")
	}
	return net.Listen("tcp", net.JoinHostPort("", port))
}

// tell sends a line to the service manager (sd_notify(3)); nobody is told when
// there is none.
func tell(state string) {
	addr := os.Getenv("NOTIFY_SOCKET")
	if addr == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte(state))
}
