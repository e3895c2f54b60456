package unit

import (
	"errors"
	"fmt"
	"strings"
)

// maxLine is the length at which systemd stops reading a unit file
// (LONG_LINE_MAX in its conf-parser).
const maxLine = 1 << 20

// File is a unit file.
type File struct {
	Comments []string // the first lines, without "# "
	Sections []Section
}

// Section is one section of a unit file.
type Section struct {
	Name    string // without brackets
	Options []Option
}

// Option is one assignment. Value is in systemd's own syntax: quoted and
// escaped already. An empty Value takes back what a list held so far.
type Option struct{ Name, Value string }

// Section gives the first section of that name, made at the end when there is
// none. The pointer is good until the next section is made.
func (f *File) Section(name string) *Section {
	for i := range f.Sections {
		if f.Sections[i].Name == name {
			return &f.Sections[i]
		}
	}
	f.Sections = append(f.Sections, Section{Name: name})
	return &f.Sections[len(f.Sections)-1]
}

// Add puts an option at the end of the section.
func (s *Section) Add(name, value string) {
	s.Options = append(s.Options, Option{name, value})
}

// Drop takes out every option of that name and tells whether there was one.
func (s *Section) Drop(name string) bool {
	kept := s.Options[:0]
	for _, o := range s.Options {
		if o.Name != name {
			kept = append(kept, o)
		}
	}
	dropped := len(kept) < len(s.Options)
	s.Options = kept
	return dropped
}

// Values gives what a list option holds in the end: all its values, in order,
// behind the last empty assignment. Sections of the same name count as one.
func (f *File) Values(section, name string) []string {
	var values []string
	for _, s := range f.Sections {
		if s.Name != section {
			continue
		}
		for _, o := range s.Options {
			switch {
			case o.Name != name:
			case o.Value == "":
				values = nil
			default:
				values = append(values, o.Value)
			}
		}
	}
	return values
}

// Value gives what an option with one value holds in the end, "" when it is
// not set.
func (f *File) Value(section, name string) string {
	values := f.Values(section, name)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Render gives the text of the file. It is an error when the text would not
// parse back to the same file: a line break or a control character anywhere, a
// value that begins or ends with white space or whose last backslash would
// swallow the next line, or a name that is not one.
func (f *File) Render() (string, error) {
	var b strings.Builder
	for _, c := range f.Comments {
		if err := checkText(c); err != nil {
			return "", fmt.Errorf("comment %q: %w", c, err)
		}
		b.WriteString("# " + c + "\n")
	}
	for i, s := range f.Sections {
		if !isName(s.Name) {
			return "", fmt.Errorf("%q cannot be the name of a section", s.Name)
		}
		if i > 0 || len(f.Comments) > 0 {
			b.WriteString("\n")
		}
		b.WriteString("[" + s.Name + "]\n")
		for _, o := range s.Options {
			if err := o.Check(); err != nil {
				return "", fmt.Errorf("[%s] %s=: %w", s.Name, o.Name, err)
			}
			b.WriteString(o.Name + "=" + o.Value + "\n")
		}
	}
	return b.String(), nil
}

// Check says why the option cannot stand in a unit file as it is, or nil.
func (o Option) Check() error {
	if !isName(o.Name) {
		return errors.New("this cannot be the name of an option")
	}
	if len(o.Name)+len(o.Value)+2 > maxLine {
		return errors.New("the value is too long: systemd reads lines of up to 1 MiB")
	}
	return checkLine(o.Value)
}

// isName accepts what section and option names are made of: systemd.directives(7)
// has letters and digits only, and "X-" names are for private use.
func isName(s string) bool {
	for i, r := range s {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z':
		case i > 0 && ('0' <= r && r <= '9' || r == '-' || r == '_'):
		default:
			return false
		}
	}
	return s != ""
}
