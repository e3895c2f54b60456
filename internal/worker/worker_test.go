package worker_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/worker"
)

// queue is a queue in memory: events in their order, each with the time of its next
// attempt.
type queue struct {
	waiting  []*claim
	attempts int
	ended    []string
	progress []string
}

type claim struct {
	q     *queue
	ev    landfast.Event
	due   time.Time
	tries int
}

func (q *queue) add(evs ...landfast.Event) *queue {
	for _, ev := range evs {
		ev.App, ev.Provider = "web", "hand"
		q.waiting = append(q.waiting, &claim{q: q, ev: ev})
	}
	return q
}

func (q *queue) Claim(context.Context) (worker.Claim, error) {
	for i, c := range q.waiting {
		if !c.due.After(time.Now()) {
			q.waiting = slices.Delete(q.waiting, i, i+1)
			c.tries++
			return c, nil
		}
	}
	return nil, nil
}

func (q *queue) Next(context.Context) (time.Time, error) {
	var next time.Time
	for _, c := range q.waiting {
		if next.IsZero() || c.due.Before(next) {
			next = c.due
		}
	}
	return next, nil
}

func (c *claim) Event() landfast.Event { return c.ev }
func (c *claim) Progress(text string)  { c.q.progress = append(c.q.progress, text) }

func (c *claim) Done(_ context.Context, o worker.Outcome) error {
	c.q.ended = append(c.q.ended, c.ev.ID+" done: "+o.Text)
	return nil
}

func (c *claim) Fail(_ context.Context, reason string) error {
	c.q.ended = append(c.q.ended, c.ev.ID+" failed: "+reason)
	return nil
}

func (c *claim) Retry(_ context.Context, reason string) (bool, error) {
	if c.tries >= c.q.attempts {
		c.q.ended = append(c.q.ended, c.ev.ID+" given up: "+reason)
		return true, nil
	}
	c.due = time.Now().Add(time.Duration(c.tries) * time.Minute)
	c.q.waiting = append(c.q.waiting, c)
	return false, nil
}

// root is a root service that does as it is told, and looks at what it gets.
type root struct {
	incoming string
	answers  []error // of the deployments, in order; then nil
	asked    []string
	stop     func()
}

func (r *root) next() error {
	if len(r.answers) == 0 {
		return nil
	}
	err := r.answers[0]
	r.answers = r.answers[1:]
	return err
}

func (r *root) Build(_ context.Context, q worker.Order, tell func(string)) error {
	tell("built " + q.Incoming)
	return nil
}

func (r *root) Deploy(_ context.Context, q worker.Order, tell func(string)) (landfast.Deployment, error) {
	text, err := os.ReadFile(filepath.Join(r.incoming, q.Incoming, "version"))
	if err != nil {
		return landfast.Deployment{}, err
	}
	r.asked = append(r.asked, "deploy "+string(text)+" for "+q.Actor)
	tell("a note")
	if r.stop != nil {
		r.stop()
	}
	if err := r.next(); err != nil {
		if landfast.KindOf(err) == landfast.RolledBack {
			return landfast.Deployment{ID: "d1"}, err
		}
		return landfast.Deployment{}, err
	}
	return landfast.Deployment{ID: "d1", To: "r1"}, nil
}

func (r *root) Rollback(_ context.Context, q worker.Order, _ func(string)) (landfast.Deployment, error) {
	r.asked = append(r.asked, "rollback "+q.Release)
	return landfast.Deployment{ID: "d2", To: "r0"}, r.next()
}

func (r *root) Discard(_ context.Context, q worker.Order) error {
	return os.RemoveAll(filepath.Join(r.incoming, q.Incoming))
}

// newWorker makes a worker of an app whose releases are an archive.
func newWorker(t *testing.T, q *queue, r *root) *worker.Worker {
	t.Helper()
	dir := t.TempDir()
	archive := filepath.Join(dir, "web.tar.gz")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "version", Mode: 0o644, Size: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	for _, close := range []func() error{w.Close, z.Close, f.Close} {
		if err := close(); err != nil {
			t.Fatal(err)
		}
	}
	r.incoming = filepath.Join(dir, "incoming")
	if err := os.MkdirAll(filepath.Join(r.incoming, "left-of-a-dead-worker"), 0o755); err != nil {
		t.Fatal(err)
	}
	if q.attempts == 0 {
		q.attempts = 3
	}
	return &worker.Worker{
		App: "web", Queue: q, Root: r, Incoming: r.incoming, Work: t.TempDir(), Now: time.Now, Patience: 2 * time.Minute,
		Log: func(text string) { t.Log(text) },
		Manifest: func() (*landfast.App, error) {
			return &landfast.App{Name: "web", Source: landfast.Source{Kind: landfast.SourceArchive, Location: archive}}, nil
		},
	}
}

