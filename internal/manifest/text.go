package manifest

import (
	"strings"
	"unicode"

	"github.com/google/jsonschema-go/jsonschema"
)

// flaw is why a text cannot be the value of a key.
type flaw struct{ msg, hint string }

// form is a kind of text.
type form struct {
	label   string   // for people: "duration"
	words   []string // the only texts there are, if it is an enumeration
	pattern string   // what the schema asks of it; "": anything
	number  bool     // an integer may stand for it
	// check gives s as the App holds it, or what is wrong with it. nil: s is fine.
	check func(s string) (string, *flaw)
}

// part is a piece of a text: either literal, or a reference.
type part struct {
	literal string
	ref     string // name between ${ and }
	pos     int    // of the reference, in the source
	text    *text  // set instead of ref where the text itself is known
}

// textState is how far a text has been resolved.
type textState string

const (
	raw       textState = ""
	resolving textState = "resolving"
	resolved  textState = "resolved"
	bad       textState = "bad" // and what is wrong has been reported
)

// text is a string of a manifest. Its value is known once it is resolved.
type text struct {
	form   *form
	key    string
	src    *node // nil: not set
	parts  []part
	state  textState
	value  string
	local  map[string]*text    // names that come before those of the decoder
	derive func(string) string // applied to what the parts give; nil: nothing
}

// as makes t a value of form f.
func (t *text) as(f *form) value {
	t.form = f
	return t
}

// given reports whether the manifest itself sets t, rather than a default.
func (t *text) given() bool { return t.src != nil && !t.src.src.builtin }

// ok reports whether t has a value to work with.
func (t *text) ok() bool { return t.state == resolved }

func (t *text) decode(d *decoder, key string, n *node) {
	s, ok := d.scalar(key, n, t.form)
	if !ok {
		return
	}
	t.parts = d.parts(key, s, n, nil)
	d.track(t, key, n)
}

// track notes t, set by n, among the texts to be resolved.
func (d *decoder) track(t *text, key string, n *node) {
	t.key, t.src, t.local = key, n, d.local
	d.texts = append(d.texts, t)
}

// scalar is the text of n, if it may stand for a text of form f.
func (d *decoder) scalar(key string, n *node, f *form) (string, bool) {
	switch {
	case n.kind == stringNode:
		return n.text, d.clean(key, n)
	case n.kind == integerNode && f.number:
		s, err := plainNumber(n)
		if err != nil {
			d.at(n, key, err.Error(), "")
		}
		return s, err == nil
	}
	d.wrongType(key, n, f.name())
	return "", false
}

// clean refuses control characters: a line feed in a value could end a line of
// a unit file and begin a directive of its own.
func (d *decoder) clean(key string, n *node) bool {
	for i, r := range n.text {
		if !unicode.IsControl(r) {
			continue
		}
		what := "a control character"
		if r == '\n' || r == '\r' {
			what = "a line break"
		}
		d.add(n.src, n.offset(i), key, what+" cannot be part of a value", "")
		return false
	}
	return true
}

// parts splits s into literal text and references. offset says where in the
// source a byte of s stands; nil: s is the value of n.
func (d *decoder) parts(key, s string, n *node, offset func(int) int) []part {
	if offset == nil && n.kind == stringNode {
		offset = n.offset
	}
	var parts []part
	var literal strings.Builder
	for i := 0; i < len(s); {
		rest := s[i:]
		switch {
		case strings.HasPrefix(rest, "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(rest, "${"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				d.add(n.src, offset(i), key, "${ without its }", "write $${ for a literal ${")
				return append(parts, part{ref: "", pos: -1})
			}
			parts = append(parts, part{literal: literal.String()}, part{ref: rest[2:end], pos: offset(i)})
			literal.Reset()
			i += end + 1
		default:
			literal.WriteByte(s[i])
			i++
		}
	}
	return append(parts, part{literal: literal.String()})
}

// name is what a message calls the form.
func (f *form) name() string {
	switch {
	case len(f.words) == 1:
		return quote(f.words[0]) + ", the only one there is"
	case len(f.words) > 0:
		return "one of " + quoteAll(f.words)
	case f.number:
		return "a string or an integer"
	}
	return "a string"
}

func (t *text) label() string {
	if len(t.form.words) > 0 {
		quoted := make([]string, len(t.form.words))
		for i, w := range t.form.words {
			quoted[i] = "`\"" + w + "\"`"
		}
		return strings.Join(quoted, ", ")
	}
	return t.form.label
}

func (t *text) schema() *jsonschema.Schema { return t.form.schema() }

// cleanPattern is a text without control characters.
const cleanPattern = `^[^\x00-\x1f\x7f-\x9f]*$`

// schema describes a text of the form. A reference may always stand in it.
func (f *form) schema() *jsonschema.Schema {
	if len(f.words) > 0 {
		words := make([]any, len(f.words))
		for i, w := range f.words {
			words[i] = w
		}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Enum: words}, {Type: "string", Pattern: `\$\{`}}}
	}
	s := &jsonschema.Schema{Type: "string", Pattern: cleanPattern}
	if f.pattern != "" {
		s.Pattern = f.pattern + `|\$\{`
	}
	if f.number {
		s.Type, s.Types = "", []string{"string", "integer"}
	}
	return s
}
