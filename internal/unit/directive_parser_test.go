package unit_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/unit"
)

var update = flag.Bool("update", false, "write what the parsers know into testdata")

// parsersFile holds what the parser of each systemd at hand knows, one
// "SECTION NAME VERSION ..." a line.
const parsersFile = "testdata/directives/parsers.txt"

// known is what the parser of one version knows, as "Section.Name".
type known map[string]bool

// TestTableIsWhatParsersKnow compares the table with the parsers of each
// version, both ways: nothing said to be known is unknown, and nothing known is
// missing or said to be newer or gone.
func TestTableIsWhatParsersKnow(t *testing.T) {
	parsers := readParsers(t)
	if len(parsers) < 4 {
		t.Fatalf("%s is about %d versions", parsersFile, len(parsers))
	}
	for version, want := range parsers {
		if len(want) < 500 {
			t.Errorf("systemd %d knows only %d directives", version, len(want))
		}
		compareWithTable(t, version, want)
	}
}

// TestParsersAreAsRecorded asks the systemd of each suite. With -update it writes
// parsersFile, for which all of them have to be there.
func TestParsersAreAsRecorded(t *testing.T) {
	recorded := map[int]known{}
	if !*update {
		recorded = readParsers(t)
	}
	found := map[int]known{}
	labtest.Roots(t, func(t *testing.T, r labtest.Root) {
		dump := r.Run(t, t.TempDir(), "/lib/systemd/systemd", "--dump-configuration-items")
		if dump.Code != 0 {
			t.Fatalf("systemd %d: exit code %d\n%s", r.Systemd, dump.Code, dump.Stderr)
		}
		found[r.Systemd] = readDump(dump.Stdout)
		if *update {
			return
		}
		if diff := cmp.Diff(recorded[r.Systemd], found[r.Systemd]); diff != "" {
			t.Errorf("systemd %d knows others than recorded (-recorded +found):\n%s", r.Systemd, diff)
		}
		compareWithTable(t, r.Systemd, found[r.Systemd])
	})
	if *update && len(found) == len(lab.Suites()) {
		writeParsers(t, found)
	} else if *update {
		t.Errorf("%d of %d suites answered: not written", len(found), len(lab.Suites()))
	}
}

func compareWithTable(t *testing.T, version int, want known) {
	t.Helper()
	for _, section := range unit.Sections() {
		for _, name := range unit.Names(section) {
			d, ok := unit.Lookup(section, name)
			if !ok {
				t.Errorf("%s.%s has a name and cannot be looked up", section, name)
			}
			switch id := section + "." + name; {
			case d.Known(version) && !want[id]:
				t.Errorf("systemd %d does not know %s, and the table says it does", version, id)
			case !d.Known(version) && want[id]:
				t.Errorf("systemd %d knows %s, and the table says it does not", version, id)
			}
		}
	}
	for id := range want {
		section, name, _ := strings.Cut(id, ".")
		if _, ok := unit.Lookup(section, name); !ok {
			t.Errorf("systemd %d knows %s, which the table does not have", version, id)
		}
	}
}

// readDump reads what --dump-configuration-items prints, as far as it is about
// sections of the table.
func readDump(text string) known {
	k := known{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		if name, _, ok := strings.Cut(line, "="); ok && slices.Contains(unit.Sections(), section) {
			k[section+"."+name] = true
		}
	}
	return k
}

func readParsers(t *testing.T) map[int]known {
	t.Helper()
	text, err := os.ReadFile(parsersFile)
	if err != nil {
		t.Fatal(err)
	}
	parsers := map[int]known{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		for _, word := range f[2:] {
			v, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			if parsers[v] == nil {
				parsers[v] = known{}
			}
			parsers[v][f[0]+"."+f[1]] = true
		}
	}
	return parsers
}

func writeParsers(t *testing.T, parsers map[int]known) {
	t.Helper()
	all := known{}
	for _, k := range parsers {
		maps.Copy(all, k)
	}
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(strings.Replace(id, ".", " ", 1))
		for _, v := range slices.Sorted(maps.Keys(parsers)) {
			if parsers[v][id] {
				fmt.Fprintf(&b, " %d", v)
			}
		}
		b.WriteString("\n")
	}
	if err := os.WriteFile(parsersFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
