package adopt

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/landfast/landfast/internal/unit"
)

// translate writes the manifest: what a key stands for by its key, everything else
// as a setting of systemd's.
func (a *adoption) translate() {
	a.doc.pass = map[string][]line{}
	a.doc.set(&a.doc.top, "name", tomlString(a.app), "")
	keys := a.keys()
	for _, s := range a.settings {
		if len(s.values) == 0 && !s.reset {
			continue
		}
		a.doc.from = s.id()
		if key := keys[s.id()]; key == nil || a.forced[s.id()] || !key(s) {
			a.pass(s)
		}
	}
	a.doc.from = ""
	a.accounts()
	a.command()
	a.socketKeys()
	a.neutral()
	a.doc.set(&a.doc.sandbox, "profile", `"none"`, "as it is; \"strict\" would add what adopt lists")
}

// keys are the directives that a key of the manifest stands for. Each says whether
// the key can carry the value so that the same line comes out.
func (a *adoption) keys() map[string]func(setting) bool {
	d := &a.doc
	drop := func(setting) bool { return true } // written elsewhere
	return map[string]func(setting) bool{
		"Unit.Description":                 func(s setting) bool { return a.literalKey(&d.top, "description", s) },
		"Unit.After":                       a.after,
		"Unit.Wants":                       func(s setting) bool { return a.unitsKey("wants", s) },
		"Unit.Requires":                    func(s setting) bool { return a.socket == nil && a.unitsKey("requires", s) },
		"Service.Type":                     a.kind,
		"Service.User":                     drop,
		"Service.Group":                    drop,
		"Service.DynamicUser":              drop,
		"Service.ExecStart":                drop,
		"Service.ExecStartPre":             a.beforeStart,
		"Service.ExecReload":               func(s setting) bool { return a.commandKey("reload", s) },
		"Service.ExecStop":                 func(s setting) bool { return a.commandKey("stop", s) },
		"Service.Restart":                  func(s setting) bool { return a.literalKey(&d.service, "restart", s) },
		"Service.RestartSec":               func(s setting) bool { return a.spanKey("restart_delay", s) },
		"Service.TimeoutStartSec":          func(s setting) bool { return a.spanKey("start_timeout", s) },
		"Service.TimeoutStopSec":           func(s setting) bool { return a.spanKey("stop_timeout", s) },
		"Service.LimitNOFILE":              a.limitNofile,
		"Service.LimitCORE":                func(s setting) bool { return a.literalKey(&d.service, "limit_core", s) },
		"Service.UMask":                    a.umask,
		"Service.SyslogIdentifier":         func(s setting) bool { return a.literalKey(&d.service, "identifier", s) },
		"Service.WorkingDirectory":         a.working,
		"Service.EnvironmentFile":          a.envFiles,
		"Service.RuntimeDirectory":         func(s setting) bool { return a.dirKey("runtime", s) },
		"Service.StateDirectory":           func(s setting) bool { return a.dirKey("state", s) },
		"Service.CacheDirectory":           func(s setting) bool { return a.dirKey("cache", s) },
		"Service.LogsDirectory":            func(s setting) bool { return a.dirKey("logs", s) },
		"Service.RuntimeDirectoryMode":     func(setting) bool { return a.plainDir("RuntimeDirectory") },
		"Service.StateDirectoryMode":       func(setting) bool { return a.plainDir("StateDirectory") },
		"Service.CacheDirectoryMode":       func(setting) bool { return a.plainDir("CacheDirectory") },
		"Service.LogsDirectoryMode":        func(setting) bool { return a.plainDir("LogsDirectory") },
		"Service.RuntimeDirectoryPreserve": func(setting) bool { return a.plainDir("RuntimeDirectory") },
		"Install.WantedBy":                 a.wantedBy,
		"Install.DefaultInstance":          drop, // of a template, which this is no more
	}
}

// get is a setting of the service; one without values where it is not set.
func (a *adoption) get(section, name string) setting {
	for _, s := range a.settings {
		if s.section == section && s.name == name {
			return s
		}
	}
	return setting{section: section, name: name}
}

