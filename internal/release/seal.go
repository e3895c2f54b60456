package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/release/tree"
)

// Seal makes a staged release complete: it gives every entry its owner and
// mode, flushes all of it to the disk, writes the metadata and gives the
// directory its final name, which is the moment from which the release is
// there. A root file system keeps owners and modes (see rootfs.go). It refuses what no release may hold, also when a build step made it.
// Sealing a release that is there already changes nothing.
func (s *Store) Seal(ctx context.Context, id string, meta landfast.Release) error {
	if err := landfast.CheckReleaseID(id); err != nil {
		return err
	}
	deploy, err := s.deploy()
	if err != nil {
		return err
	}
	defer deploy.Close()
	part, err := deploy.OpenRoot(s.o.Releases + "/" + id + partSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		// Sealed before: a killed Seal may have renamed and not flushed.
		if _, err := s.Get(id); err != nil {
			return err
		}
		return atomicfile.SyncDir(deploy, s.o.Releases)
	}
	if err != nil {
		return err
	}
	defer part.Close()
	own := s.own
	if s.o.RootFS {
		own = guard
	}
	if err := own(ctx, part); err != nil {
		return fmt.Errorf("seal release %s: %w", id, err)
	}
	if err := syncAll(part); err != nil {
		return fmt.Errorf("seal release %s: %w", id, err)
	}
	// The owner of this directory is the plan's affair.
	if err := s.prepare(s.o.State, dirName, -1, -1); err != nil {
		return err
	}
	meta.ID, meta.App = id, s.o.App
	if meta.State == "" {
		meta.State = landfast.ReleaseNew
	}
	if meta.Created.IsZero() {
		meta.Created = time.Now().UTC().Truncate(time.Second)
	}
	if err := s.writeMeta(meta); err != nil {
		return err
	}
	return atomicfile.Rename(deploy, s.o.Releases+"/"+id+partSuffix, s.o.Releases+"/"+id)
}

// own gives a tree to the deploy user and the app's group, who may read it.
func (s *Store) own(ctx context.Context, part *os.Root) error {
	err := tree.Walk(ctx, part, func(e *tree.Entry) error {
		if err := e.Check(); err != nil {
			return err
		}
		if !e.IsDir() && !e.IsLink() && e.Stat.Nlink > 1 {
			// Its content, owner and mode could be changed from elsewhere.
			return tree.Refuse(e.Name, "it is a hard link: the same file has another name")
		}
		return s.ownEntry(part, e)
	})
	if err != nil {
		return err
	}
	top, err := part.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	if err := top.Chown(s.o.UID, s.o.GID); err != nil {
		return err
	}
	return top.Chmod(tree.DirMode)
}

func (s *Store) ownEntry(part *os.Root, e *tree.Entry) error {
	uid, gid := int(e.Stat.Uid), int(e.Stat.Gid)
	if s.o.UID >= 0 && s.o.UID != uid || s.o.GID >= 0 && s.o.GID != gid {
		if err := unix.Fchownat(e.Dir, e.Base, s.o.UID, s.o.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return &os.PathError{Op: "chown", Path: e.Name, Err: err}
		}
	}
	if e.IsLink() {
		return nil
	}
	mode := uint32(tree.FileMode)
	if e.IsDir() {
		mode = tree.DirMode
	} else if e.Exec() {
		mode = tree.ExecMode
	}
	if e.Stat.Mode&0o7777 == mode {
		return nil
	}
	return part.Chmod(e.Name, fs.FileMode(mode))
}

// syncAll flushes the file system that root lies on. One syncfs(2) is much
// faster than an fsync for every file, and since Linux 5.8 it reports write
// errors as well.
func syncAll(root *os.Root) error {
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	if err := unix.Syncfs(int(top.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: top.Name(), Err: err}
	}
	return nil
}
