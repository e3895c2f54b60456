package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
)

const (
	unitDir     = "/etc/systemd/system"
	sysusersDir = "/etc/sysusers.d"
	appsDir     = "/etc/landfast/apps"
	// markBytes is how much of a file is looked at for a mark.
	markBytes = 256
	// maxFile is how much of a file is read. Ours are far smaller, and what is
	// larger has no business in the places of ours.
	maxFile = 1 << 20
)

// markedDirs are the directories in which files with a mark are looked for.
func markedDirs() []string {
	return []string{unitDir, sysusersDir, "/etc/tmpfiles.d", "/etc/sudoers.d", "/etc/polkit-1/rules.d", appsDir}
}

// Observe tells what there is of the things that p names, and every file with
// the mark of p's app. It changes nothing.
func (h *Host) Observe(ctx context.Context, p *plan.Plan) (plan.Observed, error) {
	names, err := h.accounts()
	if err != nil {
		return plan.Observed{}, err
	}
	o := plan.Observed{
		Users: map[string]bool{}, Made: map[string]bool{}, Stale: map[string]bool{},
		Dirs: map[string]plan.Node{}, Files: map[string]plan.Node{},
		Units: map[string]landfast.UnitStatus{},
	}
	for _, step := range []func() error{
		func() error { return h.observeUsers(p, names, &o) },
		func() error { return h.observeDirs(p, names, &o) },
		func() error { return h.observeFiles(p, names, &o) },
		func() error { return h.observeUnits(ctx, p, &o) },
		func() error { return h.observeOthers(p, &o) },
	} {
		if err := step(); err != nil {
			return plan.Observed{}, err
		}
	}
	o.Live, err = h.live(p)
	return o, err
}

// observeUsers also tells which accounts are of the making of this plan: they
// have its comment and home directory, and no other app names them.
func (h *Host) observeUsers(p *plan.Plan, names *accounts, o *plan.Observed) error {
	others, err := h.othersUsers(p.App)
	if err != nil {
		return err
	}
	for _, u := range p.Users {
		_, user := names.uid(u.Name)
		_, group := names.gid(u.Group)
		o.Users[u.Name] = (user || u.GroupOnly) && group
		entry := names.users[u.Name]
		o.Made[u.Name] = user && entry.comment == u.Description && entry.home == u.Home && !others[u.Name]
	}
	return nil
}

// othersUsers are the words of all sysusers.d files of other apps, among them
// the names of their accounts.
func (h *Host) othersUsers(app string) (map[string]bool, error) {
	words := map[string]bool{}
	entries, err := h.list(sysusersDir)
	for _, name := range entries {
		if mark, err := h.mark(name); err != nil {
			return nil, err
		} else if mark == "" || mark == app {
			continue
		}
		data, err := h.root.ReadFile(rel(name))
		if err != nil {
			return nil, failed("read", name, err)
		}
		for _, w := range strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune(" \t\n:\"", r) }) {
			words[w] = true
		}
	}
	return words, err
}

func (h *Host) observeDirs(p *plan.Plan, names *accounts, o *plan.Observed) error {
	dirs, planned := slices.Clone(p.Dirs), map[string]plan.Dir{}
	for _, d := range p.Dirs {
		planned[d.Path] = d
	}
	for _, shared := range plan.SharedDirs() {
		dirs = append(dirs, plan.Dir{Path: shared})
	}
	for _, d := range dirs {
		n, ok, err := h.node(d.Path, names)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if ours, ok := planned[d.Path]; ok {
			names.meant(&n, ours.Owner, ours.Group)
		}
		if n.Mode.IsDir() {
			if n.Names, err = h.someNames(d.Path); err != nil {
				return err
			}
		}
		o.Dirs[d.Path] = n
	}
	return nil
}

// enoughNames is more than any directory holds of which the last name matters.
const enoughNames = 64

// someNames are names in a directory: all, or enough to know that it is in use.
func (h *Host) someNames(dir string) ([]string, error) {
	f, err := h.root.Open(rel(dir))
	if err != nil {
		return nil, failed("open", dir, err)
	}
	names, err := f.Readdirnames(enoughNames)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.Sort(names)
	return names, errors.Join(failed("list", dir, err), f.Close())
}

