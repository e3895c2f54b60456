package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/load"
)

// demo is one telling of the story.
type demo struct {
	out     io.Writer
	color   bool
	clients int

	m      *lab.Machine
	load   *load.Run
	all    load.Result // of the whole load, once it is stopped
	broken int         // promises that were not kept
}

func (d *demo) boot(ctx context.Context, suite string, b *built) error {
	began := time.Now()
	m, err := lab.Boot(ctx, lab.Options{
		Name: "demo", Suite: suite,
		Binds: []lab.Bind{{Host: b.landfast, Inside: "/usr/local/bin/landfast"}},
	})
	if err != nil {
		return err
	}
	d.m = m
	d.say("A machine with Debian %s and systemd %d is up after %s.", m.Suite.Name, m.Suite.Systemd, time.Since(began).Round(10*time.Millisecond))
	return b.place(m)
}

func (d *demo) title(text string) { d.printf("\n%s\n", d.bold("## "+text)) }

func (d *demo) say(format string, args ...any) { d.printf(format+"\n", args...) }

func (d *demo) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

func (d *demo) bold(s string) string {
	if !d.color {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// promise prints whether a promise was kept.
func (d *demo) promise(kept bool, format string, args ...any) {
	mark := "kept:  "
	if !kept {
		mark = "BROKEN:"
		d.broken++
	}
	d.say(mark+" "+format, args...)
}

// command is a command line typed in a directory of the machine.
type command struct {
	dir  string
	line string
	code int // the exit code that is promised
}

// sh types a command, shows its output as it comes, and gives it.
func (d *demo) sh(ctx context.Context, c command) (string, error) {
	d.printf("%s\n", d.bold("$ "+c.line))
	var text bytes.Buffer
	both := io.MultiWriter(d.out, &text)
	began := time.Now()
	r, err := d.m.Run(ctx, lab.Cmd{Argv: strings.Fields(c.line), Dir: c.dir, Stdout: both, Stderr: both})
	if err != nil {
		return "", err
	}
	if r.Code != c.code {
		d.promise(false, "it exits %d, not %d", c.code, r.Code)
	} else if c.code != 0 {
		d.say("(exit code %d after %s)", r.Code, time.Since(began).Round(10*time.Millisecond))
	}
	return text.String(), nil
}

// get asks from outside the machine.
func (d *demo) get(ctx context.Context, url string) (version, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := d.m.HTTP()
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", string(text), fmt.Errorf("%s: %s: %s", url, res.Status, text)
	}
	_, version, _ = strings.Cut(res.Header.Get("Server"), "/")
	return version, string(text), nil
}

// answers promises that a version answers.
func (d *demo) answers(ctx context.Context, url, version string) {
	got, body, err := d.get(ctx, url)
	if err != nil {
		d.promise(false, "version %s answers: %v", version, err)
		return
	}
	line, _, _ := strings.Cut(body, "\n")
	d.promise(got == version, "version %s answers: %s", version, line)
}

func (d *demo) startLoad(ctx context.Context) (err error) {
	d.load, err = load.Start(ctx, load.Options{URL: webURL, Dial: d.m.Dial, Workers: d.clients})
	return err
}

func (d *demo) stopLoad() {
	if d.load != nil {
		d.all = d.load.Stop()
		d.load = nil
	}
}

// lastWords prints the end of the machine's journal, when the story broke off.
func (d *demo) lastWords(ctx context.Context) {
	text, err := d.m.Journal(ctx, "")
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	d.say("\nThe end of the machine's journal:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
}
