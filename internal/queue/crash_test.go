package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile/crashtest"
	"github.com/landfast/landfast/internal/queue"
)

func TestMain(m *testing.M) {
	crashtest.Main(m, map[string]func(string) error{
		"enqueue": func(dir string) error {
			return enqueueAndSay(dir, push(10, "main"), push(11, "next"), push(12, "more"))
		},
		"one":  func(dir string) error { return enqueueAndSay(dir, push(10, "main")) },
		"work": func(dir string) error { return work(dir) },
	})
}

// enqueueAndSay is a listener: it writes down what it has answered.
func enqueueAndSay(dir string, evs ...landfast.Event) error {
	w, err := queue.OpenWriter(dir + "/spool")
	if err != nil {
		return err
	}
	ids, err := w.EnqueueAll(context.Background(), evs)
	if err != nil {
		return err
	}
	return os.WriteFile(dir+"/answered", []byte(strings.Join(ids, "\n")+"\n"), 0o600)
}

// applied lists what has taken effect, in its order.
func applied(dir string) []string {
	text, _ := os.ReadFile(dir + "/applied")
	return strings.Fields(string(text))
}

// work is a worker: it makes every event take effect by a line in a file, and
// looks first whether it has when the one before may have died behind that.
func work(dir string) error {
	var ahead time.Duration
	q, err := queue.OpenWith(dir+"/spool", app, queue.Options{Now: func() time.Time { return time.Now().Add(ahead) }})
	if err != nil {
		return err
	}
	for {
		c, err := q.Claim(context.Background())
		if err != nil {
			return err
		}
		if c == nil {
			next, err := q.Next(context.Background())
			if err != nil || next.IsZero() {
				return errors.Join(err, q.Close())
			}
			ahead += time.Hour
			continue
		}
		c.Progress("at it")
		if c.Attempt == 1 || !slices.Contains(applied(dir), c.Event.ID) {
			if err := say(dir+"/applied", c.Event.ID); err != nil {
				return err
			}
		}
		if err := c.Done(context.Background(), queue.Outcome{}); err != nil {
			return err
		}
	}
}

func say(name, line string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

func makeSpool(t *testing.T, dir string) {
	t.Helper()
	must(t, queue.Make(dir+"/spool", app, -1, -1, -1))
}

// afterEnqueue checks the queue after the death or the failure of a listener.
func afterEnqueue(t *testing.T, dir string) (queued []string) {
	t.Helper()
	names, err := os.ReadDir(dir + "/spool/web/new")
	must(t, err)
	for _, n := range names {
		queued = append(queued, strings.TrimSuffix(n.Name(), ".json"))
	}
	answered, err := os.ReadFile(dir + "/answered")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(string(answered)) {
		if queue.IsID(id) && !slices.Contains(queued, id) {
			t.Errorf("%s was answered and is not there", id)
		}
	}
	// The next listener goes on behind it, and everything can be worked off.
	must(t, enqueueAndSay(dir, push(99, "last")))
	must(t, work(dir))
	all := ended(t, dir)
	if len(all) != len(queued)+1 || !slices.IsSorted(applied(dir)) {
		t.Errorf("%d events and one more became %v", len(queued), all)
	}
	return queued
}

// ended checks that every event of the queue has ended, and gives their states.
func ended(t *testing.T, dir string) map[string]queue.State {
	t.Helper()
	q, err := queue.Open(dir+"/spool", app)
	must(t, err)
	defer q.Close()
	all, err := q.List()
	must(t, err)
	states := map[string]queue.State{}
	for _, e := range all {
		states[e.Event.ID] = e.State
		if !e.State.Ended() || e.State == queue.Damaged || e.State == queue.Failed {
			t.Errorf("%s is %s: %s", e.Event.ID, e.State, e.Reason)
		}
	}
	for _, sub := range []string{"new", "cur"} {
		if names, err := os.ReadDir(dir + "/spool/web/" + sub); len(names) > 0 || err != nil {
			t.Errorf("left in %s: %v, %v", sub, names, err)
		}
	}
	return states
}

// A listener that is killed anywhere has lost nothing that it answered.
func TestEnqueueKilledAnywhere(t *testing.T) {
	for _, act := range []string{"one", "enqueue"} {
		t.Run(act, func(t *testing.T) {
			crashtest.Everywhere(t, act, makeSpool, func(t *testing.T, dir string) { afterEnqueue(t, dir) })
		})
	}
}

// A listener whose disk is full at any call says so, or has everything in place.
func TestEnqueueFailedAnywhere(t *testing.T) {
	for act, want := range map[string]int{"one": 1, "enqueue": 3} {
		t.Run(act, func(t *testing.T) {
			crashtest.FailEveryNth(t, 1, act, "ENOSPC", makeSpool, func(t *testing.T, dir string, failed bool) {
				queued := afterEnqueue(t, dir)
				if !failed && len(queued) != want {
					t.Errorf("it succeeded with %d of %d events", len(queued), want)
				}
				if names, err := os.ReadDir(dir + "/spool/web/tmp"); len(names) > 0 || err != nil {
					t.Errorf("left in tmp: %v, %v", names, err)
				}
			})
		})
	}
}

// What a disk without power forgets is decided by the order of flushes: contents,
// then names, then the directory, then the answer.
func TestTheOrderOfFlushes(t *testing.T) {
	for act, want := range map[string]string{
		"one":     "create write pwrite64:.order fsync:tmp/* fsync:.order renameat2 fsync:new answer",
		"enqueue": "create write create write create write pwrite64:.order syncfs:.order renameat2 renameat2 renameat2 fsync:new answer",
	} {
		dir := t.TempDir()
		makeSpool(t, dir)
		var got []string
		for _, call := range crashtest.Calls(t, act, dir) {
			got = append(got, flushOf(call))
		}
		text := strings.Join(strings.Fields(strings.Join(got, " ")), " ")
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s:\n got %s\nwant %s", act, text, want)
		}
	}
}

