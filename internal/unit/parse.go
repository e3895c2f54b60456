package unit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parse reads a unit file as systemd does (systemd.syntax(7)): comments and
// empty lines are skipped, also within a continued line; a backslash at the end
// of a line joins the next one to it with a space. The comments before the
// first section are kept, all others are not. What systemd would warn of and
// ignore is an error here, with its line.
func Parse(text string) (*File, error) {
	f := &File{}
	p := parser{file: f}
	text = strings.TrimPrefix(text, "\uFEFF")
	for text != "" {
		var line string
		line, text = cutLine(text)
		p.number++
		if err := p.line(line); err != nil {
			return nil, err
		}
	}
	if p.open {
		if err := p.statement(p.joined); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// cutLine ends a line where systemd does: at LF, CR, CR LF, LF CR or NUL.
func cutLine(s string) (line, rest string) {
	i := strings.IndexAny(s, "\n\r\x00")
	if i < 0 {
		return s, ""
	}
	line, rest = s[:i], s[i+1:]
	switch {
	case s[i] == '\n' && strings.HasPrefix(rest, "\r"), s[i] == '\r' && strings.HasPrefix(rest, "\n"):
		rest = rest[1:]
	}
	return line, rest
}

type parser struct {
	file   *File
	number int    // of the current line, from 1
	open   bool   // a continued line is being collected
	joined string // what of it there is
}

func (p *parser) line(line string) error {
	if start := strings.TrimLeft(line, whitespace); start != "" && (start[0] == '#' || start[0] == ';') {
		if len(p.file.Sections) == 0 && !p.open {
			p.file.Comments = append(p.file.Comments, strings.TrimPrefix(strings.TrimRight(start[1:], whitespace), " "))
		}
		return nil
	}
	p.joined += line
	if len(p.joined) > maxLine {
		return p.errorf("the line is longer than systemd reads")
	}
	if continues(p.joined) {
		p.joined = p.joined[:len(p.joined)-1] + " "
		p.open = true
		return nil
	}
	line = p.joined
	p.joined, p.open = "", false
	return p.statement(line)
}

func (p *parser) statement(line string) error {
	line = strings.Trim(line, whitespace)
	if line == "" {
		return nil
	}
	if !utf8.ValidString(line) {
		return p.errorf("it is not valid UTF-8")
	}
	if line[0] == '[' {
		name, ok := strings.CutSuffix(line[1:], "]")
		if !ok || !isName(name) {
			return p.errorf("%q is not a section", line)
		}
		p.file.Sections = append(p.file.Sections, Section{Name: name})
		return nil
	}
	name, value, ok := strings.Cut(line, "=")
	name = strings.TrimRight(name, whitespace)
	switch {
	case !ok:
		return p.errorf("%q has no \"=\"", line)
	case !isName(name):
		return p.errorf("%q is not the name of an option", name)
	case len(p.file.Sections) == 0:
		return p.errorf("%s= stands before the first section", name)
	}
	o := Option{name, strings.TrimLeft(value, whitespace)}
	if err := o.Check(); err != nil {
		return p.errorf("%s=: %w", name, err)
	}
	s := &p.file.Sections[len(p.file.Sections)-1]
	s.Options = append(s.Options, o)
	return nil
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", p.number, fmt.Errorf(format, args...))
}
