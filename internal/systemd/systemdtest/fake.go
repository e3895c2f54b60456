// Package systemdtest has a fake service manager for tests, and the contract
// suite that the fake and real machines both pass.
//
// The fake is a small state machine. Its units are the unit files below a
// directory, read as systemd reads them: a loaded unit keeps its text until a
// reload. What a unit does when it is started is said by the test, as a
// Behaviour. It runs no process, sends no signal and keeps no log.
package systemdtest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/systemd"
)

// Behaviour is what a unit does when it is started. The zero value starts and
// stays up.
type Behaviour struct {
	Exit      int           // exits with this status instead of coming up; oneshot: at its end
	Oneshot   bool          // ends at once: with Exit 0 it succeeds and is inactive
	Hangs     bool          // never becomes ready: Start waits until ctx ends or somebody stops it
	DiesAfter time.Duration // comes up, and exits with status 1 this long after; negative: at once
	Result    string        // systemd's word for the failure; "": exit-code
}

// Fake is a systemd.Manager without a systemd. It is safe for concurrent use.
type Fake struct {
	// Behave says what a unit with the given text does. Nil: everything starts and stays up.
	Behave func(unit, text string) Behaviour
	// Before is called ahead of everything that changes something, with the name
	// of the method and the units. Its error is returned instead. Nil: no faults.
	Before func(op string, units ...string) error
	// SystemdVersion is what Version tells; 0: 257.
	SystemdVersion int

	root  string
	mu    sync.Mutex
	units map[string]*unit
	calls []string
	count int // of invocations
}

var _ systemd.Manager = (*Fake)(nil)

// unit is a unit that the fake has loaded.
type unit struct {
	text      string
	active    string
	sub       string
	result    string
	exit      int
	invoked   string
	since     time.Time
	dies      time.Time     // when it will exit by itself; zero: it does not
	cancelled chan struct{} // closed when a start that hangs is taken back
}

// New is a fake whose unit files are below root: in etc/systemd/system and
// run/systemd/system.
func New(root string) *Fake {
	return &Fake{root: root, units: map[string]*unit{}}
}

// Calls are the calls that changed something so far, as "start web.service".
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Kill ends the process of a unit, as kill -9 does.
func (f *Fake) Kill(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.units[name]; u != nil && u.active == "active" {
		u.fail("signal", 9)
	}
}

