package tree

import (
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Entry is one entry that Walk has found.
type Entry struct {
	Name string // below the top, with slashes
	Base string // its last component
	Dir  int    // the descriptor of the directory it lies in, for the *at system calls
	Stat unix.Stat_t
}

// IsDir reports whether the entry is a directory.
func (e *Entry) IsDir() bool { return e.Stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsLink reports whether the entry is a symbolic link.
func (e *Entry) IsLink() bool { return e.Stat.Mode&unix.S_IFMT == unix.S_IFLNK }

// Exec reports whether anybody may execute the entry.
func (e *Entry) Exec() bool { return e.Stat.Mode&0o111 != 0 }

// Check refuses what no release may hold: devices, pipes, sockets, and files
// that run with the rights of their owner. The set-group-ID bit of a directory
// only passes its group on and is dropped with the other modes.
func (e *Entry) Check() error {
	switch e.Stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if e.Stat.Mode&(unix.S_ISUID|unix.S_ISGID|unix.S_ISVTX) != 0 {
			return refuse(e.Name, "it is setuid, setgid or sticky (mode %04o)", e.Stat.Mode&0o7777)
		}
		return nil
	case unix.S_IFDIR, unix.S_IFLNK:
		return nil
	}
	return e.special()
}

// CheckRootFS refuses what no root file system may hold: devices, which a
// machine gets from systemd-nspawn, pipes and sockets.
func (e *Entry) CheckRootFS() error {
	switch e.Stat.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
		return nil
	}
	return e.special()
}

// special refuses an entry that is neither file nor directory nor link.
func (e *Entry) special() error {
	switch e.Stat.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return refuse(e.Name, "it is a named pipe")
	case unix.S_IFSOCK:
		return refuse(e.Name, "it is a socket")
	}
	return refuse(e.Name, "it is a device")
}

// ErrSkip is what a visit function returns to leave a directory out.
var ErrSkip = errors.New("skip")

// Walk calls visit for every entry below the top of root, parents before
// children and in the order of their names. It follows no link. visit may
// return ErrSkip.
func Walk(ctx context.Context, root *os.Root, visit func(*Entry) error) error {
	return walk(ctx, root, ".", 0, visit)
}

func walk(ctx context.Context, root *os.Root, dir string, depth int, visit func(*Entry) error) error {
	if depth > maxDepth {
		return refuse(dir, "it lies more than %d directories deep", maxDepth)
	}
	d, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, base := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e := Entry{Name: path.Join(dir, base), Base: base, Dir: int(d.Fd())}
		if err := unix.Fstatat(e.Dir, base, &e.Stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return &os.PathError{Op: "stat", Path: e.Name, Err: err}
		}
		err := visit(&e)
		if err == nil && e.IsDir() {
			err = walk(ctx, root, e.Name, depth+1, visit)
		}
		if err != nil && !errors.Is(err, ErrSkip) {
			return err
		}
	}
	return nil
}

// Open opens the regular file of an entry for reading, and refuses when it has
// been replaced by something else meanwhile.
func Open(root *os.Root, name string) (*os.File, error) {
	// O_NONBLOCK: a named pipe put in its place must not block.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = refuse(name, "it is no regular file any more")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
