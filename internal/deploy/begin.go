package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// intent is what a deployment is asked to do.
type intent struct {
	verb   landfast.Verb
	app    *landfast.App   // of the release to make live
	to     string          // rollback only
	source landfast.Source // deploy only
	actor  string
	reason string // rollback only
	force  bool
}

// begin looks at everything that can be looked at without changing anything, and
// writes the first line of the journal. What is wrong up to here is no deployment.
func (e *Engine) begin(ctx context.Context, in intent) (*run, error) {
	// Its release has no id yet. What is wrong with everything else shows here.
	p, seen, err := e.look(ctx, in.app, landfast.Instance{})
	if err != nil {
		return nil, err
	}
	c, err := plan.Diff(p, seen)
	if err != nil {
		return nil, err
	}
	snapshot, err := e.Host.Snapshot(c)
	if err != nil {
		return nil, err
	}
	releases, err := e.Releases(in.app)
	if err != nil {
		return nil, err
	}
	current, err := releases.Current()
	if err != nil {
		return nil, err
	}
	state, err := e.State(in.app.Name)
	if err != nil {
		return nil, err
	}
	settings, err := e.openSettings(in.app, state)
	if err != nil {
		state.Close()
		return nil, err
	}
	r := &run{engine: e, app: in.app, plan: p, changes: c, releases: releases, state: state, settings: settings, source: in.source, force: in.force}
	if err := r.open(in, current, snapshot); err != nil {
		_ = r.state.Close()
		return nil, err
	}
	return r, nil
}

// open writes the first line of the journal.
func (r *run) open(in intent, current string, snapshot json.RawMessage) error {
	ids, err := journals(r.state)
	if err != nil {
		return err
	}
	was := before{Snapshot: snapshot}
	if r.settings != nil {
		if was.Settings, err = r.settings.Current(); err != nil {
			return err
		}
	}
	ids = append([]string{""}, ids...)
	now := r.engine.Now()
	r.beginning = &beginning{
		Deployment: landfast.Deployment{
			ID:  landfast.DeploymentID(now, in.verb, ids[len(ids)-1]),
			App: in.app.Name, Verb: in.verb, From: current, To: in.to,
			Actor: in.actor, Reason: in.reason, Status: landfast.StatusRunning, Started: now.UTC(),
		},
		Manifest: in.app.Manifest,
		Before:   was,
	}
	r.journal, err = newJournal(r.state, r.beginning)
	return err
}

// look makes the plan of app, with the units of one release, and looks at what
// the machine has of it.
func (e *Engine) look(ctx context.Context, app *landfast.App, i landfast.Instance) (*plan.Plan, plan.Observed, error) {
	facts, err := e.Host.Facts(ctx)
	if err != nil {
		return nil, plan.Observed{}, err
	}
	facts.Instance = i
	p, err := plan.Build(app, facts)
	if err != nil {
		return nil, plan.Observed{}, err
	}
	seen, err := e.Host.Observe(ctx, p)
	return p, seen, err
}

// reopensSocket reports whether c changes a socket unit that is there already.
func reopensSocket(c plan.Changes) bool {
	for _, f := range c.Files {
		if f.Old != nil && strings.HasSuffix(f.Path, ".socket") {
			return true
		}
	}
	return false
}

// rollbackIntent finds the release to return to and the manifest it had.
func (e *Engine) rollbackIntent(t Target) (intent, error) {
	releases, err := e.Releases(t.App)
	if err != nil {
		return intent{}, err
	}
	current, err := releases.Current()
	if err != nil {
		return intent{}, err
	}
	rel, err := pick(releases, t, current)
	if err != nil {
		return intent{}, err
	}
	if rel.State == landfast.ReleaseBad && !t.Force {
		return intent{}, knownBad(rel)
	}
	if err := reversible(releases, rel, current, t.Force); err != nil {
		return intent{}, err
	}
	app, err := e.Parse(rel.Manifest)
	if err != nil {
		return intent{}, fmt.Errorf("read the manifest that %s was deployed with: %w", rel.ID, err)
	}
	return intent{verb: landfast.VerbRollback, app: app, to: rel.ID, actor: t.Actor, reason: t.Reason, force: t.Force}, nil
}

func pick(releases Releases, t Target, current string) (landfast.Release, error) {
	if t.Release == "" {
		return releases.Previous(current)
	}
	if err := landfast.CheckReleaseID(t.Release); err != nil {
		return landfast.Release{}, err
	}
	if t.Release == current {
		return landfast.Release{}, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s is the current release of %s already", current, t.App.Name),
			Hint: "`landfast restart` starts it anew",
		}
	}
	return releases.Get(t.Release)
}

// reversible refuses to go back behind a migration that cannot be taken back: the
// old release would meet data that it does not know.
func reversible(releases Releases, to landfast.Release, current string, force bool) error {
	all, err := releases.List()
	if err != nil || force {
		return err
	}
	for _, r := range all { // also those that were left before
		if r.Irreversible && r.ID > to.ID && r.ID <= current {
			return &landfast.Error{
				Kind: landfast.Conflict,
				Msg:  fmt.Sprintf("%s ran migrations that cannot be taken back, and %s is older", r.ID, to.ID),
				Hint: "deploy a newer release; or --force, if the old one can work with the data as they are now",
			}
		}
	}
	return nil
}

// knownBad refuses a release that was rolled back before.
func knownBad(rel landfast.Release) error {
	return &landfast.Error{
		Kind: landfast.Conflict,
		Msg:  fmt.Sprintf("this release is known to be bad: it was rolled back as %s (%s)", rel.ID, rel.Reason),
		Hint: "ship a new one, or use --force",
	}
}
