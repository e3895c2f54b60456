package main

import (
	"context"
	"strings"

	"github.com/landfast/landfast/internal/lab/load"
)

const (
	webURL   = "http://localhost:8080/"
	notesURL = "http://localhost:8081/"
)

// scene is one part of the story.
type scene struct {
	title string
	play  func(*demo, context.Context) error
}

// story is what the demo shows, from top to bottom.
var story = []scene{
	{"An app is one small file", (*demo).manifest},
	{"Release 1 goes live", (*demo).first},
	{"Release 2 goes live, under load", (*demo).second},
	{"Release 3 does not start: release 2 comes back by itself", (*demo).unstartable},
	{"Release 4 starts and is unhealthy: release 2 comes back again", (*demo).unhealthy},
	{"Back to release 1, by hand", (*demo).rollback},
	{"Another app, in Python, beside it", (*demo).python},
	{"What there is now", (*demo).status},
	{"The numbers", (*demo).numbers},
}

func (d *demo) manifest(ctx context.Context) error {
	if _, err := d.sh(ctx, command{dir: "/root/web", line: "cat landfast.toml"}); err != nil {
		return err
	}
	_, err := d.sh(ctx, command{dir: "/root/web", line: "landfast check"})
	return err
}

func (d *demo) first(ctx context.Context) error {
	if _, err := d.sh(ctx, command{dir: "/root/web", line: "landfast deploy --from web-1.tar.gz"}); err != nil {
		return err
	}
	d.answers(ctx, webURL, "1")
	return d.startLoad(ctx)
}

func (d *demo) second(ctx context.Context) error {
	d.load.Lap()
	if _, err := d.sh(ctx, command{dir: "/root/web", line: "landfast deploy --from web-2.tar.gz"}); err != nil {
		return err
	}
	d.answers(ctx, webURL, "2")
	d.nothingFailed()
	return nil
}

func (d *demo) unstartable(ctx context.Context) error {
	d.load.Lap()
	if _, err := d.sh(ctx, command{dir: "/root/web", line: "landfast deploy --from web-3.tar.gz", code: 4}); err != nil {
		return err
	}
	d.answers(ctx, webURL, "2")
	r := d.nothingFailed()
	d.promise(r.Versions["2"] == r.OK, "release 2 answered every request; those that came in between waited in the socket")
	return nil
}

// unhealthy is about a release that starts: with the strategy restart it has the
// traffic until its health check has decided, so clients see what it answers.
func (d *demo) unhealthy(ctx context.Context) error {
	d.load.Lap()
	if _, err := d.sh(ctx, command{dir: "/root/web", line: "landfast deploy --from web-4.tar.gz", code: 4}); err != nil {
		return err
	}
	d.answers(ctx, webURL, "2")
	r := d.load.Lap()
	d.say("clients: %s", r)
	bad := r.Failures[load.Failure{Kind: "status 503", Version: "4"}]
	d.promise(r.Lost() == 0, "every request was answered")
	d.promise(r.Failed == bad, "%d answers were release 4's own 503, while it was on trial; nothing else failed", bad)
	text, err := d.sh(ctx, command{dir: "/root/web", line: "landfast deploy --from web-4.tar.gz", code: 6})
	if err != nil {
		return err
	}
	d.promise(strings.Contains(text, "--force"), "a release known to be bad is refused")
	d.nothingFailed()
	return nil
}

func (d *demo) rollback(ctx context.Context) error {
	d.load.Lap()
	if _, err := d.sh(ctx, command{dir: "/root/web", line: "landfast rollback"}); err != nil {
		return err
	}
	d.answers(ctx, webURL, "1")
	d.nothingFailed()
	return nil
}

func (d *demo) python(ctx context.Context) error {
	d.load.Lap()
	if _, err := d.sh(ctx, command{dir: "/root/notes", line: "landfast deploy --from ."}); err != nil {
		return err
	}
	d.answers(ctx, notesURL, "1")
	d.answers(ctx, webURL, "1")
	d.nothingFailed()
	return nil
}

func (d *demo) status(ctx context.Context) error {
	for _, line := range []string{"landfast status", "landfast releases web", "landfast deployments web"} {
		if _, err := d.sh(ctx, command{dir: "/root", line: line}); err != nil {
			return err
		}
	}
	return nil
}

// nothingFailed promises it for the clients of this lap, and gives what they got.
func (d *demo) nothingFailed() load.Result {
	r := d.load.Lap()
	d.say("clients: %s", r)
	if r.Failed > 0 {
		d.say("first failure: %s", r.Example)
	}
	d.promise(r.Failed == 0 && r.OK > 0, "no request failed")
	return r
}
