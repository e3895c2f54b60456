// Package setup works out what a host needs to take deliveries: accounts,
// directories, sockets and units, as a plan like that of an app. It is pure but for
// the values it is given; package host puts the plan on the machine, and a second time
// changes nothing.
package setup

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/policy"
	"github.com/landfast/landfast/internal/unit"
)

// App is the name that the files of a setup are marked with. No app can have it.
const App = "landfast"

const (
	unitDir = "/etc/systemd/system"
	state   = "/var/lib/landfast"
	spool   = "/var/spool/landfast"
)

// Accounts of the parts of Landfast.
const (
	worker = "landfast"        // workers, and owner of the releases
	build  = "landfast-build"  // builds
	listen = "landfast-listen" // group that may put events into the spool
)

// Options are what a setup depends on.
type Options struct {
	Program string   // the absolute path of landfast
	Systemd int      // version; 0: the newest
	Apps    []string // that take deliveries
	Bases   []string // directories outside of /etc, /run and /var that apps may lie in
	// RootSocket and ProbeSocket are where the root service and the prober listen.
	RootSocket, ProbeSocket string
	// Listener is what takes events from the network; nil: nothing does.
	Listener *Listener
}

// Plan is everything that the host needs.
func Plan(o Options) (*plan.Plan, error) {
	p := &plan.Plan{App: App}
	m := maker{o: o, plan: p}
	m.accounts()
	m.dirs()
	m.units()
	for _, name := range []string{"landfast-root.socket", "landfast-probe.socket"} {
		p.Units = append(p.Units, plan.Unit{Name: name, Enable: true, Socket: true})
	}
	p.Units = append(p.Units, plan.Unit{Name: "landfast-resume.service", Enable: true, Manual: true})
	for _, app := range o.Apps {
		p.Units = append(p.Units,
			plan.Unit{Name: "landfast-worker@" + app + ".path", Enable: true, Trigger: true},
			plan.Unit{Name: "landfast-worker@" + app + ".timer", Enable: true, Trigger: true})
	}
	if o.Listener != nil {
		for _, name := range listenerUnits() {
			p.Units = append(p.Units, plan.Unit{Name: name, Enable: true, Socket: path.Ext(name) == ".socket", Trigger: path.Ext(name) != ".socket"})
		}
	}
	slices.SortFunc(p.Files, func(a, b plan.File) int { return strings.Compare(a.Path, b.Path) })
	return p, m.err
}

// Diff is plan.Diff for a setup: its directories lie in those of apps, and nothing
// waits for a release.
func Diff(p *plan.Plan, o plan.Observed) (plan.Changes, error) {
	o.Others, o.Live = nil, true
	return plan.Diff(p, o)
}

// Order is the file in the spool that holds the last id given out.
const Order = spool + "/.order"

// Once are files that a setup makes where there are none, and never touches again: they
// are people's, or the queue's.
func Once() []plan.File {
	return []plan.File{
		{Path: policy.File, Mode: 0o644, Owner: "root", Group: "root", Content: policy.DefaultText},
		{Path: Order, Mode: 0o660, Owner: worker, Group: listen},
	}
}

// WithOnce adds one of Once to what is to be done.
func WithOnce(c plan.Changes, f plan.File) plan.Changes {
	c.Files = append(c.Files, plan.FileChange{Path: f.Path, Reason: "is missing", New: &f})
	return c
}

// maker collects the plan.
type maker struct {
	o    Options
	plan *plan.Plan
	err  error
}

func (m *maker) keep(text string, err error) string {
	if err != nil && m.err == nil {
		m.err = err
	}
	return text
}

// mark is the first line of every file.
const mark = "Managed by landfast (app " + App + "). Made by `landfast setup`; use systemctl edit for changes."

func (m *maker) file(name, content string) {
	m.plan.Files = append(m.plan.Files, plan.File{Path: name, Mode: 0o644, Owner: "root", Group: "root", Content: content})
}

func (m *maker) accounts() {
	m.plan.Users = []plan.User{
		{Name: worker, Group: worker, Description: "landfast deployments", Home: state},
		{Name: build, Group: build, Description: "landfast builds", Home: "/"},
		{Name: listen, Group: listen, GroupOnly: true},
	}
	m.file("/etc/sysusers.d/landfast.conf", "# "+mark+"\n"+strings.Join([]string{
		m.keep(unit.SysusersUser(worker, "landfast deployments", state)),
		m.keep(unit.SysusersUser(build, "landfast builds", "/")),
		m.keep(unit.SysusersGroup(listen)),
	}, "\n")+"\n")
}

func (m *maker) dir(name string, mode fs.FileMode, owner, group string, data bool) {
	m.plan.Dirs = append(m.plan.Dirs, plan.Dir{Path: name, Mode: mode, Owner: owner, Group: group, Data: data})
}

// dirs adds the directories.
func (m *maker) dirs() {
	m.dir("/etc/landfast", 0o755, "root", "root", false)
	m.dir("/etc/landfast/apps", 0o755, "root", "root", false)
	m.dir("/etc/landfast/secrets", 0o700, "root", "root", true)
	m.dir(state, 0o755, "root", "root", false)
	m.dir(spool, 0o755, worker, listen, true)
	m.dir(unverified, 0o770|fs.ModeSetgid|fs.ModeSticky, worker, listen, true)
	m.dir(cache, 0o755, worker, listen, true)
	for _, app := range m.o.Apps {
		m.dir(path.Join(state, app), 0o750, "root", "root", true)
		m.dir(path.Join(state, app, "incoming"), 0o700, worker, worker, true)
		for _, d := range queueDirs(app) {
			m.dir(path.Join(spool, d.name), d.mode, worker, d.group, true)
		}
	}
}

// queueDir is a directory of the queue of an app, below the spool.
type queueDir struct {
	name  string
	mode  fs.FileMode
	group string
}

// queueDirs are what package queue works on. Those who may enqueue make names in tmp
// and new and take away only their own (sticky).
func queueDirs(app string) []queueDir {
	open := 0o770 | fs.ModeSetgid | fs.ModeSticky
	return []queueDir{
		{app, 0o750, listen},
		{app + "/tmp", open &^ 0o040, listen},
		{app + "/new", open, listen},
		{app + "/cur", 0o750, worker},
		{app + "/done", 0o750, worker},
		{app + "/failed", 0o750, worker},
		{app + "/progress", 0o750, listen},
	}
}
