package main

import (
	"fmt"
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

const sandboxHead = `# The sandbox

<!-- Generated from internal/unit by "go run ./internal/gen". -->

What the profiles of ` + "`[sandbox]`" + ` add to a service, line by line, and the names by which ` + "`allow`" + ` gives single
powers back. **since** is the version of systemd that brought a line. Where the host is older, what stands in is
named; where nothing is, the line is left out, and ` + "`landfast plan`" + ` says so.

How to use them is in [how-to/sandbox.md](../how-to/sandbox.md).
`

// sandboxPage lists the profiles and what can be allowed.
func sandboxPage() ([]byte, error) {
	var b strings.Builder
	b.WriteString(sandboxHead)
	for _, name := range []string{"baseline", "strict"} {
		lines, err := unit.Profile(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\n## %s\n\n| directive | since | what it takes | on older systems |\n|---|---|---|---|\n", name)
		for _, l := range lines {
			fmt.Fprintf(&b, "| `%s=%s` | %s | %s | %s |\n", l.Directive, l.Value, since(l.Since), l.Reason, older(l))
		}
	}
	b.WriteString("\n`none` adds nothing.\n\n## Given back by name\n\n| `allow` | for whom | what changes |\n|---|---|---|\n")
	for _, a := range unit.Allowances() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.Name, a.Reason, changes(a))
	}
	return []byte(b.String()), nil
}

func since(version int) string {
	if version == 0 {
		return ""
	}
	return fmt.Sprint(version)
}

func older(l unit.Line) string {
	if l.Older == nil {
		return ""
	}
	return "`" + l.Older.Directive + "=" + l.Older.Value + "`"
}

// changes says what an allowance leaves out, sets otherwise and lets through.
func changes(a unit.Allowance) string {
	var parts []string
	for _, d := range a.Drops {
		parts = append(parts, "no `"+d+"=`")
	}
	for _, l := range a.Sets {
		parts = append(parts, "`"+l.Directive+"="+l.Value+"`")
	}
	if len(a.Refilter) > 0 {
		parts = append(parts, "the system calls `"+strings.Join(a.Refilter, " ")+"`")
	}
	return strings.Join(parts, ", ")
}
