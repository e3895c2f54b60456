// Package plan works out what an app needs on a host, as a value: every file,
// directory, user and unit, and their order. Build makes the plan from the app
// and the facts of the host; Diff compares it with what is there. Both are
// pure: the package imports no os, net or exec, so that render, plan, apply,
// the golden tests and the deployment engine all use the same value, and
// applying it leaves no choices.
package plan

import (
	"io/fs"

	"github.com/landfast/landfast"
)

// Facts are the properties of a host that a plan depends on.
type Facts struct {
	Systemd int // version; 0: the newest this program knows
	// Program is the path of this program on the host, for the units that call it;
	// "": /usr/local/bin/landfast.
	Program string
	// Instance is the release that runs, or is to run, where each has units of its
	// own. Without one the plan has none of these.
	Instance landfast.Instance
}

// Example stands for a release where nothing is deployed, as in what render prints.
func Example() landfast.Instance {
	return landfast.Instance{Release: "20260101T000000Z-example", Port: 20000}
}

// Plan is everything an app needs on a host.
type Plan struct {
	App   string
	Users []User // created first
	Dirs  []Dir  // parents before children
	Files []File // by path
	Units []Unit // in the order they are to be started
	Notes []string

	// Current is the path of the link to the live release. The plan does not make
	// it; whether it is there decides whether apply may start anything.
	Current string
	// Retained begins the paths of units of other releases than that of the plan.
	// They are no drift: what runs them goes on, and the deployment that replaces
	// them takes them away.
	Retained []string
}

// File is one file, carrying our mark in its first line.
type File struct {
	Path    string
	Mode    fs.FileMode // permission bits
	Owner   string      // user name
	Group   string
	Content string
}

// Dir is one directory.
type Dir struct {
	Path  string
	Mode  fs.FileMode // permission bits
	Owner string
	Group string
	Data  bool // what is in it is not ours: removed only by a purge
}

// User is one system account without a login and without a password.
type User struct {
	Name        string
	Group       string // primary group, created too
	GroupOnly   bool   // there is no account, only the group of that name
	Description string
	Home        string
}

// Unit is one systemd unit of the app.
type Unit struct {
	Name   string // with suffix
	Enable bool   // it has an [Install] section and starts at boot
	Socket bool   // started before any service, and kept over restarts
	Main   bool   // the service whose health decides a deployment

	// Prepare: it runs to its end before the services, which stop with it.
	Prepare bool
	// Trigger is a timer or a path unit: it waits behind the services, and is kept
	// waiting as a socket is.
	Trigger bool
	// Manual: something else starts it, and nobody else does.
	Manual bool
	// Anchor: it stands for the instance of the current release, which it starts,
	// and which stops with it.
	Anchor bool
	// Relay: it holds the public address while releases come and go, and is started
	// again only when its own text changes.
	Relay bool
	// Instance: it is one release of a service, and runs beside others.
	Instance bool
}

// Observed is what a host holds of the things a plan may name. It is gathered
// by package host.
type Observed struct {
	Users map[string]bool                // accounts that exist
	Made  map[string]bool                // those that were made for this app and serve no other: a purge may remove them
	Dirs  map[string]Node                // by path; absent: not there
	Files map[string]Node                // files of the plan, and every file with this app's mark
	Units map[string]landfast.UnitStatus // units of the plan, and those of marked unit files
	Live  bool                           // the app has a current release
	Stale map[string]bool                // units that an apply which did not end was about to restart
	// Others are the directories of the other apps of the host, with their app.
	Others map[string]string
}

// Node is one file or directory as it is.
type Node struct {
	Mode    fs.FileMode // type and permission bits
	Owner   string      // user name, or the number when there is no name
	Group   string
	Content string // regular files only
	Mark    string // the app whose mark the file carries; "": none

	// Names are the entries of a directory that holds nothing but ours (Dir.Data
	// is false).
	Names []string
}

// Action is what happens to a unit.
type Action string

// The actions on units, in the order they are taken.
const (
	ActionStop    Action = "stop"
	ActionDisable Action = "disable"
	ActionEnable  Action = "enable"
	ActionStart   Action = "start"
	ActionRestart Action = "restart"
)

// UnitChange is one action on one unit.
type UnitChange struct {
	Unit   string `json:"unit"`
	Action Action `json:"action"`
	Reason string `json:"reason"`
}

// FileChange is a file to write or to remove.
type FileChange struct {
	Path   string `json:"path"`
	Old    *Node  `json:"-"` // nil: not there
	New    *File  `json:"-"` // nil: remove it
	Reason string `json:"reason"`
}

// DirChange is a directory to make, to mend or to remove.
type DirChange struct {
	Path   string `json:"path"`
	Old    *Node  `json:"-"` // nil: not there
	New    *Dir   `json:"-"` // nil: remove it
	Purge  bool   `json:"-"` // remove it with everything in it
	Reason string `json:"reason"`
}

// Changes is the exact difference between a plan and a host. Doing it, and
// nothing else, is what apply does.
type Changes struct {
	Users  []User       `json:"users,omitempty"`
	Dirs   []DirChange  `json:"dirs,omitempty"`
	Files  []FileChange `json:"files,omitempty"`
	Reload bool         `json:"reload,omitempty"` // one daemon-reload, behind the files
	Units  []UnitChange `json:"units,omitempty"`

	// RemoveUsers are accounts to remove with their groups, behind everything else.
	RemoveUsers []User `json:"remove_users,omitempty"`
	// Sysusers is the sysusers.d(5) text that makes Users.
	Sysusers string `json:"-"`
}

// Empty reports whether there is nothing to do.
func (c *Changes) Empty() bool {
	return len(c.Users)+len(c.Dirs)+len(c.Files)+len(c.Units)+len(c.RemoveUsers) == 0 && !c.Reload
}
