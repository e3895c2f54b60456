// Web shows what an app does to take its socket from systemd and to be replaced
// without losing a request; drain.go is the part to copy. It answers at once, after
// two seconds (/slow), and bit by bit for two seconds (/stream).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0) // the journal has the time
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	text, err := os.ReadFile("VERSION")
	if err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	var d drain
	server := &http.Server{Handler: d.handler(pages(strings.TrimSpace(string(text)))), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-term
		tell("STOPPING=1")
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if os.Getenv("DRAIN") == "off" { // to see what is lost
			ended <- server.Shutdown(ctx)
			return
		}
		ended <- d.end(ctx, server, l, 200*time.Millisecond)
	}()
	tell("READY=1")
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return <-ended
}

// listen takes the first socket of systemd, or opens $PORT.
func listen() (net.Listener, error) {
	all, err := sockets()
	if err != nil {
		return nil, err
	}
	for _, l := range all {
		return l, nil
	}
	return net.Listen("tcp", net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")))
}

func pages(version string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintln(w, "go", version)
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Second)
		_, _ = fmt.Fprintln(w, "go", version)
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		for range 20 {
			_, _ = fmt.Fprintln(w, "go", version)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(100 * time.Millisecond)
		}
		_, _ = fmt.Fprintln(w, "end")
	})
	return mux
}

// tell sends a line to the service manager (sd_notify(3)), when there is one.
func tell(state string) {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte(state))
}
