package manifest

import (
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// maxBytes is the size of a manifest we read: far above any real one.
const maxBytes = 1 << 20

// madeBy says how a table came to be. TOML closes a table to certain additions
// depending on it.
type madeBy string

const (
	byPath   madeBy = "path"   // as a part of [a.b]: may still get its own header
	byHeader madeBy = "header" // [a]
	byDotted madeBy = "dotted" // a.b = 1: only more dotted keys may be added
	byInline madeBy = "inline" // { ... }: complete
)

// parser turns the expressions of a TOML text into a tree.
type parser struct {
	*problems
	src     *source
	toml    unstable.Parser
	root    *node
	current *node
}

// parse gives the tree of src, and whether its syntax is right. A syntax error
// ends it at once and is the only problem then; a key set twice is reported and
// the first value kept.
func parse(src *source, probs *problems) (*node, bool) {
	root := &node{kind: tableNode, src: src, made: byHeader}
	p := &parser{problems: probs, src: src, root: root, current: root}
	if len(src.text) > maxBytes {
		p.add(src, 0, "", "the manifest is larger than 1 MiB", "")
		return root, false
	}
	p.toml.Reset(src.text)
	for p.toml.NextExpression() {
		switch e := p.toml.Expression(); e.Kind {
		case unstable.KeyValue:
			p.keyValue(p.current, e)
		case unstable.Table:
			p.table(e)
		case unstable.ArrayTable:
			p.arrayTable(e)
		}
	}
	if err, ok := errors.AsType[*unstable.ParserError](p.toml.Error()); ok {
		probs.list = nil
		p.add(src, int(p.toml.Range(err.Highlight).Offset), "", "syntax error: "+err.Message, "")
		return root, false
	}
	return root, true
}

// keyParts is the parts of a dotted key.
func keyParts(e *unstable.Node) []*unstable.Node {
	var parts []*unstable.Node
	for it := e.Key(); it.Next(); {
		parts = append(parts, it.Node())
	}
	return parts
}

// twice reports a key of the table in that is set already.
func (p *parser) twice(in *node, key *unstable.Node, first int) {
	line, _, _ := p.src.place(first)
	p.add(p.src, int(key.Raw.Offset), join(in.path, string(key.Data)), "is set already, on line "+itoa(line), "remove one of the two")
}

// walk follows the parts of a header but its last, making tables on the way.
func (p *parser) walk(parts []*unstable.Node) *node {
	at := p.root
	for _, part := range parts {
		name, pos := string(part.Data), int(part.Raw.Offset)
		e := at.get(name)
		switch {
		case e == nil:
			next := p.newTable(join(at.path, name), pos, byPath)
			at.set(name, pos, next)
			at = next
		case e.value.kind == tableNode && e.value.made != byInline:
			at = e.value
		case e.value.kind == arrayNode && e.value.made == byHeader:
			at = e.value.items[len(e.value.items)-1]
		default:
			p.twice(at, part, e.pos)
			return nil
		}
	}
	return at
}

// table handles [a.b].
func (p *parser) table(e *unstable.Node) {
	parts := keyParts(e)
	last := parts[len(parts)-1]
	name, pos := string(last.Data), int(last.Raw.Offset)
	// Keys below a header that is refused are still checked, in a table of
	// their own that nobody sees.
	p.current = p.newTable(name, pos, byHeader)
	parent := p.walk(parts[:len(parts)-1])
	if parent == nil {
		return
	}
	p.current.path = join(parent.path, name)
	switch old := parent.get(name); {
	case old == nil:
		parent.set(name, pos, p.current)
	case old.value.kind == tableNode && old.value.made == byPath:
		old.value.made, old.value.pos = byHeader, pos
		p.current = old.value
	case old.value.kind == tableNode && old.value.made == byHeader:
		p.twice(parent, last, old.pos)
		p.current = old.value
	default:
		p.twice(parent, last, old.pos)
	}
}

// arrayTable handles [[a.b]].
func (p *parser) arrayTable(e *unstable.Node) {
	parts := keyParts(e)
	last := parts[len(parts)-1]
	name, pos := string(last.Data), int(last.Raw.Offset)
	p.current = p.newTable(name, pos, byHeader)
	parent := p.walk(parts[:len(parts)-1])
	if parent == nil {
		return
	}
	p.current.path = join(parent.path, name)
	old := parent.get(name)
	if old == nil {
		list := &node{kind: arrayNode, src: p.src, pos: pos, made: byHeader}
		parent.set(name, pos, list)
		old = parent.get(name)
	}
	if old.value.kind != arrayNode || old.value.made != byHeader {
		p.twice(parent, last, old.pos)
		return
	}
	old.value.items = append(old.value.items, p.current)
}

// keyValue handles a.b = value in the table at. It gives the offset behind it.
func (p *parser) keyValue(at *node, e *unstable.Node) int {
	parts := keyParts(e)
	last := parts[len(parts)-1]
	name := at.path
	for _, part := range parts {
		name = join(name, string(part.Data))
	}
	value, end := p.value(e.Value(), name, int(last.Raw.Offset+last.Raw.Length))
	for _, part := range parts[:len(parts)-1] {
		name, pos := string(part.Data), int(part.Raw.Offset)
		old := at.get(name)
		if old == nil {
			at.set(name, pos, p.newTable(join(at.path, name), pos, byDotted))
			old = at.get(name)
		}
		if old.value.kind != tableNode || old.value.made != byDotted {
			p.twice(at, part, old.pos)
			return end
		}
		at = old.value
	}
	if old := at.get(string(last.Data)); old != nil {
		p.twice(at, last, old.pos)
		return end
	}
	at.set(string(last.Data), int(last.Raw.Offset), value)
	return end
}

// newTable is an empty table that stands under path.
func (p *parser) newTable(path string, pos int, made madeBy) *node {
	return &node{kind: tableNode, src: p.src, pos: pos, path: path, made: made}
}

// value converts the value of the key path, which starts behind the offset
// from. It gives the offset behind the value, since the library does not say
// where a list begins.
func (p *parser) value(v *unstable.Node, path string, from int) (*node, int) {
	n := &node{src: p.src, text: string(v.Data)}
	switch v.Kind {
	case unstable.Array:
		n.kind, n.pos = arrayNode, p.skip(from)
		end := n.pos + 1
		for it := v.Children(); it.Next(); {
			var item *node
			item, end = p.value(it.Node(), path+"["+itoa(len(n.items))+"]", end)
			n.items = append(n.items, item)
		}
		return n, p.skip(end) + 1
	case unstable.InlineTable:
		n.kind, n.pos, n.path, n.made = tableNode, int(v.Raw.Offset), path, byInline
		end := n.pos + 1
		for it := v.Children(); it.Next(); {
			end = p.keyValue(n, it.Node())
		}
		n.closeDotted()
		return n, p.skip(end) + 1
	case unstable.String:
		n.kind = stringNode
	case unstable.Bool:
		n.kind = boolNode
	case unstable.Integer:
		n.kind = integerNode
	case unstable.Float:
		n.kind = floatNode
	default:
		n.kind = timeNode
	}
	n.pos = int(v.Raw.Offset)
	n.raw = string(p.toml.Raw(v.Raw))
	return n, n.pos + len(n.raw)
}

// closeDotted makes the tables that dotted keys opened inside an inline table
// as complete as the inline table itself.
func (n *node) closeDotted() {
	for _, e := range n.keys {
		if e.value.kind == tableNode && e.value.made == byDotted {
			e.value.made = byInline
			e.value.closeDotted()
		}
	}
}

// skip is the first offset from i on that is neither white space, a comment,
// a comma nor an equals sign.
func (p *parser) skip(i int) int {
	for i < len(p.src.text) {
		switch c := p.src.text[i]; {
		case strings.IndexByte(" \t\r\n,=", c) >= 0:
			i++
		case c == '#':
			for i < len(p.src.text) && p.src.text[i] != '\n' {
				i++
			}
		default:
			return i
		}
	}
	return i
}
