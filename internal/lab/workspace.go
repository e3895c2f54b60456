package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	memoryDir = "/dev/shm"
	// enough is the room below which machines are kept on disk instead: ten of
	// them with a release or two each.
	enough    = 1 << 30
	ownerFile = "owner"
)

// workspace is a directory that its process owns for as long as it lives. The
// owner holds a lock on a file in it; the kernel drops the lock with the
// process, so a free lock is the proof that the owner is gone.
type workspace struct {
	dir  string
	id   string // the directory's name; names the control groups as well
	lock *flock.Flock
}

// bases lists the directories that workspaces may be in, the preferred first.
func bases() ([]string, error) {
	if d := os.Getenv("LANDFAST_LAB_DIR"); d != "" {
		return []string{d}, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	disk := filepath.Join(cache, "machines")
	if free, err := freeBytes(memoryDir); err == nil && free >= enough {
		return []string{filepath.Join(memoryDir, groupName), disk}, nil
	}
	return []string{disk, filepath.Join(memoryDir, groupName)}, nil
}

// newWorkspace removes what dead owners left and makes a directory of its own.
func newWorkspace(ctx context.Context, name string) (*workspace, error) {
	list, err := bases()
	if err != nil {
		return nil, err
	}
	for _, b := range list[1:] {
		if _, err := os.Stat(b); err == nil {
			if err := guarded(ctx, b, func() error { return sweep(ctx, b) }); err != nil {
				return nil, err
			}
		}
	}
	var w *workspace
	if err := os.MkdirAll(list[0], 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the machines: %w", err)
	}
	err = guarded(ctx, list[0], func() error {
		if err := sweep(ctx, list[0]); err != nil {
			return err
		}
		w, err = claim(list[0], name)
		return err
	})
	return w, err
}

// guarded runs f alone among all processes that use base: a workspace that is
// just being made has no locked owner file yet and must not be swept.
func guarded(ctx context.Context, base string, f func() error) error {
	guard := flock.New(filepath.Join(base, ".lock"))
	if _, err := guard.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return fmt.Errorf("lock %s: %w", base, err)
	}
	defer func() { _ = guard.Close() }()
	return f()
}

func claim(base, name string) (*workspace, error) {
	random := make([]byte, 4)
	_, _ = rand.Read(random) // documented never to fail
	w := &workspace{id: name + "-" + hex.EncodeToString(random)}
	w.dir = filepath.Join(base, w.id)
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of a machine: %w", err)
	}
	w.lock = flock.New(filepath.Join(w.dir, ownerFile))
	if err := w.lock.Lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", w.dir, err), os.RemoveAll(w.dir))
	}
	return w, nil
}

// remove takes away everything that carries the workspace's id.
func (w *workspace) remove(ctx context.Context) error {
	return guarded(ctx, filepath.Dir(w.dir), func() error {
		return errors.Join(erase(ctx, w.dir), w.lock.Close())
	})
}

// sweep removes the workspaces in base whose owner is dead.
func sweep(ctx context.Context, base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return fmt.Errorf("list the machines: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(base, e.Name())
		owner := flock.New(filepath.Join(dir, ownerFile))
		free, err := owner.TryLock()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("ask for the owner of %s: %w", dir, err)
		}
		if err == nil && !free {
			continue
		}
		if err := errors.Join(erase(ctx, dir), owner.Close()); err != nil {
			return fmt.Errorf("sweep a machine whose owner died: %w", err)
		}
	}
	return nil
}

// erase kills and removes, in the order in which each lets go of the next.
func erase(ctx context.Context, dir string) error {
	if err := removeGroups(ctx, filepath.Base(dir)); err != nil {
		return err
	}
	return removeTree(dir)
}
