package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// app is the web side of the guest book.
type app struct {
	greeting string
	book     *book
	ill      atomic.Bool
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.show)
	mux.HandleFunc("POST /{$}", a.sign)
	mux.HandleFunc("GET /healthz", a.health)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "web/"+version)
		mux.ServeHTTP(w, r)
	})
}

func (a *app) show(w http.ResponseWriter, _ *http.Request) {
	n, last, err := a.book.Read()
	if err != nil {
		a.unavailable(w, err)
		return
	}
	_, _ = fmt.Fprintf(w, "%s version %s, %d entries, pid %d\n", a.greeting, version, n, os.Getpid())
	for _, e := range last {
		_, _ = fmt.Fprintf(w, "%s  %s\n", e.Time.Format(time.RFC3339), e.Text)
	}
}

// sign answers 201 only when the entry is on the disk.
func (a *app) sign(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1000))
	if err != nil || len(text) == 0 {
		http.Error(w, "send 1 to 1000 bytes of text", http.StatusBadRequest)
		return
	}
	n, err := a.book.Add(entry{Time: time.Now().UTC(), Text: string(text)})
	if err != nil {
		a.unavailable(w, err)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, "entry %d\n", n)
}

func (a *app) health(w http.ResponseWriter, _ *http.Request) {
	_, _, err := a.book.Read()
	if was := a.ill.Swap(err != nil); err != nil {
		if !was {
			log.Print("unhealthy: ", err) // once, not with each question
		}
		a.unavailable(w, err)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

func (a *app) unavailable(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}

// drainTime is how long clients are given to hear that a connection will end.
func drainTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("DRAIN")); err == nil {
		return d
	}
	return 200 * time.Millisecond
}
