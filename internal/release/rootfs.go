package release

import (
	"context"
	"os"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// A release that is a root file system lies in the directory rootfs of
// releases/ID, as it was packed: its owners are numbers that mean users of the
// machine, and what is setuid in it is so inside. On the host the same numbers
// are other users and setuid is real, so releases/ID is root's alone. The root
// of the machine cannot be that guard itself: its users must pass through it.

// guardMode is the mode of releases/ID around a root file system, and no mode
// that another release has.
const guardMode = 0o700

// guard closes a release that is a root file system, and refuses what none may
// hold.
func guard(ctx context.Context, part *os.Root) error {
	type inode struct{ dev, ino uint64 }
	type names struct {
		first       string
		have, found uint64
	}
	linked := map[inode]*names{}
	err := tree.Walk(ctx, part, func(e *tree.Entry) error {
		if err := e.CheckRootFS(); err != nil {
			return err
		}
		if e.IsDir() || e.Stat.Nlink < 2 {
			return nil
		}
		key := inode{e.Stat.Dev, e.Stat.Ino}
		if linked[key] == nil {
			linked[key] = &names{first: e.Name, have: uint64(e.Stat.Nlink)}
		}
		linked[key].found++
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range linked {
		if n.found != n.have {
			return tree.Refuse(n.first, "it is a hard link: the same file has another name outside of the release")
		}
	}
	top, err := part.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	if err := top.Chown(0, 0); err != nil {
		return err
	}
	return top.Chmod(guardMode)
}

// digest names the content of a release of either sort.
func digest(ctx context.Context, root *os.Root, limits tree.Limits) (tree.Summary, error) {
	info, err := root.Stat(".")
	if err != nil {
		return tree.Summary{}, err
	}
	if info.Mode().Perm() != guardMode {
		return tree.Digest(ctx, root, limits, nil)
	}
	files, err := root.OpenRoot(landfast.RootFS)
	if err != nil {
		return tree.Summary{}, err
	}
	defer files.Close()
	return tree.DigestRootFS(ctx, files, limits)
}
