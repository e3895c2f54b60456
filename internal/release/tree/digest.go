package tree

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Digest reads the whole tree below root and names its content. Entries for
// which skip is true are left out, with all that is below them; skip may be
// nil. Modes count only as executable or not; owners and times do not count. A
// tree larger than the limits is refused as soon as that is known.
func Digest(ctx context.Context, root *os.Root, limits Limits, skip func(*Entry) bool) (Summary, error) {
	return digest(ctx, root, nil, limits, skip, (*digester).hash)
}

// DigestRootFS is Digest for what a Writer of NewRootFS made: owners, modes and
// capabilities count.
func DigestRootFS(ctx context.Context, root *os.Root, limits Limits) (Summary, error) {
	top, err := root.Open(".")
	if err != nil {
		return Summary{}, err
	}
	defer top.Close()
	var e Entry
	if err := unix.Fstat(int(top.Fd()), &e.Stat); err != nil {
		return Summary{}, &os.PathError{Op: "stat", Path: root.Name(), Err: err}
	}
	attr, err := e.attrOf()
	if err != nil {
		return Summary{}, err
	}
	return digest(ctx, root, &node{kind: Dir, attr: attr}, limits, nil, (*digester).hash)
}

// Fingerprint is like Digest and much faster: it opens no file. In its Content
// the place of the content is taken by what the file system notes when a file
// is written, so two equal fingerprints of one directory, some time apart, mean
// that nothing was written to it meanwhile. It says nothing of other
// directories, not even of copies.
func Fingerprint(ctx context.Context, root *os.Root, limits Limits, skip func(*Entry) bool) (Summary, error) {
	return digest(ctx, root, nil, limits, skip, (*digester).note)
}

func digest(
	ctx context.Context, root *os.Root, top *node, limits Limits, skip func(*Entry) bool,
	file func(*digester, context.Context, *Entry, *node) error,
) (Summary, error) {
	d := &digester{root: root, top: top, limits: limits.OrDefault(), nodes: nodes{}, pool: newPool(), file: file}
	err := Walk(ctx, root, func(e *Entry) error {
		if skip != nil && skip(e) {
			return ErrSkip
		}
		return d.visit(ctx, e)
	})
	failed := d.pool.wait() // also when the walk failed: nothing may go on behind it
	if err == nil {
		err = failed
	}
	if err != nil {
		return Summary{}, err
	}
	return d.nodes.summary(top), nil
}

type digester struct {
	root   *os.Root
	top    *node // of a root file system
	seen   map[inode]bool
	limits Limits
	nodes  nodes
	bytes  int64 // as the file system says; a Writer counts again
	pool   *pool
	file   func(*digester, context.Context, *Entry, *node) error
}

func (d *digester) visit(ctx context.Context, e *Entry) error {
	if err := d.check(e); err != nil {
		return err
	}
	if len(d.nodes) >= d.limits.Files {
		return tooMany(d.limits.Files)
	}
	n := &node{kind: fileKind(e.Exec())}
	d.nodes[e.Name] = n
	if d.top != nil {
		attr, err := e.attrOf()
		if err != nil {
			return err
		}
		n.attr, n.again = attr, d.again(e)
	}
	switch {
	case e.IsDir():
		n.kind = Dir
		return nil
	case e.IsLink():
		n.kind = Link
		target, err := d.root.Readlink(e.Name)
		n.target = target
		return err
	}
	if !n.again {
		d.bytes += e.Stat.Size
	}
	if d.bytes > d.limits.Bytes {
		return TooLarge(d.limits.Bytes)
	}
	return d.file(d, ctx, e, n)
}

func (d *digester) check(e *Entry) error {
	if d.top != nil {
		return e.CheckRootFS()
	}
	return e.Check()
}

// inode names a file whatever it is called.
type inode struct{ dev, ino uint64 }

// again reports whether a file had another name before.
func (d *digester) again(e *Entry) bool {
	if e.IsDir() || e.Stat.Nlink < 2 {
		return false
	}
	if d.seen == nil {
		d.seen = map[inode]bool{}
	}
	key := inode{e.Stat.Dev, e.Stat.Ino}
	defer func() { d.seen[key] = true }()
	return d.seen[key]
}

// note takes what the file system knows of a file for its content.
func (d *digester) note(_ context.Context, e *Entry, n *node) error {
	n.size = e.Stat.Size
	binary.BigEndian.PutUint64(n.sum[0:], e.Stat.Ino)
	binary.BigEndian.PutUint64(n.sum[8:], uint64(e.Stat.Mtim.Nano()))
	binary.BigEndian.PutUint64(n.sum[16:], uint64(e.Stat.Ctim.Nano()))
	return nil
}

// hash reads a file, in another goroutine.
func (d *digester) hash(ctx context.Context, e *Entry, n *node) error {
	name := e.Name
	return d.pool.start(ctx, func() error { return d.read(ctx, name, n) })
}

func (d *digester) read(ctx context.Context, name string, n *node) error {
	f, err := Open(d.root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, bufferFor(f))
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		got, err := f.Read(buf)
		h.Write(buf[:got])
		n.size += int64(got)
		if err == io.EOF {
			h.Sum(n.sum[:0])
			return nil
		}
		if err != nil {
			return err
		}
	}
}
