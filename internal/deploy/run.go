package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// run is one deployment under way, or one found in its journal.
type run struct {
	*beginning
	engine   *Engine
	app      *landfast.App
	plan     *plan.Plan
	changes  plan.Changes // what the machine lacked of the plan when the lock was taken
	releases Releases
	state    *os.Root
	journal  *journal
	settings Settings // nil: nothing has any

	set    string          // of secrets and configuration; chosen by the step settings
	source landfast.Source // deploy only
	force  bool
	staged landfast.Release // set by fetch, used by seal
	blamed bool             // the step that failed did so through the release's fault
}

// step is one line of the list in steps.go.
type step struct {
	name    string
	summary string
	when    func(*run) bool // nil: always
	do      func(context.Context, *run) error
	undo    func(context.Context, *run) error // nil: nothing to take back
	back    string                            // what undo does, for people
	live    bool                              // it may change what is live
	blames  bool                              // when it fails, it is the release's fault
	// crash is what is found when the process dies in the middle of it, for the
	// table in ARCHITECTURE.md.
	crash string
}

// forward does the steps from the first to the last. It returns the error that the
// caller shows; the record holds everything else.
func (r *run) forward(ctx context.Context) (landfast.Deployment, error) {
	defer r.close()
	for _, s := range steps {
		if s.when != nil && !s.when(r) {
			continue
		}
		if err := r.do(ctx, s); errors.Is(err, errDied) {
			return r.Deployment, err
		} else if err != nil && r.Deployment.Status != landfast.StatusCommitted {
			return r.fail(ctx, s, err)
		}
		if r.Deployment.Status == landfast.StatusCommitted {
			return r.Deployment, r.finish(context.WithoutCancel(ctx))
		}
	}
	return r.Deployment, errors.New("internal error: the list of steps has no commit")
}

// finish does the steps behind the commit that are not done. What fails there
// does not keep the others from being done, and is tried again by the next
// command: the release is live in any case.
func (r *run) finish(ctx context.Context) error {
	done := map[string]bool{}
	for _, s := range r.Deployment.Steps {
		done[s.Name] = s.Status == landfast.StepDone
	}
	var failed error
	behind := false
	for _, s := range steps {
		if behind && !done[s.name] && (s.when == nil || s.when(r)) {
			if err := r.do(ctx, s); errors.Is(err, errDied) {
				return err
			} else if err != nil && failed == nil {
				failed = fmt.Errorf("%s: %w", s.name, err)
			}
		}
		behind = behind || s.name == stepCommit
	}
	if failed != nil {
		return &landfast.Error{
			Msg: r.Deployment.To + " is live, but the deployment is not finished", Err: failed,
			Hint: fmt.Sprintf("remove the cause, then `landfast resume %s`", r.Deployment.App),
		}
	}
	return r.end(landfast.StatusSucceeded)
}

// do runs one step, with its journal lines before and behind it.
func (r *run) do(ctx context.Context, s step) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := r.point("do:" + s.name + ":journal"); err != nil {
		return err
	}
	if err := r.record(s, landfast.StepDoing, 0, nil); err != nil {
		return err
	}
	begin := r.engine.Now()
	err := r.act(ctx, "do:"+s.name, s.do)
	took := r.engine.Now().Sub(begin)
	if errors.Is(err, errDied) {
		return err
	}
	if err != nil {
		// Neither Ctrl-C nor a full disk says anything about the release.
		r.blamed = s.blames && ctx.Err() == nil && !errors.Is(err, unix.ENOSPC)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return errors.Join(err, r.record(s, landfast.StepFailed, took, err))
	}
	return r.record(s, landfast.StepDone, took, nil)
}

// act calls a step's do or undo, between the points where a test may end it.
func (r *run) act(ctx context.Context, name string, f func(context.Context, *run) error) error {
	if err := r.point(name + ":before"); err != nil {
		return err
	}
	if err := f(ctx, r); err != nil {
		return err
	}
	if r.engine.twice {
		if err := f(ctx, r); err != nil {
			return fmt.Errorf("again: %w", err)
		}
	}
	return r.point(name + ":after")
}

// record writes a step's new status to the journal and tells the watcher.
func (r *run) record(s step, status landfast.StepStatus, took time.Duration, err error) error {
	rec := landfast.StepRecord{Name: s.name, Summary: s.summary, Status: status, Took: took}
	switch status {
	case landfast.StepUndoing, landfast.StepUndone, landfast.StepStuck:
		rec.Summary, rec.Took, rec.Undo = s.back, r.took(s.name), took
	}
	if err != nil {
		rec.Error = err.Error()
	}
	setStep(&r.Deployment, rec)
	jerr := r.journal.append(entry{At: r.engine.Now(), Kind: entryStep, Step: &rec})
	r.engine.Watch(Event{Deployment: r.Deployment.ID, App: r.Deployment.App, Step: rec})
	return jerr
}

// took is how long a step was done, as far as that is known.
func (r *run) took(name string) time.Duration {
	for _, s := range r.Deployment.Steps {
		if s.Name == name {
			return s.Took
		}
	}
	return 0
}

// become writes the deployment's new status to the journal.
func (r *run) become(status landfast.DeploymentStatus) error {
	if r.Deployment.Status == status {
		return nil
	}
	now := r.engine.Now()
	if err := r.journal.append(entry{At: now, Kind: entryStatus, Status: status}); err != nil {
		return err
	}
	r.Deployment.Status = status
	return nil
}

// end closes the record and tells the watcher.
func (r *run) end(status landfast.DeploymentStatus) error {
	if err := r.point("end"); err != nil {
		return err
	}
	if err := r.become(status); err != nil {
		return err
	}
	r.Deployment.Ended = r.engine.Now()
	r.engine.Watch(Event{Deployment: r.Deployment.ID, App: r.Deployment.App, Status: status})
	return nil
}

func (r *run) note(text string) {
	r.engine.Watch(Event{Deployment: r.Deployment.ID, App: r.Deployment.App, Note: text})
}

func (r *run) close() {
	// Every line was fsynced when it was written.
	_ = r.journal.close()
	_ = r.state.Close()
}

// began reports whether a step of this deployment was begun.
func (r *run) began(name string) bool {
	return slices.ContainsFunc(r.Deployment.Steps, func(s landfast.StepRecord) bool { return s.Name == name })
}

// errDied stands for the death of the process, in tests.
var errDied = errors.New("the process died here")

// point lets a test end or fail the run at a named point.
func (r *run) point(name string) error {
	if r.engine.fault == nil {
		return nil
	}
	return r.engine.fault(name)
}
