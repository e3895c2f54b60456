package source

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/landfast/landfast/internal/release/tree"
)

// unpackZip gives every entry of a zip archive to w, in the order of its
// directory.
func unpackZip(ctx context.Context, f *os.File, strip int, w *tree.Writer) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	r, err := zip.NewReader(f, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // we say ourselves what is insecure
		return damaged(err)
	}
	for _, entry := range r.File {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := unpackZipEntry(ctx, entry, strip, w); err != nil {
			return damaged(err)
		}
	}
	return nil
}

// zipEncrypted is the bit of the general purpose flags that says so
// (APPNOTE.TXT 4.4.4).
const zipEncrypted = 0x1

// refuseZip refuses entries of a kind that a Writer does not see.
func refuseZip(entry *zip.File) error {
	mode := entry.Mode()
	switch {
	case entry.Flags&zipEncrypted != 0:
		return tree.Refuse(entry.Name, "it is encrypted")
	case strings.Contains(entry.Name, `\`) && entry.CreatorVersion>>8 != creatorUnix:
		return tree.Refuse(entry.Name, "its name has backslashes in place of slashes")
	case mode&os.ModeNamedPipe != 0:
		return tree.Refuse(entry.Name, "it is a named pipe")
	case mode&os.ModeSocket != 0:
		return tree.Refuse(entry.Name, "it is a socket")
	case mode&(os.ModeDevice|os.ModeCharDevice|os.ModeIrregular) != 0:
		return tree.Refuse(entry.Name, "it is a device")
	case mode&os.ModeSetuid != 0, mode&os.ModeSticky != 0, mode&os.ModeSetgid != 0 && !mode.IsDir():
		return tree.Refuse(entry.Name, fmt.Sprintf("it is setuid, setgid or sticky (mode %v)", mode))
	}
	return nil
}

func unpackZipEntry(ctx context.Context, entry *zip.File, strip int, w *tree.Writer) error {
	if err := refuseZip(entry); err != nil {
		return err
	}
	mode := entry.Mode()
	name, ok, err := stripName(entry.Name, strip)
	if err != nil || !ok {
		return err
	}
	if mode.IsDir() {
		return w.Dir(name)
	}
	if entry.UncompressedSize64 > uint64(w.Remaining()) {
		return w.TooLarge()
	}
	content, err := entry.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", entry.Name, err)
	}
	defer content.Close()
	if mode&os.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(content, 1<<16))
		if err != nil {
			return fmt.Errorf("read %s: %w", entry.Name, err)
		}
		return w.Symlink(name, string(target))
	}
	return w.File(ctx, name, mode&0o111 != 0, int64(entry.UncompressedSize64), contextReader{ctx, content})
}

// creatorUnix is the host system of archives whose names and modes are those of
// Unix (APPNOTE.TXT 4.4.2.2).
const creatorUnix = 3
