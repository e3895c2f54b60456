package plan

import (
	"path"
	"slices"
)

// SharedDirs are directories of all apps together: the last one removes them.
func SharedDirs() []string {
	return []string{"/etc/landfast/apps", "/etc/landfast", "/var/lib/landfast"}
}

// Uninstall gives what takes an app off a host: its units stopped and disabled,
// every file with its mark removed, and the directories of the plan that hold
// nothing but that. Directories with data and the accounts stay, unless purge.
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
		case !ok || !n.Mode.IsDir() || gone[d.Path]:
			continue
		case d.Data && purge:
			out = append(out, DirChange{Path: d.Path, Old: &n, Purge: true, Reason: "with everything in it"})
		case !d.Data && emptied(d.Path, n, gone):
			out = append(out, DirChange{Path: d.Path, Old: &n, Reason: "is empty"})
		default:
			continue
		}
		gone[d.Path] = true
	}
	return out
}

// emptied reports whether nothing remains in a directory.
func emptied(dir string, n Node, gone map[string]bool) bool {
	return !slices.ContainsFunc(n.Names, func(name string) bool { return !gone[path.Join(dir, name)] })
}
