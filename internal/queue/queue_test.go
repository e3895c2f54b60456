package queue_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/queue"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock is what a queue is told the time is.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// world is a spool with one queue.
type world struct {
	t     testing.TB
	spool string
	clock *clock
	opts  queue.Options
	w     *queue.Writer
	q     *queue.Queue
}

const app = "web"

// quick is a directory where flushing takes no time, if there is one. What a
// flush is good for is tested with crashtest.
func quick(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "landfast-queue-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func newWorld(t testing.TB, o queue.Options) *world {
	t.Helper()
	w := makeWorld(t, quick(t), o)
	t.Cleanup(w.close)
	return w
}

func makeWorld(t testing.TB, spool string, o queue.Options) *world {
	t.Helper()
	w := &world{t: t, spool: spool, clock: newClock(), opts: o}
	w.opts.Now = w.clock.now
	w.opts.Jitter = func() float64 { return 0.5 }
	must(t, queue.Make(w.spool, app, -1, -1, -1))
	var err error
	w.w, err = queue.OpenWriterAt(w.spool, w.clock.now)
	must(t, err)
	w.reopen()
	return w
}

func (w *world) close() {
	must(w.t, w.w.Close())
	must(w.t, w.q.Close())
}

// reopen is the death of the worker, and another one.
func (w *world) reopen() {
	w.t.Helper()
	if w.q != nil {
		must(w.t, w.q.Close())
	}
	var err error
	w.q, err = queue.OpenWith(w.spool, app, w.opts)
	must(w.t, err)
}

// push is an event as a forge sends it.
func push(n int, ref string) landfast.Event {
	return landfast.Event{
		App: app, Action: landfast.ActionDeploy, Provider: "github", Trigger: "shop", Delivery: fmt.Sprintf("d-%d-%s", n, ref),
		Repository: "shop/web", Ref: "refs/heads/" + ref, Commit: fmt.Sprintf("%040x", n+1), Actor: "ann", Message: "change",
	}
}

func (w *world) enqueue(ev landfast.Event) string {
	w.t.Helper()
	id, err := w.w.Enqueue(w.t.Context(), ev)
	must(w.t, err)
	return id
}

func (w *world) claim() *queue.Claim {
	w.t.Helper()
	c, err := w.q.Claim(w.t.Context())
	must(w.t, err)
	return c
}

// claims checks which event is claimed.
func (w *world) claims(id string) *queue.Claim {
	w.t.Helper()
	c := w.claim()
	got := ""
	if c != nil {
		got = c.Event.ID
	}
	if got != id {
		w.t.Fatalf("claimed %q, want %q\n%s", got, id, w.dump())
	}
	return c
}

func (w *world) done(c *queue.Claim) {
	w.t.Helper()
	must(w.t, c.Done(w.t.Context(), queue.Outcome{Release: "r"}))
}

// is checks where an event stands, and why.
func (w *world) is(id string, s queue.State, reason string) queue.Entry {
	w.t.Helper()
	e, err := w.q.Show(id)
	must(w.t, err)
	if e.State != s || !strings.Contains(e.Reason, reason) {
		w.t.Errorf("event %s is %s (%s), want %s (%s)\n%s", id, e.State, e.Reason, s, reason, w.dump())
	}
	return e
}

func (w *world) dump() string {
	var b strings.Builder
	_ = filepath.WalkDir(w.spool, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "/progress/") {
			text, _ := os.ReadFile(path)
			fmt.Fprintf(&b, "%s\n%s\n", strings.TrimPrefix(path, w.spool), text)
		}
		return nil
	})
	return b.String()
}

func TestOneEvent(t *testing.T) {
	w := newWorld(t, queue.Options{})
	if c := w.claim(); c != nil {
		t.Errorf("claimed %+v of an empty queue", c)
	}
	id := w.enqueue(push(1, "main"))
	if _, err := os.Stat(w.spool + "/web/new/" + id + ".json"); err != nil {
		t.Error(err)
	}
	w.is(id, queue.Queued, "")
	c := w.claims(id)
	if c.Attempt != 1 || c.Event.Commit != push(1, "main").Commit {
		t.Errorf("claimed %+v", c)
	}
	w.is(id, queue.Running, "")
	c.Progress("fetching")
	w.done(c)
	e := w.is(id, queue.Done, "")
	if e.Outcome == nil || e.Outcome.Release != "r" || len(e.Lines) != 4 || e.Lines[2].Text != "fetching" {
		t.Errorf("%+v", e)
	}
	w.claims("")
	if err := c.Done(t.Context(), queue.Outcome{}); err == nil {
		t.Error("a claim ends twice")
	}
}

