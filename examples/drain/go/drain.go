package main

// This file is made to be copied into an app: it takes the sockets that systemd
// holds, and ends a server without losing a request. Standard library only.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// sockets gives the sockets that systemd hands over, by the names they have in
// LISTEN_FDNAMES (sd_listen_fds(3)); none when the process was started otherwise.
func sockets() (map[string]net.Listener, error) {
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	all := map[string]net.Listener{}
	for i := range n {
		name := strconv.Itoa(i)
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		f := os.NewFile(uintptr(3+i), name) // SD_LISTEN_FDS_START
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("socket %s: %w", name, err)
		}
		all[name] = l
	}
	return all, nil
}

// drain ends an http.Server without losing a request.
type drain struct{ began atomic.Bool }

// handler says "Connection: close" with each answer once the drain has begun.
func (d *drain) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.began.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// end ends the server. The order matters: every answer from now on tells its client
// not to use the connection again; no new connection is taken, so those that arrive
// are the next process's; clients get a moment to hear it; and only then does
// Shutdown close what is idle, which by then is nothing that is about to be used.
// It waits for the requests in progress as long as ctx lets it.
func (d *drain) end(ctx context.Context, s *http.Server, l net.Listener, moment time.Duration) error {
	d.began.Store(true)
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	time.Sleep(moment)
	return s.Shutdown(ctx)
}
