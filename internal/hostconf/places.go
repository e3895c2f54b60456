package hostconf

import (
	"errors"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// places are the offsets of keys and values, by path: trigger[0].branches[1]. A
// table's own is that of its header.
type places map[string]int

// placesOf finds them all. It gives the offset and the text of a syntax error.
func placesOf(text []byte) (at places, bad int, msg string) {
	at = places{}
	f := finder{at: at, lists: map[string]int{}}
	f.toml.Reset(text)
	table := ""
	for f.toml.NextExpression() {
		e := f.toml.Expression()
		switch e.Kind {
		case unstable.Table:
			path, pos := f.header(e)
			table = path
			at.note(path, pos)
		case unstable.ArrayTable:
			path, pos := f.header(e)
			table = index(path, f.lists[path])
			f.lists[path]++
			at.note(table, pos)
		case unstable.KeyValue:
			f.keyValue(table, e)
		}
	}
	if err, ok := errors.AsType[*unstable.ParserError](f.toml.Error()); ok {
		return nil, int(f.toml.Range(err.Highlight).Offset), err.Message
	}
	return at, 0, ""
}

// note keeps the first place of a path.
func (p places) note(path string, pos int) {
	if _, known := p[path]; !known {
		p[path] = pos
	}
}

type finder struct {
	toml  unstable.Parser
	at    places
	lists map[string]int // how many tables of a list there have been
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func dot(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// header is the path of a header: a part that is a list means its last table.
func (f *finder) header(e *unstable.Node) (path string, pos int) {
	first := true
	for it := e.Key(); it.Next(); {
		n := it.Node()
		if first {
			pos, first = int(n.Raw.Offset), false
		}
		if count := f.lists[path]; path != "" && count > 0 {
			path = index(path, count-1)
		}
		path = dot(path, string(n.Data))
	}
	return path, pos
}

func (f *finder) keyValue(table string, e *unstable.Node) {
	path, pos := table, 0
	for it := e.Key(); it.Next(); {
		path = dot(path, string(it.Node().Data))
		pos = int(it.Node().Raw.Offset)
	}
	f.at.note(path, pos)
	f.value(path, e.Value(), pos)
}

// value notes where the values in v are; those that the library gives no place
// for count as where the key is.
func (f *finder) value(path string, v *unstable.Node, key int) {
	switch v.Kind {
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			item, pos := it.Node(), key
			if item.Raw.Length > 0 {
				pos = int(item.Raw.Offset)
			}
			f.at.note(index(path, i), pos)
			f.value(index(path, i), item, pos)
		}
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			f.keyValue(path, it.Node())
		}
	}
}
