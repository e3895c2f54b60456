package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// SetState says what is known of a release now, and why when it is bad. The
// release itself may be gone: that it was bad is remembered.
func (s *Store) SetState(id string, state landfast.ReleaseState, reason string) error {
	return s.change(id, func(meta *landfast.Release) {
		meta.State, meta.Reason = state, reason
	})
}

// SetPort says which private port a release listens on.
func (s *Store) SetPort(id string, port int) error {
	return s.change(id, func(meta *landfast.Release) { meta.Port = port })
}

// SetIrreversible says that a release ran migrations that cannot be taken back.
func (s *Store) SetIrreversible(id string) error {
	return s.change(id, func(meta *landfast.Release) { meta.Irreversible = true })
}

// MarkLive says that a release was committed at that time: it is good. The order
// in which releases were live is kept even if the clock has stepped back. Earlier
// releases with the same digest, forced back from bad, are not bad any more.
func (s *Store) MarkLive(id string, at time.Time) error {
	all, err := s.allMeta()
	if err != nil {
		return err
	}
	digest := ""
	for _, meta := range all {
		if meta.ID != id && !meta.Live.IsZero() && !at.After(meta.Live) {
			at = meta.Live.Add(time.Second)
		}
	}
	err = s.change(id, func(meta *landfast.Release) {
		meta.State, meta.Reason, meta.Live = landfast.ReleaseGood, "", at.UTC()
		digest = meta.Digest
	})
	if err != nil {
		return err
	}
	for _, meta := range all {
		if meta.ID != id && meta.State == landfast.ReleaseBad && meta.Digest == digest {
			if err := s.SetState(meta.ID, landfast.ReleaseNew, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// KnownBad finds the newest release with this digest that was rolled back,
// unless one with the same digest has been good since.
func (s *Store) KnownBad(digest string) (landfast.Release, bool, error) {
	all, err := s.allMeta()
	if err != nil {
		return landfast.Release{}, false, err
	}
	for _, meta := range all { // the newest first
		if meta.Digest == digest && meta.State != landfast.ReleaseNew {
			return meta, meta.State == landfast.ReleaseBad, nil
		}
	}
	return landfast.Release{}, false, nil
}

// Previous is the good release that was live before the one called current, or
// the last live one when current is "" or was never live. It is an error of
// kind not-found when there is none.
func (s *Store) Previous(current string) (landfast.Release, error) {
	all, err := s.List()
	if err != nil {
		return landfast.Release{}, err
	}
	if previous := previousOf(all, current); previous != nil {
		return *previous, nil
	}
	return landfast.Release{}, &landfast.Error{
		Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no earlier good release", s.o.App),
	}
}

func previousOf(all []landfast.Release, current string) *landfast.Release {
	var before time.Time
	for i := range all {
		if all[i].ID == current {
			before = all[i].Live
		}
	}
	var best *landfast.Release
	for i := range all {
		r := &all[i]
		if r.ID == current || r.State != landfast.ReleaseGood || r.Live.IsZero() ||
			!before.IsZero() && !r.Live.Before(before) {
			continue
		}
		if best == nil || r.Live.After(best.Live) {
			best = r
		}
	}
	return best
}

// change rewrites the metadata of one release.
func (s *Store) change(id string, f func(*landfast.Release)) error {
	if err := landfast.CheckReleaseID(id); err != nil {
		return err
	}
	meta, err := s.readMeta(id)
	if errors.Is(err, fs.ErrNotExist) {
		return &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no release %s", s.o.App, id)}
	}
	if err != nil {
		return err
	}
	f(&meta)
	return s.writeMeta(meta)
}

// metaPath is where the metadata of a release lies.
func (s *Store) metaPath(id string) string {
	return filepath.Join(s.o.State, dirName, id+metaSuffix)
}

// readMeta reads the metadata of a release, there or gone.
func (s *Store) readMeta(id string) (landfast.Release, error) {
	var meta landfast.Release
	data, err := os.ReadFile(s.metaPath(id))
	if err != nil {
		return meta, err
	}
	if err := json.Unmarshal(data, &meta); err != nil || meta.ID != id || meta.App != s.o.App {
		return meta, &landfast.Error{
			Kind: landfast.Internal, Err: err,
			Msg:  fmt.Sprintf("%s does not describe the release %s of %s", s.metaPath(id), id, s.o.App),
			Hint: "restore the file from a backup, or move it away: the release then counts as gone, and one that is current stays live until the next deployment",
		}
	}
	return meta, nil
}

// writeMeta makes metadata durable.
func (s *Store) writeMeta(meta landfast.Release) error {
	data, err := json.MarshalIndent(meta, "", "  ")
	if err != nil {
		return fmt.Errorf("encode release %s: %w", meta.ID, err)
	}
	root, err := os.OpenRoot(filepath.Join(s.o.State, dirName))
	if err != nil {
		return err
	}
	defer root.Close()
	attr := atomicfile.Attr{Mode: 0o640, UID: s.o.UID, GID: -1}
	return atomicfile.WriteFile(root, meta.ID+metaSuffix, append(data, '\n'), attr)
}

// removeMeta forgets a release.
func (s *Store) removeMeta(id string) error {
	root, err := os.OpenRoot(filepath.Join(s.o.State, dirName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return atomicfile.Remove(root, id+metaSuffix)
}

// allMeta is all metadata, of releases there and gone, the newest first.
func (s *Store) allMeta() ([]landfast.Release, error) {
	names, err := namesIn(filepath.Join(s.o.State, dirName))
	if err != nil {
		return nil, err
	}
	var all []landfast.Release
	for _, name := range names {
		id, suffix, ok := splitName(name)
		if !ok || suffix != metaSuffix {
			continue
		}
		meta, err := s.readMeta(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since; readers hold no lock
		}
		if err != nil {
			return nil, err
		}
		all = append(all, meta)
	}
	newestFirst(all)
	return all, nil
}
