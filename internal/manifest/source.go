package manifest

import (
	"strings"
	"unicode/utf8"
)

// source is one text that values were read from.
type source struct {
	name    string // of the file, as people know it
	text    []byte
	builtin bool  // a default of ours: no place a person can look at
	standIn *node // the place to show instead of one in here; nil: here
}

// place is the line and the column of an offset, both from 1, the column in
// characters, and the text of the line.
func (s *source) place(offset int) (line, column int, text string) {
	offset = min(max(offset, 0), len(s.text))
	before := string(s.text[:offset])
	line = strings.Count(before, "\n") + 1
	start := strings.LastIndexByte(before, '\n') + 1
	column = utf8.RuneCountInString(before[start:]) + 1
	text = string(s.text[start:])
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		text = text[:end]
	}
	return line, column, strings.TrimSuffix(text, "\r")
}
