package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/landfast/landfast"
)

// undoLimit bounds the taking back of one deployment; it goes on after Ctrl-C.
const undoLimit = 10 * time.Minute

// fail takes back what was begun, after the step s failed with err.
func (r *run) fail(ctx context.Context, s step, err error) (landfast.Deployment, error) {
	f := r.explain(ctx, s, err)
	r.Deployment.Failure = f
	// From here on the journal is a courtesy: a deployment found without these lines
	// is undone all the same.
	_ = r.journal.append(entry{At: r.engine.Now(), Kind: entryFailure, Failure: f})
	if r.blamed {
		if err := r.releases.SetState(r.Deployment.To, landfast.ReleaseBad, f.Error); err != nil {
			r.note(fmt.Sprintf("the release could not be marked as bad: %v", err))
		}
	}
	return r.Deployment, r.rollBack(ctx, err)
}

// rollBack undoes every step that was begun, last first, and ends the deployment.
// Once begun it is finished: ctx does not stop it. cause is what made it necessary.
func (r *run) rollBack(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	if r.Deployment.Status == landfast.StatusStuck || r.Deployment.Status == landfast.StatusRunning {
		if err := r.become(landfast.StatusUndoing); err != nil {
			r.Deployment.Status = landfast.StatusUndoing
		}
	}
	touched := false
	for _, s := range slices.Backward(steps) {
		if !r.began(s.name) {
			continue
		}
		touched = touched || s.live
		if s.undo == nil {
			continue
		}
		if err := r.undo(ctx, s); errors.Is(err, errDied) {
			return err
		} else if err != nil {
			return r.stuck(s, err)
		}
	}
	return r.rolledBack(touched, cause)
}

// undo takes one step back.
func (r *run) undo(ctx context.Context, s step) error {
	_ = r.record(s, landfast.StepUndoing, 0, nil)
	begin := r.engine.Now()
	err := r.act(ctx, "undo:"+s.name, s.undo)
	took := r.engine.Now().Sub(begin)
	if errors.Is(err, errDied) {
		return err
	}
	if err != nil {
		_ = r.record(s, landfast.StepStuck, took, err)
		return err
	}
	_ = r.record(s, landfast.StepUndone, took, nil)
	if f := r.Deployment.Failure; f != nil {
		f.Undone = append(f.Undone, s.name)
	}
	return nil
}

// rolledBack ends a deployment that was taken back whole.
func (r *run) rolledBack(touched bool, cause error) error {
	status, kind := landfast.StatusFailed, landfast.Internal
	msg := fmt.Sprintf("cannot %s %s: nothing live was touched", r.Deployment.Verb, r.Deployment.App)
	if k := landfast.KindOf(cause); !touched {
		kind = k
	}
	if touched {
		status, kind = landfast.StatusRolledBack, landfast.RolledBack
		msg = fmt.Sprintf("%s of %s was rolled back", r.Deployment.Verb, r.Deployment.App)
		if r.Deployment.From != "" {
			msg += fmt.Sprintf(", %s is live", r.Deployment.From)
		}
	}
	if f := r.Deployment.Failure; f != nil {
		f.Next = r.next(touched, cause)
		_ = r.journal.append(entry{At: r.engine.Now(), Kind: entryFailure, Failure: f})
	}
	if err := r.end(status); errors.Is(err, errDied) {
		return err
	} else if err != nil {
		r.note(fmt.Sprintf("the end could not be recorded, the next command will repeat it: %v", err))
	}
	return &landfast.Error{Kind: kind, Msg: msg, Err: cause}
}

// stuck holds the app for a person.
func (r *run) stuck(s step, err error) error {
	if jerr := r.become(landfast.StatusStuck); jerr != nil {
		r.Deployment.Status = landfast.StatusStuck
	}
	r.engine.Watch(Event{Deployment: r.Deployment.ID, App: r.Deployment.App, Status: landfast.StatusStuck})
	return &landfast.Error{
		Kind: landfast.Stuck,
		Msg:  fmt.Sprintf("%s is stuck: the step %s could not be undone", r.Deployment.App, s.name),
		Err:  err,
		Hint: fmt.Sprintf("remove the cause, then `landfast resume %s`", r.Deployment.App),
	}
}
