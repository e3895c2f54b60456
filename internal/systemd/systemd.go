// Package systemd asks the service manager of a machine to do things and tells
// how its units are. Manager is the contract; there is one implementation over
// D-Bus for a running machine, one for a directory tree that is not running
// (staging below another root), and a fake for tests. One contract suite,
// systemdtest.Suite, runs against the fake and against real machines.
//
// It writes no unit files: that is package host.
package systemd

import (
	"context"
	"fmt"

	"github.com/landfast/landfast"
)

// Manager is the service manager of one machine. Every method blocks until
// systemd has finished the job, or ctx ends; a job goes on when ctx ends first.
// All of them may be called again: starting what runs, stopping what does not,
// enabling what is enabled succeed and change nothing.
type Manager interface {
	// Version is systemd's version number: 252.
	Version(ctx context.Context) (int, error)
	// Reload makes systemd read changed unit files (daemon-reload).
	Reload(ctx context.Context) error
	// Start starts a unit. A unit that does not come up is a *JobError.
	Start(ctx context.Context, unit string) error
	// Stop stops a unit. A unit that systemd does not know counts as stopped.
	Stop(ctx context.Context, unit string) error
	// Restart restarts a unit, or starts it. A unit that does not come up is a *JobError.
	Restart(ctx context.Context, unit string) error
	// Enable makes units start at boot, as their [Install] sections say.
	Enable(ctx context.Context, units ...string) error
	// Disable takes that back. Units that do not exist are no error.
	Disable(ctx context.Context, units ...string) error
	// ResetFailed forgets a failure and the start limit's count. A unit that
	// systemd does not know is no error.
	ResetFailed(ctx context.Context, unit string) error
	// Status tells how a unit is. A unit that systemd does not know has Load
	// "not-found" and Active "inactive", and is no error.
	Status(ctx context.Context, unit string) (landfast.UnitStatus, error)
	// Close releases the connection.
	Close() error
}

// JobError is a job that systemd ended without success.
type JobError struct {
	Unit   string
	Job    string // start, stop, restart
	Result string // failed, timeout, dependency, canceled, skipped, ...
	Status landfast.UnitStatus
}

// Error says in words what systemd answered.
func (e *JobError) Error() string {
	return fmt.Sprintf("cannot %s %s: %s", e.Job, e.Unit, Explain(e.Result, e.Status))
}

// State is how the unit was when the job had ended.
func (e *JobError) State() landfast.UnitStatus { return e.Status }
