// Package serve is a web server for the files below one directory, made to run
// as an unprivileged systemd service: it takes its sockets from systemd, says
// when it is ready, and lets go of its clients when it is stopped. It lists no
// directory, follows no link out of its directory, shows no file whose name
// begins with a dot, and has no configuration beyond Options.
//
// The files are those of a release, which does not change while it is served:
// what is known of a file is worked out once.
package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Options say what to serve.
type Options struct {
	Dir       string
	Listeners []net.Listener
	// Fallback is the file below Dir that answers, with 200, for pages that are
	// not there, as single-page apps want it; "": 404.html does, with 404.
	Fallback string
	// Notify tells systemd a state (sd_notify(3)).
	Notify func(state string)
	// Linger is how long at most the server goes on answering on open connections,
	// each answer asking the client to open another one, before it closes them.
	Linger time.Duration
	// Timeout is how long requests under way may take behind that.
	Timeout time.Duration
}

// Run serves until ctx ends, then drains. It returns nil when every request that
// was under way has been answered.
func Run(ctx context.Context, o Options) error {
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return fmt.Errorf("open directory to serve: %w", err)
	}
	defer func() { _ = root.Close() }()
	draining := &atomic.Bool{}
	server := &http.Server{
		Handler:           closing(draining, newSite(root, o.Fallback)),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	open := &connections{fewer: make(chan struct{}, 1)}
	server.ConnState = open.changed
	served := make(chan error, len(o.Listeners))
	for _, l := range o.Listeners {
		go func() { served <- server.Serve(l) }()
	}
	o.Notify("READY=1")
	select {
	case err := <-served:
		_ = server.Close() // the first error counts
		return fmt.Errorf("serve %s: %w", o.Dir, err)
	case <-ctx.Done():
	}
	o.Notify("STOPPING=1")
	return drain(context.WithoutCancel(ctx), server, draining, open, o)
}

// drain ends the server. New connections wait in the sockets, which systemd keeps,
// for the next one. A connection that is closed between two requests may lose one
// that is on its way: so each is first asked to go.
func drain(ctx context.Context, server *http.Server, draining *atomic.Bool, open *connections, o Options) error {
	draining.Store(true)
	for _, l := range o.Listeners {
		_ = l.Close() // it is this process's copy of the socket
	}
	open.wait(o.Linger)
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("end requests under way: %w", err)
	}
	return nil
}

// closing asks clients to open another connection once draining is set.
func closing(draining *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// connections counts those that are open.
type connections struct {
	n     atomic.Int64
	fewer chan struct{} // holds something when one was closed since it was last read
}

func (c *connections) changed(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.n.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.n.Add(-1)
		select {
		case c.fewer <- struct{}{}:
		default:
		}
	}
}

// wait returns when none is open, or after the longest time.
func (c *connections) wait(longest time.Duration) {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for c.n.Load() > 0 {
		select {
		case <-c.fewer:
		case <-timer.C:
			return
		}
	}
}
