package adopt

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// doc is the manifest being written.
type doc struct {
	top, paths, service, socket, env, dirs, sandbox []line
	pass                                            map[string][]line // [systemd.SECTION]

	from string // the setting that is being written; "": none of the service's
}

// line is one key of it.
type line struct {
	key, value string // value in TOML
	why        string // the comment behind it; "": none
	from       string // the setting that it stands for; "": none
}

// set adds a key to a table of the manifest.
func (d *doc) set(table *[]line, key, value, why string) {
	*table = append(*table, line{key, value, why, d.from})
}

// passLine adds a setting of systemd's. An assertion comes before all others: taken
// back, it takes back what stands before it.
func (d *doc) passLine(section string, l line) {
	if l.key == "AssertPathExists" {
		d.pass[section] = append([]line{l}, d.pass[section]...)
		return
	}
	d.pass[section] = append(d.pass[section], l)
}

// origin is the setting that a key of the manifest stands for, "" where it stands
// for none of the service's.
func (d *doc) origin(key string) string {
	table, name, ok := strings.Cut(key, ".")
	lines := map[string][]line{"paths": d.paths, "service": d.service, "socket": d.socket, "env": d.env, "dirs": d.dirs}[table]
	if !ok {
		lines, name = d.top, key
	}
	name, _, _ = strings.Cut(name, ".")
	for _, l := range lines {
		if l.key == name {
			return l.from
		}
	}
	return ""
}

// text is the whole manifest.
func (d *doc) text(header string) string {
	var b strings.Builder
	b.WriteString(header)
	writeLines(&b, d.top)
	for _, t := range []struct {
		name  string
		lines []line
	}{
		{"paths", d.paths},
		{"service", d.service},
		{"socket", d.socket},
		{"env", d.env},
		{"dirs", d.dirs},
		{"sandbox", d.sandbox},
		{"systemd.Unit", d.pass["Unit"]},
		{"systemd.Service", d.pass["Service"]},
		{"systemd.Socket", d.pass["Socket"]},
		{"systemd.Install", d.pass["Install"]},
	} {
		if len(t.lines) > 0 {
			b.WriteString("\n[" + t.name + "]\n")
			writeLines(&b, t.lines)
		}
	}
	return b.String()
}

func writeLines(b *strings.Builder, lines []line) {
	for _, l := range lines {
		b.WriteString(l.key + " = " + l.value)
		if l.why != "" {
			b.WriteString(" # " + l.why)
		}
		b.WriteString("\n")
	}
}

// passed is a value for a table of [systemd]. What is a number or a plain truth
// value there is written as such.
func passed(values []string, list bool) string {
	if len(values) == 1 && list {
		return tomlString(values[0])
	}
	if len(values) == 1 {
		v := values[0]
		if n, err := strconv.Atoi(v); err == nil && strconv.Itoa(n) == v {
			return v
		}
		switch v {
		case "yes", "true":
			return "true"
		case "no", "false":
			return "false"
		}
		return tomlString(v)
	}
	return tomlList(values)
}

// tomlList is a list of strings; a long one has a line for each.
func tomlList(values []string) string {
	quoted := make([]string, len(values))
	length := 0
	for i, v := range values {
		quoted[i] = tomlString(v)
		length += len(quoted[i])
	}
	if length > 90 && len(values) > 1 {
		return "[\n  " + strings.Join(quoted, ",\n  ") + ",\n]"
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// tomlString is a string of a manifest that means s, without references.
func tomlString(s string) string {
	s = strings.ReplaceAll(s, "${", "$${")
	if strings.ContainsAny(s, `"\`) && !strings.ContainsAny(s, "'") && !strings.ContainsFunc(s, unicode.IsControl) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
