package host

import (
	"context"
	"errors"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// runtimeDir holds units that a reboot forgets. systemd finds a new one there
// without a daemon-reload.
const runtimeDir = "/run/systemd/system"

// unitFailure is an error that a unit failed and how; *systemd.JobError is one.
type unitFailure interface {
	error
	State() landfast.UnitStatus
}

// RunOnce runs a oneshot unit with the given text, waits for its end, and leaves
// no trace of it but its log. A unit that fails is no error: its status says so.
// When ctx ends, the unit is stopped.
//
// With RemainAfterExit=yes in its text the status of one that succeeded also
// tells its invocation; otherwise systemd has forgotten it by then.
func (h *Host) RunOnce(ctx context.Context, unit, text string) (st landfast.UnitStatus, err error) {
	if unit == "" || strings.Contains(unit, "/") {
		return st, &landfast.Error{Kind: landfast.Invalid, Msg: "cannot run a unit called " + unit}
	}
	name := runtimeDir + "/" + unit
	// The leavings of a run that was killed would have its own state and text.
	if err := h.Forget(ctx, unit); err != nil {
		return st, err
	}
	if err := h.parents(name); err != nil {
		return st, err
	}
	if err := atomicfile.WriteFile(h.root, rel(name), []byte(text), atomicfile.Mode(0o644)); err != nil {
		return st, failed("write", name, err)
	}
	// The end of ctx must not leave a process behind.
	defer func() { err = errors.Join(err, h.Forget(context.WithoutCancel(ctx), unit)) }()
	if st, err = h.units.Status(ctx, unit); err != nil {
		return st, err
	}
	if st.NeedReload {
		if err := h.units.Reload(ctx); err != nil {
			return st, err
		}
	}
	err = h.units.Start(ctx, unit)
	if failure, ok := errors.AsType[unitFailure](err); ok {
		return failure.State(), nil
	}
	if err != nil {
		return st, err
	}
	return h.units.Status(ctx, unit)
}

// Forget stops a unit that RunOnce started and removes what is left of it. It is
// no error when there is nothing.
func (h *Host) Forget(ctx context.Context, unit string) error {
	name := runtimeDir + "/" + unit
	if err := h.units.Stop(ctx, unit); err != nil {
		return err
	}
	if err := h.units.ResetFailed(ctx, unit); err != nil {
		return err
	}
	if err := atomicfile.Remove(h.root, rel(name)); err != nil {
		return failed("remove", name, err)
	}
	return nil
}
