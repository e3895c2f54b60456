package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/landfast/landfast"
)

// chunk is the size of a read, and of the largest file that is written by a
// goroutine of its own while the unpacker goes on.
const chunk = 256 << 10

// Writer puts entries below a root. Its methods are called by one goroutine; it
// writes small files in others meanwhile, so an error may come from a later
// call or from Finish. After the first error every call returns it.
type Writer struct {
	root    *os.Root
	limits  Limits
	nodes   nodes
	written atomic.Int64
	onBytes func(total int64)
	top     *node // of a root file system: what its own directory is to be; nil: there is none

	pool    *pool
	noClone atomic.Bool
}

// NewWriter is a Writer into root, which is empty. The caller closes it.
// progress, when it is not nil, is told how many bytes have been written, from
// any goroutine.
func NewWriter(root *os.Root, limits Limits, progress func(total int64)) *Writer {
	return &Writer{
		root:    root,
		limits:  limits.OrDefault(),
		nodes:   nodes{},
		onBytes: progress,
		pool:    newPool(),
	}
}

// Close waits for what is being written. It may be called again, and after
// Finish.
func (w *Writer) Close() { _ = w.pool.wait() }

// Finish waits until every file is written, checks all links and gives the
// summary. A tree without any file or link is refused. Nothing is flushed to
// the disk.
func (w *Writer) Finish() (Summary, error) {
	if err := w.pool.wait(); err != nil {
		return Summary{}, err
	}
	check := w.nodes.checkLinks
	if w.RootFS() {
		check = w.settleDirs
	}
	if err := check(); err != nil {
		return Summary{}, err
	}
	s := w.nodes.summary(w.top)
	if s.Files == 0 {
		return Summary{}, &landfast.Error{Kind: landfast.Invalid, Msg: "the release is empty: it holds no file"}
	}
	return s, nil
}

// Remaining is how many bytes may still be written.
func (w *Writer) Remaining() int64 { return w.limits.Bytes - w.written.Load() }

// TooLarge is the error for an entry that says it is larger than Remaining.
func (w *Writer) TooLarge() error { return TooLarge(w.limits.Bytes) }

// Top describes the directory that the entries are put into.
func (w *Writer) Top() (os.FileInfo, error) { return w.root.Stat(".") }

// Dir makes a directory. One that is there already is no error.
func (w *Writer) Dir(name string) error {
	if err := w.pool.err(); err != nil {
		return err
	}
	parts, err := Clean(name)
	if err != nil {
		return err
	}
	return w.dirs(name, parts)
}

// File makes a regular file with what r gives until its end. Size is what the
// entry says of itself and is used for nothing but the size of a buffer.
func (w *Writer) File(ctx context.Context, name string, exec bool, size int64, r io.Reader) error {
	return w.file(ctx, name, nil, exec, size, r)
}

func (w *Writer) file(ctx context.Context, name string, attr *Attr, exec bool, size int64, r io.Reader) error {
	name, n, err := w.place(name, fileKind(exec))
	if err != nil {
		return err
	}
	n.attr = attr
	head, err := readHead(r, min(chunk, max(0, size)+1))
	if over := w.count(int64(len(head))); over != nil {
		return over
	}
	switch {
	case errors.Is(err, io.EOF):
		n.size = int64(len(head))
		return w.pool.start(ctx, func() error { return w.whole(name, n, head) })
	case err != nil:
		return fmt.Errorf("read %s: %w", name, err)
	}
	return w.stream(ctx, name, n, head, r)
}

// readHead reads until size bytes are there. Any error, and the end, comes with
// what was read before it.
func readHead(r io.Reader, size int64) ([]byte, error) {
	buf := make([]byte, size)
	for n := 0; ; {
		if n == len(buf) {
			return buf, nil
		}
		got, err := r.Read(buf[n:])
		n += got
		if err != nil {
			return buf[:n], err
		}
	}
}

// Symlink makes a symbolic link. Whether it leads out is known for certain only
// when every entry is there, and is checked by Finish.
func (w *Writer) Symlink(name, target string) error {
	if err := checkTarget(name, target); err != nil {
		return err
	}
	name, n, err := w.place(name, Link)
	if err != nil {
		return err
	}
	n.target = target
	return w.root.Symlink(target, name)
}

