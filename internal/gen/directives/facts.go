package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fact is a line of facts.txt.
type fact struct {
	of    id // without a section: of all that have one of the name
	kind  string
	value string
}

type facts struct{ list []fact }

func readFacts(text string) (*facts, error) {
	f := &facts{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		w := strings.Fields(line)
		if len(w) == 2 && w[1] == "list" {
			w = append(w, "yes")
		}
		if len(w) != 3 || !slices.Contains([]string{"since", "like", "gone", "now", "was", "list"}, w[1]) {
			return nil, fmt.Errorf("facts.txt: %q is no fact", line)
		}
		x := fact{kind: w[1], value: w[2]}
		section, name, ok := strings.Cut(w[0], ".")
		if !ok {
			section, name = "", w[0]
		}
		x.of = id{section, name}
		f.list = append(f.list, x)
	}
	return f, nil
}

// text is the value of a fact about d, the one of its section first; "": there is
// none.
func (f *facts) text(d id, kind string) string {
	value := ""
	for _, x := range f.list {
		if x.kind != kind || x.of.name != d.name {
			continue
		}
		if x.of.section == d.section {
			return x.value
		}
		if x.of.section == "" {
			value = x.value
		}
	}
	return value
}

// number is a fact that is a version; 0: there is none.
func (f *facts) number(d id, kind string) int {
	n, err := strconv.Atoi(f.text(d, kind))
	if err != nil {
		return 0
	}
	return n
}

// since is the version that facts have for d, and whether they have one; below 0
// for that of another one, of which they have none.
func (f *facts) since(d id) (version int, ok bool) {
	if v := f.text(d, "since"); v != "" {
		return f.number(d, "since"), true
	}
	other := f.text(d, "like")
	if other == "" {
		return 0, false
	}
	if v, ok := f.since(id{d.section, other}); ok {
		return v, true
	}
	return -1, true
}

// marks are the fields behind the version.
func (f *facts) marks(d id) []string {
	var marks []string
	if f.text(d, "list") != "" {
		marks = append(marks, "list")
	}
	for _, kind := range []string{"was", "now"} {
		if other := f.text(d, kind); other != "" {
			marks = append(marks, kind+"="+strings.TrimPrefix(other, d.section+"."))
		}
	}
	return marks
}

// unused tells of facts about what no parser knows, and of replacements that do
// not exist: slips of the pen.
func (f *facts) unused(p *parsers) []error {
	var wrong []error
	all := p.all(f)
	exists := func(d id) bool {
		return slices.ContainsFunc(all, func(a id) bool {
			return a.name == d.name && (d.section == "" || a.section == d.section)
		})
	}
	for _, x := range f.list {
		if !exists(x.of) {
			wrong = append(wrong, fmt.Errorf("facts.txt: no parser knows %s", x.of))
		}
		if !slices.Contains([]string{"now", "was", "like"}, x.kind) {
			continue
		}
		to := id{x.of.section, x.value}
		if section, name, ok := strings.Cut(x.value, "."); ok {
			to = id{section, name}
		}
		if !exists(to) {
			wrong = append(wrong, fmt.Errorf("facts.txt: no parser knows %s, which %s names", to, x.of))
		}
	}
	return wrong
}
