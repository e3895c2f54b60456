// Package release keeps the releases of one app on disk: it stages and seals
// them, makes one the current one, remembers what is known of each, and removes
// those that are no longer needed.
//
// The files of a release lie in releases/ID below the app's directory, what is
// known of it in releases/ID.json below the app's state directory. It knows
// neither where releases come from nor what a deployment is.
//
// The invariant: a release is there when both its directory releases/ID and its
// metadata are, and then it is complete and on the disk. What is being made
// lies in releases/ID.part, what is being removed in releases/ID.gone; neither
// is ever believed. current names a release that is there, and changes in one
// rename. Every method may be killed anywhere and called again.
//
// A Store does not lock: whoever changes the releases of an app holds the
// app's lock. Reading needs none.
package release

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/release/tree"
)

// Names below the app's directory and its state directory.
const (
	dirName     = "releases"
	currentName = "current"
	partSuffix  = ".part"
	goneSuffix  = ".gone"
	metaSuffix  = ".json"
)

// Options say where the releases of an app lie and whose they are.
type Options struct {
	App    string
	Deploy string // the app's directory: /srv/web
	State  string // the app's state directory: /var/lib/landfast/web
	// Where the releases and the link to the current one are below Deploy; "" means
	// "releases" and "current".
	Releases, Current string
	UID               int // of the deploy user, who owns the releases; -1: as it is
	GID               int // of the app's group, who may read them; -1: as it is
	// RootFS says that new releases are root file systems (see rootfs.go).
	RootFS bool
}

// Store is the releases of one app. It holds nothing open.
type Store struct{ o Options }

// New is the Store of an app. Neither directory needs to be there yet.
func New(o Options) *Store {
	o.Releases, o.Current = cmp.Or(o.Releases, dirName), cmp.Or(o.Current, currentName)
	return &Store{o: o}
}

// Digest is what known-bad memory compares: one name for the content of a
// release and the manifest it is deployed with.
func Digest(content, manifest string) string {
	sum := sha256.Sum256([]byte("landfast release 1\n" + content + "\n" + manifest))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// NewID makes the id of a release made at t. It sorts behind every id that this
// Store has anything of, also of releases that are half made or long gone.
func (s *Store) NewID(t time.Time, revision string) (string, error) {
	newest := ""
	for _, dir := range []string{filepath.Join(s.o.Deploy, s.o.Releases), filepath.Join(s.o.State, dirName)} {
		names, err := namesIn(dir)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if id, _, ok := splitName(name); ok && id > newest {
				newest = id
			}
		}
	}
	return landfast.ReleaseID(t, revision, newest), nil
}

// Stage makes the empty directory that a new release is unpacked into: of a root
// file system, one in the release. It is an
// error when there is anything of this release already; Discard removes it. The
// caller closes the Root.
func (s *Store) Stage(id string) (*os.Root, error) {
	if err := landfast.CheckReleaseID(id); err != nil {
		return nil, err
	}
	if err := s.prepare(s.o.Deploy, s.o.Releases, s.o.UID, s.o.GID); err != nil {
		return nil, err
	}
	deploy, err := os.OpenRoot(s.o.Deploy)
	if err != nil {
		return nil, err
	}
	defer deploy.Close()
	for _, name := range []string{id, id + partSuffix, id + goneSuffix} {
		if _, err := deploy.Lstat(s.o.Releases + "/" + name); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(&landfast.Error{
				Kind: landfast.Conflict, Msg: fmt.Sprintf("there is %s already", s.path(name)),
			}, err)
		}
	}
	part := s.o.Releases + "/" + id + partSuffix
	if err := deploy.Mkdir(part, 0o700); err != nil {
		return nil, fmt.Errorf("stage release %s: %w", id, err)
	}
	if s.o.RootFS {
		part += "/" + landfast.RootFS
		if err := deploy.Mkdir(part, 0o700); err != nil {
			return nil, fmt.Errorf("stage release %s: %w", id, err)
		}
	}
	return deploy.OpenRoot(part)
}

// Get is what is known of a release that is there. Any other is an error of
// kind not-found.
func (s *Store) Get(id string) (landfast.Release, error) {
	if err := landfast.CheckReleaseID(id); err != nil {
		return landfast.Release{}, err
	}
	there, err := s.onDisk(id)
	if err != nil {
		return landfast.Release{}, err
	}
	meta, err := s.readMeta(id)
	switch {
	case !there || errors.Is(err, fs.ErrNotExist):
		return landfast.Release{}, &landfast.Error{
			Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no release %s", s.o.App, id),
			Hint: "`landfast releases` lists them",
		}
	case err != nil:
		return landfast.Release{}, err
	}
	return meta, nil
}

// Verify reads all files of a release and says whether they are those that it
// was sealed with. Others are an error of kind conflict.
func (s *Store) Verify(ctx context.Context, id string) error {
	meta, err := s.Get(id)
	if err != nil {
		return err
	}
	root, err := s.Open(id)
	if err != nil {
		return err
	}
	defer root.Close()
	now, err := digest(ctx, root, tree.Limits{Bytes: math.MaxInt64, Files: math.MaxInt})
	if err != nil {
		return err
	}
	if now.Content != meta.Content {
		return &landfast.Error{
			Kind: landfast.Conflict, Msg: fmt.Sprintf("the files of the release %s of %s were changed after it was made", id, s.o.App),
			Hint: "deploy it again from its source",
		}
	}
	return nil
}

// List is every release that is there, the newest first.
func (s *Store) List() ([]landfast.Release, error) {
	all, err := s.allMeta()
	if err != nil {
		return nil, err
	}
	there := all[:0]
	for _, meta := range all {
		ok, err := s.onDisk(meta.ID)
		if err != nil {
			return nil, err
		}
		if ok {
			there = append(there, meta)
		}
	}
	return there, nil
}

// onDisk reports whether the directory of a release has its final name.
func (s *Store) onDisk(id string) (bool, error) {
	info, err := os.Lstat(s.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}

// path is where something below releases/ lies, for lstat and messages. Writes
// go through an os.Root.
func (s *Store) path(name string) string { return filepath.Join(s.o.Deploy, s.o.Releases, name) }

// prepare makes a directory and the one for releases below it.
func (s *Store) prepare(dir, releases string, uid, gid int) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	attr := atomicfile.Attr{Mode: tree.DirMode, UID: uid, GID: gid}
	parent, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer parent.Close()
	if _, err := parent.Lstat(filepath.Base(dir)); errors.Is(err, fs.ErrNotExist) {
		if err := atomicfile.Mkdir(parent, filepath.Base(dir), attr); err != nil {
			return err
		}
	}
	root, err := parent.OpenRoot(filepath.Base(dir))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(releases), 0o755); err != nil {
		return err
	}
	return atomicfile.Mkdir(root, releases, attr)
}

// deploy opens the app's directory.
func (s *Store) deploy() (*os.Root, error) { return os.OpenRoot(s.o.Deploy) }

// namesIn are the names in a directory, sorted; none when it is not there.
func namesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// splitName takes a name apart into a release id and one of our suffixes, or
// reports that it is neither.
func splitName(name string) (id, suffix string, ok bool) {
	id = name
	for _, known := range []string{partSuffix, goneSuffix, metaSuffix} {
		if cut, found := strings.CutSuffix(name, known); found {
			id, suffix = cut, known
		}
	}
	return id, suffix, landfast.CheckReleaseID(id) == nil
}

// newestFirst sorts by id, which begins with the time.
func newestFirst(releases []landfast.Release) {
	slices.SortFunc(releases, func(a, b landfast.Release) int { return strings.Compare(b.ID, a.ID) })
}
