package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// Spool is where the queues of a host lie.
const Spool = "/var/spool/landfast"

// The directories of a queue.
const (
	dirTmp      = "tmp"
	dirNew      = "new"
	dirCur      = "cur"
	dirDone     = "done"
	dirFailed   = "failed"
	dirProgress = "progress"
)

// orderName is the file in the spool that holds the last id given out, for all
// apps. Whoever enqueues holds its lock meanwhile.
const orderName = ".order"

// Dir is a directory or file of a spool, for those who make it. The owner is the
// worker's account. Group is the group of those who may enqueue where Shared is
// set, and the worker's own otherwise.
type Dir struct {
	Path   string      // relative to the spool; "": the spool itself
	Mode   fs.FileMode // with special bits
	Shared bool
	File   bool // an empty file
}

// SpoolDirs lists what a spool has besides its queues.
func SpoolDirs() []Dir {
	return []Dir{
		{Path: "", Mode: 0o755},
		{Path: orderName, Mode: 0o660, Shared: true, File: true},
	}
}

// Dirs lists what the queue of app has, parents first. Those who may enqueue can
// make names in tmp and new and can take away only their own (sticky).
func Dirs(app string) []Dir {
	open := 0o770 | fs.ModeSetgid | fs.ModeSticky
	return []Dir{
		{Path: app, Mode: 0o750, Shared: true},
		{Path: app + "/" + dirTmp, Mode: open &^ 0o040, Shared: true},
		{Path: app + "/" + dirNew, Mode: open, Shared: true},
		{Path: app + "/" + dirCur, Mode: 0o750},
		{Path: app + "/" + dirDone, Mode: 0o750},
		{Path: app + "/" + dirFailed, Mode: 0o750},
		{Path: app + "/" + dirProgress, Mode: 0o750, Shared: true},
	}
}

// Make makes the spool and the queue of app in it, or mends their modes and
// owners. An id of -1 leaves owner or group as they are; setting others takes
// root. It is idempotent.
func Make(spool, app string, owner, ownGroup, sharedGroup int) error {
	if err := checkApp(app); err != nil {
		return err
	}
	for _, d := range append(SpoolDirs(), Dirs(app)...) {
		group := ownGroup
		if d.Shared {
			group = sharedGroup
		}
		if err := d.make(filepath.Join(spool, d.Path), owner, group); err != nil {
			return fmt.Errorf("make %s: %w", filepath.Join(spool, d.Path), err)
		}
	}
	return nil
}

func (d Dir) make(path string, owner, group int) error {
	flags := os.O_RDONLY | unix.O_NOFOLLOW
	var err error
	if d.File {
		flags |= os.O_CREATE
	} else {
		err = os.MkdirAll(path, 0o700)
		flags |= unix.O_DIRECTORY
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if owner >= 0 || group >= 0 {
		if err := f.Chown(owner, group); err != nil {
			return err
		}
	}
	return errors.Join(f.Chmod(d.Mode), f.Sync())
}

var appName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}$`)

// checkApp refuses what would not be one plain directory in the spool.
func checkApp(app string) error {
	if appName.MatchString(app) {
		return nil
	}
	return &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%q cannot be the name of an app", app), Hint: "use at most 31 lower-case letters, digits, - and _, a letter first"}
}

// noQueue says that an app has no queue here, or that it may not be used.
func noQueue(spool, app string, err error) error {
	dir := filepath.Join(spool, app)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("app %s has no queue: there is no %s", app, dir), Hint: "run `sudo landfast setup`"}
	case errors.Is(err, fs.ErrPermission):
		return &landfast.Error{Kind: landfast.Internal, Msg: "cannot use the queue " + dir, Err: err, Hint: "run as root"}
	}
	return unavailable("use the queue "+dir, err)
}

// unavailable tells a disk that cannot take more now from other errors.
func unavailable(what string, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot " + what, Err: err, Hint: "make room on the disk; nothing was lost"}
	}
	return fmt.Errorf("%s: %w", what, err)
}
