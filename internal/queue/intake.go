package queue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// The numbers of accounts that systemd gives to DynamicUser= (systemd.exec(5)).
const dynamicFirst, dynamicLast = 61184, 65519

// How many events are taken in with one flush: few at first, so that a worker that
// is killed again and again still gets ahead, and twice as many each time.
const firstBatch, maxBatch = 128, 4096

// takeIn moves what lies in new to cur and done, oldest first, and what is no
// event to failed. Killed anywhere, doing it again ends the same.
func (q *Queue) takeIn(waiting []Entry) ([]Entry, error) {
	names, err := q.newNames()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 { // one that is to be tried again may be out of date
		return q.takeInPart(nil, waiting)
	}
	for size := firstBatch; len(names) > 0; size = min(2*size, maxBatch) {
		part := names[:min(size, len(names))]
		names = names[len(part):]
		if waiting, err = q.takeInPart(part, waiting); err != nil {
			return nil, err
		}
	}
	return waiting, atomicfile.SyncDir(q.root, dirNew)
}

// newNames lists new, oldest first. A writer in the middle of a batch is waited
// for, but not for long: the order of what is applied does not depend on it.
func (q *Queue) newNames() ([]string, error) {
	if f, err := os.OpenFile(q.spool+"/"+orderName, os.O_RDONLY|unix.O_NOFOLLOW, 0); err == nil {
		defer f.Close() // gives the lock back
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for range 100 {
			if flock(f, unix.LOCK_SH|unix.LOCK_NB) == nil {
				break
			}
			<-tick.C
		}
	}
	names, err := readNames(q.root, dirNew)
	slices.Sort(names)
	return names, err
}

// ending is the end of an event.
type ending struct {
	id   string
	line Line
}

// intake is a batch of events on their way in.
type intake struct {
	q       *Queue
	waiting []Entry
	fresh   map[string][]Line // journals to be written, by id
	ended   []ending          // of waiting, those that end now
	marks   []mark
	taken   []string          // names in new to be removed
	sent    map[string]string // delivery → the event of waiting that came with it
	ids     map[string]bool   // of waiting
}

