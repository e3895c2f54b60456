// Package stack knows the ways in which apps are made: what a manifest of an
// Elixir, Node or Java app would say anyway (a preset, as manifest text below
// the user's own), and how to tell from the files of a project what it is. It is
// not a build tool, and it opens no files but those of the file system it is
// given. Its invariant: whatever a preset takes back from the sandbox has its
// reason beside it.
package stack

import "embed"

//go:embed presets/*.toml
var presets embed.FS

// Names are the stacks there are.
func Names() []string {
	return []string{"elixir", "distillery", "go", "node", "python", "ruby", "java", "static"}
}

// Preset is the manifest text that a stack stands for, and whether there is such
// a stack.
func Preset(name string) (string, bool) {
	text, err := presets.ReadFile("presets/" + name + ".toml")
	return string(text), err == nil
}
