package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// run is one deployment under way, or one found in its journal.
type run struct {
	*beginning
	engine   *Engine
	app      *landfast.App
	plan     *plan.Plan
	releases Releases
	state    *os.Root
	journal  *journal

	source landfast.Source // deploy only
	force  bool
	staged landfast.Release // set by fetch, used by seal
}

// step is one line of the list in steps.go.
type step struct {
	name    string
	summary string
	when    func(*run) bool // nil: always
	do      func(context.Context, *run) error
	undo    func(context.Context, *run) error // nil: nothing to take back
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
		err := r.do(ctx, s)
		switch {
		case err == nil:
		case errors.Is(err, errDied):
			return r.Deployment, err
		case r.Deployment.Status == landfast.StatusCommitted:
			// What is left is only finished; one step's failure does not stop the others.
			r.note(fmt.Sprintf("%s: %v", s.name, err))
		default:
			return r.fail(ctx, s, err)
		}
		if r.Deployment.Status == landfast.StatusCommitted {
			ctx = context.WithoutCancel(ctx)
		}
	}
	return r.Deployment, r.end(landfast.StatusSucceeded)
}

// do runs one step, with its journal lines before and behind it.
func (r *run) do(ctx context.Context, s step) error {
	if err := context.Cause(ctx); err != nil && s.name != stepCommit {
		return err
	}
	if err := r.died("do:" + s.name + ":journal"); err != nil {
		return err
	}
	if err := r.record(s, landfast.StepDoing, 0, nil); err != nil {
		return err
	}
	if err := r.died("do:" + s.name + ":before"); err != nil {
		return err
	}
	begin := r.engine.Now()
	err := s.do(ctx, r)
	took := r.engine.Now().Sub(begin)
	if died := r.died("do:" + s.name + ":after"); died != nil {
		return died
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return errors.Join(err, r.record(s, landfast.StepFailed, took, err))
	}
	return r.record(s, landfast.StepDone, took, nil)
}

// record writes a step's new status to the journal and tells the watcher.
func (r *run) record(s step, status landfast.StepStatus, took time.Duration, err error) error {
	rec := landfast.StepRecord{Name: s.name, Summary: s.summary, Status: status, Took: took}
	if err != nil {
		rec.Error = err.Error()
	}
	setStep(&r.Deployment, rec)
	jerr := r.journal.append(entry{At: r.engine.Now(), Kind: entryStep, Step: &rec})
	r.engine.Watch(Event{Deployment: r.Deployment.ID, App: r.Deployment.App, Step: rec})
	return jerr
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
	if err := r.died("end"); err != nil {
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

// died lets a test end the run at a named point, as kill -9 would.
func (r *run) died(point string) error {
	if r.engine.fault == nil {
		return nil
	}
	return r.engine.fault(point)
}
