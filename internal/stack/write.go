package stack

import (
	"strings"
)

// Manifest is the text of a manifest that says what was guessed. file is the name
// it will have.
func (g *Guess) Manifest() string {
	var b strings.Builder
	line := func(s ...string) { b.WriteString(strings.Join(s, "") + "\n") }
	line("# What `landfast init` made of this project. `landfast check` says what is wrong")
	line("# with it, `landfast render` what becomes of it.")
	line("name = ", quoted(g.Name))
	if g.release != "" {
		line("release_name = ", quoted(g.release))
	}
	if g.Stack != "" {
		line("stack = ", quoted(g.Stack))
	}
	for _, n := range g.notes {
		line("# Note: ", n, ".")
	}
	if g.source != "" {
		line("\n[source]\n# ", sentence(g.built), "\ndir = ", quoted(g.source))
	}
	g.writeService(line)
	g.writeEnv(line)
	if len(g.dirs) > 0 {
		line("\n[dirs]")
		for _, s := range g.dirs {
			if s.comment != "" {
				line("# ", s.comment)
			}
			line(s.key, " = ", s.value)
		}
	}
	if g.health != "" {
		line("\n[health]\n# A release stays only if this answers well.\nhttp = ", quoted(g.health))
	}
	return b.String()
}

func (g *Guess) writeService(line func(...string)) {
	if g.command == nil {
		return
	}
	line("\n[service]\n# ", sentence(g.commands))
	words := make([]string, len(g.command))
	for i, w := range g.command {
		words[i] = quoted(w)
	}
	if plainWords(g.command) {
		line("command = ", quoted(strings.Join(g.command, " ")))
	} else {
		line("command = [", strings.Join(words, ", "), "]")
	}
}

func (g *Guess) writeEnv(line func(...string)) {
	if len(g.env) == 0 && !g.files {
		return
	}
	line("\n[env]")
	if g.files {
		line("# For secrets, such as SECRET_KEY_BASE: lines NAME=value that only root can read.")
		line(`files = ["-/etc/`, strings.ReplaceAll(g.Name, "_", "-"), `/environment"]`)
	}
	for _, s := range g.env {
		if s.comment != "" {
			line("# ", s.comment)
		}
		line(s.key, " = ", s.value)
	}
}

// plainWords reports whether words can be written as one string.
func plainWords(words []string) bool {
	for _, w := range words {
		if w == "" || strings.ContainsAny(w, " '\"\\|&;<>`()*") {
			return false
		}
	}
	return true
}

// quoteWords shows words as a person would type them.
func quoteWords(words []string) string {
	if plainWords(words) {
		return strings.Join(words, " ")
	}
	shown := make([]string, len(words))
	for i, w := range words {
		shown[i] = quoted(w)
	}
	return strings.Join(shown, " ")
}

// quoted is s as a TOML string.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// sentence is s with a full stop, and a capital where it does not begin with the
// name of a file.
func sentence(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if !strings.ContainsAny(first, "./") {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	return s + "."
}
