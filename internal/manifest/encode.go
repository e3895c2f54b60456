package manifest

import (
	"strings"
)

// encode writes the table n as TOML. The same tree gives the same text, and the
// text gives the same tree, but for comments and the ways of writing.
func encode(n *node) string {
	var b strings.Builder
	encodeTable(&b, "", n)
	return strings.TrimPrefix(b.String(), "\n")
}

// encodeTable writes the values of n, then the tables in it, each under a header.
func encodeTable(b *strings.Builder, path string, n *node) {
	tables := 0
	for _, e := range n.keys {
		if e.value.kind == tableNode {
			tables++
		}
	}
	if path != "" && (tables < len(n.keys) || tables == 0) {
		b.WriteString("\n[" + path + "]\n")
	}
	for _, e := range n.keys {
		if e.value.kind != tableNode {
			b.WriteString(join("", e.name) + " = " + encodeValue(e.value) + "\n")
		}
	}
	for _, e := range n.keys {
		if e.value.kind == tableNode {
			encodeTable(b, join(path, e.name), e.value)
		}
	}
}

// encodeValue writes a value on one line.
func encodeValue(n *node) string {
	switch n.kind {
	case stringNode:
		return quoteTOML(n.text)
	case arrayNode:
		items := make([]string, len(n.items))
		for i, item := range n.items {
			items[i] = encodeValue(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case tableNode:
		items := make([]string, len(n.keys))
		for i, e := range n.keys {
			items[i] = join("", e.name) + " = " + encodeValue(e.value)
		}
		return "{ " + strings.Join(items, ", ") + " }"
	}
	return n.raw
}

// quoteTOML writes s as a basic string. Control characters are in no value that
// is good.
func quoteTOML(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}