// Ids sort by arrival although the clock steps back, and although another
// process gives them out.
func TestOrderSurvivesTheClock(t *testing.T) {
	w := newWorld(t, queue.Options{})
	var ids []string
	for i, step := range []time.Duration{0, time.Second, -time.Hour, 0, time.Nanosecond, -24 * time.Hour, 48 * time.Hour, 0} {
		w.clock.step(step)
		if i%2 == 1 {
			must(t, w.w.Close())
			var err error
			w.w, err = queue.OpenWriterAt(w.spool, w.clock.now)
			must(t, err)
		}
		ids = append(ids, w.enqueue(push(i, fmt.Sprint("b", i))))
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("ids are not in order: %q", ids)
	}
	for _, id := range ids {
		if !queue.IsID(id) {
			t.Errorf("%q is no id", id)
		}
		w.done(w.claims(id))
	}
}

func TestSuperseding(t *testing.T) {
	w := newWorld(t, queue.Options{})
	a1 := w.enqueue(push(1, "main"))
	b1 := w.enqueue(push(2, "next"))
	a2 := w.enqueue(push(3, "main"))
	c := w.claims(b1) // the oldest that is left
	w.is(a1, queue.Superseded, a2)
	a3 := w.enqueue(push(4, "main")) // while another runs
	must(t, c.Fail(t.Context(), "no such commit"))
	c = w.claims(a3)
	w.is(a2, queue.Superseded, a3)
	// It is to be tried again, and meanwhile a newer one of another branch lands.
	if s, err := c.Retry(t.Context(), "the forge does not answer"); s != queue.Retrying || err != nil {
		t.Fatal(s, err)
	}
	b2 := w.enqueue(push(5, "next"))
	w.done(w.claims(b2))
	w.clock.step(time.Hour)
	w.claims("")
	w.is(a3, queue.Superseded, "newer event was applied: "+b2)
	// What was superseded and is sent again is not newer for it.
	again := w.enqueue(push(1, "main"))
	w.claims("") // a1 → a2 → a3 → b2, which was applied
	w.is(again, queue.Duplicate, b2)
}

func TestDuplicates(t *testing.T) {
	w := newWorld(t, queue.Options{})
	first := w.enqueue(push(1, "main"))
	waits := w.enqueue(push(1, "main")) // sent twice before anything happened
	c := w.claims(first)
	w.is(waits, queue.Duplicate, first)
	// Failing does not use it up.
	must(t, c.Fail(t.Context(), "bad release"))
	again := w.enqueue(push(1, "main"))
	w.done(w.claims(again))
	w.reopen() // remembered over restarts
	late := w.enqueue(push(1, "main"))
	w.claims("")
	w.is(late, queue.Duplicate, again)
	// The same from another sender, soon after, is an echo; a day later a wish.
	echo := push(1, "main")
	echo.Delivery, echo.Trigger = "other", "org"
	soon := w.enqueue(echo)
	w.claims("")
	w.is(soon, queue.Duplicate, again)
	w.clock.step(24 * time.Hour)
	echo.Delivery = "another"
	w.done(w.claims(w.enqueue(echo)))
	// A person or the API means it.
	api := push(1, "main")
	api.Provider, api.Delivery = "api", ""
	w.done(w.claims(w.enqueue(api)))
}

// A newer push that was replaced by an older one of the same branch, with force,
// is a new push.
func TestGoingBackIsNoDuplicate(t *testing.T) {
	w := newWorld(t, queue.Options{})
	w.done(w.claims(w.enqueue(push(1, "main"))))
	w.done(w.claims(w.enqueue(push(2, "main"))))
	back := push(1, "main")
	back.Delivery = "forced"
	w.done(w.claims(w.enqueue(back)))
}

