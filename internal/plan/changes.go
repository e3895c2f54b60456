package plan

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Text is the changes for people, in the order they are made: accounts and
// directories a line each, files as unified diffs, units with the reason of
// each action. It is "" when there is nothing to do.
func (c *Changes) Text() string {
	var b strings.Builder
	section(&b, "Users", len(c.Users), func(i int) string {
		u := c.Users[i]
		if u.GroupOnly {
			return fmt.Sprintf("  + %s  system group\n", u.Group)
		}
		return fmt.Sprintf("  + %s  system account, group %s, home %s\n", u.Name, u.Group, u.Home)
	})
	section(&b, "Directories", len(c.Dirs), func(i int) string { return c.Dirs[i].line() })
	section(&b, "Files", len(c.Files), func(i int) string { return c.Files[i].text() })
	units := c.unitLines()
	section(&b, "Units", len(units), func(i int) string { return units[i] })
	section(&b, "Users to remove", len(c.RemoveUsers), func(i int) string {
		u := c.RemoveUsers[i]
		return fmt.Sprintf("  - %s  and group %s\n", u.Name, u.Group)
	})
	return b.String()
}

// section writes a heading and its lines, and nothing when there are none.
func section(b *strings.Builder, heading string, n int, line func(int) string) {
	if n == 0 {
		return
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(heading + ":\n")
	for i := range n {
		b.WriteString(line(i))
	}
}

// unitLines are the actions, with the reload where it takes place.
func (c *Changes) unitLines() []string {
	var lines []string
	reload := c.Reload
	for _, u := range c.Units {
		if reload && (u.Action == ActionStart || u.Action == ActionRestart) {
			lines, reload = append(lines, reloadLine), false
		}
		lines = append(lines, fmt.Sprintf("  %s %s: %s\n", u.Action, u.Unit, u.Reason))
	}
	if reload {
		lines = append(lines, reloadLine)
	}
	return lines
}

const reloadLine = "  reload systemd: unit files or their links change\n"

func (d *DirChange) line() string {
	switch {
	case d.New == nil:
		return fmt.Sprintf("  - %s  %s\n", d.Path, d.Reason)
	case d.Old == nil:
		return fmt.Sprintf("  + %s  %s %s:%s\n", d.Path, octal(d.New.Mode), d.New.Owner, d.New.Group)
	}
	return fmt.Sprintf("  ~ %s  %s\n", d.Path, d.Reason)
}

// text is a line about owner and mode, and the difference of the contents.
func (f *FileChange) text() string {
	content := f.Diff()
	switch {
	case f.New == nil:
		return fmt.Sprintf("  - %s  %s\n%s", f.Path, f.Reason, content)
	case f.Old == nil:
		return fmt.Sprintf("  + %s  %s %s:%s\n%s", f.Path, octal(f.New.Mode), f.New.Owner, f.New.Group, content)
	}
	return fmt.Sprintf("  ~ %s  %s\n%s", f.Path, f.Reason, content)
}

// Diff is the unified diff of the contents, or "" when they are equal.
func (f *FileChange) Diff() string {
	oldName, newName, from, to := f.Path, f.Path, "", ""
	if f.Old == nil {
		oldName = "/dev/null"
	} else {
		from = f.Old.Content
	}
	if f.New == nil {
		newName = "/dev/null"
	} else {
		to = f.New.Content
	}
	text := string(diff.Diff(oldName, []byte(from), newName, []byte(to)))
	// The first line repeats the two that follow it.
	_, text, _ = strings.Cut(text, "\n")
	return text
}

// change is the JSON form of a file or directory change.
type change struct {
	Path   string `json:"path"`
	Action string `json:"action"` // create, update, remove, purge
	Reason string `json:"reason"`
	Mode   string `json:"mode,omitempty"` // octal, as it will be
	Owner  string `json:"owner,omitempty"`
	Group  string `json:"group,omitempty"`
	Diff   string `json:"diff,omitempty"`
}

// MarshalJSON gives path, action, reason, the new owner and mode, and the diff.
func (f FileChange) MarshalJSON() ([]byte, error) {
	c := change{Path: f.Path, Action: verb(f.Old == nil, f.New == nil), Reason: f.Reason, Diff: f.Diff()}
	if f.New != nil {
		c.Mode, c.Owner, c.Group = octal(f.New.Mode), f.New.Owner, f.New.Group
	}
	return json.Marshal(c)
}

// MarshalJSON gives path, action, reason, and the new owner and mode.
func (d DirChange) MarshalJSON() ([]byte, error) {
	c := change{Path: d.Path, Action: verb(d.Old == nil, d.New == nil), Reason: d.Reason}
	if d.Purge {
		c.Action = "purge"
	}
	if d.New != nil {
		c.Mode, c.Owner, c.Group = octal(d.New.Mode), d.New.Owner, d.New.Group
	}
	return json.Marshal(c)
}

func verb(noOld, noNew bool) string {
	switch {
	case noNew:
		return "remove"
	case noOld:
		return "create"
	}
	return "update"
}
