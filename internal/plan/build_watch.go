package plan

import (
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// WatchUnit is the unit that watches a new release of an app for a while.
func WatchUnit(app *landfast.App) string {
	return strings.TrimSuffix(app.Main().Unit, ".service") + "-watch.service"
}

// watch adds it. A deployment starts it; at boot it starts by itself while a window is
// open, and otherwise no process is made.
func (b *builder) watch() {
	if b.app.Health.Watch == 0 {
		return
	}
	f := &unit.File{}
	sec := f.Section("Unit")
	sec.Add("Description", b.ok("description")(unit.Literal("Watch the new release of "+b.app.Name)))
	sec.Add("After", b.app.Main().Unit)
	b.add(f, "Unit", "ConditionPathExists", b.ok("health.watch")(unit.Path(stateDir(b.app.Name)+"/watch.json")))
	b.add(f, "Unit", "StartLimitIntervalSec", "0")
	sec = f.Section("Service")
	sec.Add("Type", "simple")
	sec.Add("ExecStart", b.ok("health.watch")(unit.Command("", []string{b.programPath(), "watch", b.app.Name})))
	sec.Add("Restart", "on-failure")
	sec.Add("RestartSec", "1s")
	f.Section("Install").Add("WantedBy", "multi-user.target")
	b.unitFile(WatchUnit(b.app), f)
	b.plan.Units = append(b.plan.Units, Unit{Name: WatchUnit(b.app), Enable: true, Manual: true})
}
