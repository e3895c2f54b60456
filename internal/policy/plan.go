package policy

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/unit"
)

const (
	unitDir     = "/etc/systemd/system"
	sysusersDir = "/etc/sysusers.d"
	tmpfilesDir = "/etc/tmpfiles.d"
)

// CheckPlan says everything in a plan that the app may not have, as one error of kind
// Invalid, or nil. What it does not know is refused.
func (r *Rules) CheckPlan(p *plan.Plan) error {
	f := &refusals{app: r.App}
	if p.App != r.App {
		f.add("the plan is of app %q", p.App)
	}
	for _, u := range p.Users {
		if u.Name != deployUser && !slices.Contains(r.Users, u.Name) && (!u.GroupOnly || !slices.Contains(r.Groups, u.Name)) {
			f.add("account %q", u.Name)
		}
		if u.Group != deployUser && !slices.Contains(r.Groups, u.Group) {
			f.add("group %q", u.Group)
		}
	}
	for _, d := range p.Dirs {
		r.dir(f, d)
	}
	for _, x := range p.Files {
		r.file(f, x)
	}
	for _, u := range p.Units {
		if !r.ownUnit(u.Name) {
			f.add("unit %q", u.Name)
		}
	}
	return f.err()
}

func (r *Rules) dir(f *refusals, d plan.Dir) {
	state := "/var/lib/landfast/" + r.App
	switch {
	case plan.SharedDir(d.Path), d.Path == state, d.Path == state+"/deployments", d.Path == state+"/releases", d.Path == state+"/traffic":
		if d.Owner != "root" || d.Group != "root" || d.Mode&0o022 != 0 {
			f.add("directory %s of %s", d.Path, d.Owner)
		}
		return
	case !r.ownPath(d.Path):
		f.add("directory %s", d.Path)
	}
	if !slices.Contains(r.Users, d.Owner) && d.Owner != deployUser && d.Owner != "root" {
		f.add("directory %s of %s", d.Path, d.Owner)
	}
	if d.Mode&(fs.ModeSetuid|fs.ModeSticky) != 0 {
		f.add("directory %s with mode %v", d.Path, d.Mode)
	}
}

func (r *Rules) file(f *refusals, x plan.File) {
	if x.Owner != "root" || x.Group != "root" || x.Mode&^0o644 != 0 {
		f.add("file %s of %s:%s with mode %v", x.Path, x.Owner, x.Group, x.Mode)
	}
	dir, name := path.Dir(x.Path), path.Base(x.Path)
	switch {
	case dir == unitDir && r.ownUnit(name):
		r.unit(f, name, x.Content)
	case x.Path == sysusersDir+"/landfast-"+r.App+".conf":
		r.sysusers(f, x.Content)
	case x.Path == tmpfilesDir+"/landfast-"+r.App+".conf":
		r.tmpfiles(f, x.Content)
	case x.Path == "/etc/landfast/apps/"+r.App+".toml":
	case x.Path == "/etc/sudoers.d/landfast-"+r.App && r.Grants, x.Path == "/etc/polkit-1/rules.d/50-landfast-"+r.App+".rules" && r.Grants:
	default:
		f.add("file %s", x.Path)
	}
}

// sysusers allows the accounts of the app alone, each without a login.
func (r *Rules) sysusers(f *refusals, text string) {
	for line := range strings.Lines(text) {
		words, err := unit.Words(strings.TrimSpace(line))
		if err != nil || len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		ours := func(name string) bool {
			return name == deployUser || slices.Contains(r.Users, name) || slices.Contains(r.Groups, name)
		}
		ok := len(words) > 2 && ours(words[1])
		switch {
		case !ok:
		case words[0] == "m":
			ok = ours(words[2])
		case words[0] == "u", words[0] == "g":
			ok = words[2] == "-" || strings.HasPrefix(words[2], "-:") && ours(words[2][2:])
		default:
			ok = false
		}
		if !ok {
			f.add("account line %q", strings.TrimSpace(line))
		}
	}
}

// tmpfiles allows directories of the app, and flags of it that a boot removes.
func (r *Rules) tmpfiles(f *refusals, text string) {
	for line := range strings.Lines(text) {
		words, err := unit.Words(strings.TrimSpace(line))
		if err == nil && (len(words) == 0 || strings.HasPrefix(words[0], "#")) {
			continue
		}
		if err != nil || len(words) < 2 || !slices.Contains([]string{"d", "f", "r!"}, words[0]) || !r.ownPath(plain(words[1])) {
			f.add("line of tmpfiles.d %q", strings.TrimSpace(line))
		}
	}
}

// plain is a path without systemd's specifiers; a specifier makes it none of ours.
func plain(p string) string {
	p = strings.ReplaceAll(p, "%%", "\x00")
	if strings.Contains(p, "%") {
		return ""
	}
	return strings.ReplaceAll(p, "\x00", "%")
}

// CheckUnit is CheckPlan for the text of one transient unit of the app, which runs a
// command of a deployment.
func (r *Rules) CheckUnit(name, text string) error {
	f := &refusals{app: r.App}
	r.unit(f, name, text)
	return f.err()
}

