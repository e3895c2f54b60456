package manifest

import (
	"fmt"
	"strings"

	"github.com/landfast/landfast"
)

// Reference is the reference page of the manifest, in Markdown.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	m := &manifest{}
	writeRefs(&b, m)
	b.WriteString("\n## Top level\n\nThese keys stand before the first section.\n")
	writeSection(&b, m)
	writeTables(&b, "", m)
	return []byte(b.String())
}

const referenceHead = `# landfast.toml

<!-- Generated from the description of the keys by "go run ./internal/gen". Change it there. -->

A manifest describes one app, in [TOML](https://toml.io). Only ` + "`name`" + ` and the command are required:

` + "```toml" + `
name = "web"

[service]
command = "bin/web"
` + "```" + `

` + "`landfast check`" + ` reports every mistake in a manifest with its place and the nearest valid key.
` + "`landfast schema`" + ` prints a JSON Schema for editors.

## Values

- **Commands** are a string, split into words like in a shell (` + "`'one word'`, `\"one word\"`, `one\\ word`" + `), or a list of words. No shell runs: ` + "`|`, `>`, `&&`, `*` and `$NAME`" + ` have no meaning.
- **Durations** are written as systemd does (` + "`\"1min 30s\"`, `\"500ms\"`" + `), as Go does (` + "`\"1m30s\"`" + `), or as a number of seconds.
- **Sizes** are a number of bytes, or have a unit: ` + "`\"512KiB\"`, `\"200MiB\"`, `\"2GiB\"`" + `.
- **Modes** are octal, as a string: ` + "`\"0750\"`" + `.
- Where a list is taken, a single value stands for a list of it.
- Line breaks and other control characters cannot be part of a value.

## References

` + "`${name}`" + ` in a string stands for a value of the manifest, ` + "`${NAME}`" + ` for a variable of [env]. ` + "`$${`" + ` is a literal ` + "`${`" + `;
any other ` + "`$`" + ` is literal. The variables of the host are not known. Defaults are made of references, too:
with ` + "`base = \"/opt\"`" + ` in [paths], the releases of web lie in ` + "`/opt/web/releases`" + `.

| reference | is |
|---|---|
`

// writeRefs writes a line for each name in ${...}.
func writeRefs(b *strings.Builder, m *manifest) {
	line := func(path string, k key) {
		if k.ref != "" {
			fmt.Fprintf(b, "| `${%s}` | `%s` |\n", k.ref, join(path, k.name))
		}
	}
	for _, k := range m.keys() {
		line("", k)
		if t, ok := k.value.(*table); ok {
			for _, inner := range t.section.keys() {
				line(k.name, inner)
			}
		}
	}
	for _, d := range m.dirs.all() {
		fmt.Fprintf(b, "| `${%s}` | the path of `dirs.%s`, where it is switched on |\n", d.ref(), d.kind)
	}
}

// writeTables writes a chapter for each section of s.
func writeTables(b *strings.Builder, path string, s section) {
	for _, k := range s.keys() {
		t, ok := k.value.(*table)
		if !ok {
			continue
		}
		name := join(path, k.name)
		fmt.Fprintf(b, "\n## [%s]\n\n%s\n", name, k.doc)
		if c, ok := t.section.(chooser); ok {
			keys, must := c.choices()
			few := "At most one"
			if must {
				few = "Exactly one"
			}
			fmt.Fprintf(b, "\n%s of `%s` may be set.\n", few, strings.Join(keys, "`, `"))
		}
		writeSection(b, t.section)
		if name == "dirs" {
			writeDirTable(b)
		}
		writeTables(b, name, t.section)
	}
}

// writeDirTable writes the keys of a directory.
func writeDirTable(b *strings.Builder) {
	d := &dir{kind: landfast.RuntimeDir}
	b.WriteString("\n`true` takes the directory with its defaults, a string renames it, and a table says more. For `runtime`:\n")
	writeSection(b, d)
}

// writeSection writes the table of the keys of s that are not sections.
func writeSection(b *strings.Builder, s section) {
	var rows strings.Builder
	for _, k := range s.keys() {
		if _, ok := k.value.(*table); ok {
			continue
		}
		doc := k.doc
		if k.must {
			doc = "**Required.** " + doc
		}
		if k.directive != "" {
			doc += " (systemd: `" + k.directive + "=`)"
		}
		row(&rows, "`"+k.name+"`", k.value.label(), k.defaultText(), doc, k.name+" = "+k.example)
	}
	if f, ok := s.(freeSection); ok {
		v, _ := f.freeValue()
		doc, example := f.freeDoc()
		row(&rows, "*NAME*", v.label(), "", doc, example)
	}
	if rows.Len() > 0 {
		b.WriteString("\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n" + rows.String())
	}
}

// defaultText is the default of k on the page.
func (k key) defaultText() string {
	switch {
	case k.def != "" && k.note != "":
		return "`" + k.def + "`; " + k.note
	case k.def != "":
		return "`" + k.def + "`"
	}
	return k.note
}

func row(b *strings.Builder, name, kind, def, doc, example string) {
	cell := strings.NewReplacer("|", `\|`)
	fmt.Fprintf(b, "| %s | %s | %s | %s | `%s` |\n", name, cell.Replace(kind), cell.Replace(def), cell.Replace(doc), cell.Replace(example))
}