// A redelivery of what is superseded by one that still waits changes nothing;
// when that one has failed, it does.
func TestRedeliveryOfSuperseded(t *testing.T) {
	w := newWorld(t, queue.Options{})
	w.enqueue(push(1, "main"))
	newer := w.enqueue(push(2, "main"))
	c := w.claims(newer)
	_, err := c.Retry(t.Context(), "later")
	must(t, err)
	again := w.enqueue(push(1, "main"))
	w.claims("")
	w.is(again, queue.Duplicate, newer)
	w.clock.step(time.Hour)
	must(t, w.claims(newer).Fail(t.Context(), "never"))
	w.done(w.claims(w.enqueue(push(1, "main"))))
}

func TestClosedIsRecorded(t *testing.T) {
	w := newWorld(t, queue.Options{})
	ev := push(1, "main")
	ev.Closed = "no trigger wants refs/heads/main\nreally"
	id := w.enqueue(ev)
	w.claims("")
	w.is(id, queue.Closed, "no trigger wants refs/heads/main really")
}

func TestCancel(t *testing.T) {
	w := newWorld(t, queue.Options{})
	cancel := func(of string) string {
		return w.enqueue(landfast.Event{App: app, Action: landfast.ActionCancel, Provider: "api", Of: of, Actor: "ci"})
	}
	a := w.enqueue(push(1, "main"))
	ca := cancel(a)
	b := w.enqueue(push(2, "next"))
	c := w.claims(b)
	w.is(a, queue.Cancelled, "cancelled by ci")
	w.is(ca, queue.Done, "")
	_, err := c.Retry(t.Context(), "later")
	must(t, err)
	cancel(b)
	w.claims("")
	w.is(b, queue.Cancelled, "by ci")
	late := cancel(b)
	w.claims("")
	w.is(late, queue.Closed, "does not wait")
}

func TestRetryWithBackoff(t *testing.T) {
	w := newWorld(t, queue.Options{Attempts: 4, Backoff: time.Second, MaxBackoff: 3 * time.Second})
	id := w.enqueue(push(1, "main"))
	var waits []time.Duration
	for attempt := 1; ; attempt++ {
		c := w.claims(id)
		if c.Attempt != attempt {
			t.Fatalf("attempt %d, want %d", c.Attempt, attempt)
		}
		c.Progress(fmt.Sprint("attempt ", attempt))
		s, err := c.Retry(t.Context(), "the forge does not answer")
		must(t, err)
		if s == queue.Failed {
			break
		}
		w.claims("") // not before its time
		next, err := w.q.Next(t.Context())
		must(t, err)
		waits = append(waits, next.Sub(w.clock.now()))
		w.clock.step(next.Sub(w.clock.now()))
		w.reopen()
	}
	want := []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 2250 * time.Millisecond}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	e := w.is(id, queue.Failed, "the forge does not answer (given up after 4 attempts)")
	if e.Attempts != 4 || len(e.Lines) != 13 {
		t.Errorf("%d attempts, %d lines of log", e.Attempts, len(e.Lines))
	}
	if next, err := w.q.Next(t.Context()); !next.IsZero() || err != nil {
		t.Error(next, err)
	}
}

// What waits for another attempt is not in the way of others.
func TestRetryDoesNotBlock(t *testing.T) {
	w := newWorld(t, queue.Options{})
	a := w.enqueue(push(1, "main"))
	_, err := w.claims(a).Retry(t.Context(), "later")
	must(t, err)
	b := w.enqueue(push(2, "next"))
	must(t, w.claims(b).Fail(t.Context(), "x"))
	w.clock.step(time.Minute)
	w.done(w.claims(a))
}

// What a dead worker was at comes first, as if nothing had happened. One at which
// workers always die has to wait, and is given up in the end.
func TestDeadWorker(t *testing.T) {
	w := newWorld(t, queue.Options{Attempts: 5})
	id := w.enqueue(push(1, "main"))
	later := w.enqueue(push(2, "next"))
	for attempt := 1; attempt <= 3; attempt++ {
		if c := w.claims(id); c.Attempt != attempt {
			t.Fatalf("attempt %d, want %d", c.Attempt, attempt)
		}
		w.reopen()
	}
	must(t, w.claims(later).Fail(t.Context(), "x"))
	for range 2 {
		w.clock.step(time.Hour)
		w.claims(id)
		w.reopen()
		w.claims("")
	}
	w.is(id, queue.Failed, "died while it was at it (given up after 5 attempts)")
}

