package deploy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
)

// A scenario is one deployment in a world that was made ready for it.
type scenario struct {
	name  string
	ready func(*world)
	act   func(*world) error
}

// scenarios end well when nothing interferes.
var scenarios = []scenario{
	{
		"first", func(*world) {},
		func(w *world) error { return w.deploy(withSocket, "1", "good") },
	},
	{
		"next", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(manifestText, "2", "good") },
	},
	{
		"adds-a-socket", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(withSocket, "2", "good") },
	},
	{
		"drops-a-socket", func(w *world) { w.must(w.deploy(withSocket, "1", "good")) },
		func(w *world) error { return w.deploy(manifestText, "2", "good") },
	},
	{
		"changes-a-socket", func(w *world) { w.must(w.deploy(withSocket, "1", "good")) },
		func(w *world) error { return w.deploy(withSocket+"[systemd.Socket]\nBacklog = 9\n", "2", "good") },
	},
	{
		"migrates", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(withHooks, "2", "good") },
	},
	{
		"stopped", func(w *world) {
			w.must(w.deploy(withSocket, "1", "good"))
			w.must(w.units.Stop(w.t.Context(), "web.service"))
		},
		func(w *world) error { return w.deploy(withSocket, "2", "good") },
	},
	{
		"adds-more-units", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(withMore, "2", "good") },
	},
	{
		"drops-some-units", func(w *world) { w.must(w.deploy(withMore, "1", "good")) },
		func(w *world) error { return w.deploy(withLess, "2", "good") },
	},
	{
		"first-handoff", func(*world) {},
		func(w *world) error { return w.deploy(withHandoff, "1", "good") },
	},
	{
		"handoff", func(w *world) { w.must(w.deploy(withHandoff, "1", "good")) },
		func(w *world) error { return w.deploy(withHandoff, "2", "good") },
	},
	{
		"handoff-changes-a-socket", func(w *world) { w.must(w.deploy(withHandoff, "1", "good")) },
		func(w *world) error { return w.deploy(withHandoff+"[systemd.Socket]\nBacklog = 9\n", "2", "good") },
	},
	{
		"from-restart-to-handoff", func(w *world) { w.must(w.deploy(withSocket, "1", "good")) },
		func(w *world) error { return w.deploy(withHandoff, "2", "good") },
	},
	{
		"from-handoff-to-restart", func(w *world) { w.must(w.deploy(withHandoff, "1", "good")) },
		func(w *world) error { return w.deploy(withSocket, "2", "good") },
	},
	{
		"is-watched", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(withWatch, "2", "good") },
	},
	{
		"was-watched", func(w *world) {
			w.must(w.deploy(manifestText, "1", "good"))
			w.must(w.deploy(withWatch, "2", "good"))
		},
		func(w *world) error { return w.rollback(withWatch) },
	},
	{
		"first-relay", func(*world) {},
		func(w *world) error { return w.deploy(withRelay, "1", "good") },
	},
	{
		"relay", func(w *world) { w.must(w.deploy(withRelay, "1", "good")) },
		func(w *world) error { return w.deploy(withRelay, "2", "good") },
	},
	{
		"from-relay-to-handoff", func(w *world) { w.must(w.deploy(withRelay, "1", "good")) },
		func(w *world) error { return w.deploy(withHandoff, "2", "good") },
	},
	{
		"from-restart-to-relay", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(withRelay, "2", "good") },
	},
	{
		"handoff-rollback", func(w *world) {
			w.must(w.deploy(withHandoff, "1", "good"))
			w.must(w.deploy(withHandoff, "2", "good"))
		},
		func(w *world) error { return w.rollback(withHandoff) },
	},
	{
		"rollback", func(w *world) {
			w.must(w.deploy(manifestText, "1", "good"))
			w.must(w.deploy(withSocket, "2", "good"))
		},
		func(w *world) error { return w.rollback(withSocket) },
	},
	{
		"adds-settings", func(w *world) {
			w.must(w.deploy(manifestText, "1", "good"))
			w.settings("old")
		},
		func(w *world) error { return w.deploy(withSettings, "2", "good") },
	},
	{
		"changes-settings", func(w *world) {
			w.settings("old")
			w.must(w.deploy(withSettings, "1", "good"))
			w.settings("new")
		},
		func(w *world) error { return w.deploy(withSettings, "2", "good") },
	},
	{
		"handoff-with-settings", func(w *world) {
			w.settings("old")
			w.must(w.deploy(withHandoff+ofSettings, "1", "good"))
			w.settings("new")
		},
		func(w *world) error { return w.deploy(withHandoff+ofSettings, "2", "good") },
	},
	{
		"rollback-of-settings", func(w *world) {
			w.settings("old")
			w.must(w.deploy(withSettings, "1", "good"))
			w.settings("new")
			w.must(w.deploy(withSettings, "2", "good"))
		},
		func(w *world) error { return w.rollback(withSettings) },
	},
}

