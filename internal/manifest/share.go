package manifest

import "time"

// What other files of ours that people write share with the manifest: how a
// mistake is told.

// ProblemAt is a mistake at the offset of text, which is the file called name.
func ProblemAt(name string, text []byte, offset int, key, msg, hint string) Problem {
	line, column, source := (&source{name: name, text: text}).place(offset)
	return Problem{File: name, Line: line, Column: column, Key: key, Msg: msg, Hint: hint, Source: source}
}

// Report is all mistakes, by place, as one error of kind Invalid, or nil when
// there are none.
func Report(all Errors) error { return (&problems{list: all}).err() }

// DidYouMean is the hint that names the candidate that word was most likely meant
// to be, or "".
func DidYouMean(word string, candidates []string) string { return didYouMean(word, candidates) }

// ParseSpan reads a time span as systemd.time(7) or Go writes it.
func ParseSpan(s string) (span time.Duration, ok bool) { return parseSpan(s) }