func (q *Queue) takeInPart(names []string, waiting []Entry) ([]Entry, error) {
	in := &intake{q: q, fresh: map[string][]Line{}, sent: map[string]string{}, ids: map[string]bool{}}
	for _, w := range waiting {
		in.wait(w)
	}
	for _, name := range names {
		id, ok := strings.CutSuffix(name, extNew)
		if !ok || !IsID(id) {
			if err := q.quarantine(name, "", errors.New("its name is not the one of an event")); err != nil {
				return nil, err
			}
			continue
		}
		if q.has(id) {
			in.taken = append(in.taken, name) // taken in by one who died then
			continue
		}
		ev, err := q.readNew(name, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if bad, ok := errors.AsType[*notEvent](err); ok {
			if err := q.quarantine(name, id, bad.why); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		in.take(ev)
		in.taken = append(in.taken, name)
	}
	return in.waiting, in.commit()
}

// has tells whether an event has been taken in.
func (q *Queue) has(id string) bool {
	for _, dir := range []string{dirCur, dirDone, dirFailed} {
		if _, err := q.root.Lstat(journalName(dir, id)); err == nil {
			return true
		}
	}
	return false
}

// notEvent says why something in new is none.
type notEvent struct{ why error }

func (n *notEvent) Error() string { return n.why.Error() }

// readNew reads an event that somebody else wrote, who may be hostile.
func (q *Queue) readNew(name, id string) (landfast.Event, error) {
	bad := func(format string, args ...any) (landfast.Event, error) {
		return landfast.Event{}, &notEvent{fmt.Errorf(format, args...)}
	}
	// Not blocking: it may be a pipe.
	f, err := q.root.OpenFile(dirNew+"/"+name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, lerr := q.root.Lstat(dirNew + "/" + name); lerr == nil {
			return bad("it is a link")
		}
		return landfast.Event{}, err
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO), errors.Is(err, fs.ErrPermission):
		return bad("it cannot be opened as a file: %w", err)
	case err != nil && strings.Contains(err.Error(), "escapes"):
		return bad("it is a link")
	case err != nil:
		return landfast.Event{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return landfast.Event{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return bad("it is no regular file")
	case !ok || st.Nlink != 1:
		return bad("it has another name elsewhere")
	case !q.trusts(st.Uid):
		return bad("it belongs to the account %d, which does not queue events", st.Uid)
	case info.Size() > maxEvent:
		return bad("it has %d bytes, at most %d", info.Size(), maxEvent)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEvent+1))
	if err != nil {
		return landfast.Event{}, err
	}
	ev, err := decode(q.app, id, b)
	if err != nil {
		return bad("%w", err)
	}
	return ev, nil
}

// trusts tells whether an account may queue events: root, the worker's own, or
// one that systemd made up for a service.
func (q *Queue) trusts(uid uint32) bool {
	if uid == 0 || int(uid) == os.Geteuid() || dynamicFirst <= uid && uid <= dynamicLast {
		return true
	}
	info, err := q.root.Stat(".")
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == uid
}

// take decides what becomes of a new event.
func (in *intake) take(ev landfast.Event) {
	now := in.q.opts.Now()
	received := Line{Time: now, Event: &ev, State: Queued}
	end := func(s State, by, reason string) {
		in.fresh[ev.ID] = []Line{received, {Time: now, State: s, By: by, Reason: reason}}
	}
	s := in.q.seen
	switch {
	case s.done[ev.ID]: // applied by one who died then
		end(Done, "", "")
		return
	case ev.Closed != "":
		end(Closed, "", ev.Closed)
		return
	}
	if by, ok := in.duplicateOf(ev, now); ok {
		end(Duplicate, by, "it was sent before, as "+by)
		return
	}
	if ev.Action == landfast.ActionCancel {
		in.cancel(ev, now, end)
		return
	}
	in.fresh[ev.ID] = []Line{received}
	in.wait(Entry{Event: ev, State: Queued, Since: now})
}

// wait adds one to those that wait.
func (in *intake) wait(e Entry) {
	in.waiting = append(in.waiting, e)
	in.ids[e.Event.ID] = true
	if d := deliveryOf(e.Event); d != "" {
		in.sent[d] = e.Event.ID
	}
}

// duplicateOf gives the event that ev repeats. Whoever repeats one by hand (Of)
// means it.
func (in *intake) duplicateOf(ev landfast.Event, now time.Time) (id string, ok bool) {
	if ev.Of != "" && ev.Action != landfast.ActionCancel {
		return "", false
	}
	if d := deliveryOf(ev); d != "" {
		heir, ok := in.q.seen.heir(d)
		if ok && in.q.seen.done[heir] && heir != ev.ID {
			return heir, true
		}
		if in.ids[heir] {
			return heir, true
		}
		if id, ok := in.sent[d]; ok {
			return id, true
		}
	}
	return in.echoOf(ev, now)
}

// echoOf gives the event that was applied last, if ev is the same from another
// sender.
func (in *intake) echoOf(ev landfast.Event, now time.Time) (id string, ok bool) {
	last := in.q.seen.last
	c := contentOf(ev)
	byHand := ev.Provider == "api" || ev.Provider == "hand" || ev.Force
	if c != "" && !byHand && c == last.Content && now.Sub(last.Time).Abs() < echo {
		return last.ID, true
	}
	return "", false
}

// cancel ends the event that ev takes back, while it waits.
func (in *intake) cancel(ev landfast.Event, now time.Time, end func(State, string, string)) {
	for i, w := range in.waiting {
		if w.Event.ID != ev.Of {
			continue
		}
		if w.State == Running || w.Interrupted {
			end(Closed, ev.Of, "it came too late: "+ev.Of+" is running")
			return
		}
		in.waiting = slices.Delete(in.waiting, i, i+1)
		in.end(w, Line{Time: now, State: Cancelled, By: ev.ID, Reason: cancelledBy(ev)})
		end(Done, ev.Of, "")
		return
	}
	end(Closed, ev.Of, "there is nothing to take back: "+ev.Of+" does not wait")
}

func cancelledBy(ev landfast.Event) string {
	if ev.Actor == "" {
		return "cancelled"
	}
	return "cancelled by " + ev.Actor
}

// end ends one that has waited: in its journal, when that is still to be written.
func (in *intake) end(e Entry, l Line) {
	delete(in.ids, e.Event.ID)
	if d := deliveryOf(e.Event); in.sent[d] == e.Event.ID {
		delete(in.sent, d)
	}
	if lines, ok := in.fresh[e.Event.ID]; ok {
		in.fresh[e.Event.ID] = append(lines, l)
	} else {
		in.ended = append(in.ended, ending{e.Event.ID, l})
	}
	if l.State == Superseded {
		in.marks = append(in.marks, mark{ID: e.Event.ID, Time: l.Time, Delivery: deliveryOf(e.Event), By: l.By})
	}
}

// supersede ends those that a newer one takes the place of, and those that are
// older than what has been applied.
func (in *intake) supersede() {
	now := in.q.opts.Now()
	newest := map[string]string{}
	for _, w := range in.waiting {
		if g := groupOf(w.Event); g != "" {
			newest[g] = max(newest[g], w.Event.ID)
		}
	}
	applied := in.q.seen.applied
	var kept []Entry
	for _, w := range in.waiting {
		by := newest[groupOf(w.Event)]
		switch {
		case w.State == Running, w.Interrupted && w.Event.ID > applied: // it may have been applied, and is settled first
			kept = append(kept, w)
		case w.Event.ID < applied:
			in.end(w, Line{Time: now, State: Superseded, By: applied, Reason: "a newer event was applied: " + applied})
		case by > w.Event.ID:
			in.end(w, Line{Time: now, State: Superseded, By: by, Reason: "a newer event takes its place: " + by})
		default:
			kept = append(kept, w)
		}
	}
	in.waiting = kept
}

// commit makes a batch durable: what is used up, the journals, and only then the
// end of the files in new.
func (in *intake) commit() error {
	in.supersede()
	q := in.q
	if err := q.seen.add(in.marks...); err != nil {
		return err
	}
	if err := q.writeJournals(in.fresh); err != nil {
		return err
	}
	for _, e := range in.ended {
		if err := q.end(e.id, e.line); err != nil {
			return err
		}
	}
	for _, name := range in.taken {
		if err := q.root.Remove(dirNew + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
