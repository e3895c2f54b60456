// Package atomicfile makes changes to a directory that survive power loss and
// are never seen half done: files written, symbolic links changed, names moved
// and removed.
//
// Everything happens below an *os.Root, so that nothing that others put into
// the tree (a symbolic link, a ".." ) leads a write outside of it. A caller
// with a plain path opens its directory with os.OpenRoot.
//
// The invariant: whenever the process is killed or the power fails, a name
// holds either what it held before or all of what it was to hold, and once a
// function here has returned nil the new state is on the disk. Something half
// written lives only under TempName, and the next write of the same name
// removes it. One name has one writer at a time; callers hold a lock for that.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// Attr is who owns a file and who may do what with it.
type Attr struct {
	Mode fs.FileMode // permission bits; not used for symbolic links
	UID  int         // -1: as the kernel makes it
	GID  int         // -1: as the kernel makes it
}

// Mode is an Attr with these permission bits, owned as the kernel makes it.
func Mode(mode fs.FileMode) Attr { return Attr{Mode: mode, UID: -1, GID: -1} }

// Like is the Attr of the file that is there, to preserve it over a
// WriteFile, or otherwise when there is none. Symbolic links are not followed.
func Like(root *os.Root, name string, otherwise Attr) (Attr, error) {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return otherwise, nil
	}
	if err != nil {
		return Attr{}, err
	}
	attr := Mode(info.Mode().Perm())
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		attr.UID, attr.GID = int(st.Uid), int(st.Gid)
	}
	return attr, nil
}

// TempName is where the new state of name is prepared, in the same directory.
// It starts with a dot and ends in a suffix that systemd, sysusers and
// tmpfiles do not read.
func TempName(name string) string {
	dir, base := path.Split(name)
	return dir + "." + base + tempSuffix
}

// TempOf is the name that a temporary name in the same directory was made for,
// or reports that it is not one.
func TempOf(temp string) (name string, ok bool) {
	dir, base := path.Split(temp)
	base, dot := strings.CutPrefix(base, ".")
	base, suffix := strings.CutSuffix(base, tempSuffix)
	return dir + base, dot && suffix && base != ""
}

const tempSuffix = ".landfast-tmp"

// WriteFile makes name a regular file that holds data. Owner and mode are set
// before the file gets its name. A symbolic link called name is replaced, not
// followed. It blocks until the disk has it.
func WriteFile(root *os.Root, name string, data []byte, attr Attr) (err error) {
	temp := TempName(name)
	if err := removeIfThere(root, temp); err != nil {
		return err
	}
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(root, temp))
		}
	}()
	if err := fill(f, data, attr); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return SyncDir(root, path.Dir(name))
}

// fill writes data into f, gives it its owner and mode and flushes it.
func fill(f *os.File, data []byte, attr Attr) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	// chown(2) clears the set-id bits, so the mode comes last.
	if attr.UID >= 0 || attr.GID >= 0 {
		if err := f.Chown(attr.UID, attr.GID); err != nil {
			return err
		}
	}
	if err := f.Chmod(attr.Mode); err != nil {
		return err
	}
	return f.Sync()
}

// Symlink makes name a symbolic link to target, in one rename. Target is
// written as it is given. A file or link called name is replaced; a directory
// is an error.
func Symlink(root *os.Root, target, name string, attr Attr) (err error) {
	temp := TempName(name)
	if err := removeIfThere(root, temp); err != nil {
		return err
	}
	if err := root.Symlink(target, temp); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(root, temp))
		}
	}()
	if attr.UID >= 0 || attr.GID >= 0 {
		if err := root.Lchown(temp, attr.UID, attr.GID); err != nil {
			return err
		}
	}
	if err := root.Rename(temp, name); err != nil {
		return err
	}
	return SyncDir(root, path.Dir(name))
}

// Rename gives oldname the name newname, and replaces what has that name as
// rename(2) does. What oldname holds must be on the disk already.
func Rename(root *os.Root, oldname, newname string) error {
	if err := root.Rename(oldname, newname); err != nil {
		return err
	}
	if err := SyncDir(root, path.Dir(newname)); err != nil {
		return err
	}
	if path.Dir(oldname) != path.Dir(newname) {
		return SyncDir(root, path.Dir(oldname))
	}
	return nil
}

// Remove removes the file, link or empty directory called name, and what a
// killed write of it left. It is no error when nothing is there.
func Remove(root *os.Root, name string) error {
	if err := removeIfThere(root, TempName(name)); err != nil {
		return err
	}
	if err := removeIfThere(root, name); err != nil {
		return err
	}
	err := SyncDir(root, path.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the directory is gone as well
	}
	return err
}

// Mkdir makes the directory name with the owner and mode of attr. One that is
// there already is mended to them; anything else in its place is an error.
func Mkdir(root *os.Root, name string, attr Attr) error {
	if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("make directory %s: %w", name, err)
	}
	defer dir.Close()
	if attr.UID >= 0 || attr.GID >= 0 {
		if err := dir.Chown(attr.UID, attr.GID); err != nil {
			return err
		}
	}
	if err := dir.Chmod(attr.Mode); err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		return err
	}
	return SyncDir(root, path.Dir(name))
}

// SyncDir flushes the entries of the directory name, so that names made,
// changed and removed in it stay so.
func SyncDir(root *os.Root, name string) error {
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// removeIfThere removes name and does not mind when it is absent.
func removeIfThere(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
