package manifest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// value is where the value of a key is decoded into. A value of a new kind
// implements it once and is then known to the decoder, the schema and the
// reference page.
type value interface {
	// decode takes n, reporting what is wrong with it to d.
	decode(d *decoder, key string, n *node)
	// label names the kind of value on the reference page.
	label() string
	// schema describes the values that decode takes.
	schema() *jsonschema.Schema
}

// key is the description of one key.
type key struct {
	name    string
	value   value
	doc     string // what it means: sentences, in Markdown
	def     string // the default as manifest text; "": none, see note
	note    string // for the reference page: the default where def does not say it
	example string // a value as manifest text
	ref     string // the name of a text in ${...}; "": none
	// directive is systemd's name of the same thing, for people who know that.
	directive string
	must      bool
	// late: whether it must be set depends on other keys, and is found out when
	// the App is built.
	late bool
	// derive makes the default of what def gives; nil: it is that. note says how.
	derive func(string) string
}

// section is a table with known keys.
type section interface {
	// keys describes the keys, each bound to a place in the section.
	keys() []key
}

// chooser is a section of which at most one of several keys may be set.
type chooser interface {
	// choices gives these keys, and whether one must be set.
	choices() (keys []string, must bool)
}

// freeSection is a section that also takes keys of the user's own.
type freeSection interface {
	section
	// free is the value of a key called name, or what is wrong with the name.
	free(name string) (value, *flaw)
	// freeValue is the kind of their values, and a pattern of their names.
	freeValue() (v value, pattern string)
	// freeDoc says what they mean, with an example of such a line.
	freeDoc() (doc, example string)
}

// decoder turns a tree into sections.
type decoder struct {
	*problems
	root  *node
	texts []*text           // all that were set, to be resolved
	refs  map[string]*text  // by the name in ${...}
	local map[string]*text  // those of the section being decoded, which come before refs; nil: none
	off   map[string]string // the key that switches on what a name refers to
	index map[string]*known // where each key of the description stands
}

// absentee is a value that wants to know that its key is not set.
type absentee interface {
	absent(d *decoder, key string, section *node)
}

// section decodes n into s. n is nil for a section that is not in the text: its
// defaults are set all the same.
func (d *decoder) section(path string, s section, n *node) {
	keys := s.keys()
	given := map[string]*node{}
	wrong := n != nil && n.kind != tableNode
	switch {
	case wrong: // what refers to its defaults must still find them
		d.wrongType(path, n, "a table")
	case n != nil:
		d.entries(path, s, keys, n, given)
		d.choice(path, s, n, given)
	}
	for _, k := range keys {
		if wrong && k.must {
			continue
		}
		d.key(path, k, n, given[k.name])
	}
}

// entries sorts the entries of n into those of known keys, and decodes the rest.
func (d *decoder) entries(path string, s section, keys []key, n *node, given map[string]*node) {
	for _, e := range n.keys {
		if slices.ContainsFunc(keys, func(k key) bool { return k.name == e.name }) {
			given[e.name] = e.value
			continue
		}
		free, ok := s.(freeSection)
		if !ok {
			// What stands there is decoded as the key that was meant: its own
			// mistakes show in the same run, and the key does not count as missing.
			meant := d.unknown(path, keys, e)
			if meant != "" && n.get(meant) == nil && given[meant] == nil {
				given[meant] = e.value
			}
			continue
		}
		v, flaw := free.free(e.name)
		if flaw != nil {
			d.add(e.value.src, e.pos, join(path, e.name), flaw.msg, flaw.hint)
			continue
		}
		v.decode(d, join(path, e.name), e.value)
	}
}

// key decodes the value of k, or its default.
func (d *decoder) key(path string, k key, section, n *node) {
	name := join(path, k.name)
	t, isText := k.value.(*text)
	if isText && k.ref != "" {
		d.scope()[k.ref] = t
	}
	switch {
	case n != nil:
		k.value.decode(d, name, n)
	case k.must && !k.late:
		d.missing(name, k, section)
	case k.def != "":
		k.value.decode(d, name, defaultNode(k.def))
		if isText {
			t.derive = k.derive
		}
	default:
		if a, ok := k.value.(absentee); ok {
			a.absent(d, name, d.nearby(section))
		}
	}
}

