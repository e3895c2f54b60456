package plan

import (
	"maps"
	"path"
	"slices"
)

// SharedDirs are directories of all apps together: the last one removes them.
func SharedDirs() []string {
	return []string{"/etc/landfast/apps", "/etc/landfast", "/var/lib/landfast"}
}

// Uninstall gives what takes an app off a host: its units stopped and disabled,
// every file with its mark removed, and the directories of the plan that hold
// nothing but that. Data and the accounts stay, unless purge.
//
// What is of somebody else is left alone, and is no error.
func Uninstall(p *Plan, o Observed, purge bool) Changes {
	var c Changes
	gone := map[string]bool{}
	for _, f := range diffFiles(&Plan{App: p.App}, o) {
		f.Reason = "belongs to app " + p.App
		c.Files = append(c.Files, f)
		gone[f.Path] = true
	}
	diffUnits(&c, &Plan{App: p.App}, o)
	for i := range c.Units {
		c.Units[i].Reason = "app " + p.App + " is taken off this host"
	}
	c.Dirs = removeDirs(p, o, purge, gone)
	if purge {
		for _, u := range p.Users {
			if o.Made[u.Name] {
				c.RemoveUsers = append(c.RemoveUsers, u)
			}
		}
	}
	return c
}

// removeDirs are the directories that go, children first. gone holds what is
// removed already, and gets what is removed here.
func removeDirs(p *Plan, o Observed, purge bool, gone map[string]bool) []DirChange {
	var out []DirChange
	dirs := slices.Clone(p.Dirs)
	for _, d := range SharedDirs() {
		dirs = append(dirs, Dir{Path: d})
	}
	// A child is longer than its parent.
	slices.SortStableFunc(dirs, func(a, b Dir) int { return len(b.Path) - len(a.Path) })
	for _, d := range dirs {
		n, ok := o.Dirs[d.Path]
		switch {
		case !ok || !n.Mode.IsDir() || gone[d.Path] || claimed(o, d.Path) != "":
			continue
		case d.Data && purge:
			out = append(out, DirChange{Path: d.Path, Old: &n, Purge: true, Reason: "with everything in it"})
		case emptied(d.Path, n, gone):
			out = append(out, DirChange{Path: d.Path, Old: &n, Reason: "is empty"})
		case d.Path == stateDir(p.App) && emptied(d.Path, n, withOurs(gone, d.Path)):
			out = append(out, DirChange{Path: d.Path, Old: &n, Purge: true, Reason: "holds nothing but the lock"})
		default:
			continue
		}
		gone[d.Path] = true
	}
	return out
}

// stateDir holds what is remembered of an app.
func stateDir(app string) string { return "/var/lib/landfast/" + app }

// withOurs adds what only serves whoever is changing the app.
func withOurs(gone map[string]bool, dir string) map[string]bool {
	all := maps.Clone(gone)
	all[path.Join(dir, "lock")], all[path.Join(dir, "work")] = true, true
	return all
}

// emptied reports whether nothing remains in a directory.
func emptied(dir string, n Node, gone map[string]bool) bool {
	return !slices.ContainsFunc(n.Names, func(name string) bool { return !gone[path.Join(dir, name)] })
}
