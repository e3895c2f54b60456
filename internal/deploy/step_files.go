package deploy

import (
	"context"
	"slices"

	"github.com/landfast/landfast/internal/plan"
)

// doPrepare makes what a release needs to be put in place: accounts and directories.
func doPrepare(ctx context.Context, r *run) error {
	need := plan.Changes{Users: r.changes.Users, Sysusers: r.changes.Sysusers, Dirs: r.changes.Dirs}
	if need.Empty() {
		return nil
	}
	if err := r.engine.Host.Apply(ctx, need); err != nil {
		return err
	}
	// The account that the releases belong to may be new.
	releases, err := r.engine.Releases(r.app)
	if err == nil {
		r.releases = releases
	}
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
	c := r.changes
	c.Units = withoutStarts(c.Units, r.plan)
	if c.Empty() {
		return nil
	}
	return r.engine.Host.Apply(ctx, c)
}

func undoInstall(ctx context.Context, r *run) error {
	return r.engine.Host.Restore(ctx, r.Before.Planned.Snapshot)
}

// withoutStarts leaves out what the cutover does: starts, and stops of what stays.
func withoutStarts(all []plan.UnitChange, p *plan.Plan) []plan.UnitChange {
	stays := func(unit string) bool {
		return slices.ContainsFunc(p.Units, func(u plan.Unit) bool { return u.Name == unit })
	}
	var out []plan.UnitChange
	for _, u := range all {
		switch {
		case u.Action == plan.ActionStart, u.Action == plan.ActionRestart, u.Action == plan.ActionStop && stays(u.Unit):
		default:
			out = append(out, u)
		}
	}
	return out
}
