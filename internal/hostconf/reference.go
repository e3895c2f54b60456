package hostconf

import (
	"fmt"
	"reflect"
	"strings"
)

const referenceHead = `# listen.toml

<!-- Generated from internal/hostconf by "go run ./internal/gen". Change it there. -->

` + "`/etc/landfast/listen.toml`" + ` and the files of ` + "`/etc/landfast/listen.d/*.toml`" + ` say who may ask this host for a deployment, and
who is told what became of it. They are read in the order of their names; lists add up, and of [listen] the last file
that sets a key counts. [` + "`landfast trigger add`" + `](cli.md#landfast-trigger-add) writes one file for each trigger. Secrets
are never in them: that of a trigger is ` + "`/etc/landfast/secrets/NAME.secret`" + `, one or more lines, each of which is taken;
that of a report is ` + "`NAME.report`" + `.

In patterns, ` + "`*`" + ` stands for anything but a slash, ` + "`**`" + ` for anything, ` + "`?`" + ` for one character but a slash. In a list of
patterns the last one that matches decides, ` + "`!`" + ` before it excludes, and what none matches is not taken.
`

// Reference is the reference page of the configuration, in Markdown.
func Reference() []byte {
	var b strings.Builder
	b.WriteString(referenceHead)
	for f := range keys(reflect.TypeFor[Config]()) {
		name, t := f.Tag.Get("toml"), f.Type
		head := "[" + name + "]"
		if t.Kind() == reflect.Slice {
			head, t = "["+head+"]", t.Elem()
		}
		section(&b, head, name, f.Tag.Get("doc"), t)
	}
	return []byte(b.String())
}

// section writes a table of keys, and behind it those of the tables in it.
func section(b *strings.Builder, head, path, doc string, t reflect.Type) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| key | meaning | default | example |\n|---|---|---|---|\n", head, doc)
	var inner []reflect.StructField
	for f := range keys(t) {
		if f.Type.Kind() == reflect.Struct && f.Tag.Get("example") == "" {
			inner = append(inner, f)
			continue
		}
		def := "none"
		switch {
		case f.Tag.Get("must") != "":
			def = "must be set"
		case f.Tag.Get("def") != "":
			def = code(f.Tag.Get("def"))
		}
		meaning := f.Tag.Get("doc")
		if words := strings.Fields(f.Tag.Get("words")); len(words) > 0 {
			meaning += " One of " + code(strings.Join(words, "`, `")) + "."
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", code(f.Tag.Get("toml")), meaning, def, code(f.Tag.Get("example")))
	}
	for _, f := range inner {
		name := path + "." + f.Tag.Get("toml")
		section(b, "["+name+"]", name, f.Tag.Get("doc"), f.Type)
	}
}

func code(s string) string { return "`" + s + "`" }
