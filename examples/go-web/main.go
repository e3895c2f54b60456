// Web is a guest book: a small web app with a database file. It shows what an
// app does to be deployed without losing a request: it takes its socket from
// systemd, says when it is ready, and drains when it is told to stop. Nothing in
// it knows Landfast.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the linker, see the Makefile.
var version = "dev"

func main() {
	log.SetFlags(0) // the journal has the time
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	conf, err := readConfig("config.json")
	if err != nil {
		return err
	}
	book := openBook(conf.Storage)
	defer book.Close()
	l, err := listen()
	if err != nil {
		return err
	}
	app := &app{greeting: conf.Greeting, book: book}
	var d drain
	server := &http.Server{Handler: d.handler(app.handler()), ReadHeaderTimeout: 10 * time.Second}

	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	drained := make(chan error, 1)
	go func() {
		<-term
		tell("STOPPING=1")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- d.end(ctx, server, l, drainTime())
	}()

	log.Printf("web %s on %s", version, l.Addr())
	tell("READY=1")
	err = server.Serve(l)
	if !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}