func TestOneWorker(t *testing.T) {
	w := newWorld(t, queue.Options{})
	w.claim()
	other, err := queue.Open(w.spool, app)
	must(t, err)
	defer other.Close()
	if _, err := other.Claim(t.Context()); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("two workers claim: %v", err)
	}
	if all, err := other.List(); len(all) != 0 || err != nil {
		t.Error(all, err)
	}
}

func TestReplayAndDrop(t *testing.T) {
	w := newWorld(t, queue.Options{})
	a := w.enqueue(push(1, "main"))
	if _, err := w.q.Replay(t.Context(), a, "ann"); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("what waits is replayed: %v", err)
	}
	w.done(w.claims(a))
	again, err := w.q.Replay(t.Context(), a, "ann")
	must(t, err)
	c := w.claims(again)
	if c.Event.Of != a || c.Event.Actor != "ann" || c.Event.Commit != push(1, "main").Commit {
		t.Errorf("replayed as %+v", c.Event)
	}
	other, err := queue.Open(w.spool, app) // as the command line does
	must(t, err)
	defer other.Close()
	if err := other.Drop(t.Context(), again, "ann"); landfast.KindOf(err) != landfast.Conflict {
		t.Errorf("what runs is dropped: %v", err)
	}
	w.done(c)
	b := w.enqueue(push(2, "main"))
	must(t, other.Drop(t.Context(), b, "bob"))
	w.is(b, queue.Dropped, "dropped by bob")
	w.claims("")
	for _, id := range []string{b, a} {
		if err := other.Drop(t.Context(), id, "bob"); landfast.KindOf(err) != landfast.Conflict {
			t.Errorf("what has ended is dropped: %v", err)
		}
	}
	for _, id := range []string{"", "../../etc/passwd", "20200101T000000.000000Z"} {
		if err := other.Drop(t.Context(), id, "bob"); landfast.KindOf(err) != landfast.NotFound {
			t.Errorf("drop %q: %v", id, err)
		}
		if _, err := other.Replay(t.Context(), id, "bob"); landfast.KindOf(err) != landfast.NotFound {
			t.Errorf("replay %q: %v", id, err)
		}
	}
	all, err := other.List()
	must(t, err)
	if len(all) != 3 || all[0].Event.ID != a || all[2].State != queue.Dropped {
		t.Errorf("%+v", all)
	}
}

func TestRetention(t *testing.T) {
	w := newWorld(t, queue.Options{KeepDone: 8, KeepFailed: 8})
	for i := range 60 {
		c := w.claims(w.enqueue(push(i, "main")))
		if i%2 == 0 {
			w.done(c)
		} else {
			must(t, c.Fail(t.Context(), "x"))
		}
	}
	w.claims("")
	for dir, most := range map[string]int{"done": 10, "failed": 10, "progress": 20, "cur": 0, "new": 0, "tmp": 0} {
		names, err := os.ReadDir(w.spool + "/web/" + dir)
		must(t, err)
		if len(names) > most || most > 0 && len(names) < 8 {
			t.Errorf("%s has %d names", dir, len(names))
		}
	}
	// The retention of journals is not that of deliveries.
	late := w.enqueue(push(0, "main"))
	w.claims("")
	w.is(late, queue.Duplicate, "")
}

