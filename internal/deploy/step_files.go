package deploy

import (
	"context"

	"github.com/landfast/landfast/internal/plan"
)

// doPrepare makes what a release needs to be put in place: accounts and directories.
func doPrepare(ctx context.Context, r *run) error {
	_, c, err := r.engine.compare(ctx, r.app)
	if err != nil {
		return err
	}
	if err := r.engine.Host.Apply(ctx, plan.Changes{Users: c.Users, Dirs: c.Dirs}); err != nil {
		return err
	}
	// The account that the releases belong to may be new.
	r.releases, err = r.engine.Releases(r.app)
	return err
}

// undoPrepare puts the directories back. Accounts stay: files made meanwhile may
// belong to them, and a number that is given out twice is a hole.
func undoPrepare(ctx context.Context, r *run) error {
	return r.engine.Host.Restore(ctx, r.Before.Snapshot)
}

// doInstall makes everything else of the plan true, and starts nothing: that is
// the cutover's.
func doInstall(ctx context.Context, r *run) error {
	_, c, err := r.engine.compare(ctx, r.app)
	if err != nil {
		return err
	}
	c.Units = withoutStarts(c.Units)
	if c.Empty() {
		return nil
	}
	return r.engine.Host.Apply(ctx, c)
}

func undoInstall(ctx context.Context, r *run) error {
	return r.engine.Host.Restore(ctx, r.Before.Snapshot)
}

func withoutStarts(all []plan.UnitChange) []plan.UnitChange {
	var out []plan.UnitChange
	for _, u := range all {
		if u.Action != plan.ActionStart && u.Action != plan.ActionRestart {
			out = append(out, u)
		}
	}
	return out
}
