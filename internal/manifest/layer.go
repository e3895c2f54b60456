package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/stack"
)

// Layer is one file of a manifest.
type Layer struct {
	Name string // as messages name it
	Text []byte
}

// Overlay names a file beside a manifest: landfast.NAME.toml beside landfast.toml.
type Overlay struct {
	Name string
	Must bool // it is an error if there is no such file
}

// IsOverlayName reports whether name can be that of an overlay.
func IsOverlayName(name string) bool {
	return name != "" && strings.Trim(name, bareKey) == ""
}

// Load reads a manifest and its overlays, in their order. Those that read finds
// to be absent (fs.ErrNotExist) are left out, unless they must be there.
func Load(read func(name string) ([]byte, error), file string, overlays ...Overlay) ([]Layer, error) {
	text, err := read(file)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	layers := []Layer{{file, text}}
	for _, o := range overlays {
		name := strings.TrimSuffix(file, ".toml") + "." + o.Name + ".toml"
		if slices.ContainsFunc(layers, func(l Layer) bool { return l.Name == name }) {
			continue // a host called like the environment
		}
		text, err := read(name)
		switch {
		case err == nil:
			layers = append(layers, Layer{name, text})
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("read manifest: %w", err)
		case o.Must:
			return nil, &landfast.Error{
				Kind: landfast.Invalid, Msg: fmt.Sprintf("there is no %s for the environment %q", name, o.Name),
				Hint: "overlays lie beside the manifest",
			}
		}
	}
	return layers, nil
}

// ParseLayers reads a manifest that is spread over files. Later files come
// before earlier ones: tables are merged, anything else is replaced; a [source],
// [health], [environment] or secret of another kind replaces the whole table. The Manifest of the
// App is one text that says the same. Otherwise it is as Parse.
func ParseLayers(layers ...Layer) (*landfast.App, error) {
	d, root := readLayers(layers)
	if root == nil {
		return nil, d.err()
	}
	app, err := d.app(root)
	if err != nil {
		return nil, err
	}
	app.Manifest = string(layers[0].Text)
	if len(layers) > 1 {
		app.Manifest = mergedText(layers, root)
	}
	return app, nil
}

// mergedText is the layers as one text.
func mergedText(layers []Layer, root *node) string {
	names := make([]string, len(layers))
	for i, l := range layers {
		names[i] = path.Base(l.Name)
	}
	return "# Merged from " + strings.Join(names, ", ") + ".\n" + encode(root)
}

// readLayers parses the layers and merges them. The tree is nil when the syntax
// of one is wrong.
func readLayers(layers []Layer) (*decoder, *node) {
	d := &decoder{problems: &problems{}, refs: map[string]*text{}, off: map[string]string{}, index: index()}
	good := true
	for _, l := range layers {
		one := &problems{}
		root, ok := parse(&source{name: l.Name, text: l.Text[:len(l.Text):len(l.Text)]}, one)
		d.list = append(d.list, one.list...)
		good = good && ok
		if d.root == nil {
			d.root = root
		} else {
			d.root = merge(d.root, root, choices())
		}
	}
	if !good {
		return d, nil
	}
	return d, d.root
}

// app decodes the tree of a manifest into an App.
func (d *decoder) app(root *node) (*landfast.App, error) {
	d.root = withStack(root)
	m := &manifest{}
	d.section("", m, d.root)
	m.dynamic(d)
	m.cutover.ports(d)
	d.resolve()
	app := m.build(d)
	if err := d.err(); err != nil {
		return nil, err
	}
	return app, nil
}

// withStack is the tree upon what its stack presets. The places of presets are
// those of the key stack.
func withStack(root *node) *node {
	e := root.get("stack")
	if e == nil || e.value.kind != stringNode {
		return root
	}
	text, ok := stack.Preset(e.value.text)
	if !ok {
		return root
	}
	preset, _ := parse(&source{name: "stack " + e.value.text, text: []byte(text), standIn: e.value}, &problems{})
	return merge(preset, root, choices())
}

// choices are the keys of which only one may be set, by section.
func choices() map[string][]string {
	all := map[string][]string{}
	m := &manifest{}
	for _, k := range m.keys() {
		if t, ok := k.value.(*table); ok {
			if c, ok := t.section.(chooser); ok {
				all[k.name], _ = c.choices()
			}
		}
	}
	all[anySecret], _ = (&secretFields{}).choices()
	return all
}

// anySecret stands for the table of any secret among the choices.
const anySecret = "secrets.*"

// choiceAt are the keys of which only one may be set in the table at path.
func choiceAt(path string, choices map[string][]string) []string {
	if strings.HasPrefix(path, "secrets.") {
		path = anySecret
	}
	return choices[path]
}

// merge lays the table over upon base. Where something is missing in the result,
// that is said of base, unless it is a preset.
func merge(base, over *node, choices map[string][]string) *node {
	merged := *base
	if base.src.standIn != nil {
		merged = *over
	}
	merged.keys = nil
	for _, b := range base.keys {
		e := b
		if o := over.get(b.name); o != nil {
			e = o
			if b.value.kind == tableNode && o.value.kind == tableNode && !otherChoice(b.value, o.value, choiceAt(o.value.path, choices)) {
				e = &entry{name: o.name, pos: o.pos, value: merge(b.value, o.value, choices)}
			}
		}
		merged.keys = append(merged.keys, e)
	}
	for _, o := range over.keys {
		if base.get(o.name) == nil {
			merged.keys = append(merged.keys, o)
		}
	}
	return &merged
}

// otherChoice reports whether over chooses another of the keys than base does.
func otherChoice(base, over *node, keys []string) bool {
	for _, k := range keys {
		if over.get(k) != nil && base.get(k) == nil {
			for _, other := range keys {
				if base.get(other) != nil {
					return true
				}
			}
		}
	}
	return false
}
