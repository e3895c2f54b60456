package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Claim is an event that is being applied. It is ended by Done, Retry or Fail,
// one of them, once; when its holder dies instead, the next Claim finds it again.
// Its methods may be called from many goroutines.
type Claim struct {
	Event landfast.Event
	// Attempt counts from 1. Above 1, the one before may have died behind the
	// point where the event took effect: look whether it did, by Event.ID.
	Attempt int

	q       *Queue
	mu      sync.Mutex
	journal *os.File
	left    int64 // bytes of progress that the journal still takes
}

// Claim gives the oldest event that is due, or nil when there is none: Next
// tells when to come back. Before that it takes in what is new and ends what
// shall not take effect. The first call makes this Queue the one that claims,
// and is an error of kind Conflict while another one is.
func (q *Queue) Claim(ctx context.Context) (*Claim, error) {
	var c *Claim
	err := q.change(ctx, func() error {
		waiting, err := q.arrange()
		if err != nil {
			return err
		}
		now := q.opts.Now()
		from := ""
		for _, w := range waiting {
			if w.Interrupted {
				from = w.Event.ID
			}
		}
		for _, w := range waiting {
			// What may have taken effect is settled before anything older.
			if w.Next.After(now) || w.Event.ID < from {
				continue
			}
			c, err = q.begin(w, now)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// arrange brings the queue in order and gives what waits, oldest first. The
// caller holds the lock.
func (q *Queue) arrange() ([]Entry, error) {
	first := !q.claimed
	if first {
		err := flock(q.worker, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("another worker is at the queue of %s", q.app), Hint: "wait until it has ended"}
		}
		if err != nil {
			return nil, err
		}
		q.claimed = true
		q.moved = q.opts.KeepDone + q.opts.KeepFailed
		if err := q.sweep(); err != nil {
			return nil, err
		}
	}
	if err := q.seen.load(); err != nil {
		return nil, err
	}
	waiting, err := q.waiting()
	if err != nil {
		return nil, err
	}
	if first {
		if waiting, err = q.recover(waiting); err != nil {
			return nil, err
		}
	}
	if waiting, err = q.takeIn(waiting); err != nil {
		return nil, err
	}
	return waiting, q.prune()
}

// waiting reads cur, and finishes moves that were not finished.
func (q *Queue) waiting() ([]Entry, error) {
	all, err := q.entries(dirCur, q.quarantineJournal)
	if err != nil {
		return nil, err
	}
	var waiting []Entry
	for _, e := range all {
		id := e.Event.ID
		switch {
		case e.State.Ended():
			err = q.settle(id, e.State)
		case q.seen.done[id]:
			err = q.end(id, Line{Time: q.opts.Now(), State: Done})
		default:
			waiting = append(waiting, e)
		}
		if err != nil {
			return nil, err
		}
	}
	return waiting, nil
}

// suspect is how often a worker may die at an event before that event is suspected
// to be why, and has to wait.
const suspect = 3

// recover finds the claim of a worker that died: it waits again, unless that
// has happened too often.
func (q *Queue) recover(waiting []Entry) ([]Entry, error) {
	var kept []Entry
	lost := ""
	for _, w := range waiting {
		if w.State != Running {
			kept = append(kept, w)
			continue
		}
		l := q.again(w.Attempts, "the worker died while it was at it")
		l.Interrupted = l.State == Retrying
		if l.State == Retrying && w.Attempts < suspect {
			l.Next = l.Time // before any newer one, as if nothing had happened
		}
		if err := q.write(w.Event.ID, l); err != nil {
			return nil, err
		}
		if l.State == Failed {
			lost = w.Event.ID
			continue
		}
		w.apply(l)
		kept = append(kept, w)
	}
	return q.endOlder(kept, lost)
}

// endOlder ends those that are older than one that was given up and may have
// taken effect all the same.
func (q *Queue) endOlder(waiting []Entry, lost string) ([]Entry, error) {
	var kept []Entry
	for _, w := range waiting {
		if w.Event.ID >= lost || w.State == Running {
			kept = append(kept, w)
			continue
		}
		l := Line{Time: q.opts.Now(), State: Superseded, By: lost, Reason: "a newer event may have been applied: " + lost}
		if err := q.end(w.Event.ID, l); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// write writes a change of state down.
func (q *Queue) write(id string, l Line) error {
	if l.State.Ended() {
		return q.end(id, l)
	}
	return appendJournal(q.root, journalName(dirCur, id), l)
}

// begin claims an event.
func (q *Queue) begin(w Entry, now time.Time) (*Claim, error) {
	name := journalName(dirCur, w.Event.ID)
	c := &Claim{Event: w.Event, Attempt: w.Attempts + 1, q: q}
	if err := appendJournal(q.root, name, Line{Time: now, State: Running, Attempt: c.Attempt}); err != nil {
		return nil, err
	}
	f, err := openJournal(q.root, name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c.journal, c.left = f, maxJournal-info.Size()
	return c, nil
}

// again is what follows a failed attempt: another one after a while, or the end.
func (q *Queue) again(attempts int, reason string) Line {
	now := q.opts.Now()
	reason = plain(reason)
	if attempts >= q.opts.Attempts {
		return Line{Time: now, State: Failed, Reason: fmt.Sprintf("%s (given up after %d attempts)", reason, attempts)}
	}
	wait := q.opts.MaxBackoff
	if n := max(attempts-1, 0); n < 30 && q.opts.Backoff<<n < wait {
		wait = q.opts.Backoff << n
	}
	// Between half and all of it, so that hosts do not come back together.
	wait = wait/2 + time.Duration(q.opts.Jitter()*float64(wait/2))
	return Line{Time: now, State: Retrying, Reason: reason, Next: now.Add(wait)}
}

// Progress adds a line for those who follow. It does not wait for the disk, and
// what does not fit any more is left out.
func (c *Claim) Progress(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.journal == nil || c.left <= 0 {
		return
	}
	l := Line{Time: c.q.opts.Now(), Text: plain(text)}
	if b, err := encodeLines(l); err == nil {
		c.left -= int64(len(b))
		if c.left <= 0 {
			l.Text = "… (the rest is not kept here)"
			b, _ = encodeLines(l)
		}
		_, _ = c.journal.Write(b) // nothing depends on it
	}
}

// Done ends the claim: the event has taken effect. Its delivery is used up, and
// no older event takes effect any more. When it returns nil, that is on the disk.
func (c *Claim) Done(ctx context.Context, o Outcome) error {
	m := mark{ID: c.Event.ID, Time: c.q.opts.Now(), Delivery: deliveryOf(c.Event), Content: contentOf(c.Event)}
	return c.finish(ctx, func() error {
		if err := c.q.seen.load(); err != nil {
			return err
		}
		if err := c.q.seen.add(m); err != nil {
			return err
		}
		o.Text = plain(o.Text)
		return c.q.end(c.Event.ID, Line{Time: m.Time, State: Done, Outcome: &o})
	})
}

// Retry ends the claim: it shall be tried again after a while, or has failed for
// good when that was the last attempt. The state tells which: Retrying or Failed.
func (c *Claim) Retry(ctx context.Context, reason string) (State, error) {
	l := c.q.again(c.Attempt, reason)
	return l.State, c.finish(ctx, func() error { return c.q.write(c.Event.ID, l) })
}

// Fail ends the claim: trying again would not help.
func (c *Claim) Fail(ctx context.Context, reason string) error {
	l := Line{Time: c.q.opts.Now(), State: Failed, Reason: plain(reason)}
	return c.finish(ctx, func() error { return c.q.end(c.Event.ID, l) })
}

// finish ends the claim in one of three ways. After an error it may be called
// again.
func (c *Claim) finish(ctx context.Context, f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.journal == nil {
		return fmt.Errorf("event %s is not claimed any more", c.Event.ID)
	}
	if err := c.q.change(ctx, f); err != nil {
		return err
	}
	err := c.journal.Close()
	c.journal = nil
	return err
}
