// Package manifest reads landfast.toml: text in, a complete landfast.App out,
// or every mistake in the text with its place.
//
// The keys of a manifest are described once, in the keys methods of the
// sections (name, kind of value, default, meaning, example). Decoding, the
// search for the nearest key, the JSON Schema and the reference page all come
// from that description, and a default is itself manifest text, so that a
// default such as "${base_dir}/${name}" follows whatever it is made of.
//
// The way of a text is parse (a tree of values with their places), merge (the
// trees of overlays upon it, and it upon what its stack presets), decode (the
// tree into the sections), resolve (references, then the check of each value)
// and build (the App). The package opens no file and knows no host: the same
// texts give the same App everywhere.
package manifest
