package systemdtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/systemd"
)

// Target is a manager, and where its unit files are.
type Target struct {
	Manager systemd.Manager
	Root    string // the root directory of its machine
}

// patience bounds every wait of the suite, far above what any takes.
const patience = 30 * time.Second

// Suite checks that a manager keeps the contract of systemd.Manager. A fake
// target lets Interpret say what units do.
func Suite(t *testing.T, newTarget func(t *testing.T) Target) {
	s := &suite{Target: newTarget(t)}
	for name, test := range map[string]func(*suite, *testing.T){
		"version":             (*suite).version,
		"unknown unit":        (*suite).unknown,
		"start and stop":      (*suite).startStop,
		"oneshot":             (*suite).oneshot,
		"failing start":       (*suite).failingStart,
		"missing command":     (*suite).missingCommand,
		"timeout":             (*suite).timeout,
		"enable and disable":  (*suite).enableDisable,
		"changed file":        (*suite).changedFile,
		"stop while starting": (*suite).stopWhileStarting,
		"context ends":        (*suite).contextEnds,
		"watch a death":       (*suite).watchDeath,
		"runtime unit":        (*suite).runtimeUnit,
		"socket is refused":   (*suite).socketRefused,
	} {
		t.Run(name, func(t *testing.T) { test(s, t) })
	}
}

// suite is the running of the suite against one target.
type suite struct{ Target }

const (
	sleeps   = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
	succeeds = "[Service]\nType=oneshot\nExecStart=/bin/true\n"
	fails    = "[Service]\nType=oneshot\nExecStart=/bin/sh -c \"exit 3\"\n"
	missing  = "[Service]\nType=exec\nExecStart=/no/such/command\n"
	hangs    = "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=/bin/sleep infinity\n"
	late     = "[Service]\nType=notify\nTimeoutStartSec=200ms\nExecStart=/bin/sleep infinity\n"
	dies     = "[Service]\nExecStart=/bin/sh -c \"sleep 0.3; exit 1\"\n"
	socket   = "[Socket]\nListenStream=/run/landfast-suite.sock\n"
)

// Interpret is a Behave for the units of the suite.
func Interpret(_, text string) Behaviour {
	switch text {
	case succeeds:
		return Behaviour{Oneshot: true}
	case fails:
		return Behaviour{Oneshot: true, Exit: 3}
	case missing:
		return Behaviour{Exit: 203}
	case hangs:
		return Behaviour{Hangs: true}
	case late:
		return Behaviour{Result: "timeout"}
	case dies:
		return Behaviour{DiesAfter: 300 * time.Millisecond}
	}
	return Behaviour{}
}

// unit writes a unit file that is removed, and its unit stopped, with the test.
func (s *suite) unit(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(s.Root, unitDir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		err := errors.Join(s.Manager.Stop(ctx, name), s.Manager.ResetFailed(ctx, name), s.Manager.Disable(ctx, name))
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		if err := errors.Join(err, s.Manager.Reload(ctx)); err != nil {
			t.Error(err)
		}
	})
}

