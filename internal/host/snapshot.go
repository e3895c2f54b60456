package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/plan"
)

// entryKind is what a snapshot found under a name.
type entryKind string

const (
	entryAbsent entryKind = "absent"
	entryFile   entryKind = "file"
	entryDir    entryKind = "directory"
	entryLink   entryKind = "link"
)

// entry is the exact state of one name.
type entry struct {
	Path    string      `json:"path"`
	Kind    entryKind   `json:"kind"`
	Mode    fs.FileMode `json:"mode,omitempty"` // permission bits
	UID     int         `json:"uid,omitempty"`
	GID     int         `json:"gid,omitempty"`
	Content []byte      `json:"content,omitempty"` // of a file
	Target  string      `json:"target,omitempty"`  // of a link
}

// snapshot is what Snapshot records, by path.
type snapshot struct {
	Entries []entry `json:"entries"`
}

// Snapshot records every file and directory that c would touch, and the links
// that make its units start at boot, so that Restore can put back exactly that.
// Accounts are not among them: one more does no harm, and files of its number
// may be left. A purge cannot be recorded.
func (h *Host) Snapshot(c plan.Changes) (json.RawMessage, error) {
	names, err := h.touched(c)
	if err != nil {
		return nil, err
	}
	var s snapshot
	for _, name := range names {
		e, err := h.entry(name)
		if err != nil {
			return nil, err
		}
		s.Entries = append(s.Entries, e)
	}
	return json.Marshal(s)
}

// Restore puts back what Snapshot recorded, and makes systemd read the unit
// files. It writes only what differs. A directory that was not there goes only
// when it is empty. It may be called again, also after it was killed.
func (h *Host) Restore(ctx context.Context, recorded json.RawMessage) error {
	var s snapshot
	if err := json.Unmarshal(recorded, &s); err != nil {
		return fmt.Errorf("read snapshot: %w", err)
	}
	slices.SortFunc(s.Entries, func(a, b entry) int { return strings.Compare(a.Path, b.Path) })
	// Children go before their parents, and come behind them.
	for _, e := range slices.Backward(s.Entries) {
		if e.Kind == entryAbsent {
			if err := h.restore(ctx, e); err != nil {
				return err
			}
		}
	}
	units := false
	for _, e := range s.Entries {
		units = units || strings.HasPrefix(e.Path, unitDir+"/")
		if e.Kind != entryAbsent {
			if err := h.restore(ctx, e); err != nil {
				return err
			}
		}
	}
	// Even if nothing differed: a call that was killed may have come this far.
	if !units {
		return nil
	}
	return h.units.Reload(ctx)
}

// touched are the names that doing c may change, sorted.
func (h *Host) touched(c plan.Changes) (names []string, err error) {
	for _, d := range c.Dirs {
		if d.Purge {
			return nil, fmt.Errorf("record %s: its content is to be removed for good, which cannot be undone", d.Path)
		}
		names = append(names, d.Path)
	}
	texts := map[string]string{}
	for _, f := range c.Files {
		names = append(names, f.Path)
		if f.New != nil {
			texts[path.Base(f.Path)] = f.New.Content
		}
	}
	for _, u := range c.Units {
		if u.Action != plan.ActionEnable && u.Action != plan.ActionDisable {
			continue
		}
		file := u.Unit
		if t := plan.TemplateOf(u.Unit); t != "" {
			file = t
		}
		found, err := h.links(u.Unit, file, texts[file])
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	if names, err = h.withParents(names); err != nil {
		return nil, err
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// withParents adds the directories above names that would have to be made.
func (h *Host) withParents(names []string) ([]string, error) {
	for i := 0; i < len(names); i++ {
		dir := path.Dir(names[i])
		if _, err := h.root.Lstat(rel(dir)); errors.Is(err, fs.ErrNotExist) {
			names = append(names, dir)
		} else if err != nil && !errors.Is(err, syscall.ENOTDIR) {
			return nil, failed("look at", dir, err)
		}
	}
	return names, nil
}

// links are the names below unitDir that enabling or disabling a unit may make
// or remove: those its text asks for, those the text on disk asks for, and
// those that are there. file is what defines the unit: itself, or its template.
func (h *Host) links(unit, file, text string) ([]string, error) {
	names := wanted(unit, text)
	have, err := h.root.ReadFile(rel(unitDir + "/" + file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, failed("read", unitDir+"/"+file, err)
	}
	names = append(names, wanted(unit, string(have))...)
	dirs, err := h.list(unitDir)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if ext := path.Ext(dir); ext != ".wants" && ext != ".requires" && ext != ".upholds" {
			continue
		}
		if _, err := h.root.Lstat(rel(dir + "/" + unit)); err == nil {
			names = append(names, dir, dir+"/"+unit)
		}
	}
	return names, nil
}

// wanted are the links, and their directories, that an [Install] section asks for.
func wanted(unit, text string) []string {
	var names []string
	in := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			in = line == "[Install]"
		}
		key, value, _ := strings.Cut(line, "=")
		if !in {
			continue
		}
		for _, target := range strings.Fields(value) {
			switch strings.TrimSpace(key) {
			case "WantedBy":
				names = append(names, unitDir+"/"+target+".wants", unitDir+"/"+target+".wants/"+unit)
			case "RequiredBy":
				names = append(names, unitDir+"/"+target+".requires", unitDir+"/"+target+".requires/"+unit)
			case "UpheldBy":
				names = append(names, unitDir+"/"+target+".upholds", unitDir+"/"+target+".upholds/"+unit)
			case "Alias":
				names = append(names, unitDir+"/"+target)
			}
		}
	}
	return names
}

// entry reads the state of one name.
func (h *Host) entry(name string) (entry, error) {
	e := entry{Path: name, Kind: entryAbsent}
	err := h.do(name, func(dir *os.Root, base string) error { return e.read(dir, base) })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return entry{Path: name, Kind: entryAbsent}, nil
	}
	return e, failed("read", name, err)
}

