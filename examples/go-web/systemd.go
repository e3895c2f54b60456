package main

import (
	"fmt"
	"net"
	"os"
)

// listen takes the first socket that systemd hands over, or opens $PORT when there
// is none.
func listen() (net.Listener, error) {
	all, err := sockets()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		return l, nil
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
