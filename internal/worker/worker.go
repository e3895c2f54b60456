// Package worker works off the events of one app, one after the other: it fetches just
// the commit or artifact that an event names, proves that it is the right one, and has
// root build and deploy it. It runs as an account without rights, started by a path
// unit when there is work, and ends when there is none.
//
// A fault of the release ends the event. A fault of the world (a forge that does not
// answer, another change of the app under way) has it tried again, as the queue says.
package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
)

// Queue is what the worker asks of the queue of its app; see package queue.
type Queue interface {
	// Claim gives the next event that is due; nil when there is none.
	Claim(ctx context.Context) (Claim, error)
	// Next is when the next event is due that waits for another attempt; zero when none does.
	Next(ctx context.Context) (time.Time, error)
}

// Claim is one event that is being applied. It is ended by Done, Retry or Fail.
type Claim interface {
	Event() landfast.Event
	Progress(text string)
	Done(ctx context.Context, o Outcome) error
	// Retry reports whether the event has failed for good, as it was the last attempt.
	Retry(ctx context.Context, reason string) (failed bool, err error)
	Fail(ctx context.Context, reason string) error
}

// Order is what the worker asks root for.
type Order struct {
	App      string
	Incoming string // the delivery below incoming/
	Actor    string
	Force    bool
	Release  string // rollback: "": the last good one
	// Where it came from, for people.
	Repository, Commit, Digest string
}

// Root is what the worker has root do; see rootsvc.Deployer for the contract. tell is
// told what happens, a line for people each time.
type Root interface {
	Build(ctx context.Context, o Order, tell func(string)) error
	Deploy(ctx context.Context, o Order, tell func(string)) (landfast.Deployment, error)
	Rollback(ctx context.Context, o Order, tell func(string)) (landfast.Deployment, error)
	Discard(ctx context.Context, o Order) error
}

// Outcome is what came of an event.
type Outcome struct {
	Deployment, Release, Text string
}

// State is how far an event is, for those it is reported to.
type State string

// The states that are reported.
const (
	Running  State = "running"
	Retrying State = "retrying"
	Done     State = "done"
	Failed   State = "failed"
)

// Worker works for one app. Its fields are set once, before use.
type Worker struct {
	App   string
	Queue Queue
	Root  Root
	// Incoming is where deliveries are put: /var/lib/landfast/APP/incoming.
	Incoming string
	// Work is for downloads.
	Work string
	// Manifest gives the manifest that was last applied; kind NotFound when there is none.
	Manifest func() (*landfast.App, error)
	// Report tells others how far an event is; it decides nothing, and may be nil.
	Report func(ctx context.Context, ev landfast.Event, s State, text string)
	// Log gets a line for people.
	Log func(text string)
	Now func() time.Time
	// Patience is how long to wait for the next attempt; what is due later is left to
	// the timer that starts workers.
	Patience time.Duration
}

// Run works until nothing is due, or ctx ends: then the event under way is finished and
// no other is begun. It returns an error only when the queue cannot be used.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.sweep(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		c, err := w.Queue.Claim(ctx)
		if err != nil {
			return err
		}
		if c != nil {
			if err := w.handle(context.WithoutCancel(ctx), c); err != nil {
				return err
			}
			continue
		}
		again, err := w.wait(ctx)
		if err != nil || !again {
			return err
		}
	}
	return nil
}

// wait waits for the next attempt that is due, if that is soon.
func (w *Worker) wait(ctx context.Context) (again bool, err error) {
	next, err := w.Queue.Next(ctx)
	if err != nil || next.IsZero() {
		return false, err
	}
	d := next.Sub(w.Now())
	if d > w.Patience {
		return false, nil
	}
	t := time.NewTimer(max(d, 10*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return true, nil
	case <-ctx.Done():
		return false, nil
	}
}

// sweep removes deliveries of workers that died: their events are claimed again. What
// root has made of one is not ours to remove, and root does that.
func (w *Worker) sweep() error {
	left, err := os.ReadDir(w.Incoming)
	if err != nil {
		return fmt.Errorf("look at former deliveries: %w", err)
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(w.Incoming, e.Name())); err != nil {
			return fmt.Errorf("remove a former delivery: %w", err)
		}
	}
	return source.Clean(w.Work)
}

// handle applies one event and ends its claim.
func (w *Worker) handle(ctx context.Context, c Claim) error {
	ev := c.Event()
	w.say(c, "%s of %s%s", ev.Action, w.App, described(ev))
	w.report(ctx, ev, Running, "")
	o, err := w.apply(ctx, c)
	switch {
	case err == nil:
		w.report(ctx, ev, Done, o.Text)
		w.say(c, "%s", o.Text)
		return c.Done(ctx, o)
	case transient(err):
		failed, rerr := c.Retry(ctx, err.Error())
		state := Retrying
		if failed {
			state = Failed
		}
		w.report(ctx, ev, state, err.Error())
		w.Log(fmt.Sprintf("%s: %v; it is tried again: %v", ev.ID, err, !failed))
		return rerr
	}
	w.report(ctx, ev, Failed, err.Error())
	w.Log(fmt.Sprintf("%s: %v", ev.ID, err))
	return c.Fail(ctx, err.Error())
}