// Hardlink makes a file with the content of another one that is there already.
// It is a copy and counts as one: no two names of a release share a file, but
// in a root file system, where a link may have several names as well.
func (w *Writer) Hardlink(ctx context.Context, name, existing string) error {
	parts, err := Clean(existing)
	if err != nil {
		return refuse(name, "the link leads out of the release, to %s", existing)
	}
	existing = strings.Join(parts, "/")
	from, ok := w.nodes[existing]
	if !ok || from.kind == Dir || from.kind == Link && !w.RootFS() {
		return refuse(name, "it is a hard link to %q, which is no file of the release before it", existing)
	}
	if w.RootFS() {
		return w.link(name, existing, from)
	}
	name, n, err := w.place(name, from.kind)
	if err != nil {
		return err
	}
	if err := w.pool.wait(); err != nil {
		return err
	}
	f, err := w.root.OpenFile(existing, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return w.copyFile(ctx, name, n, f)
}

// Copy makes a file with the content of the one that open gives. It is read by
// another goroutine, which closes it.
func (w *Writer) Copy(ctx context.Context, name string, exec bool, open func() (*os.File, error)) error {
	name, n, err := w.place(name, fileKind(exec))
	if err != nil {
		return err
	}
	return w.pool.start(ctx, func() error {
		f, err := open()
		if err != nil {
			return err
		}
		defer f.Close()
		return w.copyFile(ctx, name, n, f)
	})
}

// place checks the name of a new entry that is no directory, makes the
// directories above it and remembers it.
func (w *Writer) place(name string, kind Kind) (string, *node, error) {
	if err := w.pool.err(); err != nil {
		return "", nil, err
	}
	parts, err := Clean(name)
	if err != nil {
		return "", nil, err
	}
	if len(parts) == 0 {
		return "", nil, refuse(name, "only a directory can be the release itself")
	}
	if err := w.dirs(name, parts[:len(parts)-1]); err != nil {
		return "", nil, err
	}
	clean := strings.Join(parts, "/")
	if _, ok := w.nodes[clean]; ok {
		return "", nil, refuse(name, "there is another entry of this name before it")
	}
	n, err := w.remember(clean, kind)
	return clean, n, err
}

// dirs makes the directory of the given components and every one above it.
// Name is the entry they are made for.
func (w *Writer) dirs(name string, parts []string) error {
	for i := range parts {
		dir := strings.Join(parts[:i+1], "/")
		if n, ok := w.nodes[dir]; ok {
			switch {
			case n.kind == Dir:
				continue
			case i == len(parts)-1 && dir == strings.TrimSuffix(name, "/"):
				return refuse(name, "there is another entry of this name before it")
			case n.kind == Link:
				return refuse(name, "it leads through the link %q", dir)
			}
			return refuse(name, "%q is a file", dir)
		}
		n, err := w.remember(dir, Dir)
		if err != nil {
			return err
		}
		if w.RootFS() {
			n.attr = plainDir()
		}
		if err := w.root.Mkdir(dir, DirMode); err != nil {
			return err
		}
	}
	return nil
}

// remember adds an entry to those that are known.
func (w *Writer) remember(name string, kind Kind) (*node, error) {
	if len(w.nodes) >= w.limits.Files {
		return nil, tooMany(w.limits.Files)
	}
	n := &node{kind: kind}
	w.nodes[name] = n
	return n, nil
}

// count adds to the bytes written and refuses to go over the limit.
func (w *Writer) count(n int64) error {
	total := w.written.Add(n)
	if total > w.limits.Bytes {
		return TooLarge(w.limits.Bytes)
	}
	if w.onBytes != nil {
		w.onBytes(total)
	}
	return nil
}

// tooMany is the error for a release of more than limit entries.
func tooMany(limit int) error {
	return &landfast.Error{
		Kind: landfast.Invalid,
		Msg:  fmt.Sprintf("the release holds more than %d files and directories", limit),
		Hint: "raise max_files in [releases] if that is right",
	}
}

// TooLarge is the error for a release of more than limit bytes.
func TooLarge(limit int64) error {
	return &landfast.Error{
		Kind: landfast.Invalid,
		Msg:  fmt.Sprintf("the release is larger than %d bytes", limit),
		Hint: "raise max_bytes in [releases] if that is right",
	}
}

func fileKind(exec bool) Kind {
	if exec {
		return Exec
	}
	return File
}

// whole writes a file that is in memory.
func (w *Writer) whole(name string, n *node, data []byte) error {
	n.sum = sha256.Sum256(data)
	f, err := w.create(name, n.kind)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(n.settle(name, f), f.Close())
}

// create makes a new file with the mode it is to have.
func (w *Writer) create(name string, kind Kind) (*os.File, error) {
	mode := os.FileMode(FileMode)
	if kind == Exec {
		mode = ExecMode
	}
	f, err := w.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, mode)
	if err != nil {
		return nil, err
	}
	// The umask may have taken the executable bit, which the digest counts.
	if err := f.Chmod(mode); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