// pass writes a setting as systemd's own. Where a plan has the same list, ours is
// taken back first.
func (a *adoption) pass(s setting) {
	if why, left := a.left[s.id()]; left {
		a.gap(s.id()+"="+s.text(), "%s", why)
		return
	}
	values := s.values
	if !s.list() && !slices.Contains(values, "") && len(values) > 1 {
		values = values[len(values)-1:] // systemd keeps the last one
	}
	if s.reset || plansList(s.id()) {
		values = append([]string{""}, values...)
	}
	clean := make([]string, 0, len(values))
	for _, v := range values {
		c, ok := untab(s.name, v)
		if !ok {
			a.gap(s.id()+"="+v, "it has a control character, which no manifest can hold")
			continue
		}
		clean = append(clean, c)
	}
	if len(clean) == 0 {
		return
	}
	a.doc.passLine(s.section, line{key: s.name, value: passed(clean, s.list())})
}

// untab writes the tabs of a value so that a manifest can hold them.
func untab(name, value string) (string, bool) {
	var b strings.Builder
	var quote rune
	for _, r := range value {
		switch {
		case r == '\t' && quote != 0 && (isCommand(name) || name == "Environment"):
			b.WriteString(`\t`)
			continue
		case r == '\t':
			r = ' '
		case r < ' ' || 0x7f <= r && r <= 0x9f:
			return "", false
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		}
		b.WriteRune(r)
	}
	return b.String(), true
}

// literal is a value that the rest of the line is, as a key of the manifest has
// it. It is none when something in it has a meaning that a key cannot give.
func literal(value string) (string, bool) {
	ok := !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || 0x7f <= r && r <= 0x9f })
	same := func(s string) string { return s }
	return expand(value, systemSpecifiers(), same, func(s string) string { ok = false; return s }), ok
}

func (a *adoption) literalKey(table *[]line, key string, s setting) bool {
	v, ok := literal(s.last())
	if !ok || v == "" || slices.Contains(s.values, "") || key == "limit_core" && !limits.MatchString(v) {
		return false
	}
	a.doc.set(table, key, tomlString(v), "")
	return true
}

