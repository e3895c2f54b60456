package unit_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/unit"
)

// samplesFile has two values for each directive whose effect systemctl shows, one
// "SECTION.NAME <tab> VALUE <tab> VALUE" a line. It does not show conditions,
// credentials and [Install].
const samplesFile = "testdata/directives/samples.txt"

// sample is two values of a directive.
type sample struct {
	unit.Directive
	one, two string
}

// TestListsAreWhatAddsUp writes units that assign each directive once and twice,
// and compares what systemd makes of them: of a list, two assignments are more
// than the second alone, and an empty one between them takes the first back; of
// any other, they are the second. It asks the newest systemd there is an image
// of, and those that LANDFAST_LAB_SUITES names.
func TestListsAreWhatAddsUp(t *testing.T) {
	labtest.Require(t)
	for _, s := range listSuites() {
		t.Run(s.Name, func(t *testing.T) {
			m := labtest.Boot(t, lab.Options{Suite: s.Name})
			var samples []sample
			for _, x := range readSamples(t) {
				if x.Known(s.Systemd) {
					samples = append(samples, x)
				}
			}
			shown := show(t, m, samples)
			seen := 0
			for i, x := range samples {
				of := func(variant string) properties { return shown[unitName(i, variant, x.Section)].without(x.Directive) }
				if cmp.Equal(of("one"), of("two")) {
					t.Logf("%s.%s: %q and %q look the same", x.Section, x.Name, x.one, x.two)
					continue
				}
				seen++
				for _, wrong := range x.check(of) {
					t.Errorf("%s.%s %s", x.Section, x.Name, wrong)
				}
			}
			if seen < len(samples)*9/10 {
				t.Errorf("only %d of %d samples show", seen, len(samples))
			}
		})
	}
}

// listSuites are those that TestListsAreWhatAddsUp asks.
func listSuites() []lab.Suite {
	var list []lab.Suite
	for _, s := range slices.Backward(lab.Suites()) {
		_, cached := lab.Cached(s.Name)
		named := os.Getenv("LANDFAST_LAB_SUITES") != "" && slices.Contains(labtest.Suites(), s.Name)
		if named || cached && len(list) == 0 {
			list = append(list, s)
		}
	}
	return list
}

// check compares the variants of a unit.
func (x sample) check(of func(variant string) properties) []string {
	same := func(a, b string) bool { return cmp.Equal(of(a), of(b)) }
	var wrong []string
	switch {
	case mixed(x.Name):
	case x.List && same("both", "two"):
		wrong = append(wrong, "is no list: a second assignment takes the place of the first")
	case x.List && !same("reset", "empty") && !dependency(x.Directive):
		wrong = append(wrong, "cannot be taken back by an empty assignment:\n"+cmp.Diff(of("reset"), of("empty")))
	case !x.List && !same("both", "two") && !first(x.Directive):
		wrong = append(wrong, "is a list: a second assignment adds to the first:\n"+cmp.Diff(of("two"), of("both")))
	}
	return wrong
}

// mixed directives are lists at times, and no list in the table: they take a
// switch as well, or, as RootImageOptions, were a list up to some version.
func mixed(name string) bool {
	return slices.Contains([]string{"Delegate", "RestrictNamespaces", "DelegateNamespaces", "RefreshOnReload", "RootImageOptions"}, name)
}

// dependency reports whether d names other units, which nothing takes back
// (systemd.unit(5)).
func dependency(d unit.Directive) bool {
	return d.Name == "Sockets" || d.Section == "Unit" && !strings.HasPrefix(d.Name, "Condition") && !strings.HasPrefix(d.Name, "Assert") && d.Name != "Documentation"
}

// first reports whether of two assignments the first counts, with a complaint
// about the second.
func first(d unit.Directive) bool { return d.Name == "Unit" }

// properties are what systemd says of a unit.
type properties map[string]string

// without leaves out what follows from the directive besides what it sets: other
// units that have to be there.
func (p properties) without(d unit.Directive) properties {
	if d.Section == "Unit" || d.Name == "Sockets" {
		return p
	}
	q := maps.Clone(p)
	for _, name := range dependencies() {
		delete(q, name)
	}
	return q
}

func dependencies() []string {
	return []string{"Requires", "Requisite", "Wants", "After", "Before", "Conflicts", "RequiresMountsFor", "WantsMountsFor", "Triggers", "TriggeredBy"}
}

// show makes the variants of each sample and gives what systemd says of each.
func show(t *testing.T, m *lab.Machine, samples []sample) map[string]properties {
	t.Helper()
	dir := m.Path("/etc/systemd/system")
	var names []string
	for i, x := range samples {
		variants := map[string][]string{"one": {x.one}, "two": {x.two}, "both": {x.one, x.two}}
		if x.List {
			variants["reset"] = []string{x.one, "", x.two}
			variants["empty"] = []string{"", x.two}
		}
		for variant, values := range variants {
			name := unitName(i, variant, x.Section)
			names = append(names, name)
			text := smallestUnit(filepath.Ext(name)) + "[" + x.Section + "]\n"
			for _, value := range values {
				text += x.Name + "=" + value + "\n"
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	labtest.Run(t, m, "systemctl", "daemon-reload")
	shown := map[string]properties{}
	for part := range slices.Chunk(names, 100) {
		blocks := strings.Split(labtest.Run(t, m, append([]string{"systemctl", "show", "--all"}, part...)...), "\n\n")
		if len(blocks) != len(part) {
			t.Fatalf("systemctl shows %d units of %d", len(blocks), len(part))
		}
		for i, block := range blocks {
			base := strings.TrimSuffix(part[i], filepath.Ext(part[i]))
			p := properties{}
			for line := range strings.Lines(strings.ReplaceAll(block, base, "NAME")) {
				key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				words := strings.Fields(value)
				if slices.Contains(dependencies(), key) {
					slices.Sort(words) // they come in the order of a hash table
				}
				p[key] += strings.Join(words, " ") + "\n"
			}
			shown[part[i]] = p
		}
	}
	return shown
}

func unitName(i int, variant, section string) string {
	ext := map[string]string{"Unit": "service"}[section]
	if ext == "" {
		ext = strings.ToLower(section)
	}
	return fmt.Sprintf("sample%03d-%s.%s", i, variant, ext)
}

// smallestUnit is what a unit needs to be one.
func smallestUnit(ext string) string {
	return map[string]string{
		".service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
		".socket":  "[Socket]\nListenStream=/run/sample\n",
		".timer":   "[Timer]\nOnBootSec=1h\n",
		".path":    "[Path]\nPathExists=/sample\n",
	}[ext]
}

func readSamples(t *testing.T) []sample {
	t.Helper()
	text, err := os.ReadFile(samplesFile)
	if err != nil {
		t.Fatal(err)
	}
	var samples []sample
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		section, name, _ := strings.Cut(f[0], ".")
		d, ok := unit.Lookup(section, name)
		if !ok || len(f) != 3 {
			t.Fatalf("%s: %q", samplesFile, line)
		}
		samples = append(samples, sample{d, f[1], f[2]})
	}
	return samples
}
