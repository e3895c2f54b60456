package plan

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// sysusersDir holds the accounts of a plan as files, sysusers.d(5).
const sysusersDir = "/etc/sysusers.d"

// Diff compares a plan with a host and gives what has to be done, in a fixed
// order. Whatever is in the way and is not ours (a file without the app's mark,
// a link or a directory in the place of a file, a file in the place of a
// directory) is one error of kind Conflict that names all of it.
//
// A service that nobody runs stays stopped, and nothing is started or restarted
// while the app has no release.
func Diff(p *Plan, o Observed) (Changes, error) {
	if err := inTheWay(p, o); err != nil {
		return Changes{}, err
	}
	var c Changes
	for _, u := range p.Users {
		if !o.Users[u.Name] {
			c.Users = append(c.Users, u)
		}
	}
	if len(c.Users) > 0 {
		c.Sysusers = sysusers(p)
	}
	c.Dirs = diffDirs(p, o)
	c.Files = diffFiles(p, o)
	diffUnits(&c, p, o)
	return c, nil
}

// sysusers is the content of the plan's files below sysusers.d.
func sysusers(p *Plan) string {
	var b strings.Builder
	for _, f := range p.Files {
		if path.Dir(f.Path) == sysusersDir {
			b.WriteString(f.Content)
		}
	}
	return b.String()
}

// inTheWay names everything that is where the plan wants something else.
func inTheWay(p *Plan, o Observed) error {
	var all []string
	for _, d := range p.Dirs {
		if n, ok := o.Dirs[d.Path]; ok && !n.Mode.IsDir() {
			all = append(all, fmt.Sprintf("%s is %s, and the plan needs a directory there", d.Path, kind(n)))
		}
		if app := claimed(o, d.Path); app != "" {
			all = append(all, fmt.Sprintf("%s is, holds or lies in a directory of app %s", d.Path, app))
		}
	}
	for _, f := range p.Files {
		n, ok := o.Files[f.Path]
		switch {
		case !ok || n.Mode.IsRegular() && n.Mark == p.App:
		case n.Mark != "":
			all = append(all, fmt.Sprintf("%s belongs to app %s", f.Path, n.Mark))
		default:
			all = append(all, fmt.Sprintf("%s is %s that landfast did not make", f.Path, kind(n)))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	it := "it"
	if len(all) > 1 {
		it = "them"
	}
	return &landfast.Error{
		Kind: landfast.Conflict,
		Msg:  fmt.Sprintf("cannot put app %s on this host: %s", p.App, strings.Join(all, "; ")),
		Hint: fmt.Sprintf("move %s away, or give the app another name; nothing was changed", it),
	}
}

// kind says in words what a node is.
func kind(n Node) string {
	switch n.Mode.Type() {
	case 0:
		return "a file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symbolic link"
	}
	return "a special file"
}

// diffDirs are the directories to make and to mend, parents first.
func diffDirs(p *Plan, o Observed) []DirChange {
	var out []DirChange
	for i := range p.Dirs {
		d := &p.Dirs[i]
		n, ok := o.Dirs[d.Path]
		if !ok {
			out = append(out, DirChange{Path: d.Path, New: d, Reason: "is missing"})
			continue
		}
		if why := attributes(n, d.Mode, d.Owner, d.Group); why != "" {
			out = append(out, DirChange{Path: d.Path, Old: &n, New: d, Reason: why})
		}
	}
	return out
}

// diffFiles are the files to write, and behind them those to remove, by path.
func diffFiles(p *Plan, o Observed) []FileChange {
	var write, remove []FileChange
	wanted := map[string]bool{}
	for i := range p.Files {
		f := &p.Files[i]
		wanted[f.Path] = true
		n, ok := o.Files[f.Path]
		if !ok {
			write = append(write, FileChange{Path: f.Path, New: f, Reason: "is missing"})
			continue
		}
		why := attributes(n, f.Mode, f.Owner, f.Group)
		if n.Content != f.Content {
			why = strings.TrimSuffix("content differs, "+why, ", ")
		}
		if why != "" {
			write = append(write, FileChange{Path: f.Path, Old: &n, New: f, Reason: why})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Files)) {
		if n := o.Files[name]; !wanted[name] && n.Mark == p.App && n.Mode.IsRegular() && !p.retains(name) {
			remove = append(remove, FileChange{Path: name, Old: &n, Reason: "is no longer in the plan"})
		}
	}
	byPath := func(a, b FileChange) int { return strings.Compare(a.Path, b.Path) }
	slices.SortFunc(write, byPath)
	return append(write, remove...)
}

// retains reports whether a file is the unit of another release.
func (p *Plan) retains(name string) bool {
	return slices.ContainsFunc(p.Retained, func(prefix string) bool {
		id, ok := strings.CutPrefix(name, prefix)
		return ok && landfast.CheckReleaseID(strings.TrimSuffix(id, ".service")) == nil
	})
}

// Superseded are the units of other releases than that of the plan, and the
// changes that take them away.
func Superseded(p *Plan, o Observed) Changes {
	var c Changes
	for _, name := range slices.Sorted(maps.Keys(o.Files)) {
		n := o.Files[name]
		if n.Mark != p.App || !n.Mode.IsRegular() || !p.retains(name) {
			continue
		}
		if slices.ContainsFunc(p.Files, func(f File) bool { return f.Path == name }) {
			continue
		}
		c.Files = append(c.Files, FileChange{Path: name, Old: &n, Reason: "its release has been replaced"})
		c.Units = append(c.Units, UnitChange{Unit: path.Base(name), Action: ActionStop, Reason: "its release has been replaced"})
	}
	return c
}

// permissions are the bits that a plan decides.
const permissions = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// attributes says how owner and mode differ, or "".
func attributes(n Node, mode fs.FileMode, owner, group string) string {
	var why []string
	if have := n.Mode & permissions; have != mode&permissions {
		why = append(why, fmt.Sprintf("mode %s → %s", octal(have), octal(mode)))
	}
	if n.Owner != owner || n.Group != group {
		why = append(why, fmt.Sprintf("owner %s:%s → %s:%s", n.Owner, n.Group, owner, group))
	}
	return strings.Join(why, ", ")
}

// octal writes permission bits as chmod(1) takes them.
func octal(m fs.FileMode) string {
	bits := uint32(m.Perm())
	for bit, value := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			bits |= value
		}
	}
	return fmt.Sprintf("%04o", bits)
}
