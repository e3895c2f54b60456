package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Writer puts events into the queues of a spool. It needs no rights but to
// create names in tmp and new. Its methods may be called from many goroutines:
// what comes in while the disk is busy is flushed together.
type Writer struct {
	spool string
	order *order
	now   func() time.Time

	mu      sync.Mutex
	boxes   map[string]*box
	waiting []*parcel // the next batch
	leading bool      // somebody flushes a batch
}

// box are the directories of one queue.
type box struct {
	tmp  int // only to create in: it may not be read
	new  *os.File
	dev  uint64
	path string
}

// letter is an event on its way.
type letter struct {
	box  *box
	data []byte
	temp string
	fd   int // of temp, while it is open
	id   string
}

// parcel is what one caller enqueues.
type parcel struct {
	letters []*letter
	err     error         // valid once done is closed
	done    chan struct{} // closed when it has been flushed
	turn    chan struct{} // told when its caller is to flush the next batch
}

// OpenWriter opens a spool to enqueue into. Queues of apps are opened when they
// are first needed.
func OpenWriter(spool string) (*Writer, error) { return OpenWriterAt(spool, time.Now) }

// OpenWriterAt is OpenWriter with a clock of its own.
func OpenWriterAt(spool string, now func() time.Time) (*Writer, error) {
	o, err := openOrder(filepath.Join(spool, orderName))
	if err != nil {
		return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot open the spool " + spool, Err: err, Hint: "run `sudo landfast setup`"}
	}
	return &Writer{spool: spool, order: o, now: now, boxes: map[string]*box{}}, nil
}

// Close closes the directories. No call may be under way.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	errs := []error{w.order.close()}
	for _, b := range w.boxes {
		errs = append(errs, b.close())
	}
	clear(w.boxes)
	return errors.Join(errs...)
}

