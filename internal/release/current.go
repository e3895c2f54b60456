package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// Current is the id of the release that current names, or "" when there is no
// current. A current that is no link, or that names anything but a release
// that is there, is an error of kind conflict: somebody else changed it.
func (s *Store) Current() (string, error) {
	id, err := s.readCurrent()
	if err != nil || id == "" {
		return "", err
	}
	there, err := s.onDisk(id)
	if err != nil {
		return "", err
	}
	if !there {
		return "", &landfast.Error{
			Kind: landfast.Conflict, Msg: fmt.Sprintf("%s names the release %s, which is gone", s.currentPath(), id),
			Hint: "deploy again, or remove the link",
		}
	}
	return id, nil
}

// readCurrent is the id that current names, there or not.
func (s *Store) readCurrent() (string, error) {
	deploy, err := s.deploy()
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer deploy.Close()
	info, err := deploy.Lstat(s.o.Current)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return "", &landfast.Error{
			Kind: landfast.Conflict, Msg: fmt.Sprintf("%s is not a symbolic link", s.currentPath()),
			Hint: "somebody else made it: move it away",
		}
	}
	target, err := deploy.Readlink(s.o.Current)
	if err != nil {
		return "", err
	}
	id, ok := strings.CutPrefix(target, s.target(""))
	if !ok || landfast.CheckReleaseID(id) != nil {
		return "", &landfast.Error{
			Kind: landfast.Conflict, Msg: fmt.Sprintf("%s leads to %s, which is no release of %s", s.currentPath(), target, s.o.App),
			Hint: "somebody else made it: move it away",
		}
	}
	return id, nil
}

// Activate makes a release the current one, in one rename, and gives the one
// that was; "" if there was none, or only a link to one that is gone. When id
// is current already nothing changes and previous is id. It refuses a release
// that is not there and a current that somebody else made.
func (s *Store) Activate(id string) (previous string, err error) {
	if _, err := s.Get(id); err != nil {
		return "", err
	}
	previous, err = s.readCurrent()
	if err != nil {
		return "", err
	}
	deploy, err := s.deploy()
	if err != nil {
		return "", err
	}
	defer deploy.Close()
	if previous == id {
		// A killed Activate may have renamed and not flushed; one of another release,
		// which this takes back, may not have renamed.
		return id, atomicfile.Remove(deploy, atomicfile.TempName(s.o.Current))
	}
	if previous != "" {
		if there, err := s.onDisk(previous); err != nil {
			return "", err
		} else if !there {
			previous = ""
		}
	}
	attr := atomicfile.Attr{UID: s.o.UID, GID: s.o.GID}
	if err := atomicfile.Symlink(deploy, s.target(id), s.o.Current, attr); err != nil {
		return "", fmt.Errorf("activate release %s: %w", id, err)
	}
	return previous, nil
}

// Deactivate removes current, as before the first deployment. It refuses one
// that somebody else made.
func (s *Store) Deactivate() error {
	if _, err := s.readCurrent(); err != nil {
		return err
	}
	deploy, err := s.deploy()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer deploy.Close()
	return atomicfile.Remove(deploy, s.o.Current)
}

// target is where the link to the current release leads: relative, so that it is
// right below any root.
func (s *Store) target(id string) string {
	up := strings.Repeat("../", strings.Count(s.o.Current, "/"))
	return up + s.o.Releases + "/" + id
}

func (s *Store) currentPath() string { return s.o.Deploy + string(os.PathSeparator) + s.o.Current }
