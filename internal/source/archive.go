package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// openArchive gets an archive into a file, verifies its digest and finds out
// what it is.
func openArchive(ctx context.Context, src landfast.Source, o Options) (*Artifact, error) {
	if src.Strip < 0 {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("cannot strip %d components from the names in an archive", src.Strip)}
	}
	want, err := parseDigest(src.Digest)
	if err != nil {
		return nil, err
	}
	var file *archiveFile
	if isURL(src.Location) {
		file, err = download(ctx, src.Location, want, o)
	} else {
		file, err = openLocal(ctx, src.Location, o)
	}
	if err != nil {
		return nil, err
	}
	if want != "" && file.sum != want {
		err := &landfast.Error{
			Kind: landfast.Invalid,
			Msg:  fmt.Sprintf("%s has the digest sha256:%s, not sha256:%s as asked for", redact(src.Location), file.sum, want),
			Hint: "it was damaged or replaced; nothing of it was unpacked",
		}
		return nil, errors.Join(err, file.close())
	}
	format, err := sniff(file.File)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", redact(src.Location), err), file.close())
	}
	return &Artifact{
		Revision:    file.sum,
		Digest:      "sha256:" + file.sum,
		Description: redact(src.Location),
		unpack: func(ctx context.Context, w *tree.Writer) error {
			if err := unpackArchive(ctx, file.File, format, src.Strip, w, o.Limits); err != nil {
				return fmt.Errorf("unpack %s: %w", redact(src.Location), err)
			}
			return nil
		},
		check:   func(context.Context) error { return file.unchanged() },
		release: file.close,
	}, nil
}

// archiveFile is an archive on this machine.
type archiveFile struct {
	*os.File
	sum   string // sha256 of all of it, in hexadecimal
	temp  bool   // it is ours: removed when it is closed
	state syscall.Stat_t
}

func (f *archiveFile) close() error {
	var err error
	if f.temp {
		err = os.Remove(f.Name())
	}
	return errors.Join(err, f.Close())
}

// unchanged refuses an archive that somebody wrote to after its digest was
// taken.
func (f *archiveFile) unchanged() error {
	now, err := statOf(f.File)
	if err != nil {
		return err
	}
	if now.Size != f.state.Size || now.Mtim != f.state.Mtim || now.Ctim != f.state.Ctim {
		return &landfast.Error{
			Kind: landfast.Conflict, Msg: fmt.Sprintf("%s changed while it was unpacked", f.Name()),
			Hint: "deploy again when nothing writes to it",
		}
	}
	return nil
}

func statOf(f *os.File) (syscall.Stat_t, error) {
	info, err := f.Stat()
	if err != nil {
		return syscall.Stat_t{}, err
	}
	return *info.Sys().(*syscall.Stat_t), nil
}

// openLocal opens an archive that is a file and takes its digest.
func openLocal(ctx context.Context, location string, o Options) (*archiveFile, error) {
	// O_NONBLOCK: a named pipe must be refused, not waited for.
	f, err := os.OpenFile(location, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no archive %s", location)}
	}
	if err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	a := &archiveFile{File: f}
	if err := a.measure(ctx, o); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return a, nil
}

func (f *archiveFile) measure(ctx context.Context, o Options) error {
	var err error
	if f.state, err = statOf(f.File); err != nil {
		return err
	}
	if f.state.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s is not a file, so it is no archive", f.Name()),
			Hint: "name it as a directory if it is one",
		}
	}
	if f.state.Size > archiveLimit(o.Limits) {
		return tree.TooLarge(o.Limits.Bytes)
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, contextReader{ctx, f.File}, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	f.sum = hex.EncodeToString(h.Sum(nil))
	return nil
}

// archiveLimit is the size that no archive of a release within the limits
// reaches: tar needs at most some headers of 512 bytes for each entry.
func archiveLimit(l tree.Limits) int64 { return l.Bytes + int64(l.Files)*4096 + 1<<20 }

// parseDigest reads "sha256:HEX" and gives HEX in lower case, or "" for "".
func parseDigest(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	sum, ok := strings.CutPrefix(s, "sha256:")
	if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size {
		return "", &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not a digest", s),
			Hint: "write sha256: and the 64 hexadecimal digits that sha256sum prints",
		}
	}
	return strings.ToLower(sum), nil
}

// redact takes the password out of a location.
func redact(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.User == nil {
		return location
	}
	return u.Redacted()
}

// contextReader ends with ctx.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}
