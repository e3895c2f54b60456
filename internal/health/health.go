// Package health decides whether a release that has just been started is
// healthy: it waits, asking again and again, until a probe is answered well, the
// unit dies, or the time is up. It looks only; it starts and stops nothing.
//
// A unit that dies, or that systemd has begun to restart by itself, fails the
// wait at once: no later answer could make that release a good one.
package health

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/landfast/landfast"
)

// Units tells how a unit is (package systemd).
type Units interface {
	Status(ctx context.Context, unit string) (landfast.UnitStatus, error)
}

// Probe asks the app once. The answer is for people, in either case.
type Probe func(ctx context.Context) (answer string, err error)

// DeadError says that the unit died while it was being waited for.
type DeadError struct{ Status landfast.UnitStatus }

// Error names the unit and the state it was found in.
func (e *DeadError) Error() string {
	if e.Status.Restarts > 0 || e.Status.Sub == "auto-restart" {
		return fmt.Sprintf("%s died and systemd is restarting it", e.Status.Name)
	}
	return fmt.Sprintf("%s died", e.Status.Name)
}

// TimeoutError says that no probe was answered well in time.
type TimeoutError struct {
	After  time.Duration
	Last   error  // why the last probe was not content
	Answer string // what it was told, for people; may be ""
}

// Error gives the time waited and the last answer.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("not healthy after %s: %v", e.After, e.Last)
}

// Unwrap gives the last probe's error.
func (e *TimeoutError) Unwrap() error { return e.Last }

// probeLimit bounds one probe, so that an app that accepts and never answers is
// asked again rather than waited for.
const probeLimit = 5 * time.Second

// Wait blocks until unit is healthy as h says, and returns the last answer. It
// fails with a *DeadError as soon as the unit dies, with a *TimeoutError after
// h.Timeout, and with ctx's error when ctx ends first. probe may be nil for kind
// unit. The restarts that systemd counts are compared with those at the start of
// the wait.
func Wait(ctx context.Context, h landfast.Health, unit string, units Units, probe Probe) (string, error) {
	w := waiter{health: h, unit: unit, units: units, probe: probe}
	return w.wait(ctx)
}

type waiter struct {
	health   landfast.Health
	unit     string
	units    Units
	probe    Probe
	restarts int // systemd's count when the wait began
}

func (w *waiter) wait(ctx context.Context) (string, error) {
	st, err := w.units.Status(ctx, w.unit)
	if err != nil {
		return "", err
	}
	w.restarts = st.Restarts
	limit, cancel := context.WithTimeout(ctx, max(w.health.Timeout, w.health.Grace+w.health.Interval))
	defer cancel()
	if err := w.pass(limit, w.health.Grace); err != nil {
		return "", w.reason(ctx, err, fmt.Errorf("%s was still within its grace time", w.unit))
	}
	if w.health.Kind == landfast.HealthUnit || w.probe == nil {
		return w.settled(ctx, limit)
	}
	var answer string
	var probeErr error
	for {
		a, err := w.ask(limit)
		if err == nil {
			// The answer may have come from a process that died since.
			return a, w.alive(ctx)
		}
		// A probe that is cut short by the end of the time tells less than the one before.
		if probeErr == nil || limit.Err() == nil {
			answer, probeErr = a, err
		}
		if err := w.pass(limit, w.health.Interval); err != nil {
			err = w.reason(ctx, err, probeErr)
			if timeout, ok := errors.AsType[*TimeoutError](err); ok {
				timeout.Answer = answer
			}
			return answer, err
		}
	}
}

// settled waits until the unit is active: a unit of kind unit has been watched
// for its grace time already, and may still be starting.
func (w *waiter) settled(ctx, limit context.Context) (string, error) {
	for {
		st, err := w.units.Status(limit, w.unit)
		if err == nil && st.Active == "active" {
			return fmt.Sprintf("%s is active", w.unit), nil
		}
		if err == nil {
			err = fmt.Errorf("%s is %s (%s)", w.unit, st.Active, st.Sub)
		}
		if passErr := w.pass(limit, w.health.Interval); passErr != nil {
			return "", w.reason(ctx, passErr, err)
		}
	}
}

// ask makes one probe, and gives it up when the unit dies: systemd holds the socket
// of some, and there a probe would wait for a process that is gone.
func (w *waiter) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = w.pass(ctx, probeLimit) // who asks next finds the same
		cancel()
	}()
	answer, err := w.probe(ctx)
	cancel()
	<-watched
	return answer, err
}

// watchEvery is how often the unit is looked at while time passes.
const watchEvery = 100 * time.Millisecond

// pass lets d go by, and ends early when the unit dies or ctx ends.
func (w *waiter) pass(ctx context.Context, d time.Duration) error {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := w.alive(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-tick.C:
		}
	}
}

// alive says whether the unit is still the one that was started.
func (w *waiter) alive(ctx context.Context) error {
	st, err := w.units.Status(ctx, w.unit)
	if err != nil {
		return err
	}
	if st.Dead() || st.Restarts > w.restarts || st.Sub == "auto-restart" {
		return &DeadError{Status: st}
	}
	return nil
}

// reason turns the end of a wait into the error that names its cause.
func (w *waiter) reason(ctx context.Context, err, last error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if dead, ok := err.(*DeadError); ok { //nolint:errorlint // made in this package and never wrapped
		return dead
	}
	// Perhaps in the middle of asking systemd.
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &TimeoutError{After: w.health.Timeout, Last: last}
	}
	return err
}
