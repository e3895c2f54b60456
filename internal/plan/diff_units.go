package plan

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// unitDir is where the units of a plan are.
const unitDir = "/etc/systemd/system"

// unitDiff works out what happens to units from what happens to files.
type unitDiff struct {
	plan     *Plan
	observed Observed
	files    map[string]FileChange // changed unit files, by unit
	out      map[Action][]UnitChange
}

// diffUnits adds the actions on units and the reload, given c.Files.
func diffUnits(c *Changes, p *Plan, o Observed) {
	d := &unitDiff{plan: p, observed: o, files: map[string]FileChange{}, out: map[Action][]UnitChange{}}
	for _, f := range c.Files {
		if unit, ok := unitOf(f.Path); ok {
			d.files[unit] = f
			// A change of owner or mode alone needs no reload.
			// Nor does a unit that systemd has never seen: it reads the file when it is asked for it.
			fresh := f.Old == nil && p.instance(unit)
			c.Reload = c.Reload || !fresh && (f.Old == nil || f.New == nil || f.Old.Content != f.New.Content)
		}
	}
	for _, f := range c.Files {
		if unit, ok := unitOf(f.Path); ok && f.New == nil && !isTemplate(unit) {
			d.drop(unit, "it is no longer in the plan")
		}
	}
	d.dropInstances()
	waitingFirst(d.out[ActionStop])
	moved := d.movedSockets()
	again := d.prepareAgain()
	for _, u := range p.Units {
		c.Reload = c.Reload || o.Units[u.Name].NeedReload
		d.enablement(u)
		d.activity(u, moved, again)
	}
	c.Units = d.actions()
	// systemd learns of links, too, by reading all unit files again.
	c.Reload = c.Reload || len(d.out[ActionDisable])+len(d.out[ActionEnable]) > 0
}

// actions are all of them, in the order they are to be taken.
func (d *unitDiff) actions() []UnitChange {
	var out []UnitChange
	for _, a := range []Action{ActionStop, ActionDisable, ActionEnable, ActionStart, ActionRestart} {
		out = append(out, d.out[a]...)
	}
	return out
}

func (d *unitDiff) add(a Action, unit, reason string) {
	d.out[a] = append(d.out[a], UnitChange{Unit: unit, Action: a, Reason: reason})
}

// drop stops and disables a unit whose file is about to go.
func (d *unitDiff) drop(unit, reason string) {
	st := d.observed.Units[unit]
	if st.Active != "" && !st.Dead() {
		d.add(ActionStop, unit, reason)
	}
	if enabled(st) {
		d.add(ActionDisable, unit, reason)
	}
}

// dropInstances drops the instances of our templates that the plan does not have.
func (d *unitDiff) dropInstances() {
	ours := map[string]bool{}
	for _, u := range d.plan.Units {
		ours[u.Name] = true
	}
	for _, unit := range slices.Sorted(maps.Keys(d.observed.Units)) {
		template := TemplateOf(unit)
		n, known := d.observed.Files[unitDir+"/"+template]
		if template != "" && !ours[unit] && known && n.Mark == d.plan.App {
			d.drop(unit, "it is no longer in the plan")
		}
	}
}

// prepareAgain reports whether a unit that runs before the services is to run
// again. It is stopped for that, and the services with it, so that each of them
// starts once, with what it makes. The restarts that are due are on record before
// anything is stopped.
func (d *unitDiff) prepareAgain() bool {
	again := false
	for _, u := range d.plan.Units {
		if u.Prepare && d.observed.Live && d.observed.Units[u.Name].Running() {
			if reason := d.outdated(u.Name); reason != "" {
				d.add(ActionStop, u.Name, reason)
				d.add(ActionStart, u.Name, reason)
				again = true
			}
		}
	}
	return again
}

// enablement makes a unit start at boot, or not.
func (d *unitDiff) enablement(u Unit) {
	on := enabled(d.observed.Units[u.Name])
	switch {
	case on && !u.Enable:
		d.add(ActionDisable, u.Name, "it is not to start at boot")
	case !on && u.Enable:
		d.add(ActionEnable, u.Name, "it is to start at boot")
	case on && d.installChanges(u.Name):
		d.add(ActionDisable, u.Name, "its [Install] section changes")
		d.add(ActionEnable, u.Name, "its [Install] section changes")
	}
}

