package adopt

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// Tree is where units lie.
type Tree struct {
	FS   fs.FS    // of the root directory
	Dirs []string // the directories with units, the first one counts; absolute
}

// System is the tree of a host: where its systemd looks for the units of the
// system (systemd.unit(5)).
func System(fsys fs.FS) Tree {
	return Tree{fsys, []string{
		"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
		"/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system", "/run/systemd/system.attached",
		"/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
		"/run/systemd/generator.late",
	}}
}

// Find reads a unit with its drop-ins. name may be that of an alias. The error is
// of kind NotFound where there is no such unit, and Invalid where it is masked.
func (t Tree) Find(name string) (Unit, error) {
	u := Unit{Name: name}
	for range 8 {
		n, ok := splitName(u.Name)
		if !ok {
			return Unit{}, invalid(fmt.Sprintf("%q is not the name of a unit", u.Name), "write it with its suffix, as in nginx.service")
		}
		entry, file, err := t.fragment(n)
		if err != nil {
			return Unit{}, err
		}
		real, alias := t.aliasOf(n, entry, file)
		if !alias {
			return t.load(u, file)
		}
		u.Aliases = append(u.Aliases, u.Name)
		u.Name = real
	}
	return Unit{}, invalid(name+" is an alias of an alias, and so on", "look at the links with that name in /etc/systemd/system")
}

// fragment finds the unit file of a unit, or of its template: the entry in one of
// the directories, and the file it leads to.
func (t Tree) fragment(n unitName) (entry, file string, err error) {
	for _, name := range []string{n.String(), n.templateName()} {
		for _, dir := range t.Dirs {
			entry = path.Join(dir, name)
			file, err = t.follow(entry)
			switch {
			case name == "" || errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				return "", "", fmt.Errorf("look for %s: %w", n, err)
			case file == "/dev/null":
				return "", "", invalid(n.String()+" is masked by "+entry, "systemctl unmask "+name)
			}
			return entry, file, nil
		}
	}
	hint := "systemctl list-unit-files lists them"
	if len(t.Dirs) == 1 {
		hint = "looked for in " + t.Dirs[0]
	}
	return "", "", &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no unit %s on this host", n), Hint: hint}
}

// aliasOf tells whether an entry is a link to a unit file of another name, which
// is the unit's own then.
func (t Tree) aliasOf(n unitName, entry, file string) (string, bool) {
	to, ok := splitName(path.Base(file))
	if !ok || entry == file || !slices.Contains(t.real(), path.Dir(file)) {
		return "", false
	}
	if to.template && n.instance != "" {
		to.template, to.instance = false, n.instance
	}
	return to.String(), to.String() != n.String()
}

// real are the directories with the links in them followed, each once.
func (t Tree) real() []string {
	var dirs []string
	for _, d := range t.Dirs {
		if r, err := t.follow(d); err == nil && !slices.Contains(dirs, r) {
			dirs = append(dirs, r)
		}
	}
	return dirs
}