// scope is where the names of the section being decoded go.
func (d *decoder) scope() map[string]*text {
	if d.local != nil {
		return d.local
	}
	return d.refs
}

// nearby is the place to show for what is missing in section, or in the whole
// text where there is no such section.
func (d *decoder) nearby(section *node) *node {
	if section == nil || section.src.builtin {
		return d.root
	}
	return section
}

// missing reports a key that has to be set. There is no place to show but the
// section, or the beginning.
func (d *decoder) missing(name string, k key, section *node) {
	d.at(d.nearby(section), name, "is missing", "write "+k.name+" = "+k.example)
}

// choice reports when more or fewer than one of the keys of a choice are set.
func (d *decoder) choice(path string, s section, n *node, given map[string]*node) {
	c, ok := s.(chooser)
	if !ok {
		return
	}
	names, must := c.choices()
	var set []string
	for _, e := range n.keys {
		if slices.Contains(names, e.name) && given[e.name] != nil {
			set = append(set, e.name)
		}
	}
	switch {
	case len(set) == 0 && must:
		d.at(n, path, "needs one of "+quoteAll(names), "")
	case len(set) > 1:
		for _, extra := range set[1:] {
			d.add(n.src, n.get(extra).pos, join(path, extra), "cannot stand beside "+quote(set[0]), "keep one of "+quoteAll(names))
		}
	}
}

// unknown reports a key that is not in the description. It gives the key that
// was meant, when that is plain.
func (d *decoder) unknown(path string, keys []key, e *entry) (meant string) {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	hint, meant := didYouMean(e.name, names), closest(e.name, names)
	switch known := d.index[e.name]; {
	case known != nil && slices.Contains(names, known.name):
		hint, meant = "here it is called "+quote(known.name), known.name
	case known != nil:
		hint, meant = quote(e.name)+" "+known.place(), ""
		if known.name != e.name {
			hint = "here it is called " + quote(known.name) + "; it " + known.place()
		}
	case hint == "" && e.name != "" && e.name[0] >= 'A' && e.name[0] <= 'Z':
		hint = "systemd's own settings stand in [systemd.Unit], [systemd.Service], [systemd.Socket] or [systemd.Install]"
	case hint == "":
		hint = "known here: " + strings.Join(names, ", ")
	}
	d.add(e.value.src, e.pos, join(path, e.name), "unknown key", hint)
	return meant
}

// wrongType reports a value of a kind that the key does not take.
func (d *decoder) wrongType(key string, n *node, want string) {
	d.at(n, key, "must be "+want+", not "+string(n.kind), "")
}

// defaultNode is the tree of a default.
func defaultNode(def string) *node {
	src := &source{name: "default", text: []byte("x = " + def), builtin: true}
	root, _ := parse(src, &problems{})
	return root.keys[0].value
}

// bareKey are the characters of a key that needs no quotes in TOML.
const bareKey = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// join adds name to the path of its section.
func join(path, name string) string {
	if name == "" || strings.Trim(name, bareKey) != "" {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func itoa(i int) string { return strconv.Itoa(i) }

// quote is a value as a message shows it.
func quote(s string) string {
	s = strings.ReplaceAll(s, landfast.InstanceMark, "${"+instanceRef+"}")
	return `"` + strings.ReplaceAll(s, landfast.PortMark, "${"+privatePort+"}") + `"`
}

// quoteAll is a list for people: "a", "b" or "c".
func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	last := len(quoted) - 1
	if last < 1 {
		return strings.Join(quoted, "")
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// table is a section as the value of a key.
type table struct {
	section section
	// always: the defaults count even when the section is not in the text.
	always bool
	// set is told that the section is there, and where.
	set func(*node)
}

func (t *table) decode(d *decoder, key string, n *node) {
	if t.set != nil {
		t.set(n)
	}
	d.section(key, t.section, n)
}

// absent handles a section that is not in the text.
func (t *table) absent(d *decoder, key string, _ *node) {
	if t.always {
		d.section(key, t.section, nil)
	}
}

func (t *table) label() string { return "table" }
