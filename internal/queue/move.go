package queue

import (
	"errors"
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

// home is the directory where a journal in that state lies.
func home(s State) string {
	switch s {
	case Failed, Damaged:
		return dirFailed
	case Queued, Running, Retrying:
		return dirCur
	}
	return dirDone
}

// writeJournals makes new journals, flushed together and then named. Each has a
// second name in progress.
func (q *Queue) writeJournals(journals map[string][]Line) error { //nolint:gocyclo // one write in the order that its crash safety rests on
	if len(journals) == 0 {
		return nil
	}
	var ids []string
	for id := range journals {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		f, err := q.writeTemp(id, journals[id])
		if err == nil && len(ids) <= few {
			err = f.Sync()
		}
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return err
		}
	}
	if len(ids) > few {
		if err := q.syncAll(); err != nil {
			return err
		}
	}
	dirs := map[string]bool{dirProgress: true}
	for _, id := range ids {
		lines := journals[id]
		dir := home(lines[len(lines)-1].State)
		temp := dirCur + "/" + id + extTemp
		if err := q.root.Link(temp, journalName(dirProgress, id)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := q.root.Rename(temp, journalName(dir, id)); err != nil {
			return err
		}
		dirs[dir] = true
		if dir != dirCur {
			q.moved++
		}
	}
	if len(ids) > few {
		return q.syncAll()
	}
	for dir := range dirs {
		if err := atomicfile.SyncDir(q.root, dir); err != nil {
			return err
		}
	}
	return nil
}

// syncAll flushes the file system of the queue.
func (q *Queue) syncAll() error { return syncfs(q.lock) }

// writeTemp writes a journal where nobody believes it.
func (q *Queue) writeTemp(id string, lines []Line) (*os.File, error) {
	b, err := encodeLines(lines...)
	if err != nil {
		return nil, err
	}
	temp := dirCur + "/" + id + extTemp
	// One who died may have left both names; then they are not of this file.
	for _, name := range []string{temp, journalName(dirProgress, id)} {
		if err := q.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	f, err := q.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(b); err == nil {
		// Those who follow are of another account, and only reach progress.
		err = errors.Join(f.Chmod(0o644), ownedLike(q.root, f))
	}
	return f, err
}

// end ends an event that lies in cur: a line in its journal, and the move.
func (q *Queue) end(id string, l Line) error {
	if err := appendJournal(q.root, journalName(dirCur, id), l); err != nil {
		return err
	}
	return q.settle(id, l.State)
}

// settle moves a journal that has its last line.
func (q *Queue) settle(id string, s State) error {
	q.moved++
	return atomicfile.Rename(q.root, journalName(dirCur, id), journalName(home(s), id))
}

// quarantine moves what is no event out of new, or what is no journal out of
// cur, and writes down why. It is never opened again.
func (q *Queue) quarantine(name, id string, why error) error {
	now := q.opts.Now()
	if q.stuck(name) {
		return nil
	}
	if id == "" {
		o, err := openOrder(q.spool + "/" + orderName)
		if err != nil {
			return err
		}
		ids, err := o.take(now)
		if err = errors.Join(err, o.close()); err != nil {
			return err
		}
		id = ids
	}
	ev := landfast.Event{ID: id, App: q.app, Received: now}
	reason := plain("no event: " + why.Error() + " (was " + dirNew + "/" + name + ")")
	lines := []Line{{Time: now, Event: &ev, State: Queued}, {Time: now, State: Damaged, Reason: reason}}
	if err := q.writeJournals(map[string][]Line{id: lines}); err != nil {
		return err
	}
	err := q.root.Rename(dirNew+"/"+name, dirFailed+"/"+id+extDamaged)
	return errors.Join(err, atomicfile.SyncDir(q.root, dirNew), atomicfile.SyncDir(q.root, dirFailed))
}

// stuck tells whether something in new can be neither moved nor removed: a directory
// of another account that is not empty. It must hold up nothing. The listener's
// sandbox keeps it from making directories.
func (q *Queue) stuck(name string) bool {
	info, err := q.root.Lstat(dirNew + "/" + name)
	if err != nil || !info.IsDir() || os.Geteuid() == 0 {
		return false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Geteuid() {
		return false
	}
	_ = q.root.Remove(dirNew + "/" + name) // an empty one goes
	return true
}

// quarantineJournal puts a journal that cannot be read out of the way.
func (q *Queue) quarantineJournal(id string, why error) error {
	now := q.opts.Now()
	if err := q.root.Rename(journalName(dirCur, id), dirFailed+"/"+id+extDamaged); err != nil {
		return err
	}
	ev := landfast.Event{ID: id, App: q.app, Received: now}
	return q.writeJournals(map[string][]Line{id: {
		{Time: now, Event: &ev, State: Queued},
		{Time: now, State: Damaged, Reason: why.Error()},
	}})
}

// prune removes the oldest journals beyond what is kept, with what belongs to them.
func (q *Queue) prune() error {
	if q.moved <= min(q.opts.KeepDone, q.opts.KeepFailed)/8 {
		return nil
	}
	q.moved = 0
	for dir, keep := range map[string]int{dirDone: q.opts.KeepDone, dirFailed: q.opts.KeepFailed} {
		ids, err := q.ids(dir, extJournal)
		if err != nil {
			return err
		}
		for _, id := range ids[:max(0, len(ids)-keep)] {
			for _, name := range []string{journalName(dirProgress, id), dir + "/" + id + extDamaged, journalName(dir, id)} {
				if err := q.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	return nil
}

// leftOver is how long an unfinished file in tmp may be of use to its writer.
const leftOver = time.Hour

// sweep removes what the dead left unfinished.
func (q *Queue) sweep() error {
	names, err := readNames(q.root, dirCur)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, extTemp) {
			if err := q.root.Remove(dirCur + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if names, err = readNames(q.root, dirTmp); err != nil {
		return err
	}
	for _, name := range names {
		info, err := q.root.Lstat(dirTmp + "/" + name)
		if err != nil || q.opts.Now().Sub(info.ModTime()).Abs() < leftOver {
			continue
		}
		// What cannot be removed is nobody's event.
		_ = q.root.RemoveAll(dirTmp + "/" + name)
	}
	return nil
}