const withHandoff = withSocket + `
[cutover]
strategy = "handoff"

[services.worker]
command = "bin/web"
overlap = true

[services.single]
command = "bin/web"
`

// withWatch is watched for a while.
const withWatch = manifestText + `watch = "1min"
`

// withRelay moves a link.
const withRelay = manifestText + `
[cutover]
strategy = "relay"
listen = "8080"
`

// withMore has instances, a timer, a command before the services and a flag.
const withMore = manifestText + `
[environment]
command = "bin/env"

[services.worker]
command = "bin/web"
instances = 2
restart_flag = true

[timers.tick]
command = "bin/web"
every = "1h"
`

// withLess has one instance less, and another text of the template and the command.
const withLess = manifestText + `
[environment]
command = "bin/env --new"

[services.worker]
command = "bin/web --new"
instances = 1
`

const withHooks = manifestText + `
[hooks]
migrate = [["bin/web", "migrate"]]
after = [["bin/web", "warm"]]
`

// bad scenarios end in the old state by themselves.
var badScenarios = []scenario{
	{
		"exits-at-start", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(withSocket, "2", "exits") },
	},
	{
		"dies-after-start", func(w *world) { w.must(w.deploy(withSocket, "1", "good")) },
		func(w *world) error { return w.deploy(manifestText, "2", "dies") },
	},
	{
		"exits-with-more-units", func(w *world) { w.must(w.deploy(withMore, "1", "good")) },
		func(w *world) error { return w.deploy(withLess, "2", "exits") },
	},
	{
		"fails-in-rehearsal", func(w *world) { w.must(w.deploy(withHandoff, "1", "good")) },
		func(w *world) error { return w.deploy(withHandoff, "2", "exits") },
	},
	{
		"handoff-is-bad", func(w *world) { w.must(w.deploy(withHandoff, "1", "good")) },
		func(w *world) error {
			return w.deploy(strings.Replace(withHandoff, "handoff\"\n", "handoff\"\nrehearse = false\n", 1), "2", "dies")
		},
	},
	{
		"exits-with-new-settings", func(w *world) {
			w.settings("old")
			w.must(w.deploy(withSettings, "1", "good"))
			w.settings("new")
		},
		func(w *world) error { return w.deploy(withSettings, "2", "exits") },
	},
	{
		"handoff-with-settings-is-bad", func(w *world) {
			w.settings("old")
			w.must(w.deploy(withHandoff+ofSettings, "1", "good"))
			w.settings("new")
		},
		func(w *world) error { return w.deploy(withHandoff+ofSettings, "2", "dies") },
	},
	{
		"exits-with-its-first-settings", func(w *world) {
			w.must(w.deploy(manifestText, "1", "good"))
			w.settings("old")
		},
		func(w *world) error { return w.deploy(withSettings, "2", "exits") },
	},
	{
		"relay-is-bad", func(w *world) { w.must(w.deploy(withRelay, "1", "good")) },
		func(w *world) error { return w.deploy(withRelay, "2", "dies") },
	},
	{
		"first-one-is-bad", func(*world) {},
		func(w *world) error { return w.deploy(withSocket, "1", "exits") },
	},
	{
		"migration-fails", func(w *world) { w.must(w.deploy(manifestText, "1", "good")) },
		func(w *world) error { return w.deploy(withHooks, "2", "exits") },
	},
}

// outcome is what a scenario passes through when nothing interferes.
type outcome struct {
	points   []string
	old, new string // states
}

// play runs a scenario undisturbed.
func play(t *testing.T, s scenario) outcome {
	t.Helper()
	w := newWorld(t)
	s.ready(w)
	o := outcome{old: w.state()}
	w.engine.SetFault(func(point string) error {
		o.points = append(o.points, point)
		return nil
	})
	err := s.act(w)
	if err != nil && !takenBack(err) {
		t.Fatal(err)
	}
	o.new = w.state()
	return o
}

// takenBack reports whether err says that a deployment failed and left nothing.
func takenBack(err error) bool {
	return landfast.KindOf(err) == landfast.RolledBack || strings.Contains(err.Error(), "nothing live was touched")
}

