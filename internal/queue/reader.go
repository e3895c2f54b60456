package queue

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Reader follows the events of one app with the rights of those who may enqueue:
// it reads progress, and sees of new which events are there.
type Reader struct {
	app  string
	root *os.Root
}

// OpenReader opens the queue of app for following.
func OpenReader(spool, app string) (*Reader, error) {
	if err := checkApp(app); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(spool, app))
	if err != nil {
		return nil, noQueue(spool, app, err)
	}
	return &Reader{app: app, root: root}, nil
}

// Close closes the directory.
func (r *Reader) Close() error { return r.root.Close() }

// Show gives one event with its lines. One that was not taken in yet has none. Not knowing it is an error of kind NotFound.
func (r *Reader) Show(id string) (Entry, error) {
	if !IsID(id) {
		return Entry{}, noEvent(r.app, id)
	}
	for range 2 { // it may be taken in between the two looks
		e, err := readJournal(r.root, journalName(dirProgress, id), id, true)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return e, err
		}
		if b, err := readFile(r.root, dirNew+"/"+id+extNew, maxEvent); err == nil {
			ev, err := decode(r.app, id, b)
			return Entry{Event: ev, State: Queued}, err
		}
	}
	return Entry{}, noEvent(r.app, id)
}

// readFile reads a small regular file.
func readFile(root *os.Root, name string, most int64) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// List gives the newest n events that were taken in, newest first, without
// their lines.
func (r *Reader) List(n int) ([]Entry, error) {
	names, err := readNames(r.root, dirProgress)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []Entry
	for _, name := range slices.Backward(names) {
		id, ok := strings.CutSuffix(name, extJournal)
		if !ok || len(all) >= n {
			continue
		}
		e, err := readJournal(r.root, dirProgress+"/"+name, id, false)
		if err != nil {
			continue // it is gone, or not for us
		}
		all = append(all, e)
	}
	return all, nil
}

// glance is how often a journal that is followed is looked at.
const glance = 100 * time.Millisecond

// Follow gives the lines of an event's journal from its beginning, as they
// come, until the event has ended or ctx has; the latter is the last error. One
// that is not known is an error of kind NotFound.
func (r *Reader) Follow(ctx context.Context, id string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		f, err := r.await(ctx, id)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer f.Close()
		tick := time.NewTicker(glance)
		defer tick.Stop()
		var rest []byte
		for {
			b, err := io.ReadAll(io.LimitReader(f, maxJournal))
			if err != nil {
				yield(Line{}, err)
				return
			}
			rest = append(rest, b...)
			for {
				text, after, whole := bytes.Cut(rest, []byte("\n"))
				if !whole {
					break
				}
				rest = after
				l, err := parseLine(text)
				if err != nil {
					continue // cut off by a crash
				}
				if !yield(l, nil) || l.State != "" && l.State.Ended() {
					return
				}
			}
			if len(b) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				yield(Line{}, context.Cause(ctx))
				return
			case <-tick.C:
			}
		}
	}
}

// await opens the journal of an event, which may have to be taken in before.
func (r *Reader) await(ctx context.Context, id string) (*os.File, error) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		if _, err := r.Show(id); err != nil && !errors.Is(err, errDamaged) {
			return nil, err
		}
		f, err := r.root.OpenFile(journalName(dirProgress, id), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}