// flushOf is a call in short: what it does, and to which file.
func flushOf(c crashtest.Call) string {
	on := func(name string) bool { return strings.Contains(c.Text, name+">") }
	switch {
	case c.Name == "openat" && strings.Contains(c.Text, "/answered"):
		return "answer"
	case c.Name == "openat" && strings.Contains(c.Text, ".order"), c.Name == "fchmod":
		return ""
	case c.Name == "openat":
		return "create"
	case on("/.order"):
		return c.Name + ":.order"
	case c.Name == "fsync" && strings.Contains(c.Text, "/tmp/") && on("/new"):
		return "fsync:new"
	case c.Name == "fsync":
		return "fsync:tmp/*"
	}
	return c.Name
}

// someEvents are two that a newer one of their branch takes the place of, one that
// is closed, one sent twice, and the ids that are to take effect.
func someEvents(t *testing.T, dir string) {
	t.Helper()
	makeSpool(t, dir)
	w, err := queue.OpenWriter(dir + "/spool")
	must(t, err)
	closed := push(4, "main")
	closed.Closed = "nobody wants it"
	ids, err := w.EnqueueAll(t.Context(), []landfast.Event{
		push(1, "main"), push(2, "main"), push(3, "next"), closed, push(3, "next"), push(5, "main"),
		{App: app, Action: landfast.ActionRollback, Provider: "api"},
	})
	must(t, err)
	must(t, w.Close())
	must(t, os.WriteFile(dir+"/want", []byte(strings.Join([]string{ids[2], ids[5], ids[6]}, "\n")+"\n"), 0o600))
}

// afterWork checks that another worker brings everything to its end.
func afterWork(t *testing.T, dir string) {
	t.Helper()
	must(t, work(dir))
	want, err := os.ReadFile(dir + "/want")
	must(t, err)
	if got := applied(dir); !slices.Equal(got, strings.Fields(string(want))) {
		t.Errorf("applied %v, want %s", got, want)
	}
	states := ended(t, dir)
	count := map[queue.State]int{}
	for _, s := range states {
		count[s]++
	}
	if text := fmt.Sprint(count); text != "map[closed:1 done:3 duplicate:1 superseded:2]" {
		t.Errorf("the events have become %s", text)
	}
	names, err := os.ReadDir(dir + "/spool/web/progress")
	must(t, err)
	if len(names) != len(states) {
		t.Errorf("%d of %d events can be followed", len(names), len(states))
	}
}

// stride leaves out most calls of a worker, of which there are very many, but in
// the full suite.
func stride() int {
	if os.Getenv("LANDFAST_SUITE_EVERYTHING") == "1" {
		return 1
	}
	return 7
}

// A worker that is killed anywhere has done nothing twice, and the next one does
// the rest.
func TestWorkKilledAnywhere(t *testing.T) {
	crashtest.EveryNth(t, stride(), "work", someEvents, afterWork)
}

func TestWorkFailedAnywhere(t *testing.T) {
	crashtest.FailEveryNth(t, stride(), "work", "ENOSPC", someEvents, func(t *testing.T, dir string, _ bool) { afterWork(t, dir) })
}