// Reboot forgets everything but what is on disk, and starts what is enabled.
func (f *Fake) Reboot(ctx context.Context) error {
	f.mu.Lock()
	f.units = map[string]*unit{}
	f.mu.Unlock()
	for _, name := range f.enabled() {
		if err := f.Start(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// Version is SystemdVersion.
func (f *Fake) Version(context.Context) (int, error) {
	if f.SystemdVersion == 0 {
		return 257, nil
	}
	return f.SystemdVersion, nil
}

// Reload reads the unit files again.
func (f *Fake) Reload(ctx context.Context) error {
	if err := f.called(ctx, "reload"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, u := range f.units {
		u.text, _ = f.read(name)
	}
	return nil
}

// Start starts a unit as Behave says.
func (f *Fake) Start(ctx context.Context, name string) error {
	if err := f.called(ctx, "start", name); err != nil {
		return err
	}
	return f.start(ctx, "start", name)
}

// Stop stops a unit, and takes back a start that hangs.
func (f *Fake) Stop(ctx context.Context, name string) error {
	if err := f.called(ctx, "stop", name); err != nil {
		return err
	}
	f.stop(name)
	return nil
}

// Restart stops and starts a unit.
func (f *Fake) Restart(ctx context.Context, name string) error {
	if err := f.called(ctx, "restart", name); err != nil {
		return err
	}
	f.stop(name)
	return f.start(ctx, "restart", name)
}

// ResetFailed makes a failed unit inactive.
func (f *Fake) ResetFailed(ctx context.Context, name string) error {
	if err := f.called(ctx, "reset-failed", name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.units[name]; u != nil {
		u.settle()
		if u.active == "failed" {
			u.enter("inactive", "dead")
		}
		if u.active == "inactive" {
			u.result = "success"
		}
	}
	f.forget(name)
	return nil
}

// Status tells how a unit is.
func (f *Fake) Status(ctx context.Context, name string) (landfast.UnitStatus, error) {
	if err := ctx.Err(); err != nil {
		return landfast.UnitStatus{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	st := landfast.UnitStatus{Name: name, Load: "not-found", Active: "inactive", Sub: "dead", Result: "success"}
	text, path := f.read(name)
	if path != "" {
		st.Load, st.FragmentPath = "loaded", path
		st.FileState = f.fileState(name, text)
	}
	u := f.units[name]
	if u == nil {
		return st, nil
	}
	u.settle()
	st.Load = "loaded"
	st.Active, st.Sub, st.Result, st.Since = u.active, u.sub, u.result, u.since
	st.Invocation = u.invoked
	st.NeedReload = text != u.text
	switch {
	case u.result == "signal":
		st.ExitCode, st.ExitStatus = 2, u.exit
	case u.exit != 0:
		st.ExitCode, st.ExitStatus = 1, u.exit
	}
	if u.active == "active" && strings.HasSuffix(name, ".service") {
		st.MainPID = 1000
	}
	return st, nil
}

// Close does nothing.
func (f *Fake) Close() error { return nil }

// called notes a call and gives the test its chance to make it fail.
func (f *Fake) called(ctx context.Context, op string, units ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.Before != nil {
		if err := f.Before(op, units...); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.Join(append([]string{op}, units...), " "))
	return nil
}

func (f *Fake) start(ctx context.Context, job, name string) error {
	f.mu.Lock()
	u := f.load(name)
	if u == nil {
		f.mu.Unlock()
		return f.jobError(ctx, job, name, "failed")
	}
	u.settle()
	if u.active == "active" {
		f.mu.Unlock()
		return nil
	}
	if f.held(name) {
		f.mu.Unlock()
		return f.jobError(ctx, job, name, "failed")
	}
	if u.active != "activating" {
		f.count++
		u.invoked = fmt.Sprintf("%032x", f.count)
	}
	b := f.behaviour(name, u.text)
	if b.Hangs {
		return f.hang(ctx, job, name, u)
	}
	ok := u.begin(b)
	f.mu.Unlock()
	if ok {
		return nil
	}
	return f.jobError(ctx, job, name, "failed")
}

// hang waits with a start that will not end by itself; it is called with the
// lock held and lets go of it.
func (f *Fake) hang(ctx context.Context, job, name string, u *unit) error {
	if u.cancelled == nil {
		u.cancelled = make(chan struct{})
		u.enter("activating", "start")
	}
	cancelled := u.cancelled
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s %s: %w", job, name, ctx.Err())
	case <-cancelled:
		return f.jobError(ctx, job, name, "canceled")
	}
}

func (f *Fake) jobError(ctx context.Context, job, name, result string) error {
	st, err := f.Status(context.WithoutCancel(ctx), name)
	if err != nil {
		return err
	}
	return &systemd.JobError{Unit: name, Job: job, Result: result, Status: st}
}

func (f *Fake) stop(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for part, u := range f.units {
		if strings.Contains(u.text, "\nPartOf="+name+"\n") {
			f.end(part)
		}
	}
	f.end(name)
}

// end stops one unit.
func (f *Fake) end(name string) {
	u := f.units[name]
	if u == nil {
		return
	}
	u.settle()
	if u.cancelled != nil {
		close(u.cancelled)
		u.cancelled = nil
	}
	if u.active == "active" || u.active == "activating" {
		u.result, u.exit = "success", 0
		u.enter("inactive", "dead")
	}
	f.forget(name)
}

// held reports whether name is a socket whose service runs: systemd refuses to
// start it then (socket_start: "Socket service already active, refusing").
func (f *Fake) held(name string) bool {
	service, ok := strings.CutSuffix(name, ".socket")
	u := f.units[service+".service"]
	return ok && u != nil && (u.active == "active" || u.active == "activating")
}

func (f *Fake) behaviour(name, text string) Behaviour {
	if f.Behave == nil {
		return Behaviour{}
	}
	return f.Behave(name, text)
}

// load is the unit as it is in memory, read from its file when it is not there.
func (f *Fake) load(name string) *unit {
	if u := f.units[name]; u != nil {
		return u
	}
	text, path := f.read(name)
	if path == "" {
		return nil
	}
	u := &unit{text: text, result: "success"}
	u.enter("inactive", "dead")
	f.units[name] = u
	return u
}

// forget drops a unit that systemd would drop: nothing runs of it, nothing
// failed and nothing wants it.
func (f *Fake) forget(name string) {
	u := f.units[name]
	if u == nil || u.active != "inactive" {
		return
	}
	if text, path := f.read(name); path == "" || f.fileState(name, text) != "enabled" {
		delete(f.units, name)
	}
}

// begin starts a unit that does not hang, and reports whether it came up.
func (u *unit) begin(b Behaviour) bool {
	u.result, u.exit, u.dies = "success", 0, time.Time{}
	switch {
	case b.Exit != 0 || b.Result != "":
		u.fail(cmp.Or(b.Result, "exit-code"), b.Exit)
		return false
	case b.Oneshot && strings.Contains(u.text, "\nRemainAfterExit=yes\n"):
		u.enter("active", "exited")
	case b.Oneshot:
		u.enter("inactive", "dead")
	default:
		u.enter("active", "running")
		if b.DiesAfter != 0 {
			u.dies = u.since.Add(max(b.DiesAfter, 0))
		}
	}
	return true
}

// settle lets a unit die whose time has come.
func (u *unit) settle() {
	if u.active == "active" && !u.dies.IsZero() && !time.Now().Before(u.dies) {
		u.fail("exit-code", 1)
	}
}

func (u *unit) fail(result string, exit int) {
	u.result, u.exit = result, exit
	u.enter("failed", "failed")
}

func (u *unit) enter(active, sub string) {
	u.active, u.sub, u.since = active, sub, time.Now()
}
