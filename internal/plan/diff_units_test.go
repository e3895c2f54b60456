package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

// manyPlan is an app with instances, a timer, a flag and a command before.
func manyPlan(t *testing.T, change func(*landfast.App)) *plan.Plan {
	t.Helper()
	app := smallest("web")
	app.Main().RestartFlag = "/srv/web/flags/restart.flag"
	app.Before = &landfast.EnvironmentCommand{Unit: "web-environment.service", File: "/run/web-environment/environment", Command: landfast.Command{Argv: []string{"/bin/env"}}}
	app.Services = append(
		app.Services,
		landfast.Service{Unit: "web-worker@.service", Type: "simple", Instances: []string{"1", "2"}, Command: landfast.Command{Argv: []string{"/bin/worker"}}},
		landfast.Service{Unit: "web-tick.service", Type: "oneshot", Command: landfast.Command{Argv: []string{"/bin/tick"}}, Timer: &landfast.Timer{Unit: "web-tick.timer", Calendar: []string{"daily"}}},
	)
	change(app)
	p, err := plan.Build(app, plan.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDiffOfManyUnits(t *testing.T) {
	nothing := func(*landfast.App) {}
	for _, c := range []struct {
		name   string
		change func(*landfast.App)
		host   func(plan.Observed)
		want   string
	}{
		{"nothing", nothing, func(plan.Observed) {}, ""},
		{"template's text", func(a *landfast.App) { a.Services[1].Command.Argv = []string{"/bin/new"} }, func(plan.Observed) {}, "restart web-worker@1.service, restart web-worker@2.service"},
		{"one instance less", func(a *landfast.App) { a.Services[1].Instances = []string{"2"} }, func(plan.Observed) {}, "stop web-worker@1.service, disable web-worker@1.service"},
		{"one instance more", func(a *landfast.App) { a.Services[1].Instances = []string{"1", "2", "3"} }, func(plan.Observed) {}, "enable web-worker@3.service"},
		{"no template", func(a *landfast.App) { a.Services = slices.Delete(a.Services, 1, 2) }, func(plan.Observed) {}, "stop web-worker@1.service, stop web-worker@2.service, disable web-worker@1.service, disable web-worker@2.service"},
		{"what a timer starts", func(a *landfast.App) { a.Services[2].Command.Argv = []string{"/bin/new"} }, func(plan.Observed) {}, ""},
		{"a timer", func(a *landfast.App) { a.Services[2].Timer.Calendar = []string{"weekly"} }, func(plan.Observed) {}, "restart web-tick.timer"},
		{"a timer that was stopped", nothing, func(o plan.Observed) { stopped(o, "web-tick.timer") }, "start web-tick.timer"},
		{
			"the command before", func(a *landfast.App) { a.Before.Command.Argv = []string{"/bin/new"} }, func(plan.Observed) {},
			"stop web-environment.service, start web-environment.service, restart web.service, restart web-worker@1.service, restart web-worker@2.service",
		},
		{
			"the command before, and a service that somebody stopped", func(a *landfast.App) { a.Before.Command.Argv = []string{"/bin/new"} }, func(o plan.Observed) { stopped(o, "web.service") },
			"stop web-environment.service, start web-environment.service, restart web-worker@1.service, restart web-worker@2.service",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := applied(manyPlan(t, nothing))
			for _, u := range manyPlan(t, nothing).Units {
				if u.Prepare || u.Manual {
					st := o.Units[u.Name]
					st.FileState = "static"
					o.Units[u.Name] = st
				}
			}
			c.host(o)
			changes, err := plan.Diff(manyPlan(t, c.change), o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range changes.Units {
				got = append(got, fmt.Sprintf("%s %s", u.Action, u.Unit))
			}
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

// TestUninstallOfInstances stops all of them, and every file goes.
func TestUninstallOfInstances(t *testing.T) {
	p := manyPlan(t, func(a *landfast.App) { a.Grants = []string{"sudoers", "polkit"} })
	c := plan.Uninstall(p, applied(p), false)
	for _, u := range p.Units {
		if !slices.ContainsFunc(c.Units, func(x plan.UnitChange) bool { return x.Unit == u.Name && x.Action == plan.ActionStop }) {
			t.Errorf("%s is not stopped", u.Name)
		}
	}
	for _, f := range p.Files {
		if !slices.ContainsFunc(c.Files, func(x plan.FileChange) bool { return x.Path == f.Path && x.New == nil }) {
			t.Errorf("%s stays", f.Path)
		}
	}
}
