package main

import (
	"fmt"
	"strings"
	"testing"
)

// A row that shows what is not rendered, or hides what is, is an error.
func TestARowCannotLie(t *testing.T) {
	row := func(shows ...string) capability {
		return capability{what: "x", manifest: "[env]\nPORT = 1", shows: of(shows...)}
	}
	if got, err := row("Environment=PORT", "!Environment=HOME").quote(); err != nil || strings.Join(got, "\n") != "Environment=PORT=1\nno Environment=HOME" {
		t.Errorf("quoted %q, %v", got, err)
	}
	for name, c := range map[string]capability{
		"not rendered":        row("Environment=HOME"),
		"rendered":            row("!Environment=PORT"),
		"no such file":        {manifest: `name = "web"`, shows: and(nil, "web.socket", "ListenStream=")},
		"not a manifest":      {manifest: "[service]\ncomand = 1", shows: of("ExecStart=")},
		"nothing of the kind": {manifest: `name = "web"`, shows: and(nil, "note", "systemd")},
	} {
		if got, err := c.quote(); err == nil {
			t.Errorf("%s: quoted %q", name, got)
		}
	}
}

// Every requirement has a row.
func TestEveryRequirementHasARow(t *testing.T) {
	page, err := capabilitiesPage()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cell := strings.Split(line, " | "); len(cell) > 2 {
			for number := range strings.SplitSeq(strings.TrimPrefix(cell[0], "| "), ", ") {
				told[number] = true
			}
		}
	}
	for name, n := range map[string]int{"MIX": 14, "NICE": 13} {
		for i := range n {
			if number := fmt.Sprintf("%s %d", name, i+1); !told[number] {
				t.Errorf("there is no row for %s", number)
			}
		}
	}
}
