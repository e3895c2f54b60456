// Command directives makes the table of systemd's directives that package unit
// carries, from three sources: what the parsers of several versions know
// (internal/unit/testdata/directives/parsers.txt, which a test of package unit
// writes), the version notes of the manual, and facts.txt beside this file,
// which has the last word. Where they contradict each other, it says so and
// writes nothing. Run it from the top of the repository, with the directory of
// the manual's section 5 of one or more versions, the newest first:
//
//	apt-get download systemd && dpkg-deb -x systemd_*.deb new
//	go run ./internal/gen/directives new/usr/share/man/man5
//
// It takes names and version numbers from the manual, and no text.
package main

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	parsersFile = "internal/unit/testdata/directives/parsers.txt"
	tableFile   = "internal/unit/directives.txt"

	// oldest is the version that a "since" is not told apart below.
	oldest = 219
)

//go:embed facts.txt
var factsText string

// id names a directive.
type id struct{ section, name string }

// entry is a line of the table, before equal ones of several sections are put
// together.
type entry struct {
	id
	since, gone int
	marks       []string
}

func main() {
	log.SetFlags(0)
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(manuals []string) error {
	if len(manuals) == 0 {
		return errors.New("name the directory of the manual's section 5")
	}
	parsers, err := readParsers(parsersFile)
	if err != nil {
		return err
	}
	facts, err := readFacts(factsText)
	if err != nil {
		return err
	}
	var notes []manual
	for _, dir := range manuals {
		m, err := readManual(dir)
		if err != nil {
			return err
		}
		notes = append(notes, m)
	}
	entries, err := build(parsers, facts, notes)
	if err != nil {
		return err
	}
	return os.WriteFile(tableFile, []byte(render(entries)), 0o644)
}

// build makes an entry of each directive that a parser knows or a fact is about.
func build(parsers *parsers, facts *facts, notes []manual) ([]entry, error) {
	var entries []entry
	var wrong []error
	for _, d := range parsers.all(facts) {
		e := entry{id: d, gone: facts.number(d, "gone"), marks: facts.marks(d)}
		since, sure := facts.since(d)
		if !sure {
			since = noted(notes, d)
		}
		if since < 0 { // like another one
			since = noted(notes, id{d.section, facts.text(d, "like")})
		}
		if since >= oldest {
			e.since = since
		}
		if err := parsers.check(e); err != nil {
			wrong = append(wrong, err)
		}
		entries = append(entries, e)
	}
	wrong = append(wrong, facts.unused(parsers)...)
	return entries, errors.Join(wrong...)
}

// noted is the version that the newest manual notes for a directive; 0 when no
// manual does.
func noted(notes []manual, d id) int {
	for _, m := range notes {
		if v := m.since(d); v > 0 {
			return v
		}
	}
	return 0
}

// render writes the table, with directives that are the same in several
// sections in one line.
func render(entries []entry) string {
	sections := []string{"Unit", "Service", "Socket", "Path", "Timer", "Install"}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(slices.Index(sections, a.section), slices.Index(sections, b.section)))
	})
	var b strings.Builder
	b.WriteString("# Made by \"go run ./internal/gen/directives\". Sections, name, since[-gone], marks.\n")
	done := map[string]bool{}
	for _, e := range entries {
		rest := e.rest()
		if done[rest] {
			continue
		}
		done[rest] = true
		var in []string
		for _, other := range entries {
			if other.name == e.name && other.rest() == rest {
				in = append(in, other.section)
			}
		}
		b.WriteString(strings.Join(in, ",") + " " + rest + "\n")
	}
	return b.String()
}

// rest is a line without the sections.
func (e entry) rest() string {
	version := strconv.Itoa(e.since)
	if e.gone > 0 {
		version += "-" + strconv.Itoa(e.gone)
	}
	return strings.Join(append([]string{e.name, version}, e.marks...), " ")
}

func (d id) String() string { return fmt.Sprintf("%s.%s", d.section, d.name) }
