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

A manifest describes one app, in [TOML](https://toml.io). Only ` + "`name`" + ` and the command are required, and a
` + "`stack`" + ` may give the command:

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

## Files

Beside ` + "`landfast.toml`" + ` may lie files that hold what differs: ` + "`landfast.ENV.toml`" + ` for an environment that ` + "`--env ENV`" + ` or the
variable ` + "`LANDFAST_ENV`" + ` names, ` + "`landfast.HOST.toml`" + ` for a host by its short name, and ` + "`landfast.local.toml`" + `. They come in
this order, the stack's preset being the first of all; a later one needs to say only what it changes. Tables are merged;
anything else, a list as well, is replaced. Another kind of [source], [health], [environment] or secret
replaces the whole table.
` + "`landfast config`" + ` prints what it comes to. What is installed is that text, as one file.

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
	b.WriteString("| `${instance}` | the name of the instance, in `services.NAME` with `instances` |\n")
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
		if inner, ok := member(t.section); ok {
			writeMember(b, name, inner)
			continue
		}
		writeSection(b, t.section)
		if name == "dirs" {
			writeDirTable(b)
		}
		if name == "secrets" {
			b.WriteString("\nOne of the keys that say where it comes from has to be set:\n")
			writeSection(b, &secretFields{})
		}
		writeTables(b, name, t.section)
	}
}

// writeMember writes the keys of the tables in the section called name, without
// repeating those that are as in [service].
func writeMember(b *strings.Builder, name string, s section) {
	as := map[string]string{}
	for _, k := range (&service{}).keys() {
		as[k.name] = k.doc + k.def
	}
	fmt.Fprintf(b, "\n### [%s.NAME]\n", name)
	var same []string
	var differ []key
	for _, k := range s.keys() {
		if doc, ok := as[k.name]; ok && (doc == k.doc+k.def || k.name == "name") {
			same = append(same, k.name)
		} else {
			differ = append(differ, k)
		}
	}
	fmt.Fprintf(b, "\n`%s` are as in [service], with a `name` of `\"${service_name}-NAME\"`. `${service_name}`, `${identifier}` and the variables of [%s.NAME.env] stand for what they are in this section.\n", strings.Join(same, "`, `"), name)
	writeSection(b, only{differ})
	for _, k := range differ {
		if t, ok := k.value.(*table); ok {
			fmt.Fprintf(b, "\n### [%s.NAME.%s]\n\n%s\n", name, k.name, memberDoc(k, t))
			if f, ok := t.section.(freeSection); ok {
				writeSection(b, f)
			}
		}
	}
}

// memberDoc is what a section of a section is for.
func memberDoc(k key, t *table) string {
	var inner []string
	for _, one := range t.section.keys() {
		if one.isTable() {
			inner = append(inner, "[systemd."+one.name+"]")
		}
	}
	switch {
	case len(inner) > 0:
		return k.doc + " It has " + strings.Join(inner, ", ") + "."
	case len(t.section.keys()) > 0:
		return k.doc + " Its keys are those of [" + k.name + "]."
	}
	return k.doc
}

// only is some keys of a section.
type only struct{ list []key }

func (o only) keys() []key { return o.list }

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