func (s *suite) status(t *testing.T, name string) landfast.UnitStatus {
	t.Helper()
	st, err := s.Manager.Status(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// wants fails the test unless the unit is in the active state.
func (s *suite) wants(t *testing.T, name, active string) landfast.UnitStatus {
	t.Helper()
	st := s.status(t, name)
	if st.Active != active {
		t.Fatalf("%s is %s (%s, %s), want %s", name, st.Active, st.Sub, st.Result, active)
	}
	return st
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failed fails the test unless err is a JobError with the given words.
func failed(t *testing.T, err error, words string) systemd.JobError {
	t.Helper()
	job, ok := errors.AsType[*systemd.JobError](err)
	if !ok {
		t.Fatalf("got error %v, want a JobError", err)
	}
	if !strings.Contains(job.Error(), words) {
		t.Fatalf("got error %q, want %q in it", job.Error(), words)
	}
	return *job
}

// await looks at a unit until it is as wanted.
func (s *suite) await(t *testing.T, name string, ok func(landfast.UnitStatus) bool) landfast.UnitStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	states, err := systemd.Watch(ctx, s.Manager, name)
	must(t, err)
	var last landfast.UnitStatus
	for last = range states {
		if ok(last) {
			return last
		}
	}
	t.Fatalf("%s stayed %s (%s, %s)", name, last.Active, last.Sub, last.Result)
	return last
}

func (s *suite) version(t *testing.T) {
	n, err := s.Manager.Version(t.Context())
	must(t, err)
	if n < 200 || n > 999 {
		t.Errorf("got version %d", n)
	}
}

func (s *suite) unknown(t *testing.T) {
	const name = "landfast-no-such.service"
	st := s.wants(t, name, "inactive")
	if st.Load != "not-found" || st.Name != name || st.FileState != "" {
		t.Errorf("got %+v", st)
	}
	must(t, s.Manager.Stop(t.Context(), name))
	must(t, s.Manager.ResetFailed(t.Context(), name))
	must(t, s.Manager.Disable(t.Context(), name))
	failed(t, s.Manager.Start(t.Context(), name), "systemd knows no such unit")
	if err := s.Manager.Enable(t.Context(), name); err == nil {
		t.Error("enabling it succeeded")
	}
}

func (s *suite) startStop(t *testing.T) {
	const name = "landfast-sleeps.service"
	s.unit(t, name, sleeps)
	ctx := t.Context()
	must(t, s.Manager.Start(ctx, name))
	first := s.wants(t, name, "active")
	if first.Invocation == "" || first.MainPID == 0 || first.Since.IsZero() || first.Load != "loaded" {
		t.Errorf("got %+v", first)
	}
	must(t, s.Manager.Start(ctx, name))
	if again := s.wants(t, name, "active"); again.Invocation != first.Invocation {
		t.Error("a second start started it anew")
	}
	must(t, s.Manager.Restart(ctx, name))
	if second := s.wants(t, name, "active"); second.Invocation == first.Invocation {
		t.Error("a restart left the invocation as it was")
	}
	for range 2 {
		must(t, s.Manager.Stop(ctx, name))
		s.wants(t, name, "inactive")
	}
	must(t, s.Manager.Restart(ctx, name))
	s.wants(t, name, "active")
}

func (s *suite) oneshot(t *testing.T) {
	const name = "landfast-succeeds.service"
	s.unit(t, name, succeeds)
	must(t, s.Manager.Start(t.Context(), name))
	if st := s.wants(t, name, "inactive"); st.Result != "success" {
		t.Errorf("got result %s", st.Result)
	}
}

func (s *suite) failingStart(t *testing.T) {
	const name = "landfast-fails.service"
	s.unit(t, name, fails)
	for _, start := range []func(context.Context, string) error{s.Manager.Start, s.Manager.Restart} {
		job := failed(t, start(t.Context(), name), "the process exited with status 3")
		if job.Result != "failed" || job.Status.Result != "exit-code" || job.Status.ExitStatus != 3 {
			t.Errorf("got %+v", job)
		}
		s.wants(t, name, "failed")
	}
	must(t, s.Manager.Stop(t.Context(), name))
	s.wants(t, name, "failed")
	for range 2 {
		must(t, s.Manager.ResetFailed(t.Context(), name))
		s.wants(t, name, "inactive")
	}
}

func (s *suite) missingCommand(t *testing.T) {
	const name = "landfast-missing.service"
	s.unit(t, name, missing)
	failed(t, s.Manager.Start(t.Context(), name), "could not be executed")
}

func (s *suite) timeout(t *testing.T) {
	const name = "landfast-late.service"
	s.unit(t, name, late)
	failed(t, s.Manager.Start(t.Context(), name), "within its timeout")
}

func (s *suite) enableDisable(t *testing.T) {
	const name = "landfast-enable.service"
	s.unit(t, name, sleeps)
	ctx := t.Context()
	is := func(want string) {
		t.Helper()
		if got := s.status(t, name).FileState; got != want {
			t.Fatalf("it is %s, want %s", got, want)
		}
	}
	is("disabled")
	for range 2 {
		must(t, s.Manager.Enable(ctx, name))
		is("enabled")
	}
	for range 2 {
		must(t, s.Manager.Disable(ctx, name))
		is("disabled")
	}
}

func (s *suite) changedFile(t *testing.T) {
	const name = "landfast-changes.service"
	s.unit(t, name, sleeps)
	ctx := t.Context()
	must(t, s.Manager.Start(ctx, name))
	if s.status(t, name).NeedReload {
		t.Fatal("it needs a reload before its file has changed")
	}
	s.unit(t, name, sleeps+"# changed\n")
	before := s.status(t, name)
	if !before.NeedReload {
		t.Fatal("it needs no reload although its file has changed")
	}
	must(t, s.Manager.Reload(ctx))
	after := s.wants(t, name, "active")
	if after.NeedReload || after.Invocation != before.Invocation {
		t.Errorf("after the reload: %+v", after)
	}
}

// starting starts a unit that does not become ready, and gives its Start's result.
func (s *suite) starting(ctx context.Context, t *testing.T, name string) <-chan error {
	t.Helper()
	s.unit(t, name, hangs)
	result := make(chan error, 1)
	go func() { result <- s.Manager.Start(ctx, name) }()
	s.await(t, name, func(st landfast.UnitStatus) bool { return st.Active == "activating" })
	return result
}

func (s *suite) stopWhileStarting(t *testing.T) {
	const name = "landfast-hangs.service"
	result := s.starting(t.Context(), t, name)
	must(t, s.Manager.Stop(t.Context(), name))
	job := failed(t, <-result, "took the place")
	if job.Result != "canceled" {
		t.Errorf("got result %s", job.Result)
	}
	s.wants(t, name, "inactive")
}

func (s *suite) contextEnds(t *testing.T) {
	const name = "landfast-waits.service"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := s.starting(ctx, t, name)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context ended", err)
	}
	s.wants(t, name, "activating")
}

func (s *suite) watchDeath(t *testing.T) {
	const name = "landfast-dies.service"
	s.unit(t, name, dies)
	must(t, s.Manager.Start(t.Context(), name))
	s.wants(t, name, "active")
	st := s.await(t, name, landfast.UnitStatus.Dead)
	if st.Active != "failed" || st.Result != "exit-code" || st.ExitStatus != 1 {
		t.Errorf("got %+v", st)
	}
}

// runtimeUnit: a unit that is new needs no reload, and once its file is gone
// nothing of it remains.
func (s *suite) runtimeUnit(t *testing.T) {
	const name = "landfast-once.service"
	for _, text := range []string{succeeds, fails, succeeds} {
		s.status(t, name) // asking for it first must not hide it
		path := filepath.Join(s.Root, runtimeDir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
		if err := s.Manager.Start(t.Context(), name); (err != nil) != (text == fails) {
			t.Fatalf("got %v", err)
		}
		must(t, s.Manager.ResetFailed(t.Context(), name))
		must(t, os.Remove(path))
		if st := s.wants(t, name, "inactive"); st.Load != "not-found" {
			t.Errorf("it is still %s", st.Load)
		}
	}
}

// socketRefused: systemd does not start a socket whose service runs without it.
func (s *suite) socketRefused(t *testing.T) {
	s.unit(t, "landfast-held.service", sleeps)
	s.unit(t, "landfast-held.socket", socket)
	must(t, s.Manager.Start(t.Context(), "landfast-held.service"))
	if err := s.Manager.Start(t.Context(), "landfast-held.socket"); err == nil {
		t.Fatal("the socket started")
	}
	must(t, s.Manager.Stop(t.Context(), "landfast-held.service"))
	must(t, s.Manager.Start(t.Context(), "landfast-held.socket"))
	must(t, s.Manager.Start(t.Context(), "landfast-held.service"))
}
