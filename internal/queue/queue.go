package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Options say how a queue behaves. The zero value is right for a host.
type Options struct {
	Attempts   int           // how often an event is tried at most; 0: 8
	Backoff    time.Duration // before the second attempt, doubled for each further one; 0: 5 s
	MaxBackoff time.Duration // 0: 15 min
	KeepDone   int           // how many journals stay in done; 0: 1000
	KeepFailed int           // and in failed; 0: 200

	Now    func() time.Time
	Jitter func() float64 // between 0 and 1
}

func (o Options) withDefaults() Options {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.Attempts, 8)
	set(&o.KeepDone, 1000)
	set(&o.KeepFailed, 200)
	if o.Backoff == 0 {
		o.Backoff = 5 * time.Second
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 15 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return o
}

// Queue is the queue of one app, for its worker and for people. Methods may be
// called from many goroutines, and by several processes; only one of them can
// Claim, until it closes its Queue or dies.
type Queue struct {
	app   string
	spool string
	opts  Options
	root  *os.Root

	mu      sync.Mutex // with the lock file: one change at a time
	lock    *os.File
	worker  *os.File // locked by the one that claims
	claimed bool     // this Queue is the one that claims
	seen    *seen
	moved   int // journals that came to done or failed since the last prune
}

// The names of lock files in the directory of an app.
const (
	lockName   = ".lock"
	workerName = ".worker"
)

// Open opens the queue of app.
func Open(spool, app string) (*Queue, error) { return OpenWith(spool, app, Options{}) }

// OpenWith is Open with a say in how the queue behaves.
func OpenWith(spool, app string, o Options) (*Queue, error) {
	if err := checkApp(app); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(spool, app))
	if err != nil {
		return nil, noQueue(spool, app, err)
	}
	q := &Queue{app: app, spool: spool, opts: o.withDefaults(), root: root, seen: &seen{root: root}}
	for _, l := range []struct {
		name string
		file **os.File
	}{{lockName, &q.lock}, {workerName, &q.worker}} {
		f, err := root.OpenFile(l.name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
		if err == nil {
			*l.file, err = f, ownedLike(root, f)
		}
		if err != nil {
			return nil, errors.Join(noQueue(spool, app, err), q.Close())
		}
	}
	return q, nil
}

// Close gives up the right to claim. An event that is claimed is found again by
// the next one who claims.
func (q *Queue) Close() error {
	var errs []error
	for _, f := range []*os.File{q.lock, q.worker} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(append(errs, q.root.Close())...)
}

// ownedLike gives a file that root made to the owner of the directory.
func ownedLike(root *os.Root, f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	dir, err := root.Stat(".")
	if err != nil {
		return err
	}
	st, ok := dir.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// change does f while no other process changes the queue.
func (q *Queue) change(ctx context.Context, f func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := waitFor(ctx, q.lock, unix.LOCK_EX); err != nil {
		return q.failed("lock", err)
	}
	err := f()
	return q.failed("change", errors.Join(err, flock(q.lock, unix.LOCK_UN)))
}

// failed says of which queue an error is, and leaves those for people alone.
func (q *Queue) failed(what string, err error) error {
	if _, ours := errors.AsType[*landfast.Error](err); ours || err == nil {
		return err
	}
	return unavailable(fmt.Sprintf("%s the queue of %s", what, q.app), err)
}

// waitFor takes a lock and gives up when ctx ends.
func waitFor(ctx context.Context, f *os.File, how int) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := flock(f, how|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// entries are the events of one directory, oldest first, without their lines.
// What cannot be read is left out, and told to bad where it is not nil.
func (q *Queue) entries(dir string, bad func(id string, err error) error) ([]Entry, error) {
	ids, err := q.ids(dir, extJournal)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, id := range ids {
		e, err := readJournal(q.root, dir+"/"+id+extJournal, id, false)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it has moved on
		case err != nil && bad != nil:
			err = bad(id, err)
		case err != nil:
			e, err = damaged(q.app, id, err), nil
			all = append(all, e)
			continue
		default:
			all = append(all, e)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// damaged stands for a journal that cannot be read.
func damaged(app, id string, err error) Entry {
	at, _ := idTime(id)
	return Entry{Event: landfast.Event{ID: id, App: app, Received: at}, State: Damaged, Since: at, Reason: err.Error()}
}

// ids lists the ids in a directory, oldest first.
func (q *Queue) ids(dir, ext string) ([]string, error) {
	names, err := readNames(q.root, dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, ext); ok && IsID(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// readNames lists a directory, without the types of what is in it.
func readNames(root *os.Root, dir string) ([]string, error) {
	f, err := root.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

func journalName(dir, id string) string { return dir + "/" + id + extJournal }
