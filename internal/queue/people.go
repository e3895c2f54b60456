package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// List gives the events of the queue that are known, oldest first, without
// their lines: those not taken in yet, those that wait or run, and those that
// ended, as long as they are kept.
func (q *Queue) List() ([]Entry, error) {
	all, err := q.unread()
	if err != nil {
		return nil, q.failed("read", err)
	}
	have := map[string]bool{}
	// In the order in which journals move, so that none is missed; one that
	// moved meanwhile is seen twice, and counts where it was seen first.
	for _, dir := range []string{dirCur, dirDone, dirFailed} {
		some, err := q.entries(dir, nil)
		if err != nil {
			return nil, q.failed("read", err)
		}
		for _, e := range some {
			if !have[e.Event.ID] {
				have[e.Event.ID] = true
				all = append(all, e)
			}
		}
	}
	all = slices.DeleteFunc(all, func(e Entry) bool { return e.Since.IsZero() && have[e.Event.ID] })
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Event.ID, b.Event.ID) })
	return all, nil
}

// unread are the events that have not been taken in. They have no time Since.
func (q *Queue) unread() ([]Entry, error) {
	ids, err := q.ids(dirNew, extNew)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, id := range ids {
		ev, err := q.readNew(id+extNew, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		e := Entry{Event: ev, State: Queued}
		if err != nil {
			e = damaged(q.app, id, err)
		}
		all = append(all, e)
	}
	return all, nil
}

// Show gives one event with its lines. Not knowing it is an error of kind NotFound.
func (q *Queue) Show(id string) (Entry, error) {
	if !IsID(id) {
		return Entry{}, noEvent(q.app, id)
	}
	for _, dir := range []string{dirCur, dirDone, dirFailed} {
		e, err := readJournal(q.root, journalName(dir, id), id, true)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return e, q.failed("read event "+id+" of", err)
		}
	}
	ev, err := q.readNew(id+extNew, id)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, noEvent(q.app, id)
	}
	return Entry{Event: ev, State: Queued}, q.failed("read event "+id+" of", err)
}

func noEvent(app, id string) error {
	return &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("the queue of %s knows no event %q", app, id), Hint: fmt.Sprintf("see `landfast queue list %s`", app)}
}

// Replay queues an event again that has ended, on behalf of actor, and gives the
// id of the new one. It takes effect although it was sent before, and is the
// newest now.
func (q *Queue) Replay(ctx context.Context, id, actor string) (string, error) {
	e, err := q.Show(id)
	if err != nil {
		return "", err
	}
	refuse := func(why, hint string) (string, error) {
		return "", &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("cannot replay event %s of %s: %s", id, q.app, why), Hint: hint}
	}
	switch {
	case !e.State.Ended():
		return refuse("it is "+string(e.State)+" still", "wait until it has ended, or drop it first")
	case e.State == Damaged:
		return refuse("it is damaged", "have the sender send it again")
	case e.Event.Action == landfast.ActionCancel:
		return refuse("it took back another one", "")
	}
	ev := e.Event
	ev.ID, ev.Closed, ev.Of = "", "", id // its delivery is used up by this one, too
	ev.Received, ev.Actor = q.opts.Now().UTC(), actor
	w, err := OpenWriterAt(q.spool, q.opts.Now)
	if err != nil {
		return "", err
	}
	id, err = w.Enqueue(ctx, ev)
	return id, errors.Join(err, w.Close())
}

// Drop ends an event that waits, on behalf of actor. One that runs or has ended
// is an error of kind Conflict.
func (q *Queue) Drop(ctx context.Context, id, actor string) error {
	return q.change(ctx, func() error {
		if err := q.seen.load(); err != nil {
			return err
		}
		waiting, err := q.waiting()
		if err != nil {
			return err
		}
		if waiting, err = q.takeIn(waiting); err != nil {
			return err
		}
		for _, w := range waiting {
			if w.Event.ID != id {
				continue
			}
			if w.State == Running && q.beingWorkedOn() {
				return &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("event %s of %s is running", id, q.app), Hint: "wait until it has ended"}
			}
			if w.Interrupted || w.State == Running {
				if _, err := q.endOlder(waiting, id); err != nil {
					return err
				}
			}
			return q.end(id, Line{Time: q.opts.Now(), State: Dropped, Reason: plain("dropped by " + actor)})
		}
		e, err := q.Show(id)
		if err != nil {
			return err
		}
		return &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("event %s of %s does not wait: it is %s", id, q.app, e.State)}
	})
}

// beingWorkedOn tells whether a worker claims here.
func (q *Queue) beingWorkedOn() bool {
	if q.claimed {
		return true
	}
	if err := flock(q.worker, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return true
	}
	_ = flock(q.worker, unix.LOCK_UN)
	return false
}

// Next is when the next event is due that waits for another attempt. It is zero
// when none does, and in the past when one is due now.
func (q *Queue) Next(ctx context.Context) (time.Time, error) {
	var next time.Time
	err := q.change(ctx, func() error {
		waiting, err := q.entries(dirCur, nil)
		for _, w := range waiting {
			at := w.Next
			if w.State.Ended() {
				continue
			}
			if w.State == Queued {
				at = w.Since
			}
			if w.State != Running && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
		return err
	})
	return next, err
}

// Follow gives the lines of an event's journal from its beginning, as they
// come, until it has ended or ctx has. See Reader.Follow.
func (q *Queue) Follow(ctx context.Context, id string) func(yield func(Line, error) bool) {
	return (&Reader{app: q.app, root: q.root}).Follow(ctx, id)
}
