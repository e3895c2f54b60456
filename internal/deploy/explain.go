package deploy

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/health"
	"github.com/landfast/landfast/internal/plan"
)

// explain gathers what a person needs to see of a failure, before it is undone:
// afterwards the unit runs the old release again.
func (r *run) explain(ctx context.Context, s step, err error) *landfast.Failure {
	ctx = context.WithoutCancel(ctx)
	f := &landfast.Failure{Step: s.name, Error: err.Error()}
	if c, ok := errors.AsType[*commandError](err); ok {
		f.Log = c.log
		return f
	}
	unit := r.mainUnit()
	switch s.name {
	case "cutover", "health":
	case "rehearse":
		unit = plan.RehearsalService(r.app)
	default:
		return f
	}
	if t, ok := errors.AsType[*health.TimeoutError](err); ok {
		f.Health = t.Answer
	}
	if dead, ok := errors.AsType[*health.DeadError](err); ok {
		// systemd may have started it again by now: what counts was written before.
		f.Unit = &dead.Status
		f.Log = r.engine.Log(ctx, dead.Status.Name, "")
		return f
	}
	if st, err := r.engine.Units.Status(ctx, unit); err == nil {
		f.Unit = &st
		f.Log = r.engine.Log(ctx, st.Name, st.Invocation)
	}
	return f
}

// next says what to do after a failure with that cause.
func (r *run) next(touched bool, cause error) string {
	name := r.Deployment.App
	switch {
	case errors.Is(cause, unix.ENOSPC), errors.Is(cause, unix.EDQUOT):
		return fmt.Sprintf("make room on the disk (`landfast prune %s --keep 1` removes old releases) and start it again", name)
	case r.Deployment.Failure != nil && r.Deployment.Failure.Error == errInterrupted.Error():
		return fmt.Sprintf("start it again: `landfast deploy %s`", name)
	case touched && r.Deployment.From == "":
		return fmt.Sprintf("mend the release and deploy it again; `landfast logs FILE` and `landfast show FILE %s`, with the path of its landfast.toml, tell more", r.Deployment.ID)
	case touched:
		return fmt.Sprintf("mend the release and deploy it again; `landfast logs %s` and `landfast show %s` tell more", name, r.Deployment.ID)
	}
	if e, ok := errors.AsType[*landfast.Error](cause); ok && e.Hint != "" {
		return e.Hint
	}
	return "remove the cause and start it again"
}