func (q *queue) check(t *testing.T, want ...string) {
	t.Helper()
	if len(q.ended) != len(want) {
		t.Fatalf("ended: %q, want %q", q.ended, want)
	}
	for i := range want {
		if !strings.Contains(q.ended[i], want[i]) {
			t.Errorf("%q does not say %q", q.ended[i], want[i])
		}
	}
}

func TestEventsBecomeDeployments(t *testing.T) {
	t.Parallel()
	q := (&queue{}).add(
		landfast.Event{ID: "1", Action: landfast.ActionDeploy, Actor: "ann\x1b[31m"},
		landfast.Event{ID: "2", Action: landfast.ActionRollback, Release: "r0"},
		landfast.Event{ID: "3", Action: landfast.ActionUpdate},
		landfast.Event{ID: "4", Action: landfast.ActionDeploy, Location: "http://example.org/x"},
	)
	r := &root{}
	w := newWorker(t, q, r)
	var reported []string
	w.Report = func(_ context.Context, ev landfast.Event, s worker.State, _ string) {
		reported = append(reported, ev.ID+" "+string(s))
	}
	if err := w.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	q.check(t, "1 done: r1 is live", "2 done: r0 is live", "3 failed: a worker does no update", "4 failed: an artifact needs an https URL")
	if got := strings.Join(r.asked, ", "); got != "deploy one for ann[31m (hand), rollback r0" {
		t.Errorf("asked root for %s", got)
	}
	if got := strings.Join(reported, ", "); got != "1 running, 1 done, 2 running, 2 done, 3 running, 3 failed, 4 running, 4 failed" {
		t.Errorf("reported %s", got)
	}
	if !slices.Contains(q.progress, "built 1") || !slices.Contains(q.progress, "a note") {
		t.Errorf("the progress is %q", q.progress)
	}
	if left, err := os.ReadDir(r.incoming); err != nil || len(left) > 0 {
		t.Errorf("left in incoming: %v, %v", left, err)
	}
}

func TestFaultsOfTheWorldAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := &landfast.Error{Kind: landfast.Unavailable, Msg: "the root service is away"}
		busy := &landfast.Error{Kind: landfast.Conflict, Msg: "app web is being changed"}
		bad := &landfast.Error{Kind: landfast.RolledBack, Msg: "the release was bad"}
		q := (&queue{}).add(landfast.Event{ID: "1", Action: landfast.ActionDeploy})
		if err := newWorker(t, q, &root{answers: []error{down, busy}}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.check(t, "1 done")
		q = (&queue{}).add(landfast.Event{ID: "1", Action: landfast.ActionDeploy})
		if err := newWorker(t, q, &root{answers: []error{bad}}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.check(t, "1 failed: the release was bad")
		// What is due too late is left to the timer.
		q = (&queue{attempts: 9}).add(landfast.Event{ID: "1", Action: landfast.ActionDeploy})
		if err := newWorker(t, q, &root{answers: []error{down, down, down, down}}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(q.ended) != 0 || len(q.waiting) != 1 {
			t.Errorf("ended %q, %d wait", q.ended, len(q.waiting))
		}
	})
}

// TestAStoppedWorkerFinishesWhatItIsAt and begins nothing more.
func TestAStoppedWorkerFinishesWhatItIsAt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	q := (&queue{}).add(landfast.Event{ID: "1", Action: landfast.ActionDeploy}, landfast.Event{ID: "2", Action: landfast.ActionDeploy})
	if err := newWorker(t, q, &root{stop: cancel}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	q.check(t, "1 done")
	if len(q.waiting) != 1 {
		t.Errorf("%d wait, want 1", len(q.waiting))
	}
}
