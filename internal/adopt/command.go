package adopt

import (
	"path"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/unit"
)

// exact gives the words of a command that a key of the manifest can carry: systemd
// would expand nothing in it. prefixes are those that the key takes.
func exact(value, prefixes string) (words []string, ok bool) {
	words, err := unit.Words(value)
	if err != nil || len(words) == 0 || slices.Contains(words, ";") {
		return nil, false // several commands in one line, or a ";" that is an argument
	}
	prefix, program := cutPrefix(words[0])
	if strings.Trim(prefix, prefixes) != "" || strings.Count(prefix, "-") > 1 || strings.Count(prefix, "+") > 1 || len(prefix) > 3 {
		return nil, false
	}
	words[0] = program
	for i, w := range words {
		if words[i], ok = literal(w); !ok {
			return nil, false
		}
		w = strings.ReplaceAll(words[i], "$$", "")
		if strings.Contains(w, "$") {
			return nil, false
		}
		words[i] = strings.ReplaceAll(words[i], "$$", "$")
	}
	program = words[0]
	if strings.Contains(program, "$") || strings.Contains(program, "/") && path.Clean(program) != program {
		return nil, false
	}
	if _, err := unit.Command("", words); err != nil {
		return nil, false
	}
	words[0] = prefix + program
	return words, true
}

// cutPrefix takes systemd's special prefixes off a program.
func cutPrefix(program string) (prefix, rest string) {
	rest = strings.TrimLeft(program, "-@:+!|")
	return program[:len(program)-len(rest)], rest
}

func (a *adoption) beforeStart(s setting) bool {
	var list []string
	for _, v := range s.values {
		words, ok := exact(v, "-+!")
		if !ok {
			return false
		}
		list = append(list, tomlList(words))
	}
	switch {
	case len(list) == 1:
		a.doc.set(&a.doc.service, "before_start", "["+list[0]+"]", "")
	case len(list) > 1:
		a.doc.set(&a.doc.service, "before_start", "[\n  "+strings.Join(list, ",\n  ")+",\n]", "")
	}
	return true
}

// commandKey writes the one command of a key.
func (a *adoption) commandKey(key string, s setting) bool {
	if len(s.values) != 1 {
		return false
	}
	words, ok := exact(s.values[0], "-+!")
	if ok {
		a.doc.set(&a.doc.service, key, tomlList(words), "")
	}
	return ok
}

// command writes what the service runs. Where a key cannot say it, the key names
// the program, and [systemd.Service] has the line.
func (a *adoption) command() {
	s := a.get("Service", "ExecStart")
	if len(s.values) == 1 {
		if words, ok := exact(s.values[0], ""); ok {
			a.doc.service = slices.Insert(a.doc.service, 0, line{key: "command", value: tomlList(words)})
			return
		}
	}
	program, why := "/bin/true", "not run: the service has no command of its own"
	if len(s.values) > 0 {
		why = "systemd runs what [systemd.Service] ExecStart says"
		if words, err := unit.Words(s.values[0]); err == nil && len(words) > 0 {
			if _, p := cutPrefix(words[0]); p != "" {
				program = p
			}
		}
		if p, ok := literal(program); ok {
			program = path.Clean(p)
		}
		if _, err := unit.Command("", []string{program}); err != nil || !strings.HasPrefix(program, "/") && strings.Contains(program, "/") {
			program = "/bin/true"
		}
	}
	a.doc.service = slices.Insert(a.doc.service, 0, line{key: "command", value: tomlList([]string{program}), why: why})
	s.reset = true
	a.pass(s)
}
