package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// doNoteUnits writes down how every unit of the app is, before anything live is
// touched.
func doNoteUnits(ctx context.Context, r *run) error {
	var units []landfast.UnitStatus
	for _, name := range append(unitNames(r.plan, r.changes), r.Before.Planned.Replaced...) {
		st, err := r.engine.Units.Status(ctx, name)
		if err != nil {
			return err
		}
		units = append(units, st)
	}
	r.Before.Units = units
	return r.journal.append(entry{At: r.engine.Now(), Kind: entryUnits, Units: units})
}

// unitNames are the units of the plan that a deployment starts, and those the plan
// no longer has. What a timer or a need starts runs to its own end.
func unitNames(p *plan.Plan, c plan.Changes) []string {
	var names, manual []string
	for _, u := range p.Units {
		if u.Manual {
			manual = append(manual, u.Name)
		} else {
			names = append(names, u.Name)
		}
	}
	for _, u := range c.Units {
		if !slices.Contains(names, u.Unit) && !slices.Contains(manual, u.Unit) {
			names = append(names, u.Unit)
		}
	}
	return names
}

// undoNoteUnits brings every unit back to how it was noted. A unit that is still in
// the same start as then is left alone.
func undoNoteUnits(ctx context.Context, r *run) error {
	sockets, services := splitUnits(r.Before.Units)
	// Backwards: what waits to start a service stops before it.
	for _, was := range slices.Backward(services) {
		if was.Running() {
			continue
		}
		if err := r.stopped(ctx, was); err != nil {
			return err
		}
	}
	for _, was := range sockets {
		if was.Running() {
			continue
		}
		if err := r.stopped(ctx, was); err != nil {
			return err
		}
	}
	if err := r.openSockets(ctx, wasRunning(sockets), names(services)); err != nil {
		return err
	}
	for _, was := range services {
		if err := r.bringBack(ctx, was); err != nil {
			return err
		}
	}
	return nil
}

// stopped makes a unit as stopped as it was.
func (r *run) stopped(ctx context.Context, was landfast.UnitStatus) error {
	if err := r.engine.Units.Stop(ctx, was.Name); err != nil || was.Active == "failed" {
		return err
	}
	return r.engine.Units.ResetFailed(ctx, was.Name)
}

// bringBack starts a service that was running, unless it is still in that start.
func (r *run) bringBack(ctx context.Context, was landfast.UnitStatus) error {
	if !was.Running() {
		return nil
	}
	now, err := r.engine.Units.Status(ctx, was.Name)
	if err != nil || now.Active == "active" && now.Invocation == was.Invocation {
		return err
	}
	if was.Sub == "exited" {
		return r.again(ctx, was.Name)
	}
	if err := r.engine.Units.ResetFailed(ctx, was.Name); err != nil {
		return err
	}
	return r.engine.Units.Restart(ctx, was.Name)
}

// again runs what ran to its end once more. It is no restart: that would start
// what needs it as well, and each of those is started in its turn.
func (r *run) again(ctx context.Context, unit string) error {
	if err := r.engine.Units.Stop(ctx, unit); err != nil {
		return err
	}
	if err := r.engine.Units.ResetFailed(ctx, unit); err != nil {
		return err
	}
	return r.engine.Units.Start(ctx, unit)
}

// openSockets sees to it that the sockets are open, as their unit files say. systemd
// refuses to open one while its service is up, so the services are stopped first
// where that is needed.
func (r *run) openSockets(ctx context.Context, sockets, services []string) error {
	var closed []string
	for _, s := range sockets {
		st, err := r.engine.Units.Status(ctx, s)
		if err != nil {
			return err
		}
		if r.Before.Planned.Sockets || st.Active != "active" {
			closed = append(closed, s)
		}
	}
	if closed == nil {
		return nil
	}
	for _, s := range services {
		if err := r.engine.Units.Stop(ctx, s); err != nil {
			return fmt.Errorf("stop %s, whose socket is opened anew: %w", s, err)
		}
	}
	for _, s := range closed {
		if err := r.engine.Units.ResetFailed(ctx, s); err != nil {
			return err
		}
		if err := r.engine.Units.Restart(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func splitUnits(all []landfast.UnitStatus) (sockets, services []landfast.UnitStatus) {
	for _, u := range all {
		if isSocket(u.Name) {
			sockets = append(sockets, u)
		} else {
			services = append(services, u)
		}
	}
	return sockets, services
}

func isSocket(unit string) bool { return strings.HasSuffix(unit, ".socket") }

func names(units []landfast.UnitStatus) []string {
	var out []string
	for _, u := range units {
		out = append(out, u.Name)
	}
	return out
}

func wasRunning(units []landfast.UnitStatus) []string {
	return names(slices.DeleteFunc(slices.Clone(units), func(u landfast.UnitStatus) bool { return !u.Running() }))
}
