package cutover

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/steer"
)

// Link moves the target that the relay of an app reads at each connection.
type Link struct {
	Root string // directory of the machine
	// Accepted waits for the queue of a listener; nil: the running machine's.
	Accepted func(ctx context.Context, app *landfast.App, left landfast.Instance) error
}

// change does something in the directory of the app that holds the link. It is
// root's to change: who may write it has the traffic.
func (l Link) change(app *landfast.App, f func(dir *os.Root, name string) error) error {
	target := app.Target()
	dir, err := os.OpenRoot(filepath.Join(l.Root, filepath.Dir(target)))
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(dir, filepath.Base(target))
}

// Move is one rename.
func (l Link) Move(_ context.Context, app *landfast.App, to landfast.Instance) error {
	if to.Port == 0 {
		return noPort(app, to)
	}
	return l.change(app, func(dir *os.Root, name string) error {
		return atomicfile.Symlink(dir, private(to), name, atomicfile.Attr{UID: -1, GID: -1})
	})
}

// Settled waits for the queue of the listener: what the relay has connected there.
func (l Link) Settled(ctx context.Context, app *landfast.App, left landfast.Instance) error {
	if l.Accepted != nil {
		return l.Accepted(ctx, app, left)
	}
	return accepted(ctx, app, left)
}

// Leave removes the link: clients wait for another one.
func (l Link) Leave(_ context.Context, app *landfast.App) error {
	err := l.change(app, atomicfile.Remove)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// accepted waits until a release has taken what the kernel holds for it.
func accepted(ctx context.Context, app *landfast.App, left landfast.Instance) error {
	if left.Port == 0 {
		return nil
	}
	owner := steer.Owner{Unit: app.Main().InstanceUnit(left.Release)}
	return steer.Accepted(ctx, owner, uint16(left.Port), steer.Public{Port: uint16(left.Port)}) //nolint:gosec // a port
}