// load reads the files of a unit.
func (t Tree) load(u Unit, fragment string) (Unit, error) {
	text, err := t.read(fragment)
	if err != nil {
		return Unit{}, err
	}
	u.Files = []File{{fragment, text}}
	names := []string{u.Name}
	for _, dir := range t.real() {
		for _, name := range t.list(dir) {
			at, aliased := splitName(name)
			if !aliased {
				continue
			}
			file, err := t.follow(path.Join(dir, name))
			if err != nil {
				continue // a link to nothing
			}
			if to, ok := t.aliasOf(at, path.Join(dir, name), file); ok && to == u.Name && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, n := range names[1:] {
		if !slices.Contains(u.Aliases, n) {
			u.Aliases = append(u.Aliases, n)
		}
	}
	for _, f := range t.dropIns(names) {
		text, err := t.read(f)
		if err != nil {
			return Unit{}, err
		}
		u.Files = append(u.Files, File{f, text})
	}
	u.Enabled = t.enabled(names)
	return u, nil
}

// dropIns lists the drop-ins of a unit in the order in which systemd reads them:
// by the names of the files, of which the one in the first directory counts.
func (t Tree) dropIns(names []string) []string {
	files := map[string]string{}
	collect := func(dir string) {
		for _, f := range t.list(dir) {
			if _, seen := files[f]; !seen && strings.HasSuffix(f, ".conf") && !strings.HasPrefix(f, ".") {
				files[f] = path.Join(dir, f)
			}
		}
	}
	for _, name := range names {
		special := dropInNames(name)
		for _, dir := range t.real() {
			for _, d := range special[:len(special)-1] {
				collect(path.Join(dir, d))
			}
		}
	}
	for _, dir := range t.real() { // that of the type is the most general
		all := dropInNames(names[0])
		collect(path.Join(dir, all[len(all)-1]))
	}
	var order []string
	for name := range files {
		order = append(order, name)
	}
	slices.Sort(order)
	var paths []string
	for _, name := range order {
		if to, err := t.follow(files[name]); err == nil && to != "/dev/null" {
			paths = append(paths, files[name])
		}
	}
	return paths
}

// enabled reports whether something is told to start a unit of these names.
func (t Tree) enabled(names []string) bool {
	for _, dir := range t.real() {
		for _, d := range t.list(dir) {
			if !strings.HasSuffix(d, ".wants") && !strings.HasSuffix(d, ".requires") && !strings.HasSuffix(d, ".upholds") {
				continue
			}
			for _, n := range t.list(path.Join(dir, d)) {
				if slices.Contains(names, n) {
					return true
				}
			}
		}
	}
	return false
}

// Triggers finds the sockets, timers and paths that start a service.
func (t Tree) Triggers(service Unit) ([]Unit, error) {
	n, ok := splitName(service.Name)
	if !ok {
		return nil, invalid(fmt.Sprintf("%q is not the name of a unit", service.Name), "")
	}
	var found []Unit
	seen := map[string]bool{}
	for _, dir := range t.real() {
		for _, name := range t.list(dir) {
			trigger, ok := splitName(name)
			if !ok || !slices.Contains([]string{".socket", ".timer", ".path"}, trigger.suffix) {
				continue
			}
			if trigger.template {
				trigger.template, trigger.instance = false, n.instance
			}
			if name = trigger.String(); seen[name] || trigger.instance != n.instance {
				continue
			}
			seen[name] = true
			u, err := t.Find(name)
			if err != nil || u.Name != name {
				continue // masked, broken, or an alias
			}
			if starts(u, trigger) == service.Name {
				found = append(found, u)
			}
		}
	}
	slices.SortFunc(found, func(a, b Unit) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// starts is the service that a trigger starts.
func starts(u Unit, n unitName) string {
	target := unitName{prefix: n.prefix, instance: n.instance, suffix: ".service"}.String()
	for _, f := range u.Files {
		parsed, err := unit.Parse(f.Text)
		if err != nil {
			continue // it is reported when it is adopted
		}
		for section, key := range map[string]string{"Socket": "Service", "Timer": "Unit", "Path": "Unit"} {
			if v := parsed.Value(section, key); v != "" {
				none := func(s string) string { return s }
				target = expand(v, ownSpecifiers(n, f.Path), none, none)
			}
		}
		if v := parsed.Value("Socket", "Accept"); truth(v) == "yes" {
			target = n.prefix + "@.service"
		}
	}
	return target
}

// list names what is in a directory, sorted; nothing if it is not there.
func (t Tree) list(dir string) []string {
	at, err := t.follow(dir)
	if err != nil {
		return nil
	}
	entries, err := fs.ReadDir(t.FS, strings.TrimPrefix(at, "/"))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (t Tree) read(file string) (string, error) {
	at, err := t.follow(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	text, err := fs.ReadFile(t.FS, strings.TrimPrefix(at, "/"))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return string(text), nil
}

// follow follows the links on the way of an absolute path, and the last one, as a
// process on that host would: an absolute target starts at its root directory.
func (t Tree) follow(p string) (string, error) {
	const most = 40 // as the kernel has it
	rest := strings.Split(p, "/")
	at := "/"
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, name)
		info, err := fs.Lstat(t.FS, strings.TrimPrefix(next, "/"))
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > most {
			return "", fmt.Errorf("follow %s: too many links", p)
		}
		target, err := fs.ReadLink(t.FS, strings.TrimPrefix(next, "/"))
		if err != nil {
			return "", err
		}
		if target == "/dev/null" {
			return target, nil // it is not there in a tree of files
		}
		rest = append(strings.Split(target, "/"), rest...)
		if path.IsAbs(target) {
			at = "/"
		}
	}
	return at, nil
}
