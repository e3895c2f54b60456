package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Reference is the reference page of the command line, in Markdown.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	c := &command{host: "/"}
	root := c.root()
	verbs := c.verbsOf(root)
	writeList(&b, root, verbs)
	b.WriteString("\n## Flags of every verb\n")
	writeFlags(&b, root.PersistentFlags())
	b.WriteString("\n## Errors\n\nAn error is one line on the standard error stream, beginning with `landfast:`, that says what is wrong, where, and what\nto do. The mistakes of a manifest come before it, as compilers print them. With `--json` it is printed on the standard\noutput instead:\n")
	writeFields(&b, errorFields())
	for _, v := range verbs {
		writeVerb(&b, v)
	}
	return []byte(b.String())
}

const referenceHead = `# The command line

<!-- Generated from the verbs by "go run ./internal/gen". Change them there. -->

` + "`landfast VERB --help`" + ` says the same about each verb. What a verb tells is printed on the standard output: as text,
which may change from version to version, or with ` + "`--json`" + ` as JSON, whose fields are listed here. A field may be added;
none changes its meaning. On a terminal, marks and differences have colours, unless ` + "`NO_COLOR`" + ` is set. How a verb
ends is told by its [exit code](exit-codes.md).

`

// documented is a command with the exit codes it has.
type documented struct {
	cmd   *cobra.Command
	exits []int
}

// verbsOf are the verbs and those below them, in the order in which one needs them.
func (c *command) verbsOf(root *cobra.Command) []documented {
	var all []documented
	for _, v := range c.verbs() {
		cmd, _, err := root.Find([]string{v.cmd.Name()})
		if err != nil {
			continue
		}
		all = append(all, documented{cmd, allExits(v.exits...)})
		for _, below := range cmd.Commands() {
			all = append(all, documented{below, allExits(v.exits...)})
		}
	}
	if cmd, _, err := root.Find([]string{"completion"}); err == nil {
		all = append(all, documented{cmd, allExits()})
	}
	return all
}

// writeList writes what there is, by group.
func writeList(b *strings.Builder, root *cobra.Command, verbs []documented) {
	for i, g := range verbGroups() {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(b, "**%s**\n\n| verb | does |\n|---|---|\n", g.title)
		for _, v := range verbs {
			if v.cmd.GroupID == g.id && v.cmd.Parent() == root {
				fmt.Fprintf(b, "| [`%s`](#%s) | %s |\n", v.cmd.Name(), anchor(v.cmd), cell(v.cmd.Short))
			}
		}
	}
}

// anchor is the name that a heading gets in Markdown as it is shown.
func anchor(cmd *cobra.Command) string {
	return strings.ReplaceAll(strings.ToLower(cmd.CommandPath()), " ", "-")
}

// writeVerb writes the section of one verb.
func writeVerb(b *strings.Builder, v documented) {
	cmd := v.cmd
	long, _, _ := strings.Cut(cmd.Long, "\n\nExit codes:")
	fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s\n```\n\n%s\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."), cmd.UseLine(), strings.TrimSpace(unindent(long)))
	writeFlags(b, cmd.LocalNonPersistentFlags())
	if below := cmd.Commands(); len(below) > 0 {
		b.WriteString("\nBelow it:\n\n")
		for _, s := range below {
			fmt.Fprintf(b, "- `%s`: %s\n", s.CommandPath(), s.Short)
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", unindent(cmd.Example))
	}
	out := outputOf(strings.TrimPrefix(cmd.CommandPath(), "landfast "))
	if out.about != "" || len(out.fields) > 0 {
		b.WriteString("\n" + strings.TrimSpace("With `--json`: "+out.about) + "\n")
		writeFields(b, out.fields)
	}
	b.WriteString("\n[Exit codes](exit-codes.md):")
	for i, code := range v.exits {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(b, " %d %s", code, exitTable()[code].name)
	}
	b.WriteString(".\n")
}

// unindent takes away the indentation that cobra wants in examples.
func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(strings.ReplaceAll(l, "\t", "    "), "  ")
	}
	return strings.Join(lines, "\n")
}

// writeFlags writes a table of flags, and nothing when there are none.
func writeFlags(b *strings.Builder, flags *pflag.FlagSet) {
	head := "\n| flag | meaning |\n|---|---|\n"
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, meaning := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + strings.ToUpper(value)
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "-1" {
			meaning += fmt.Sprintf(" (default: `%s`)", f.DefValue)
		}
		fmt.Fprintf(b, "%s| `%s` | %s |\n", head, name, cell(meaning))
		head = ""
	})
}

// writeFields writes a table of fields, and nothing when there are none.
func writeFields(b *strings.Builder, fields []field) {
	head := "\n| field | is |\n|---|---|\n"
	for _, f := range fields {
		fmt.Fprintf(b, "%s| `%s` | %s |\n", head, f.path, cell(f.meaning))
		head = ""
	}
}

// cell is a text in a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", "\\|"), "\n", " ")
}

// ExitCodes is the reference page of the exit codes, in Markdown.
func ExitCodes() []byte {
	var b strings.Builder
	b.WriteString(`# Exit codes

<!-- Generated from the table of exit codes by "go run ./internal/gen". Change it there. -->

Every verb ends with one of these, so that a script need not read what is printed. An error has a kind, which the JSON of
` + "`--json`" + ` gives as ` + "`error.kind`" + `; each kind has one exit code.

| code | name | kinds of error | means | what to do |
|---|---|---|---|---|
`)
	for _, e := range exitTable() {
		kinds := make([]string, len(e.kinds))
		for i, k := range e.kinds {
			kinds[i] = "`" + string(k) + "`"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", e.code, e.name, strings.Join(kinds, ", "), cell(e.meaning), cell(e.next))
	}
	b.WriteString("\n## By verb\n\n| verb |")
	for _, e := range exitTable() {
		fmt.Fprintf(&b, " %d |", e.code)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(exitTable())) + "\n")
	c := &command{host: "/"}
	for _, v := range c.verbsOf(c.root()) {
		fmt.Fprintf(&b, "| [`%s`](cli.md#%s) |", strings.TrimPrefix(v.cmd.CommandPath(), "landfast "), anchor(v.cmd))
		for _, e := range exitTable() {
			mark := ""
			for _, code := range v.exits {
				if code == e.code {
					mark = "×"
				}
			}
			fmt.Fprintf(&b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n`check` also ends with 2 for a manifest with mistakes, which is what it is for: `landfast check && …` is enough in a script.\nA process that a signal ended has 128 and the number of the signal, as the shell tells it.\n")
	return []byte(b.String())
}