// activity starts sockets and restarts what runs with a former text. What a timer
// or somebody's need starts is left alone: a backup that runs ends as it began.
func (d *unitDiff) activity(u Unit, moved map[string]bool, again bool) {
	st := d.observed.Units[u.Name]
	if !d.observed.Live || u.Manual || u.Prepare {
		return
	}
	reason := d.outdated(u.Name)
	switch {
	case u.Socket && !st.Running():
		d.add(ActionStart, u.Name, "it is not listening")
	case u.Trigger && !st.Running():
		d.add(ActionStart, u.Name, "it is not waiting")
	case d.observed.Stale[u.Name]:
		d.add(ActionRestart, u.Name, reason)
	case !st.Running():
		// Somebody stopped it, and apply is no reason to start it.
	case reason != "":
		d.add(ActionRestart, u.Name, reason)
	case moved[u.Name]:
		d.add(ActionRestart, u.Name, "its socket changes hands")
	case again && !u.Socket && !u.Trigger:
		d.add(ActionRestart, u.Name, "its environment is made anew")
	}
}

// change is what happens to the file that defines a unit: its own, or its template's.
func (d *unitDiff) change(unit string) (FileChange, bool) {
	if f, ok := d.files[unit]; ok {
		return f, true
	}
	f, ok := d.files[fileOf(unit)]
	return f, ok
}

// instance reports whether a unit is one release of a service of the plan.
func (p *Plan) instance(unit string) bool {
	return slices.ContainsFunc(p.Units, func(u Unit) bool { return u.Instance && u.Name == unit })
}

// outdated says why a running unit does not run with its planned text, or "".
func (d *unitDiff) outdated(unit string) string {
	f, changed := d.change(unit)
	switch {
	case changed && f.New != nil && (f.Old == nil || f.Old.Content != f.New.Content):
		return "its unit file changes"
	case d.observed.Units[unit].NeedReload:
		return "its unit file has changed since systemd read it"
	case d.observed.Stale[unit]:
		return "an apply that did not end was about to restart it"
	}
	return ""
}

// movedSockets are the running services whose socket is to be started or
// restarted: systemd refuses a socket while its service runs without it.
func (d *unitDiff) movedSockets() map[string]bool {
	moved := map[string]bool{}
	for _, u := range d.plan.Units {
		if service, ok := strings.CutSuffix(u.Name, ".socket"); ok && u.Socket {
			if !d.observed.Units[u.Name].Running() || d.outdated(u.Name) != "" {
				moved[service+".service"] = true
			}
		}
	}
	return moved
}

// installChanges reports whether the links of an enabled unit would differ.
func (d *unitDiff) installChanges(unit string) bool {
	f, ok := d.change(unit)
	return ok && f.Old != nil && f.New != nil && install(f.Old.Content) != install(f.New.Content)
}

// install is the [Install] section of a unit file.
func install(text string) string {
	var b strings.Builder
	in := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "[") {
			in = strings.TrimSpace(line) == "[Install]"
		}
		if in && strings.TrimSpace(line) != "" {
			b.WriteString(strings.TrimSpace(line) + "\n")
		}
	}
	return b.String()
}

func enabled(st landfast.UnitStatus) bool {
	return st.FileState == "enabled" || st.FileState == "enabled-runtime"
}

// unitOf is the unit that the file called name defines.
func unitOf(name string) (unit string, ok bool) {
	if path.Dir(name) != unitDir {
		return "", false
	}
	return path.Base(name), path.Ext(name) != ""
}

// TemplateOf is the template that a unit is an instance of, or "":
// web-worker@.service for web-worker@1.service.
func TemplateOf(unit string) string {
	name, instance, ok := strings.Cut(unit, "@")
	ext := path.Ext(unit)
	if !ok || instance == ext {
		return ""
	}
	return name + "@" + ext
}

// isTemplate reports whether a unit file is one of instances, and no unit itself.
func isTemplate(unit string) bool {
	return strings.HasSuffix(strings.TrimSuffix(unit, path.Ext(unit)), "@")
}

// fileOf is the name of the file that defines a unit.
func fileOf(unit string) string {
	if t := TemplateOf(unit); t != "" {
		return t
	}
	return unit
}

// waitingFirst puts sockets, timers and path units ahead, so that nothing starts a
// service that has just been stopped.
func waitingFirst(units []UnitChange) {
	slices.SortStableFunc(units, func(a, b UnitChange) int {
		return rank(a.Unit) - rank(b.Unit)
	})
}

func rank(unit string) int {
	switch path.Ext(unit) {
	case ".socket", ".timer", ".path":
		return 0
	}
	return 1
}