func (h *Host) observeFiles(p *plan.Plan, names *accounts, o *plan.Observed) error {
	look, planned := map[string]bool{}, map[string]plan.File{}
	for _, f := range p.Files {
		look[f.Path], planned[f.Path] = true, f
	}
	for _, dir := range markedDirs() {
		entries, err := h.list(dir)
		if err != nil {
			return err
		}
		for _, name := range entries {
			mark, err := h.mark(name)
			if err != nil {
				return err
			}
			if mark == p.App && !isTemp(name) {
				look[name] = true
			}
		}
	}
	for name := range look {
		n, ok, err := h.node(name, names)
		if err != nil {
			return err
		}
		if f, ours := planned[name]; ok && ours {
			names.meant(&n, f.Owner, f.Group)
		}
		if ok {
			o.Files[name] = n
		}
	}
	return nil
}

func (h *Host) observeUnits(ctx context.Context, p *plan.Plan, o *plan.Observed) error {
	var all []string
	for _, u := range p.Units {
		all = append(all, u.Name)
	}
	for name, n := range o.Files {
		if path.Dir(name) != unitDir || n.Mark != p.App {
			continue
		}
		if !strings.HasSuffix(strings.TrimSuffix(name, path.Ext(name)), "@") {
			all = append(all, path.Base(name))
			continue
		}
		instances, err := h.instances(path.Base(name))
		if err != nil {
			return err
		}
		all = append(all, instances...)
	}
	slices.Sort(all)
	for _, unit := range slices.Compact(all) {
		st, err := h.units.Status(ctx, unit)
		if err != nil {
			return err
		}
		o.Units[unit] = st
		stale, err := h.stale(unit, st)
		if err != nil {
			return err
		}
		o.Stale[unit] = stale
	}
	return nil
}

// instances are the units of a template that start at boot. Ours all do.
func (h *Host) instances(template string) ([]string, error) {
	dirs, err := h.list(unitDir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, dir := range dirs {
		if path.Ext(dir) != ".wants" {
			continue
		}
		links, err := h.list(dir)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			if plan.TemplateOf(path.Base(l)) == template {
				found = append(found, path.Base(l))
			}
		}
	}
	return found, nil
}

// live reports whether the link to the current release is there.
func (h *Host) live(p *plan.Plan) (bool, error) {
	if p.Current == "" {
		return false, nil
	}
	info, err := h.root.Lstat(rel(p.Current))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, failed("look at", p.Current, err)
	}
	return info.Mode().Type() == fs.ModeSymlink, nil
}

// node is the file or directory called name. Links are not followed.
func (h *Host) node(name string, names *accounts) (plan.Node, bool, error) {
	var info fs.FileInfo
	err := h.do(name, func(dir *os.Root, base string) (err error) {
		info, err = dir.Lstat(base)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return plan.Node{}, false, nil
	}
	if err != nil {
		return plan.Node{}, false, failed("look at", name, err)
	}
	n := plan.Node{Mode: info.Mode()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		n.Owner, n.Group = names.userName(int(st.Uid)), names.groupName(int(st.Gid))
	}
	if n.Mode.IsRegular() {
		if n.Content, err = h.head(name, maxFile); err != nil {
			return plan.Node{}, false, err
		}
		n.Mark = plan.MarkOf(n.Content)
	}
	return n, true, nil
}

// mark is the mark of a regular file, or "".
func (h *Host) mark(name string) (string, error) {
	info, err := h.root.Lstat(rel(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", failed("look at", name, err)
	}
	if !info.Mode().IsRegular() {
		return "", nil
	}
	start, err := h.head(name, markBytes)
	return plan.MarkOf(start), err
}

// head is the first limit bytes of a file.
func (h *Host) head(name string, limit int64) (string, error) {
	f, err := h.root.OpenFile(rel(name), syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", failed("read", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	return string(data), failed("read", name, err)
}

// list are the paths of the entries of a directory, sorted, and none when it
// is absent.
func (h *Host) list(dir string) ([]string, error) {
	entries, err := fs.ReadDir(h.root.FS(), rel(dir))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("list", dir, err)
	}
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = path.Join(dir, e.Name())
	}
	return out, nil
}
