package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/source"
)

// workDir is where downloads go, below the app's state directory.
const workDir = "work"

// doFetch gets the source, gives the release its id and unpacks it beside the
// others, under a name that is not believed.
func doFetch(ctx context.Context, r *run) (err error) {
	if err := r.discard(); err != nil {
		return err
	}
	if err := r.state.MkdirAll(workDir, 0o700); err != nil {
		return fmt.Errorf("make the directory for downloads: %w", err)
	}
	artifact, err := r.engine.Open(ctx, r.app, r.source, filepath.Join(r.state.Name(), workDir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, artifact.Close()) }()
	now := r.engine.Now()
	id, err := r.releases.NewID(now, artifact.Revision)
	if err != nil {
		return err
	}
	if err := r.journal.append(entry{At: now, Kind: entryTo, To: id}); err != nil {
		return err
	}
	r.Deployment.To = id
	into, err := r.releases.Stage(id)
	if err != nil {
		return err
	}
	defer into.Close()
	tree, err := artifact.Unpack(ctx, into)
	if err != nil {
		return err
	}
	r.staged = landfast.Release{
		ID: id, App: r.app.Name, State: landfast.ReleaseNew, Created: now.UTC(), Manifest: r.app.Manifest,
		Source: artifact.Description, Revision: artifact.Revision,
		Content: tree.Content, Digest: release.Digest(tree.Content, r.app.Manifest), Bytes: tree.Bytes, Files: tree.Files,
	}
	return nil
}

func undoFetch(_ context.Context, r *run) error {
	if err := source.Clean(filepath.Join(r.state.Name(), workDir)); err != nil {
		return err
	}
	return r.discard()
}

// discard removes the new release, as far as there is one.
func (r *run) discard() error {
	if r.Deployment.To == "" {
		return nil
	}
	return r.releases.Discard(r.Deployment.To)
}

// doSeal makes the release complete, unless it is known to be bad.
func doSeal(ctx context.Context, r *run) error {
	bad, known, err := r.releases.KnownBad(r.staged.Digest)
	if err != nil {
		return err
	}
	if known && !r.force {
		return knownBad(bad)
	}
	return r.releases.Seal(ctx, r.Deployment.To, r.staged)
}

func undoSeal(_ context.Context, r *run) error { return r.discard() }

// doPreflight looks for what would make the start fail for certain.
func doPreflight(_ context.Context, r *run) error {
	root, err := r.releases.Open(r.Deployment.To)
	if err != nil {
		return err
	}
	defer root.Close()
	for i := range r.app.Services {
		s := &r.app.Services[i]
		if err := starts(root, r.app.Paths.Current, s); err != nil {
			return fmt.Errorf("%s: %w", s.Unit, err)
		}
	}
	return nil
}

// starts checks what a service starts, as far as it lies in the release.
func starts(files *os.Root, current string, s *landfast.Service) error {
	if s.Kind != landfast.KindNspawn {
		return executable(files, current, s.Command)
	}
	system, err := files.OpenRoot(landfast.RootFS)
	if err != nil {
		return fmt.Errorf("open the root file system: %w", err)
	}
	defer system.Close()
	return machineStarts(system, current, s)
}

// executable checks a command that lies in the release. A symbolic link that
// leads out of the release, such as that of a virtual environment, is left to
// systemd.
func executable(files *os.Root, current string, c landfast.Command) error {
	rel, inside := strings.CutPrefix(c.Argv[0], current+"/")
	if !inside {
		return nil
	}
	info, err := files.Lstat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("the release has no file %s, which the command starts", rel),
			Hint: "correct [service] command, or what the release contains",
		}
	case err != nil:
		return err
	case info.IsDir() || info.Mode().IsRegular() && info.Mode()&0o100 == 0:
		return &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s in the release is not executable", rel),
			Hint: "set its executable bit before it is packed",
		}
	}
	return nil
}

func doActivate(ctx context.Context, r *run) error {
	if _, err := r.releases.Activate(r.Deployment.To); err != nil {
		return err
	}
	if traffic := r.traffic(); traffic != nil && r.engine.Staged {
		return traffic.Move(ctx, r.app, r.Before.Planned.Instance) // there is no cutover to do it
	}
	return nil
}

func undoActivate(_ context.Context, r *run) error {
	if r.Deployment.From == "" {
		return r.releases.Deactivate()
	}
	_, err := r.releases.Activate(r.Deployment.From)
	return err
}

// doRecord makes the release a good one. Going back by hand says that the release
// one leaves is not.
func doRecord(_ context.Context, r *run) error {
	if err := r.releases.SetState(r.Deployment.To, landfast.ReleaseGood, ""); err != nil {
		return err
	}
	if err := r.releases.MarkLive(r.Deployment.To, r.engine.Now().UTC()); err != nil {
		return err
	}
	if isDeploy(r) || r.Deployment.From == "" {
		return nil
	}
	reason := "rolled back by " + r.Deployment.Actor
	if r.Deployment.Reason != "" {
		reason += ": " + r.Deployment.Reason
	}
	err := r.releases.SetState(r.Deployment.From, landfast.ReleaseBad, reason)
	if landfast.KindOf(err) == landfast.NotFound {
		return nil
	}
	return err
}

// doPrune removes old releases and old journals. The release that was just left is
// spared, whatever is thought of it.
func doPrune(ctx context.Context, r *run) error {
	if _, err := r.releases.Prune(ctx, r.app.Releases.Keep, r.Deployment.From); err != nil {
		return err
	}
	if err := r.pruneSettings(); err != nil {
		return err
	}
	return pruneJournals(r.state)
}

// keepJournals is how many deployments of an app are remembered.
const keepJournals = 200

func pruneJournals(state *os.Root) error {
	ids, err := journals(state)
	if err != nil {
		return err
	}
	for _, id := range ids[:max(0, len(ids)-keepJournals)] {
		if err := state.Remove(journalDir + "/" + id + journalSuffix); err != nil {
			return fmt.Errorf("remove an old journal: %w", err)
		}
	}
	return sweepJournals(state)
}

// sweepJournals removes journals whose first line was never written whole: there
// was no deployment.
func sweepJournals(state *os.Root) error {
	dir, err := fs.ReadDir(state.FS(), journalDir)
	if err != nil {
		return fmt.Errorf("list the deployments: %w", err)
	}
	for _, e := range dir {
		if _, ok := atomicfile.TempOf(e.Name()); ok {
			if err := state.Remove(journalDir + "/" + e.Name()); err != nil {
				return fmt.Errorf("remove what was left of a journal: %w", err)
			}
		}
	}
	return nil
}