var (
	limits = regexp.MustCompile(`^(infinity|[0-9]+[KMGTPE]?)(:(infinity|[0-9]+[KMGTPE]?))?$`)
	modes  = regexp.MustCompile(`^[0-7]{3,4}$`)
	spans  = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([a-z]*) *`)
)

// unitsKey writes units to be started before or with this one.
func (a *adoption) unitsKey(key string, s setting) bool {
	for _, w := range s.words() {
		if _, ok := splitName(w); !ok {
			return false
		}
	}
	a.doc.set(&a.doc.service, key, tomlList(s.words()), "")
	return true
}

// after leaves out network.target, which a plan has in any case. Without that one
// it takes ours back.
func (a *adoption) after(s setting) bool {
	const ours = "network.target"
	words := s.words()
	if !slices.Contains(words, ours) {
		return false
	}
	s.values = []string{strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == ours }), " ")}
	return s.values[0] == "" || a.unitsKey("after", s)
}

func (a *adoption) kind(s setting) bool {
	a.doc.set(&a.doc.service, "type", tomlString(a.typeKey()), "")
	return a.typeKey() == s.last()
}

// implied is the type of a service that does not say (systemd.service(5)).
func implied(get func(section, name string) setting) string {
	switch {
	case get("Service", "Type").last() != "":
		return get("Service", "Type").last()
	case get("Service", "BusName").last() != "":
		return "dbus"
	case len(get("Service", "ExecStart").values) > 0:
		return "simple"
	}
	return "oneshot"
}

// typeKey is the type that the key can say; [systemd.Service] says the others.
func (a *adoption) typeKey() string {
	if t := implied(a.get); slices.Contains([]string{"simple", "exec", "notify", "forking", "oneshot"}, t) {
		return t
	}
	return "simple"
}

// span reads a time span (systemd.time(7)).
func span(s string) (time.Duration, bool) {
	units := map[string]time.Duration{
		"us": time.Microsecond, "usec": time.Microsecond, "ms": time.Millisecond, "msec": time.Millisecond,
		"": time.Second, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
		"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute,
		"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
		"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	}
	rest, total := strings.TrimSpace(s), 0.0
	for rest != "" {
		m := spans.FindStringSubmatch(rest)
		if m == nil || units[m[2]] == 0 {
			return 0, false
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, false
		}
		total += n * float64(units[m[2]])
		rest = rest[len(m[0]):]
	}
	return time.Duration(total), strings.TrimSpace(s) != "" && total < float64(360*24*time.Hour)
}

// spanKey writes a time. A key of no time means systemd's default, which nothing
// is not.
func (a *adoption) spanKey(key string, s setting) bool {
	d, ok := span(s.last())
	if !ok || d < time.Microsecond || d%time.Microsecond != 0 || slices.Contains(s.values, "") {
		return false
	}
	text := s.last()
	if _, err := strconv.Atoi(text); err == nil {
		text += "s"
	}
	a.doc.set(&a.doc.service, key, tomlString(text), "")
	return true
}

func (a *adoption) limitNofile(s setting) bool {
	n, err := strconv.Atoi(s.last())
	if err != nil || n < 1 || n > 1<<30 || slices.Contains(s.values, "") {
		return false
	}
	a.doc.set(&a.doc.service, "limit_nofile", strconv.Itoa(n), "")
	return true
}

func (a *adoption) umask(s setting) bool {
	if !modes.MatchString(s.last()) {
		return false
	}
	a.doc.set(&a.doc.service, "umask", tomlString(s.last()), "")
	return true
}

func (a *adoption) working(s setting) bool {
	v, ok := literal(s.last())
	if !ok || unit.CheckPath(v) != nil || slices.Contains(s.values, "") {
		return false
	}
	a.doc.set(&a.doc.paths, "working", tomlString(v), "")
	return true
}

// envFiles writes files of variables. A key takes the name of one file, and
// systemd a pattern.
func (a *adoption) envFiles(s setting) bool {
	var files []string
	for _, v := range s.values {
		f, ok := literal(v)
		p := strings.TrimPrefix(f, "-")
		if !ok || strings.ContainsAny(p, `*?[\`) || unit.CheckPath(p) != nil {
			return false
		}
		files = append(files, f)
	}
	if s.reset && len(files) == 0 {
		return true
	}
	a.doc.set(&a.doc.env, "files", tomlList(files), "")
	return true
}

// wantedBy leaves out what a plan has in any case.
func (a *adoption) wantedBy(s setting) bool {
	words := s.words()
	return len(words) == 1 && words[0] == "multi-user.target"
}

var dirNames = regexp.MustCompile(`^[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)*$`)

// plainDir reports whether a key can keep the directory of a directive: there is
// one, and it has no link to it.
func (a *adoption) plainDir(directive string) bool {
	words := a.get("Service", directive).words()
	if a.forced["Service."+directive] || len(words) != 1 || !dirNames.MatchString(words[0]) || strings.Contains(words[0], "..") || path.Clean(words[0]) != words[0] {
		return false
	}
	mode := a.get("Service", directive+"Mode")
	preserve := a.get("Service", directive+"Preserve")
	return (len(mode.values) == 0 || modes.MatchString(mode.last())) &&
		(len(preserve.values) == 0 || slices.Contains([]string{"no", "yes", "restart"}, preserve.last()))
}

// dirKey writes a directory with its mode.
func (a *adoption) dirKey(kind string, s setting) bool {
	if !a.plainDir(s.name) {
		return false
	}
	mode := a.get("Service", s.name+"Mode").last()
	if mode == "" {
		mode = "0755" // systemd's
	}
	value := "{ name = " + tomlString(s.words()[0]) + ", mode = " + tomlString(mode)
	if p := a.get("Service", s.name+"Preserve").last(); p != "" {
		value += ", preserve = " + tomlString(p)
	}
	a.doc.set(&a.doc.dirs, kind, value+" }", "")
	return true
}
