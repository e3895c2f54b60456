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
	p, c, err := r.engine.compare(ctx, r.app)
	if err != nil {
		return err
	}
	var units []landfast.UnitStatus
	for _, name := range unitNames(p, c) {
		st, err := r.engine.Units.Status(ctx, name)
		if err != nil {
			return err
		}
		units = append(units, st)
	}
	r.Before.Units = units
	return r.journal.append(entry{At: r.engine.Now(), Kind: entryUnits, Units: units})
}

// unitNames are the units of the plan, and those the plan no longer has.
func unitNames(p *plan.Plan, c plan.Changes) []string {
	var names []string
	for _, u := range p.Units {
		names = append(names, u.Name)
	}
	for _, u := range c.Units {
		if !slices.Contains(names, u.Unit) {
			names = append(names, u.Unit)
		}
	}
	return names
}

// undoNoteUnits brings every unit back to how it was noted. A unit that is still in
// the same start as then is left alone.
func undoNoteUnits(ctx context.Context, r *run) error {
	sockets, services := splitUnits(r.Before.Units)
	if r.Before.Sockets {
		if err := r.reopenSockets(ctx, names(services), wasRunning(sockets)); err != nil {
			return err
		}
	}
	for _, was := range slices.Concat(sockets, services) {
		if err := r.bringBack(ctx, was); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) bringBack(ctx context.Context, was landfast.UnitStatus) error {
	units := r.engine.Units
	now, err := units.Status(ctx, was.Name)
	if err != nil {
		return err
	}
	switch {
	case was.Running() && now.Active == "active" && now.Invocation == was.Invocation:
		return nil
	case !was.Running():
		if err := units.Stop(ctx, was.Name); err != nil || was.Active == "failed" {
			return err
		}
		return units.ResetFailed(ctx, was.Name)
	case isSocket(was.Name):
		return units.Start(ctx, was.Name)
	}
	if err := units.ResetFailed(ctx, was.Name); err != nil {
		return err
	}
	return units.Restart(ctx, was.Name)
}

// doRestart is the cutover: each service is stopped and started once. Sockets stay
// open meanwhile, so clients wait instead of being refused, unless the socket
// itself has changed.
func doRestart(ctx context.Context, r *run) error {
	var sockets, services []string
	for _, u := range r.plan.Units {
		if u.Socket {
			sockets = append(sockets, u.Name)
		} else {
			services = append(services, u.Name)
		}
	}
	if r.Before.Sockets {
		if err := r.reopenSockets(ctx, services, sockets); err != nil {
			return err
		}
	}
	for _, s := range sockets {
		if err := r.engine.Units.Start(ctx, s); err != nil {
			return err
		}
	}
	for _, s := range services {
		// Earlier starts must not count against this one.
		if err := r.engine.Units.ResetFailed(ctx, s); err != nil {
			return err
		}
		if err := r.engine.Units.Restart(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// reopenSockets closes and opens sockets: systemd refuses to while a service that
// holds them is up.
func (r *run) reopenSockets(ctx context.Context, services, sockets []string) error {
	for _, s := range services {
		if err := r.engine.Units.Stop(ctx, s); err != nil {
			return fmt.Errorf("stop %s before its socket is opened anew: %w", s, err)
		}
	}
	for _, s := range sockets {
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
