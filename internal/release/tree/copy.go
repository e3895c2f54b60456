package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// stream writes a file of which head is in memory and r has the rest.
func (w *Writer) stream(ctx context.Context, name string, n *node, head []byte, r io.Reader) error {
	f, err := w.create(name, n.kind)
	if err != nil {
		return err
	}
	h := sha256.New()
	h.Write(head)
	n.size = int64(len(head))
	_, err = f.Write(head)
	if err == nil {
		err = w.pump(ctx, n, h, f, r, make([]byte, chunk))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), f.Close())
	}
	h.Sum(n.sum[:0])
	return errors.Join(n.settle(name, f), f.Close())
}

// pump moves bytes from r to dst and the hash, and counts them as they come.
func (w *Writer) pump(ctx context.Context, n *node, h hash.Hash, dst io.Writer, r io.Reader, buf []byte) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		got, err := r.Read(buf)
		if over := w.count(int64(got)); over != nil {
			return over
		}
		h.Write(buf[:got])
		n.size += int64(got)
		if _, err := dst.Write(buf[:got]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// copyFile makes a file with the content of src. Where the file system can, it
// shares the blocks until one of the two changes (FICLONE, ioctl_ficlone(2)),
// and the copy is what is hashed.
func (w *Writer) copyFile(ctx context.Context, name string, n *node, src *os.File) error {
	f, err := w.create(name, n.kind)
	if err != nil {
		return err
	}
	h := sha256.New()
	var dst io.Writer = f
	if w.clone(f, src) {
		src, dst = f, io.Discard
	}
	if err := w.pump(ctx, n, h, dst, src, make([]byte, bufferFor(src))); err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", name, err), f.Close())
	}
	h.Sum(n.sum[:0])
	return f.Close()
}

// clone tries to share the blocks of src, and does not try again once the file
// system has said that it cannot.
func (w *Writer) clone(dst, src *os.File) bool {
	if w.noClone.Load() {
		return false
	}
	if err := unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err != nil {
		w.noClone.Store(true)
		return false
	}
	return true
}

// bufferFor is how large a buffer a file of this size needs, with one byte to
// spare so that its end is seen in one read.
func bufferFor(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		return chunk
	}
	return min(chunk, max(512, info.Size()+1))
}
