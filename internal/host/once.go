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
	if err := transient(unit); err != nil {
		return st, err
	}
	// The end of ctx must not leave a process behind.
	defer func() { err = errors.Join(err, h.Forget(context.WithoutCancel(ctx), unit)) }()
	if err := h.Put(ctx, unit, text); err != nil {
		return st, err
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

// transient refuses what is not the name of a unit.
func transient(unit string) error {
	if unit == "" || strings.Contains(unit, "/") {
		return &landfast.Error{Kind: landfast.Invalid, Msg: "cannot run a unit called " + unit}
	}
	return nil
}

// Put writes a unit that a reboot forgets, in place of a former one of that name,
// and starts nothing. systemd knows it when Put returns.
func (h *Host) Put(ctx context.Context, unit, text string) error {
	if err := transient(unit); err != nil {
		return err
	}
	name := runtimeDir + "/" + unit
	// The leavings of a run that was killed would have its own state and text.
	if err := h.Forget(ctx, unit); err != nil {
		return err
	}
	if err := h.parents(name); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(h.root, rel(name), []byte(text), atomicfile.Mode(0o644)); err != nil {
		return failed("write", name, err)
	}
	st, err := h.units.Status(ctx, unit)
	if err != nil || !st.NeedReload {
		return err
	}
	return h.units.Reload(ctx)
}

// Forget stops a unit of Put, or one that RunOnce started and removes what is left of it. It is
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
