// Command demo shows Landfast at work on a throwaway machine: real releases of
// the example apps, deployed by the real program, under load from outside. It
// checks what it shows, and exits 1 when anything did not go as promised.
//
// It is the story told in the README, run. It tells nothing that it has not seen.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

func main() { os.Exit(run()) }

func run() int {
	suite := flag.String("suite", "bookworm", "the Debian `release` the machine runs")
	clients := flag.Int("clients", 2, "clients of each of four `kinds` that ask all the time")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	d := &demo{out: os.Stdout, clients: *clients, color: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == ""}
	err := d.run(ctx, *suite)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted")
		return 1
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	case d.broken > 0:
		fmt.Fprintf(os.Stderr, "demo: %d promises were broken\n", d.broken)
		return 1
	}
	return 0
}

// run boots the machine, tells the story and closes the machine.
func (d *demo) run(ctx context.Context, suite string) (err error) {
	built, err := build(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, built.remove()) }()
	if err := d.boot(ctx, suite, built); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.m.Close()) }()
	defer d.stopLoad()
	for _, scene := range story {
		d.title(scene.title)
		if err := scene.play(d, ctx); err != nil {
			d.lastWords(ctx)
			return err
		}
	}
	return nil
}
