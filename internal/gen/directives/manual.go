package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// manual has the version notes of one version of the manual: by page, and by the
// name of the directive.
type manual map[string]map[string]int

// pagesOf are the pages that describe the directives of a section.
func pagesOf(section string) []string {
	switch section {
	case "Unit", "Install":
		return []string{"unit"}
	case "Service", "Socket":
		return []string{strings.ToLower(section), "exec", "kill", "resource-control"}
	}
	return []string{strings.ToLower(section)}
}

func readManual(dir string) (manual, error) {
	m := manual{}
	for _, page := range []string{"unit", "service", "socket", "path", "timer", "exec", "kill", "resource-control"} {
		f, err := os.Open(filepath.Join(dir, "systemd."+page+".5.gz"))
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		text, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		if m[page], err = versionNotes(text); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
	return m, nil
}

// since is the version noted for a directive; 0: none is.
func (m manual) since(d id) int {
	for _, page := range pagesOf(d.section) {
		if v, ok := m[page][d.name]; ok {
			return v
		}
	}
	return 0
}

var (
	term = regexp.MustCompile(`\\fI([A-Z][A-Za-z0-9]*)=`)
	note = regexp.MustCompile(`^Added in version (\d+)`)
)

// versionNotes reads a page. Terms stand behind .PP; what is between the .RS that
// follows and its .RE is about them, and a note in it is for all of them. The
// values of a directive have notes of their own, deeper inside.
func versionNotes(page io.Reader) (map[string]int, error) {
	notes := map[string]int{}
	var open [][]string // the terms of each .RS around the line
	var terms []string
	inTerms := false
	lines := bufio.NewScanner(page)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, ".PP"):
			terms, inTerms = nil, true
		case strings.HasPrefix(line, ".RS"):
			open = append(open, terms)
			terms, inTerms = nil, false
		case strings.HasPrefix(line, ".RE"):
			open = open[:max(0, len(open)-1)]
		case inTerms:
			for _, found := range term.FindAllStringSubmatch(line, -1) {
				terms = append(terms, found[1])
			}
		default:
			if found := note.FindStringSubmatch(line); found != nil {
				v, err := strconv.Atoi(found[1])
				if err != nil {
					return nil, err
				}
				for _, name := range innermost(open) {
					notes[name] = v
				}
			}
		}
	}
	return notes, lines.Err()
}

// innermost are the terms that a line is about.
func innermost(open [][]string) []string {
	if len(open) == 0 {
		return nil
	}
	return open[len(open)-1]
}
