package source

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// unpackArchive gives every entry of an archive to w.
func unpackArchive(ctx context.Context, f *os.File, is format, strip int, w *tree.Writer, limits tree.Limits) error {
	if is == formatZip && w.RootFS() {
		return notRootFS("a zip archive")
	}
	if is == formatZip {
		return unpackZip(ctx, f, strip, w)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	packed := bufio.NewReaderSize(contextReader{ctx, io.NewSectionReader(f, 0, size)}, 128<<10)
	stream, free, err := decompress(is, packed)
	if err != nil {
		return damaged(err)
	}
	defer free()
	// A tar stream holds headers and padding beside the files. Bounding the
	// whole of it bounds archives of headers only and what follows their end.
	return unpackTar(ctx, &tarStream{r: stream, left: archiveLimit(limits), limit: limits.Bytes}, strip, w)
}

// unpackTar gives every entry of a tar stream to w, and reads on to the end of
// the stream, where the decompressors keep their checksums.
func unpackTar(ctx context.Context, stream *tarStream, strip int, w *tree.Writer) error {
	r := tar.NewReader(stream)
	entry := unpackTarEntry
	if w.RootFS() {
		entry = unpackRootEntry
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			if !isEnd(stream.tail) {
				return damaged(io.ErrUnexpectedEOF) // archive/tar takes it for an end
			}
			_, err := io.Copy(io.Discard, stream)
			return damaged(err)
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // we say ourselves what is insecure
			return damaged(err)
		}
		if err := entry(ctx, r, h, strip, w); err != nil {
			return damaged(err)
		}
	}
}

func unpackTarEntry(ctx context.Context, r io.Reader, h *tar.Header, strip int, w *tree.Writer) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil // not an entry: attributes, such as the commit of a git archive
	case tar.TypeChar, tar.TypeBlock:
		return tree.Refuse(h.Name, "it is a device")
	case tar.TypeFifo:
		return tree.Refuse(h.Name, "it is a named pipe")
	}
	name, ok, err := stripName(h.Name, strip)
	if err != nil || !ok {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if h.Mode&(setuid|sticky) != 0 {
			return specialMode(h.Name, h.Mode)
		}
		return w.Dir(name)
	case tar.TypeReg, tar.TypeGNUSparse:
		if h.Mode&(setuid|setgid|sticky) != 0 {
			return specialMode(h.Name, h.Mode)
		}
		if h.Size > w.Remaining() {
			return w.TooLarge()
		}
		return w.File(ctx, name, h.Mode&0o111 != 0, h.Size, r)
	case tar.TypeSymlink:
		return w.Symlink(name, h.Linkname)
	case tar.TypeLink:
		existing, ok, err := stripName(h.Linkname, strip)
		if err != nil || !ok {
			return tree.Refuse(h.Name, fmt.Sprintf("it is a hard link that leads out of the release, to %s", h.Linkname))
		}
		return w.Hardlink(ctx, name, existing)
	}
	return tree.Refuse(h.Name, fmt.Sprintf("it is of the unknown type %q", h.Typeflag))
}

// The mode bits of tar and of Unix that a release may not have.
const (
	setuid = 0o4000
	setgid = 0o2000
	sticky = 0o1000
)

func specialMode(name string, mode int64) error {
	return tree.Refuse(name, fmt.Sprintf("it is setuid, setgid or sticky (mode %04o)", mode&0o7777))
}

// stripName drops leading components from the name of an entry. An entry with
// no more components than that is left out, as tar --strip-components does; but
// "./" does not count as one here.
func stripName(name string, strip int) (string, bool, error) {
	parts, err := tree.Clean(name)
	if err != nil {
		return "", false, err
	}
	if len(parts) <= strip {
		return "", false, nil
	}
	return strings.Join(parts[strip:], "/"), true, nil
}

// damaged makes an error of an archive reader one for people. Errors that are
// for people already, and those of the file system, pass through.
func damaged(err error) error {
	var path *os.PathError
	var link *os.LinkError
	if err == nil || landfast.KindOf(err) != landfast.Internal ||
		errors.As(err, &path) || errors.As(err, &link) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &landfast.Error{Kind: landfast.Invalid, Msg: "the archive is damaged", Err: err}
}

// tarStream fails, rather than ends, where a stream is longer than a release
// within the limits can need, and knows the last block that was read.
type tarStream struct {
	r     io.Reader
	left  int64
	limit int64 // for the error
	tail  []byte
}

func (s *tarStream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, tree.TooLarge(s.limit)
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.r.Read(p)
	s.left -= int64(n)
	s.tail = append(s.tail, p[max(0, n-512):n]...)
	s.tail = append(s.tail[:0], s.tail[max(0, len(s.tail)-512):]...)
	return n, err
}