func TestGoodScenariosEndInTheNewState(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			if o := play(t, s); o.old == o.new {
				t.Error("nothing has changed")
			}
		})
	}
}

func TestBadScenariosEndInTheOldState(t *testing.T) {
	for _, s := range badScenarios {
		t.Run(s.name, func(t *testing.T) {
			o := play(t, s)
			if d := cmp.Diff(o.old, o.new); d != "" {
				t.Error(d)
			}
			if !slices.ContainsFunc(o.points, func(p string) bool { return p == "undo:prepare:after" }) {
				t.Errorf("not everything was undone: %q", o.points)
			}
		})
	}
}

// Killed anywhere, do or undo, and taken up by the next process: old or new.
func TestDieEverywhere(t *testing.T) {
	for _, s := range slices.Concat(scenarios, badScenarios) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			o := play(t, s)
			for _, point := range o.points {
				t.Run(point, func(t *testing.T) {
					w := newWorld(t)
					s.ready(w)
					w.engine.SetFault(at(point, deploy.ErrDied))
					if err := s.act(w); !errors.Is(err, deploy.ErrDied) {
						t.Fatalf("error %v, want the death", err)
					}
					w.must(w.resume())
					checkState(t, w, o)
					w.must(w.resume()) // nothing is left to do
					checkState(t, w, o)
				})
			}
		})
	}
}

// Failing before or behind every step, do or undo: old or new, if need be after a
// person has removed the cause.
func TestFailEverywhere(t *testing.T) {
	broken := errors.New("broken for the test")
	for _, s := range slices.Concat(scenarios, badScenarios) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			o := play(t, s)
			for _, point := range o.points {
				t.Run(point, func(t *testing.T) {
					w := newWorld(t)
					s.ready(w)
					w.engine.SetFault(at(point, broken))
					if err := s.act(w); err == nil && point != "do:commit:after" {
						t.Fatal("no error")
					}
					w.must(w.resume())
					checkState(t, w, o)
				})
			}
		})
	}
}

// Failing at one point and dying at every later one, which is then in an undo.
func TestFailThenDieEverywhere(t *testing.T) {
	broken := errors.New("broken for the test")
	for _, s := range scenarios {
		if !slices.Contains([]string{"adds-a-socket", "migrates", "rollback", "drops-some-units", "handoff", "from-restart-to-handoff", "relay"}, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			o := play(t, s)
			var points []string
			w := newWorld(t)
			s.ready(w)
			w.engine.SetFault(func(p string) error {
				points = append(points, p)
				return at("do:health:after", broken)(p)
			})
			if err := s.act(w); landfast.KindOf(err) != landfast.RolledBack {
				t.Fatalf("error %v", err)
			}
			for _, point := range points[slices.Index(points, "do:health:after")+1:] {
				t.Run(point, func(t *testing.T) {
					w := newWorld(t)
					s.ready(w)
					w.engine.SetFault(func(p string) error {
						return errors.Join(at("do:health:after", broken)(p), at(point, deploy.ErrDied)(p))
					})
					if err := s.act(w); !errors.Is(err, deploy.ErrDied) {
						t.Fatalf("error %v, want the death", err)
					}
					w.must(w.resume())
					if d := cmp.Diff(o.old, w.state()); d != "" {
						t.Error(d)
					}
				})
			}
		})
	}
}

// Every do and every undo runs twice: the same end.
func TestRepeatEverything(t *testing.T) {
	for _, s := range slices.Concat(scenarios, badScenarios) {
		t.Run(s.name, func(t *testing.T) {
			o := play(t, s)
			w := newWorld(t)
			s.ready(w)
			w.engine.SetTwice()
			if err := s.act(w); err != nil && !takenBack(err) {
				t.Fatal(err)
			}
			if d := cmp.Diff(o.new, w.state()); d != "" {
				t.Error(d)
			}
		})
	}
}

func at(point string, err error) func(string) error {
	return func(p string) error {
		if p == point {
			return err
		}
		return nil
	}
}

// checkState compares the world with the two states that are allowed.
func checkState(t *testing.T, w *world, o outcome) {
	t.Helper()
	got := w.state()
	if got == o.old || got == o.new {
		return
	}
	t.Errorf("neither the old nor the new state\nto the old (-want +got):\n%s\nto the new (-want +got):\n%s",
		cmp.Diff(o.old, got), cmp.Diff(o.new, got))
}
