package adopt

import (
	"path"
	"regexp"
	"strconv"
	"strings"
)

// unitName is the name of a unit taken apart (systemd.unit(5)).
type unitName struct {
	prefix   string // before the @
	instance string // behind it; "": it is no instance
	template bool   // there is an @ and nothing behind it
	suffix   string // .service
}

var unitNames = regexp.MustCompile(`^([A-Za-z0-9:_.\\-]+)(?:(@)([A-Za-z0-9:_.\\@-]*))?(\.(?:service|socket|timer|path|target|slice|mount|automount|swap|device|scope))$`)

func splitName(s string) (unitName, bool) {
	m := unitNames.FindStringSubmatch(s)
	if m == nil || len(s) > 255 {
		return unitName{}, false
	}
	return unitName{prefix: m[1], instance: m[3], template: m[2] != "" && m[3] == "", suffix: m[4]}, true
}

// String is the whole name.
func (n unitName) String() string {
	if n.instance != "" || n.template {
		return n.prefix + "@" + n.instance + n.suffix
	}
	return n.prefix + n.suffix
}

// templateName is the name of the template of an instance, "" where there is none.
func (n unitName) templateName() string {
	if n.instance == "" {
		return ""
	}
	return n.prefix + "@" + n.suffix
}

// dropInNames are the directories with drop-ins for a unit, the most special
// first: its own, its template's, those of its prefixes up to each dash (foo-bar
// has foo-.service.d too), and the one of its type.
func dropInNames(name string) []string {
	n, ok := splitName(name)
	if !ok {
		return nil
	}
	var dirs []string
	for prefix := n.prefix; ; {
		at := unitName{prefix: prefix, instance: n.instance, template: n.template, suffix: n.suffix}
		dirs = append(dirs, at.String()+".d")
		if t := at.templateName(); t != "" {
			dirs = append(dirs, t+".d")
		}
		dash := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
		if dash < 0 {
			return append(dirs, strings.TrimPrefix(n.suffix, ".")+".d")
		}
		prefix = prefix[:dash+1]
	}
}

// ownSpecifiers are the specifiers that a unit's name or place gives their value,
// so that they would change with it. All others mean the same in any unit.
func ownSpecifiers(n unitName, fragment string) map[byte]string {
	last := n.prefix[strings.LastIndexByte(n.prefix, '-')+1:]
	file := n.prefix
	if n.instance != "" {
		file = n.instance
	}
	return map[byte]string{
		'n': n.String(), 'N': strings.TrimSuffix(n.String(), n.suffix),
		'p': n.prefix, 'P': unescapeName(n.prefix),
		'i': n.instance, 'I': unescapeName(n.instance),
		'j': last, 'J': unescapeName(last),
		'f': "/" + strings.Trim(unescapeName(file), "/"),
		'y': fragment, 'Y': path.Dir(fragment),
	}
}

// systemSpecifiers are those with one value in every system service.
func systemSpecifiers() map[byte]string {
	return map[byte]string{'t': "/run", 'S': "/var/lib", 'C': "/var/cache", 'L': "/var/log", 'E': "/etc", '%': "%"}
}

// unescapeName undoes systemd-escape(1).
func unescapeName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '-' {
			b.WriteByte('/')
			continue
		}
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if c, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// expand fills in specifiers. keep is called for those that values does not have,
// and says what stands there instead.
func expand(s string, values map[byte]string, escape func(string) string, keep func(string) string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if v, ok := values[s[i]]; ok {
			b.WriteString(escape(v))
		} else {
			b.WriteString(keep(s[i-1 : i+1]))
		}
	}
	return b.String()
}