// Enqueue puts one event into the queue of its app and gives its id. When it
// returns nil, the event is on the disk and in its place. It blocks for as long as
// the disk takes. An error of kind Unavailable means that the disk cannot take it now, NotFound that the app has
// no queue, Invalid that the event is none; the event is not queued then.
func (w *Writer) Enqueue(ctx context.Context, ev landfast.Event) (id string, err error) {
	ids, err := w.EnqueueAll(ctx, []landfast.Event{ev})
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// EnqueueAll is Enqueue of several, in this order, with one flush. On an error
// none is queued, unless the disk failed between two names.
func (w *Writer) EnqueueAll(ctx context.Context, evs []landfast.Event) ([]string, error) {
	if len(evs) == 0 || ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	p := &parcel{done: make(chan struct{}), turn: make(chan struct{}, 1)}
	for _, ev := range evs {
		data, err := encode(ev)
		if err != nil {
			return nil, err
		}
		b, err := w.boxOf(ev.App)
		if err != nil {
			return nil, err
		}
		p.letters = append(p.letters, &letter{box: b, data: data, temp: rand.Text(), fd: -1})
	}
	w.post(p)
	if p.err != nil {
		return nil, p.err
	}
	ids := make([]string, len(p.letters))
	for i, l := range p.letters {
		ids[i] = l.id
	}
	return ids, nil
}

// write writes a letter into tmp, where nobody believes it.
func (l *letter) write() (err error) {
	l.fd, err = unix.Openat(l.box.tmp, l.temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	// The worker is another account, whatever the umask says.
	if err := unix.Fchmod(l.fd, 0o644); err != nil {
		return err
	}
	n, err := unix.Write(l.fd, l.data)
	if err == nil && n < len(l.data) {
		err = unix.ENOSPC
	}
	return err
}

// close closes the file of a letter, and takes it back unless it has got its name.
func (l *letter) close(named bool) {
	if l.fd < 0 {
		return
	}
	_ = unix.Close(l.fd) // what counts was flushed
	l.fd = -1
	if !named {
		_ = unix.Unlinkat(l.box.tmp, l.temp, 0)
	}
}

// refuse ends a parcel that cannot be taken.
func (p *parcel) refuse(what string, err error) {
	if p.err == nil {
		p.err = unavailable(what, err)
	}
	for _, l := range p.letters {
		l.close(false)
	}
}

// post returns when the parcel has been flushed: by the caller, when nobody else
// is at it, and then it does what has come in meanwhile in one go.
func (w *Writer) post(p *parcel) {
	w.mu.Lock()
	w.waiting = append(w.waiting, p)
	lead := !w.leading
	w.leading = true
	w.mu.Unlock()
	if !lead {
		select {
		case <-p.done:
			return
		case <-p.turn:
		}
	}
	w.mu.Lock()
	batch := w.waiting
	w.waiting = nil
	w.mu.Unlock()
	w.flush(batch)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		w.leading = false
		return
	}
	w.waiting[0].turn <- struct{}{}
}

// flush makes a batch durable and visible: contents, then names, then the
// directories that hold them. Nobody is told before all of it.
func (w *Writer) flush(batch []*parcel) {
	err := w.order.hold()
	if err == nil {
		err = w.commit(batch)
		err = errors.Join(err, w.order.release())
	}
	for _, p := range batch {
		if err != nil {
			p.refuse("put an event into the spool "+w.spool, err)
		}
		close(p.done)
	}
}

// commit is flush under the lock of the order. All of it is done by one caller:
// many that make names in one directory at once only wait for one another.
func (w *Writer) commit(batch []*parcel) error {
	var letters []*letter
	for _, p := range batch {
		for _, l := range p.letters {
			if err := l.write(); err != nil {
				p.refuse("write an event into "+l.box.path, err)
				break
			}
		}
		if p.err == nil {
			letters = append(letters, p.letters...)
		}
	}
	ids, err := w.order.next(w.now(), len(letters))
	if err != nil || len(letters) == 0 {
		return err
	}
	if err := w.flushContents(letters); err != nil {
		return err
	}
	for i, l := range letters {
		l.id = ids[i]
	}
	touched := map[*box]bool{}
	for _, p := range batch {
		for _, l := range p.letters {
			if p.err != nil {
				break
			}
			if err := l.rename(); err != nil {
				p.refuse("put an event into "+l.box.path, err)
				break
			}
			l.close(true)
			touched[l.box] = true
		}
	}
	for b := range touched {
		if err := b.new.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// few is how many files are flushed one by one. More are flushed together with
// whatever else the file system has to write.
const few = 2

// flushContents makes the contents of letters durable, and the note of their ids.
func (w *Writer) flushContents(letters []*letter) error {
	if len(letters) <= few {
		for _, l := range letters {
			if err := unix.Fsync(l.fd); err != nil {
				return err
			}
		}
		return w.order.f.Sync()
	}
	// The spool may lie on several file systems.
	flushed := map[uint64]bool{w.order.dev: true}
	if err := syncfs(w.order.f); err != nil {
		return err
	}
	for _, l := range letters {
		if !flushed[l.box.dev] {
			flushed[l.box.dev] = true
			if err := unix.Syncfs(l.fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// rename gives a letter its name. An id is given once; what has that name all the
// same is somebody's mischief, and is not replaced.
func (l *letter) rename() error {
	return unix.Renameat2(l.box.tmp, l.temp, int(l.box.new.Fd()), l.id+extNew, unix.RENAME_NOREPLACE)
}

func syncfs(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) { serr = unix.Syncfs(int(fd)) })
	return errors.Join(err, serr)
}

// boxOf opens the directories of a queue, once.
func (w *Writer) boxOf(app string) (*box, error) {
	if err := checkApp(app); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.boxes[app]; b != nil {
		return b, nil
	}
	b := &box{path: filepath.Join(w.spool, app, dirNew)}
	const dir = unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	var err error
	if b.tmp, err = unix.Open(filepath.Join(w.spool, app, dirTmp), unix.O_PATH|dir, 0); err != nil {
		return nil, noQueue(w.spool, app, err)
	}
	fd, err := unix.Open(b.path, unix.O_RDONLY|dir, 0)
	if err != nil {
		return nil, errors.Join(noQueue(w.spool, app, err), unix.Close(b.tmp))
	}
	b.new = os.NewFile(uintptr(fd), b.path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, errors.Join(noQueue(w.spool, app, err), b.close())
	}
	b.dev = st.Dev
	w.boxes[app] = b
	return b, nil
}

func (b *box) close() error { return errors.Join(unix.Close(b.tmp), b.new.Close()) }
