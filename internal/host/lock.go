package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
)

// stateDir holds the state of each app below its name.
const stateDir = "/var/lib/landfast"

// Lock makes this process the only one that changes app, until unlock or its
// death; the kernel sees to the latter, so a lock cannot go stale. holder says
// what it is wanted for, and is told to whom it is denied. Lock does not wait: a
// lock that is held is an error of kind Conflict.
func (h *Host) Lock(ctx context.Context, app, holder string) (unlock func(), err error) {
	name := path.Join(stateDir, app, "lock")
	if err := h.appState(app); err != nil {
		return nil, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := h.root.OpenFile(rel(name), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, failed("open", name, err)
		}
		again, err := h.take(f, name, app)
		if err == nil && !again {
			// For people; nothing depends on it.
			note := fmt.Sprintf("%s (process %d)\n", strings.ReplaceAll(holder, "\n", " "), os.Getpid())
			err = errors.Join(f.Truncate(0), writeAt(f, note))
			if err == nil {
				return func() { _ = errors.Join(f.Truncate(0), f.Close()) }, nil
			}
			err = failed("write", name, err)
		}
		_ = f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// take locks the file. It is to be tried again when the file has lost its name
// in the meantime, as by an uninstall that held the lock before us.
func (h *Host) take(f *os.File, name, app string) (again bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, held(f, app)
	}
	if err != nil {
		return false, failed("lock", name, err)
	}
	mine, err := f.Stat()
	if err != nil {
		return false, failed("look at", name, err)
	}
	named, err := h.root.Lstat(rel(name))
	if err != nil && !os.IsNotExist(err) {
		return false, failed("look at", name, err)
	}
	return err != nil || !os.SameFile(mine, named), nil
}

// held names the holder, as it introduced itself.
func held(f *os.File, app string) error {
	msg := "app " + app + " is being changed by another process"
	if note, err := io.ReadAll(io.LimitReader(f, 1<<10)); err == nil && len(bytes.TrimSpace(note)) > 0 {
		msg = "app " + app + " is being changed: " + string(bytes.TrimSpace(note))
	}
	return &landfast.Error{Kind: landfast.Conflict, Msg: msg, Hint: "wait until it has ended, or stop it"}
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
