package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
)

// TestTutorial types every command of the tutorial into a machine, in order, and
// compares what it prints with what the tutorial says.
func TestTutorial(t *testing.T) {
	labtest.Require(t)
	text, err := os.ReadFile("../../../../docs/tutorial/first-app.md")
	if err != nil {
		t.Fatal(err)
	}
	typed := console(string(text))
	if len(typed) < 15 {
		t.Fatalf("the tutorial has %d commands only", len(typed))
	}
	b, err := build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.remove(); err != nil {
			t.Error(err)
		}
	})
	labtest.Each(t, func(t *testing.T, m *lab.Machine) {
		if err := b.place(m); err != nil {
			t.Fatal(err)
		}
		for _, c := range typed {
			r, err := m.Run(t.Context(), lab.Cmd{Argv: []string{"bash", "-c", "exec 2>&1; " + c.line}, Dir: "/root/web"})
			if err != nil {
				t.Fatal(err)
			}
			if r.Code != 0 {
				t.Fatalf("$ %s\nexit code %d\n%s", c.line, r.Code, r.Stdout)
			}
			if !c.prints(r.Stdout) {
				t.Fatalf("$ %s\nprints\n%s\nand the tutorial says\n%s", c.line, r.Stdout, strings.Join(c.want, "\n"))
			}
		}
	})
}

// typed is one command of the tutorial and what it says that is printed.
type typed struct {
	line string
	want []string
}

// console finds the commands in the blocks of Markdown that are marked "console".
func console(text string) []typed {
	var all []typed
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch command, ok := strings.CutPrefix(line, "$ "); {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case ok:
			all = append(all, typed{line: command})
		default:
			last := &all[len(all)-1]
			last.want = append(last.want, line)
		}
	}
	return all
}

// prints tells whether got is what the tutorial says: "…" in a line stands for
// anything in it, a line that is only "…" for any lines.
func (c typed) prints(got string) bool {
	var pattern strings.Builder
	for _, line := range c.want {
		if line == "…" {
			pattern.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		parts := strings.Split(line, "…")
		for i, p := range parts {
			parts[i] = regexp.QuoteMeta(p)
		}
		pattern.WriteString(strings.Join(parts, `[^\n]*`) + `\n`)
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`).MatchString(got)
}

func TestTutorialIsComparedStrictly(t *testing.T) {
	c := console("```sh\n$ not this\n```\n```console\n$ ls\none\nt…o\n…\nend\n$ true\n```\n")
	if len(c) != 2 || c[0].line != "ls" || len(c[1].want) != 0 {
		t.Fatalf("found %+v", c)
	}
	for got, want := range map[string]bool{
		"one\ntwo\nend\n":              true,
		"one\nt o\nmore\nstill\nend\n": true,
		"one\ntwo\n":                   false,
		"one\nwo\nend\n":               false,
		"one\ntwo\nend\nmore\n":        false,
		"zero\none\ntwo\nend\n":        false,
	} {
		if c[0].prints(got) != want {
			t.Errorf("prints(%q) is %v", got, !want)
		}
	}
	if c[1].prints("something\n") || !c[1].prints("") {
		t.Error("a command without output may print")
	}
}
