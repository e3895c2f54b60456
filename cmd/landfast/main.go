// Command landfast makes a Linux machine with systemd a place to deploy to.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/landfast/landfast/internal/cli"
)

// version is set by the release build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	os.Exit(run())
}

func run() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	// A reader that goes away (`landfast deploy | head`) must not end a deployment in
	// the middle: writing to it fails instead.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-signals
		cancel(errors.New("stopped by " + s.String()))
		// The next one ends the process as if nobody had listened: the journal is
		// there for that.
		signal.Stop(signals)
	}()
	return cli.Run(ctx, os.Args[1:], cli.Std{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, version)
}
