package setup_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/setup"
	"github.com/landfast/landfast/internal/unit"
)

func made(t *testing.T, version int, apps ...string) *plan.Plan {
	t.Helper()
	p, err := setup.Plan(setup.Options{
		Program: "/usr/bin/landfast", Systemd: version, Apps: apps, Bases: []string{"/srv", "/opt", "/var/www"},
		RootSocket: "/run/landfast/root.sock", ProbeSocket: "/run/landfast/probe.sock",
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestUnits: each has our mark, can be read, and holds nothing that its systemd does not
// know; what talks to the network is not root, and root has no network.
func TestUnits(t *testing.T) {
	t.Parallel()
	for _, version := range []int{247, 252, 257, 0} {
		for _, f := range made(t, version, "web").Files {
			if plan.MarkOf(f.Content) != setup.App {
				t.Errorf("%s has no mark", f.Path)
			}
			if path.Dir(f.Path) != "/etc/systemd/system" {
				continue
			}
			u, err := unit.Parse(f.Content)
			if err != nil {
				t.Fatalf("%s: %v", f.Path, err)
			}
			for _, s := range u.Sections {
				for _, o := range s.Options {
					if d, ok := unit.Lookup(s.Name, o.Name); !ok || !d.Known(version) {
						t.Errorf("%s: systemd %d does not know [%s] %s=", f.Path, version, s.Name, o.Name)
					}
				}
			}
			if path.Ext(f.Path) != ".service" {
				continue
			}
			if path.Base(f.Path) == "landfast-resume.service" {
				continue // what the operator would run, and nobody can ask it for anything
			}
			root := u.Value("Service", "User") == "" && u.Value("Service", "DynamicUser") != "yes"
			if alone := u.Value("Service", "PrivateNetwork") == "yes"; root != alone {
				t.Errorf("%s: root: %v, without a network: %v", f.Path, root, alone)
			}
			if u.Value("Service", "NoNewPrivileges") != "yes" {
				t.Errorf("%s can become more than it is", f.Path)
			}
		}
	}
}

func TestWhatASetupStarts(t *testing.T) {
	t.Parallel()
	p := made(t, 252, "web", "api")
	seen := plan.Observed{Users: map[string]bool{}, Dirs: map[string]plan.Node{}, Files: map[string]plan.Node{}}
	first, err := setup.Diff(p, seen)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"start landfast-root.socket", "start landfast-worker@api.path", "enable landfast-worker@web.timer"} {
		if !slices.ContainsFunc(first.Units, func(u plan.UnitChange) bool { return string(u.Action)+" "+u.Unit == want }) {
			t.Errorf("the first setup does not %s: %+v", want, first.Units)
		}
	}
	for _, f := range p.Files {
		if strings.Contains(f.Content, "/var/www") {
			t.Errorf("%s names what lies below /var, which it may write anyway", f.Path)
		}
	}
}