// unit checks every line of a unit.
func (r *Rules) unit(f *refusals, name, text string) {
	file, err := unit.Parse(text)
	if err != nil {
		f.add("%s: %v", name, err)
		return
	}
	l := &look{rules: r, file: file, unit: name}
	if path.Ext(name) == ".service" && !r.harmlessRoot(l) {
		r.account(f, l)
	}
	for _, s := range file.Sections {
		for _, o := range s.Options {
			if why := l.refuses(s.Name, o); why != "" {
				f.add("%s: [%s] %s=%s: %s", name, s.Name, o.Name, o.Value, why)
			}
		}
	}
	if path.Ext(name) == ".service" && r.Sandbox != "none" && !l.nspawn() && !slices.Contains(r.Allow, "new-privileges") &&
		file.Value("Service", "NoNewPrivileges") != "yes" {
		f.add("%s: it lacks NoNewPrivileges=yes", name)
	}
}

// account demands that a service runs as one of the app's accounts.
func (r *Rules) account(f *refusals, l *look) {
	users, groups := all(l.file, "User"), all(l.file, "Group")
	switch {
	case l.nspawn(), l.relay():
	case len(users) != 1 || !slices.Contains(r.Users, users[0]) || users[0] == "root":
		f.add("%s: it runs as %q (users)", l.unit, strings.Join(users, " "))
	case len(groups) > 1 || len(groups) == 1 && !slices.Contains(r.Groups, groups[0]):
		f.add("%s: it runs with the group %q (groups)", l.unit, strings.Join(groups, " "))
	}
}

// all are all values of a directive of [Service], taken back or not.
func all(file *unit.File, name string) []string {
	var values []string
	for _, s := range file.Sections {
		for _, o := range s.Options {
			if s.Name == "Service" && o.Name == name {
				values = append(values, o.Value)
			}
		}
	}
	return values
}

// harmlessRoot reports whether a unit without an account is one of those that only ask
// systemd: for the current release of a service, or to restart it for a flag. Nothing
// of the manifest's own runs in them.
func (r *Rules) harmlessRoot(l *look) bool {
	execs, plain := l.execs()
	if !plain {
		return false
	}
	start := all(l.file, "ExecStart")
	if len(start) != 1 {
		return false
	}
	if execs == 1 {
		return r.watches(l, start[0])
	}
	if stop := all(l.file, "ExecStop"); execs == 2 && len(stop) == 1 {
		return r.anchor(start[0], stop[0])
	}
	return r.restarts(l, execs, start[0])
}

// execs counts the commands of a service, and reports whether nothing else of it says
// whom or with which variables they run.
func (l *look) execs() (n int, plain bool) {
	plain = true
	for _, s := range l.file.Sections {
		for _, o := range s.Options {
			if s.Name != "Service" {
				continue
			}
			if strings.HasPrefix(o.Name, "Exec") {
				n++
			}
			if o.Name == "User" || strings.HasPrefix(o.Name, "Environment") {
				plain = false
			}
		}
	}
	return n, plain
}

// restarts reports whether a unit removes a flag and restarts units of the app.
func (r *Rules) restarts(l *look, execs int, start string) bool {
	before := all(l.file, "ExecStartPre")
	if !r.RestartFlag || execs != 2 || len(before) != 1 || !strings.HasSuffix(l.unit, "-restart.service") {
		return false
	}
	flag, ok := strings.CutPrefix(before[0], "/bin/rm -f -- ")
	flags, err := unit.Words(flag)
	units, ok2 := strings.CutPrefix(start, "/bin/systemctl --no-pager try-restart ")
	if !ok || !ok2 || err != nil || len(flags) != 1 || !r.ownPath(plain(flags[0])) {
		return false
	}
	return !slices.ContainsFunc(strings.Fields(units), func(u string) bool { return !r.ownUnit(u) })
}

// watches reports whether a unit does nothing but to run `landfast watch` for the app.
func (r *Rules) watches(l *look, start string) bool {
	words, err := unit.Words(start)
	return err == nil && strings.HasSuffix(l.unit, "-watch.service") && r.ownUnit(l.unit) && len(words) == 3 &&
		strings.HasPrefix(words[0], "/") && path.Base(words[0]) == "landfast" && words[1] == "watch" && r.ownUnit(words[2]+".service")
}

// anchor reports whether two commands start the unit of the current release and stop
// those of all, and nothing else.
func (r *Rules) anchor(value, stop string) bool {
	words, err := unit.Words(value)
	if err != nil || len(words) != 4 || words[0] != "-/bin/sh" || words[1] != "-c" || !r.ownPath(plain(words[3])) {
		return false
	}
	stem, ok := strings.CutPrefix(words[2], `exec /bin/systemctl --no-pager start "`)
	stem, ok2 := strings.CutSuffix(stem, `@$$(basename "$$(readlink "$$0")").service"`)
	stops, err := unit.Words(stop)
	return ok && ok2 && err == nil && r.ownUnit(stem+"@x.service") &&
		strings.Join(stops, "\n") == "-/bin/systemctl\n--no-pager\nstop\n"+stem+"@*.service"
}