func described(ev landfast.Event) string {
	for _, s := range []string{ev.Commit, ev.Ref, ev.Location, ev.Release} {
		if s != "" {
			return " " + s
		}
	}
	return ""
}

func (w *Worker) report(ctx context.Context, ev landfast.Event, s State, text string) {
	if w.Report != nil {
		w.Report(ctx, ev, s, text)
	}
}

func (w *Worker) say(c Claim, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.Progress(text)
	w.Log(c.Event().ID + ": " + text)
}

// busyError is a refusal that says nothing of the release: the app is being changed.
type busyError struct{ error }

func (b busyError) Unwrap() error { return b.error }

// transient reports whether trying again may help.
func transient(err error) bool {
	if _, busy := errors.AsType[busyError](err); busy {
		return true
	}
	return landfast.KindOf(err) == landfast.Unavailable
}

func (w *Worker) apply(ctx context.Context, c Claim) (Outcome, error) {
	ev := c.Event()
	r := Order{App: w.App, Actor: actor(ev), Force: ev.Force}
	var d landfast.Deployment
	var err error
	switch ev.Action {
	case landfast.ActionDeploy:
		d, err = w.deploy(ctx, c, r)
	case landfast.ActionRollback:
		r.Release = ev.Release
		d, err = w.Root.Rollback(ctx, r, c.Progress)
	case landfast.ActionCancel, landfast.ActionUpdate:
		return Outcome{}, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("a worker does no %s", ev.Action)}
	default:
		return Outcome{}, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is nothing that an event can ask for", ev.Action)}
	}
	if err != nil && d.ID == "" && landfast.KindOf(err) == landfast.Conflict {
		return Outcome{}, busyError{err}
	}
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Deployment: d.ID, Release: d.To, Text: d.To + " is live"}, nil
}

// actor is who is behind an event, as far as it says, on one line.
func actor(ev landfast.Event) string {
	by := ev.Actor
	if by == "" {
		by = "event"
	}
	return line(by+" ("+ev.Provider+")", 150)
}

// line is s as the root service takes it: printable, and not too long.
func line(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

// deploy fetches what the event names and has root build and deploy it.
func (w *Worker) deploy(ctx context.Context, c Claim, r Order) (d landfast.Deployment, err error) {
	ev := c.Event()
	app, err := w.Manifest()
	if err != nil {
		return d, err
	}
	src, err := sourceOf(ev, app.Source)
	if err != nil {
		return d, err
	}
	r.Incoming = ev.ID
	defer func() {
		// Root has removed it when it was a deployment; else it is nobody's.
		if derr := w.Root.Discard(ctx, Order{App: w.App, Incoming: ev.ID}); derr != nil {
			w.Log(fmt.Sprintf("%s: remove the delivery: %v", ev.ID, derr))
		}
	}()
	if r.Commit, r.Digest, err = w.fetch(ctx, c, app, src); err != nil {
		return d, err
	}
	r.Repository = line(ev.Repository, 400)
	if err := w.Root.Build(ctx, r, c.Progress); err != nil {
		return d, err
	}
	return w.Root.Deploy(ctx, r, c.Progress)
}

// fetch puts the source into incoming/ID, and tells its commit or digest.
func (w *Worker) fetch(ctx context.Context, c Claim, app *landfast.App, src landfast.Source) (commit, digest string, err error) {
	artifact, err := source.Open(ctx, src, source.Options{
		Work: w.Work, Limits: tree.Limits{Bytes: app.Releases.MaxBytes, Files: app.Releases.MaxFiles},
	})
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, artifact.Close()) }()
	dir := filepath.Join(w.Incoming, c.Event().ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", fmt.Errorf("make room for the delivery: %w", err)
	}
	into, err := os.OpenRoot(dir)
	if err != nil {
		return "", "", err
	}
	defer into.Close()
	if _, err := artifact.Unpack(ctx, into); err != nil {
		return "", "", err
	}
	w.say(c, "fetched %s", artifact.Description)
	if src.Kind == landfast.SourceGit {
		commit = artifact.Revision
	}
	return commit, artifact.Digest, nil
}

// sourceOf is where the release of an event comes from: the artifact that it names, or
// its commit in the repository of the manifest.
func sourceOf(ev landfast.Event, src landfast.Source) (landfast.Source, error) {
	invalid := func(what, hint string) (landfast.Source, error) {
		return landfast.Source{}, &landfast.Error{Kind: landfast.Invalid, Msg: what, Hint: hint}
	}
	if ev.Location != "" {
		if !strings.HasPrefix(ev.Location, "https://") || ev.Digest == "" {
			return invalid("an artifact needs an https URL and its digest", "")
		}
		return landfast.Source{Kind: landfast.SourceArchive, Location: ev.Location, Digest: ev.Digest, Strip: src.Strip}, nil
	}
	switch src.Kind {
	case landfast.SourceGit:
		switch {
		case ev.Commit != "":
			src.Revision = ev.Commit
		case ev.Ref != "":
			src.Revision = ev.Ref
		}
		return src, nil
	case landfast.SourceArchive:
		if ev.Digest != "" {
			src.Digest = ev.Digest
		}
		return src, nil
	case landfast.SourceDir, landfast.SourcePackage:
	}
	return invalid("the manifest on this host names no repository or archive that a worker could fetch from", `add [source] with git = "https://…" and apply it`)
}