// read fills in what base is in dir.
func (e *entry) read(dir *os.Root, base string) error {
	info, err := dir.Lstat(base)
	if err != nil {
		return err
	}
	e.Mode = info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.UID, e.GID = int(st.Uid), int(st.Gid)
	}
	switch info.Mode().Type() {
	case 0:
		e.Kind = entryFile
		e.Content, err = dir.ReadFile(base)
	case fs.ModeDir:
		e.Kind = entryDir
	case fs.ModeSymlink:
		e.Kind, e.Mode = entryLink, 0
		e.Target, err = dir.Readlink(base)
	default:
		return &landfast.Error{Kind: landfast.Conflict, Msg: e.Path + " is a special file", Hint: "move it away"}
	}
	return err
}

// restore makes one name what it was.
func (h *Host) restore(ctx context.Context, want entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := h.clearTemp(want.Path); err != nil {
		return err
	}
	have, err := h.entry(want.Path)
	if err != nil || same(have, want) {
		return err
	}
	if err := h.clear(have, want); err != nil {
		return failed("remove", want.Path, err)
	}
	attr := atomicfile.Attr{Mode: want.Mode, UID: want.UID, GID: want.GID}
	if want.Kind == entryAbsent {
		return nil
	}
	if err := h.parents(want.Path); err != nil {
		return err
	}
	return failed("restore", want.Path, h.do(want.Path, func(dir *os.Root, base string) error {
		switch want.Kind {
		case entryFile:
			return atomicfile.WriteFile(dir, base, want.Content, attr)
		case entryDir:
			return atomicfile.Mkdir(dir, base, attr)
		case entryLink:
			return atomicfile.Symlink(dir, want.Target, base, attr)
		}
		return nil
	}))
}

// clearTemp removes what a killed write of a name left beside it. A name that is as
// it was is not written again, which would do the same.
func (h *Host) clearTemp(name string) error {
	err := h.do(name, func(dir *os.Root, base string) error {
		temp := atomicfile.TempName(base)
		if _, err := dir.Lstat(temp); err != nil {
			return nil //nolint:nilerr // there is none
		}
		return atomicfile.Remove(dir, temp)
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil // nor anything above it
	}
	return failed("remove what was left of", name, err)
}

// clear takes away what cannot be replaced in one rename: what was absent, and
// a directory where there was none or the other way round.
func (h *Host) clear(have, want entry) error {
	switch {
	case have.Kind == entryAbsent:
		return nil
	case want.Kind == entryAbsent && have.Kind == entryDir:
		return h.removeDir(plan.DirChange{Path: want.Path})
	case want.Kind == entryAbsent, (have.Kind == entryDir) != (want.Kind == entryDir):
		return h.do(want.Path, atomicfile.Remove)
	}
	return nil
}

func same(a, b entry) bool {
	return a.Kind == b.Kind && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.Target == b.Target && string(a.Content) == string(b.Content)
}
