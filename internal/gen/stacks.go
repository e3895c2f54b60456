package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/landfast/landfast/internal/stack"
	"github.com/landfast/landfast/internal/unit"
)

const stacksHead = `# Stacks

<!-- Generated from internal/stack/presets by "go run ./internal/gen". Change them there. -->

` + "`stack = \"NAME\"`" + ` in a manifest stands for what a manifest of such an app would say anyway. It is text below your own:
whatever your manifest says wins, and ` + "`landfast config`" + ` prints what it comes to. ` + "`landfast init`" + ` finds out
which stack a project is of, and writes a first manifest. Any other command needs no stack.

Every stack keeps the sandbox profile ` + "`strict`" + `, but for what it relaxes below; ` + "`allow = []`" + ` in your [sandbox] takes that
back. All but Distillery's, of which Debian has no packages, are tested with a real project each, on Debian 12 and, when
it is asked for, on 13: built, deployed, asked, restarted, rolled back and stopped, with nothing relaxed that it would
come up without. What ` + "`systemd-analyze security`" + ` says of these units is 1.5 at most; the test prints what it is.

| stack | command | relaxes | which leaves out |
|---|---|---|---|
`

// stacksPage is what each stack sets, and what it takes back of the sandbox.
func stacksPage() ([]byte, error) {
	var b, presets strings.Builder
	b.WriteString(stacksHead)
	for _, name := range stack.Names() {
		text, _ := stack.Preset(name)
		var preset struct {
			Service struct{ Command any }
			Sandbox struct{ Allow []string }
		}
		if err := toml.Unmarshal([]byte(text), &preset); err != nil {
			return nil, fmt.Errorf("read the preset of %s: %w", name, err)
		}
		command := "yours"
		switch c := preset.Service.Command.(type) {
		case string:
			command = "`" + c + "`"
		case []any:
			command = "`" + strings.Trim(fmt.Sprint(c), "[]") + "`"
		}
		fmt.Fprintf(&b, "| [%s](#%[1]s) | %s | %s | %s |\n", name, command, code(preset.Sandbox.Allow), code(dropped(preset.Sandbox.Allow)))
		fmt.Fprintf(&presets, "\n## %s\n\n```toml\n%s```\n", name, text)
	}
	return []byte(b.String() + presets.String()), nil
}

// dropped are the directives that allowances leave out.
func dropped(allow []string) []string {
	var all []string
	for _, a := range unit.Allowances() {
		if slices.Contains(allow, a.Name) {
			all = append(all, a.Drops...)
		}
	}
	return all
}

// code lists names as code.
func code(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}
