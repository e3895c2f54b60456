package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
)

// at opens the directory that name lies in and gives the last part of name. Up to
// the first directory that somebody else than root may write, symbolic links that
// stay below the root are followed, as an administrator may have made them. From
// there on none is: who may write a directory could put a link to anywhere in the
// place of one below it, also between a look and the act. The caller closes it.
func (h *Host) at(name string) (*os.Root, string, error) {
	dir, err := h.root.OpenRoot(".")
	if err != nil {
		return nil, "", err
	}
	trusted, prefix := true, ""
	for part := range strings.SplitSeq(path.Dir(rel(name)), "/") {
		if part == "." {
			continue
		}
		prefix = path.Join(prefix, part)
		var next *os.Root
		if trusted {
			next, err = h.openDir(prefix)
		} else {
			next, err = openReal(dir, part, "/"+prefix)
		}
		_ = dir.Close()
		if err != nil {
			return nil, "", err
		}
		dir = next
		if trusted, err = onlyRootWrites(dir, trusted); err != nil {
			return nil, "", errors.Join(err, dir.Close())
		}
	}
	return dir, path.Base(rel(name)), nil
}

// openDir opens a directory below the root. A file in its place is ENOTDIR.
func (h *Host) openDir(name string) (*os.Root, error) {
	dir, err := h.root.OpenRoot(name)
	if err == nil {
		return dir, nil
	}
	if info, serr := h.root.Stat(name); serr == nil && !info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: "/" + name, Err: syscall.ENOTDIR}
	}
	return nil, err
}

// do runs f on the directory that name lies in.
func (h *Host) do(name string, f func(dir *os.Root, base string) error) error {
	dir, base, err := h.at(name)
	if err != nil {
		return err
	}
	return errors.Join(f(dir, base), dir.Close())
}

// openReal opens a directory that is one, and not a link to one. What was opened is
// compared with what was looked at: it may have been replaced in between.
func openReal(dir *os.Root, name, full string) (*os.Root, error) {
	looked, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if looked.Mode().Type() == fs.ModeSymlink {
		return nil, linkInTheWay(full)
	}
	if !looked.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: full, Err: syscall.ENOTDIR}
	}
	opened, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	found, err := opened.Stat(".")
	if err == nil && !os.SameFile(looked, found) {
		err = linkInTheWay(full)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

func linkInTheWay(full string) error {
	return &landfast.Error{
		Kind: landfast.Conflict,
		Msg:  fmt.Sprintf("%s is a symbolic link in a directory that others than root may write, so it is not followed", full),
		Hint: "look who made it, and put a real directory in its place",
	}
}

// onlyRootWrites reports whether a directory, like those above it, is root's or of
// the account that runs this program, and nobody else may write it.
func onlyRootWrites(dir *os.Root, above bool) (bool, error) {
	if !above {
		return false, nil
	}
	info, err := dir.Stat(".")
	if err != nil {
		return false, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false, nil
	}
	owner := st.Uid == 0 || int(st.Uid) == os.Geteuid()
	group := info.Mode().Perm()&0o020 == 0 || st.Gid == 0
	return owner && group && info.Mode().Perm()&0o002 == 0, nil
}
