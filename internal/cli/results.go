package cli

import (
	"fmt"
	"io/fs"

	"github.com/landfast/landfast/internal/plan"
)

// What verbs print with --json, where it is not a type of the vocabulary. The
// words are those of the manifest and of the text output; lists are never null.

// checkResult is the JSON of check.
type checkResult struct {
	OK    bool   `json:"ok"`
	App   string `json:"app"`
	File  string `json:"file"`
	Files int    `json:"files"`
	Units int    `json:"units"`
}

// planResult is the JSON of render.
type planResult struct {
	App   string     `json:"app"`
	Users []userJSON `json:"users"`
	Dirs  []dirJSON  `json:"dirs"`
	Files []fileJSON `json:"files"`
	Units []unitJSON `json:"units"`
	Notes []string   `json:"notes"`
}

type userJSON struct {
	Name        string `json:"name"`
	Group       string `json:"group"`
	Description string `json:"description"`
	Home        string `json:"home"`
}

type dirJSON struct {
	Path  string `json:"path"`
	Mode  string `json:"mode"`
	Owner string `json:"owner"`
	Group string `json:"group"`
	Data  bool   `json:"data"`
}

type fileJSON struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"`
	Owner   string `json:"owner"`
	Group   string `json:"group"`
	Content string `json:"content"`
}

type unitJSON struct {
	Name   string `json:"name"`
	Enable bool   `json:"enable"`
	Main   bool   `json:"main"`
}

func newPlanResult(p *plan.Plan) planResult {
	r := planResult{App: p.App, Users: users(p.Users), Dirs: []dirJSON{}, Files: []fileJSON{}, Units: []unitJSON{}, Notes: append([]string{}, p.Notes...)}
	for _, d := range p.Dirs {
		r.Dirs = append(r.Dirs, dirJSON{Path: d.Path, Mode: octal(d.Mode), Owner: d.Owner, Group: d.Group, Data: d.Data})
	}
	for _, f := range p.Files {
		r.Files = append(r.Files, fileJSON{Path: f.Path, Mode: octal(f.Mode), Owner: f.Owner, Group: f.Group, Content: f.Content})
	}
	for _, u := range p.Units {
		r.Units = append(r.Units, unitJSON{Name: u.Name, Enable: u.Enable, Main: u.Main})
	}
	return r
}

func users(all []plan.User) []userJSON {
	out := []userJSON{}
	for _, u := range all {
		out = append(out, userJSON{Name: u.Name, Group: u.Group, Description: u.Description, Home: u.Home})
	}
	return out
}

// octal writes a mode as chmod(1) takes it.
func octal(m fs.FileMode) string {
	bits := m.Perm()
	for i, special := range []fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if m&special != 0 {
			bits |= 0o1000 << i
		}
	}
	return fmt.Sprintf("%04o", uint32(bits))
}

// writtenResult is the JSON of render --out.
type writtenResult struct {
	App     string   `json:"app"`
	Written []string `json:"written"`
	Notes   []string `json:"notes"`
}

// changesResult is the JSON of plan, apply and uninstall.
type changesResult struct {
	App     string      `json:"app"`
	Changed bool        `json:"changed"`
	Changes changesJSON `json:"changes"`
	Notes   []string    `json:"notes"`
}

// changesJSON has the changes in the order in which they are made. Those of files
// and directories write themselves, with what they do and the difference.
type changesJSON struct {
	Users       []userJSON        `json:"users"`
	Dirs        []plan.DirChange  `json:"dirs"`
	Files       []plan.FileChange `json:"files"`
	Reload      bool              `json:"reload"`
	Units       []plan.UnitChange `json:"units"`
	RemoveUsers []userJSON        `json:"remove_users"`
}

func newChangesResult(p *plan.Plan, c *plan.Changes) changesResult {
	return changesResult{App: p.App, Changed: !c.Empty(), Notes: append([]string{}, p.Notes...), Changes: changesJSON{
		Users:       users(c.Users),
		Dirs:        append([]plan.DirChange{}, c.Dirs...),
		Files:       append([]plan.FileChange{}, c.Files...),
		Reload:      c.Reload,
		Units:       append([]plan.UnitChange{}, c.Units...),
		RemoveUsers: users(c.RemoveUsers),
	}}
}
