package manifest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// nodeKind is the kind of a value in the text.
type nodeKind string

// The kinds of value, named as messages name them.
const (
	tableNode   nodeKind = "a table"
	arrayNode   nodeKind = "a list"
	stringNode  nodeKind = "a string"
	integerNode nodeKind = "an integer"
	floatNode   nodeKind = "a number with a fraction"
	boolNode    nodeKind = "a boolean"
	timeNode    nodeKind = "a date or time"
)

// node is one value of the text, with its place.
type node struct {
	kind  nodeKind
	src   *source
	pos   int      // offset of its first byte; of a section: of its header
	raw   string   // scalars: as written
	text  string   // strings: the value; other scalars: as written
	items []*node  // arrays
	keys  []*entry // tables, in the order of the text
	path  string   // tables: the key it stands under
	made  madeBy   // tables: how it came to be, which says what may still be added
}

// entry is one key of a table.
type entry struct {
	name  string
	pos   int // offset of the key
	value *node
}

// get is the entry called name, or nil.
func (n *node) get(name string) *entry {
	for _, e := range n.keys {
		if e.name == name {
			return e
		}
	}
	return nil
}

// set adds an entry; the caller knows that it is new.
func (n *node) set(name string, pos int, value *node) {
	n.keys = append(n.keys, &entry{name: name, pos: pos, value: value})
}

// integer is the value of an integer.
func (n *node) integer() (int64, error) {
	v, err := strconv.ParseInt(n.raw, 0, 64) // base 0 takes TOML's prefixes and underscores
	if err != nil {
		return 0, fmt.Errorf("%s does not fit into 64 bits", n.raw)
	}
	return v, nil
}

// offset is where in the source the byte i of a string's value stands. Escapes
// make the two run apart.
func (n *node) offset(i int) int {
	quote := n.raw[:1]
	pos := 1
	if strings.HasPrefix(n.raw, quote+quote+quote) && len(n.raw) >= 6 {
		pos = 3
		switch { // a newline right behind the opening is not part of the value
		case strings.HasPrefix(n.raw[pos:], "\r\n"):
			pos += 2
		case strings.HasPrefix(n.raw[pos:], "\n"):
			pos++
		}
	}
	for done := 0; pos < len(n.raw); {
		from, to := 1, 1
		if quote == `"` && n.raw[pos] == '\\' {
			from, to = escape(n.raw[pos:])
		}
		if done >= i && to > 0 {
			break
		}
		done += to
		pos += from
	}
	return n.pos + min(pos, len(n.raw)-1)
}

// escape is the length of the escape sequence at the start of s, and of what
// it stands for.
func escape(s string) (from, to int) {
	digits := 0
	switch {
	case len(s) < 2:
		return 1, 1
	case s[1] == 'x':
		digits = 2
	case s[1] == 'u':
		digits = 4
	case s[1] == 'U':
		digits = 8
	case strings.ContainsRune(" \t\r\n", rune(s[1])): // joins lines
		return len(s) - len(strings.TrimLeft(s[1:], " \t\r\n")), 0
	default:
		return 2, 1
	}
	from = min(2+digits, len(s))
	code, err := strconv.ParseUint(s[2:from], 16, 32)
	if err != nil {
		return from, 1
	}
	return from, max(utf8.RuneLen(rune(code)), 1)
}
