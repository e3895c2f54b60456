package manifest

import "github.com/google/jsonschema-go/jsonschema"

// defaultFlag is the flag file of a service that says no more than true.
const defaultFlag = "${flags_dir}/restart.flag"

// flagFile is the path of a file, or true for the usual one.
type flagFile struct {
	path text
}

func (f *flagFile) decode(d *decoder, key string, n *node) {
	f.path.form = absPath
	switch {
	case n.kind == stringNode:
		f.path.decode(d, key, n)
	case n.kind == boolNode && n.text == "true":
		f.path.parts = d.parts(key, defaultFlag, n, func(int) int { return n.pos })
		d.track(&f.path, key, n)
	case n.kind != boolNode:
		d.wrongType(key, n, "true or a path")
	}
}

func (f *flagFile) value() string { return f.path.value }

func (f *flagFile) label() string { return "true or path" }

func (f *flagFile) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "boolean"}, absPath.schema()}}
}
