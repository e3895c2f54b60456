package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/landfast/landfast"
)

// Problem is one mistake in a manifest.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`           // from 1
	Column int    `json:"column"`         // from 1, in characters
	Key    string `json:"key,omitempty"`  // the key with its sections: service.command
	Msg    string `json:"message"`        // what is wrong
	Hint   string `json:"hint,omitempty"` // what to write instead
	Source string `json:"source"`         // the line as it stands in the file
}

// String is the problem as a compiler would print it: the place, the key and
// what is wrong, the line with a caret below the place, and the hint.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Msg)
	number := fmt.Sprintf("%5d", p.Line)
	fmt.Fprintf(&b, "\n%s | %s\n%s | %s^", number, p.Source, strings.Repeat(" ", len(number)), indent(p.Source, p.Column))
	if p.Hint != "" {
		b.WriteString("\n      = " + p.Hint)
	}
	return b.String()
}

// indent is as wide as the characters before column, tabs being kept.
func indent(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Errors are all mistakes of a manifest, by place.
type Errors []Problem

// Error gives every problem in full, one below the other.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// problems collects mistakes while a manifest is read.
type problems struct {
	list Errors
}

// add notes a mistake at offset of src.
func (p *problems) add(src *source, offset int, key, msg, hint string) {
	if src.standIn != nil {
		src, offset = src.standIn.src, src.standIn.pos
	}
	line, column, text := src.place(offset)
	problem := Problem{File: src.name, Line: line, Column: column, Key: key, Msg: msg, Hint: hint, Source: text}
	if !slices.Contains(p.list, problem) {
		p.list = append(p.list, problem)
	}
}

// at notes a mistake in the value n.
func (p *problems) at(n *node, key, msg, hint string) {
	p.add(n.src, n.pos, key, msg, hint)
}

// err is the mistakes by place as one error of kind Invalid, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &landfast.Error{Kind: landfast.Invalid, Err: p.list}
}
