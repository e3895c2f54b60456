package plan

import "fmt"

// Summary is the changes a line each, without the differences of the files: what
// status calls drift.
func (c *Changes) Summary() []string {
	var out []string
	add := func(what, verb, reason string) {
		line := verb + " " + what
		if reason != "" {
			line += ": " + reason
		}
		out = append(out, line)
	}
	for _, u := range c.Users {
		what := "make account"
		if u.GroupOnly {
			what = "make group"
		}
		add(u.Name, what, "")
	}
	for _, d := range c.Dirs {
		add(d.Path, verbOf(d.Old == nil, d.New == nil), d.Reason)
	}
	for _, f := range c.Files {
		add(f.Path, verbOf(f.Old == nil, f.New == nil), f.Reason)
	}
	for _, u := range c.Units {
		out = append(out, fmt.Sprintf("%s %s: %s", u.Action, u.Unit, u.Reason))
	}
	if len(out) == 0 && c.Reload {
		out = append(out, "systemd has not read the unit files that are on disk")
	}
	return out
}

func verbOf(made, removed bool) string {
	switch {
	case made:
		return "make"
	case removed:
		return "remove"
	}
	return "change"
}
