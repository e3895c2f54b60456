package main

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast/internal/unit"
)

const directivesHead = `# systemd directives

<!-- Generated from internal/unit/directives.txt and the goldens of internal/plan by "go run ./internal/gen". -->

What ` + "`[systemd.*]`" + ` of a manifest may hold, checked when the manifest is read. systemd %d is the newest known here.

- **since** is the version that brought a directive, where that is 219 or later. On a host with an older systemd, what took the same values before stands in; where nothing did, the directive is left out. ` + "`landfast plan`" + ` says so.
- **until** is the last version that heeds it. With a newer one, what took its place stands in, if that takes the same values.
- **writes** marks what Landfast writes by itself, for some app.
- A directive marked **list** adds up: what a manifest sets comes behind what Landfast sets, and an empty value takes back what stood there before. Of any other, what the manifest sets takes the place.
`

// directivesPage is the table of systemd's directives. Service and Socket share
// most of theirs, which have one line.
func directivesPage() ([]byte, error) {
	writes, err := written("internal/plan/testdata/build_*.txtar")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, directivesHead, unit.Newest)
	done := map[string]bool{}
	for _, section := range unit.Sections() {
		fmt.Fprintf(&b, "\n## [%s]\n\n", section)
		if section == "Socket" {
			b.WriteString("And what [Service] has for [Socket] as well.\n\n")
		}
		b.WriteString("| directive | since | until | list | writes | note |\n|---|---|---|---|---|---|\n")
		for _, name := range unit.Names(section) {
			if section == "Socket" && done["Service."+name] {
				continue
			}
			d, _ := unit.Lookup(section, name)
			_, alsoSocket := unit.Lookup("Socket", name)
			done[section+"."+name] = alsoSocket
			writeDirective(&b, d, section == "Service" && alsoSocket, writes[section+"."+name])
		}
	}
	return []byte(b.String()), nil
}

func writeDirective(b *strings.Builder, d unit.Directive, alsoSocket, writes bool) {
	yes := func(is bool) string {
		if is {
			return "yes"
		}
		return ""
	}
	version := func(v int) string {
		if v <= 0 {
			return ""
		}
		return strconv.Itoa(v)
	}
	var notes []string
	if alsoSocket {
		notes = append(notes, "also [Socket]")
	}
	if d.Replaces != "" {
		notes = append(notes, "before: "+elsewhere(d, d.Replaces))
	}
	if d.ReplacedBy != "" {
		notes = append(notes, "now: "+elsewhere(d, d.ReplacedBy))
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", d.Name, version(d.Since), version(d.Gone-1), yes(d.List), yes(writes), strings.Join(notes, "; "))
}

// elsewhere names another directive, with its section where that is another.
func elsewhere(d unit.Directive, id string) string {
	section, name, _ := strings.Cut(id, ".")
	if section == d.Section {
		return "`" + name + "`"
	}
	return "`" + name + "` of [" + section + "]"
}

// written are the directives in the units of the goldens, as "Section.Name", where
// the app does not pass them through itself.
func written(goldens string) (map[string]bool, error) {
	names, err := filepath.Glob(goldens)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no goldens match %s: run it from the top of the repository", goldens)
	}
	all := map[string]bool{}
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for _, f := range ar.Files {
			if !slices.Contains([]string{".service", ".socket", ".path", ".timer"}, path.Ext(f.Name)) {
				continue
			}
			file, err := unit.Parse(string(f.Data))
			if err != nil {
				return nil, fmt.Errorf("read %s of %s: %w", f.Name, name, err)
			}
			for _, s := range file.Sections {
				for _, o := range s.Options {
					if !passed(ar, s.Name, o.Name) {
						all[s.Name+"."+o.Name] = true
					}
				}
			}
		}
	}
	return all, nil
}

// passed reports whether the app of a golden passes a directive through.
func passed(ar *txtar.Archive, section, name string) bool {
	type directive struct{ Section, Name string }
	var app struct {
		Systemd  []directive
		Services []struct{ Systemd []directive }
	}
	if err := json.Unmarshal(ar.Files[0].Data, &app); err != nil {
		return false
	}
	list := app.Systemd
	for _, s := range app.Services {
		list = append(list, s.Systemd...)
	}
	return slices.Contains(list, directive{section, name})
}
