package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/landfast/landfast"
)

// errInterrupted is why a deployment that a dead process left is undone.
var errInterrupted = errors.New("the process that ran it died")

// settle ends the app's last deployment if it has not ended; it returns nil when
// there was nothing to do. A stuck one is tried again only when again is set, by
// Resume: otherwise the app is held.
func (e *Engine) settle(ctx context.Context, app string, again bool) (*landfast.Deployment, error) {
	state, err := e.State(app)
	if err != nil {
		return nil, err
	}
	rec, err := newest(state)
	switch {
	case err != nil:
		state.Close()
		return nil, err
	case rec == nil || rec.Deployment.Status.Ended():
		return nil, state.Close()
	case rec.Deployment.Status == landfast.StatusStuck && !again:
		state.Close()
		return nil, held(&rec.Deployment)
	}
	r, err := e.reopen(state, rec)
	if err != nil {
		state.Close()
		return nil, fmt.Errorf("take up deployment %s again: %w", rec.Deployment.ID, err)
	}
	defer r.close()
	return &r.Deployment, r.settle(ctx)
}

// newest reads the newest journal; nil when there is none.
func newest(state *os.Root) (*record, error) {
	ids, err := journals(state)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return readJournal(state, ids[len(ids)-1])
}

// reopen makes a run of what a journal says.
func (e *Engine) reopen(state *os.Root, rec *record) (*run, error) {
	app, err := e.Parse(rec.Manifest)
	if err != nil {
		return nil, err
	}
	releases, err := e.Releases(app)
	if err != nil {
		return nil, err
	}
	settings, err := e.openSettings(app, state)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(state, rec.Deployment.ID, rec.size)
	if err != nil {
		return nil, err
	}
	return &run{beginning: &rec.beginning, engine: e, app: app, releases: releases, state: state, journal: j, settings: settings}, nil
}

// settle finishes the run behind its commit, and undoes it before.
func (r *run) settle(ctx context.Context) error {
	if r.Deployment.Status == landfast.StatusCommitted {
		r.note(fmt.Sprintf("deployment %s was interrupted behind its commit: finishing it", r.Deployment.ID))
		return r.finish(context.WithoutCancel(ctx))
	}
	r.note(fmt.Sprintf("deployment %s was interrupted: undoing it", r.Deployment.ID))
	if r.Deployment.Failure == nil {
		f := &landfast.Failure{Error: errInterrupted.Error()}
		if n := len(r.Deployment.Steps); n > 0 {
			f.Step = r.Deployment.Steps[n-1].Name
		}
		r.Deployment.Failure = f
	}
	r.Deployment.Failure.Undone = nil
	err := r.rollBack(ctx, errInterrupted)
	if errors.Is(err, errDied) || landfast.KindOf(err) == landfast.Stuck {
		return err
	}
	return nil // it has been taken back: that is what was asked
}

// held is the refusal while a stuck deployment waits for a person.
func held(d *landfast.Deployment) error {
	why := ""
	for _, s := range d.Steps {
		if s.Status == landfast.StepStuck {
			why = fmt.Sprintf(" at undoing %s: %s", s.Name, s.Error)
		}
	}
	return &landfast.Error{
		Kind: landfast.Stuck,
		Msg:  fmt.Sprintf("%s is held: its deployment %s is stuck%s", d.App, d.ID, why),
		Hint: fmt.Sprintf("remove the cause, then `landfast resume %s`", d.App),
	}
}
