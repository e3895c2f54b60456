package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// maxBad is how many bad releases are remembered when their files are gone.
const maxBad = 50

// Discard removes a release, staged, sealed or half removed. It is no error
// when nothing is there. What is known of a bad release is kept. The current
// release is refused.
func (s *Store) Discard(id string) error {
	if err := landfast.CheckReleaseID(id); err != nil {
		return err
	}
	// A current that is broken does not keep anybody from cleaning up, except
	// the release it names.
	if current, err := s.readCurrent(); err == nil && current == id {
		return &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("the release %s is the current one of %s", id, s.o.App)}
	}
	if err := s.discardFiles(id); err != nil {
		return fmt.Errorf("discard release %s: %w", id, err)
	}
	meta, err := s.readMeta(id)
	if err == nil && meta.State == landfast.ReleaseBad {
		return nil
	}
	return s.removeMeta(id)
}

// discardFiles removes what lies in releases/ of one release. It takes its name
// away first, so that a release half removed is never believed.
func (s *Store) discardFiles(id string) error {
	deploy, err := s.deploy()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer deploy.Close()
	gone := s.o.Releases + "/" + id + goneSuffix
	for _, suffix := range []string{"", partSuffix} {
		name := s.o.Releases + "/" + id + suffix
		if _, err := deploy.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := deploy.RemoveAll(gone); err != nil { // left by a killed Discard
			return err
		}
		if err := atomicfile.Rename(deploy, name, gone); err != nil {
			return err
		}
	}
	return deploy.RemoveAll(gone)
}

// Prune removes releases that are no longer needed and gives the ids of those
// that were there. It keeps the current one, the previous one, the keep newest
// good ones by when they were live, and those in busy, which have a deployment
// under way. Bad releases and those that never became live go. What dead
// deployments left goes too; names that are not ours stay untouched. It removes
// nothing when current is broken.
func (s *Store) Prune(ctx context.Context, keep int, busy ...string) (removed []string, err error) {
	current, err := s.Current()
	if err != nil {
		return nil, err
	}
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	kept := slices.Clone(busy)
	if current != "" {
		kept = append(kept, current)
	}
	if previous := previousOf(all, current); previous != nil {
		kept = append(kept, previous.ID)
	}
	kept = append(kept, newestGood(all, keep)...)
	for _, r := range all {
		if ctx.Err() != nil {
			return removed, context.Cause(ctx)
		}
		if slices.Contains(kept, r.ID) {
			continue
		}
		if err := s.Discard(r.ID); err != nil {
			return removed, err
		}
		removed = append(removed, r.ID)
	}
	if err := s.sweepFiles(kept); err != nil {
		return removed, err
	}
	return removed, s.sweepMeta(kept)
}

// newestGood are the n good releases that were live last.
func newestGood(all []landfast.Release, n int) []string {
	good := slices.DeleteFunc(slices.Clone(all), func(r landfast.Release) bool {
		return r.State != landfast.ReleaseGood
	})
	slices.SortStableFunc(good, func(a, b landfast.Release) int { return b.Live.Compare(a.Live) })
	var ids []string
	for _, r := range good[:min(max(n, 0), len(good))] {
		ids = append(ids, r.ID)
	}
	return ids
}

// sweepFiles removes what killed processes left beside the releases.
func (s *Store) sweepFiles(kept []string) error {
	names, err := namesIn(filepath.Join(s.o.Deploy, s.o.Releases))
	if err != nil || len(names) == 0 {
		return err
	}
	deploy, err := s.deploy()
	if err != nil {
		return err
	}
	defer deploy.Close()
	for _, name := range names {
		id, suffix, ok := splitName(name)
		if !ok || slices.Contains(kept, id) || suffix != partSuffix && suffix != goneSuffix {
			continue
		}
		if err := deploy.RemoveAll(s.o.Releases + "/" + name); err != nil {
			return err
		}
	}
	return nil
}

// sweepMeta forgets releases that are gone: all but the newest bad ones.
func (s *Store) sweepMeta(kept []string) error {
	all, err := s.allMeta()
	if err != nil {
		return err
	}
	bad := 0
	for _, meta := range all {
		there, err := s.onDisk(meta.ID)
		if err != nil {
			return err
		}
		if there || slices.Contains(kept, meta.ID) {
			continue
		}
		if meta.State == landfast.ReleaseBad {
			if bad++; bad <= maxBad {
				continue
			}
		}
		if err := s.removeMeta(meta.ID); err != nil {
			return err
		}
	}
	return s.sweepTemps()
}

// sweepTemps removes metadata that killed processes left half written.
func (s *Store) sweepTemps() error {
	names, err := namesIn(filepath.Join(s.o.State, dirName))
	if err != nil || len(names) == 0 {
		return err
	}
	root, err := os.OpenRoot(s.o.State)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range names {
		if id, ok := atomicfile.TempOf(name); ok {
			if _, suffix, ours := splitName(id); ours && suffix == metaSuffix {
				if err := root.Remove(dirName + "/" + name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
