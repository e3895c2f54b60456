package systemd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/landfast/landfast"
)

// Start starts a unit and waits until it is up.
func (b *Bus) Start(ctx context.Context, unit string) error {
	return b.run(ctx, "start", unit, b.conn.StartUnitContext)
}

// Restart restarts a unit, or starts it, and waits until it is up.
func (b *Bus) Restart(ctx context.Context, unit string) error {
	return b.run(ctx, "restart", unit, b.conn.RestartUnitContext)
}

// Stop stops a unit and waits until it has stopped.
func (b *Bus) Stop(ctx context.Context, unit string) error {
	err := b.run(ctx, "stop", unit, b.conn.StopUnitContext)
	if unknown(err) {
		return nil
	}
	return err
}

type submit func(ctx context.Context, unit, mode string, result chan<- string) (int, error)

// run queues a job, replacing one that contradicts it, and waits for its result.
func (b *Bus) run(ctx context.Context, verb, unit string, queue submit) error {
	before, err := b.Status(ctx, unit)
	if err != nil {
		return err
	}
	// Buffered, so that the connection is not blocked when ctx ended first.
	results := make(chan string, 1)
	if _, err := queue(ctx, unit, "replace", results); err != nil {
		if refused(err) && verb != "stop" {
			return b.jobError(ctx, verb, before, "failed")
		}
		return b.failed(verb+" "+unit, err)
	}
	result, err := b.result(ctx, verb, unit, results)
	if err != nil {
		return err
	}
	if result == "done" {
		return nil
	}
	return b.jobError(ctx, verb, before, result)
}

func (b *Bus) jobError(ctx context.Context, verb string, before landfast.UnitStatus, result string) error {
	st, err := b.Status(ctx, before.Name)
	if err != nil {
		st = landfast.UnitStatus{Name: before.Name}
	}
	// The start limit leaves the result of the last run in place. What gives it
	// away is that there was no run: the invocation is still the former one.
	if result == "failed" && st.Active == "failed" && before.Active == "failed" && st.Invocation != "" &&
		st.Invocation == before.Invocation && strings.HasSuffix(before.Name, ".service") {
		st.Result = "start-limit-hit"
	}
	return &JobError{Unit: before.Name, Job: verb, Result: result, Status: st}
}

// refused reports whether systemd would not even queue a job, because of what
// the unit is: the load state tells more.
func refused(err error) bool {
	switch errorName(err) {
	case busName + ".NoSuchUnit", busName + ".UnitMasked", busName + ".BadUnitSetting", busName + ".LoadFailed":
		return true
	}
	return false
}

// result waits for the result of a job. The bus can lose a signal (when it, or
// systemd itself, is started anew), so it also looks whether the unit still has
// a job, and after three times without one judges by the state of the unit.
func (b *Bus) result(ctx context.Context, verb, unit string, results <-chan string) (string, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for idle := 0; ; {
		select {
		case r := <-results:
			return r, nil
		case <-ctx.Done():
			return "", fmt.Errorf("%s %s: %w", verb, unit, ctx.Err())
		case <-tick.C:
		}
		if !b.conn.Connected() {
			return "", b.failed(verb+" "+unit, errLost)
		}
		if busy, err := b.hasJob(ctx, unit); err != nil || busy {
			idle = 0
			continue
		}
		if idle++; idle < 3 {
			continue
		}
		st, err := b.Status(ctx, unit)
		if err != nil {
			return "", err
		}
		if st.Running() != (verb == "stop") {
			return "done", nil
		}
		return "failed", nil
	}
}

func (b *Bus) hasJob(ctx context.Context, unit string) (bool, error) {
	p, err := b.conn.GetUnitPropertyContext(ctx, unit, "Job")
	if err != nil {
		return false, err
	}
	if job, ok := p.Value.Value().([]any); ok && len(job) > 0 {
		id, _ := job[0].(uint32)
		return id != 0, nil
	}
	return false, nil
}