func TestEnqueueRefuses(t *testing.T) {
	w := newWorld(t, queue.Options{})
	for what, change := range map[string]func(*landfast.Event){
		"other app":     func(e *landfast.Event) { e.App = "nobody" },
		"path":          func(e *landfast.Event) { e.App = "../web" },
		"no action":     func(e *landfast.Event) { e.Action = "" },
		"action":        func(e *landfast.Event) { e.Action = "format" },
		"option":        func(e *landfast.Event) { e.Ref = "--upload-pack=x" },
		"control":       func(e *landfast.Event) { e.Ref = "refs/heads/a\nb" },
		"commit":        func(e *landfast.Event) { e.Commit = "HEAD" },
		"digest":        func(e *landfast.Event) { e.Digest = "x" },
		"no event":      func(e *landfast.Event) { e.Action = landfast.ActionCancel },
		"release":       func(e *landfast.Event) { e.Release = "../x" },
		"long":          func(e *landfast.Event) { e.Ref = strings.Repeat("x", 5000) },
		"many":          func(e *landfast.Event) { e.Paths = slices.Repeat([]string{strings.Repeat("x", 100)}, 4000) },
		"not UTF-8":     func(e *landfast.Event) { e.Repository = "\xff" },
		"odd delivery":  func(e *landfast.Event) { e.Delivery = "a\x00b" },
		"odd provider":  func(e *landfast.Event) { e.Provider = "a b" },
		"trigger":       func(e *landfast.Event) { e.Trigger = "/" },
		"path in paths": func(e *landfast.Event) { e.Paths = []string{"a\x1b"} },
	} {
		ev := push(1, "main")
		change(&ev)
		_, err := w.w.EnqueueAll(t.Context(), []landfast.Event{push(2, "main"), ev})
		if k := landfast.KindOf(err); err == nil || k != landfast.Invalid && k != landfast.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, dir := range []string{"tmp", "new"} {
		if names, err := os.ReadDir(w.spool + "/web/" + dir); len(names) > 0 || err != nil {
			t.Errorf("left in %s: %v, %v", dir, names, err)
		}
	}
	if _, err := queue.Open(w.spool, "nobody"); landfast.KindOf(err) != landfast.NotFound {
		t.Error(err)
	}
	if _, err := queue.OpenWriter(w.spool + "/nowhere"); landfast.KindOf(err) != landfast.Unavailable {
		t.Error(err)
	}
	if _, err := queue.Open(w.spool, ".."); landfast.KindOf(err) != landfast.Invalid {
		t.Error(err)
	}
}

// Many callers at once get ids of their own, all of which are there.
func TestEnqueueTogether(t *testing.T) {
	w := newWorld(t, queue.Options{})
	const callers, each = 32, 10
	var mu sync.Mutex
	var all []string
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			before := ""
			for j := range each {
				ids, err := w.w.EnqueueAll(t.Context(), []landfast.Event{push(i*1000+j, fmt.Sprint("a", i, ".", j)), push(i*1000+j, fmt.Sprint("b", i, ".", j))})
				if err != nil || len(ids) != 2 || ids[0] >= ids[1] || ids[0] <= before {
					t.Errorf("%v, %v, behind %s", ids, err, before)
					return
				}
				before = ids[1]
				mu.Lock()
				all = append(all, ids...)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != callers*each*2 {
		t.Fatalf("%d ids", n)
	}
	for _, id := range all {
		w.done(w.claims(id))
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(t, queue.Options{})
	id := w.enqueue(push(1, "main"))
	r, err := queue.OpenReader(w.spool, app)
	must(t, err)
	defer r.Close()
	if e, err := r.Show(id); e.State != queue.Queued || e.Event.Ref != "refs/heads/main" || err != nil {
		t.Errorf("%+v, %v", e, err)
	}
	var got []string
	ended := make(chan error, 1)
	running := make(chan struct{})
	go func() {
		for l, err := range r.Follow(t.Context(), id) {
			if err != nil {
				ended <- err
				return
			}
			if l.State == queue.Running {
				close(running)
			}
			got = append(got, string(l.State)+l.Text)
		}
		ended <- nil
	}()
	c := w.claims(id)
	<-running
	c.Progress("half way")
	w.done(c)
	must(t, <-ended)
	if want := []string{"queued", "running", "half way", "done"}; !slices.Equal(got, want) {
		t.Errorf("followed %q, want %q", got, want)
	}
	if all, err := r.List(10); len(all) != 1 || all[0].State != queue.Done || err != nil {
		t.Errorf("%+v, %v", all, err)
	}
	for l, err := range r.Follow(t.Context(), "20200101T000000.000000Z") {
		if landfast.KindOf(err) != landfast.NotFound {
			t.Error(l, err)
		}
	}
	var stop error
	for _, err := range w.q.Follow(expired(t), w.enqueue(push(2, "main"))) {
		stop = err
	}
	if !errors.Is(stop, errStop) {
		t.Error(stop)
	}
}
