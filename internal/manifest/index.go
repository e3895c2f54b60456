package manifest

import "strings"

// known is a key of the description and the sections that have it; "" is the
// top.
type known struct {
	name     string
	sections []string
}

// place says where the key stands.
func (k *known) place() string {
	if k.sections[0] == "" {
		return "belongs at the top, before any [section]"
	}
	return "belongs in [" + strings.Join(k.sections, "] or [") + "]"
}

// index says in which sections each key of the description stands, by our name
// and by systemd's. Sections of the user's own naming are left out where there
// is another one.
func index() map[string]*known {
	all := map[string]*known{}
	own := map[string]*known{}
	add := func(to map[string]*known, name, section string, k key) {
		if to[name] == nil {
			to[name] = &known{name: k.name}
		}
		to[name].sections = append(to[name].sections, section)
	}
	m := &manifest{}
	for _, k := range m.keys() {
		inner, section, to := []key{k}, "", all
		if t, ok := k.value.(*table); ok {
			inner, section = t.section.keys(), k.name
			if s, ok := member(t.section); ok {
				inner, section, to = s.keys(), k.name+".NAME", own
			}
		}
		for _, one := range inner {
			add(to, one.name, section, one)
			if one.directive != "" {
				add(to, one.directive, section, one)
			}
		}
	}
	for name, k := range own {
		if all[name] == nil {
			all[name] = k
		}
	}
	return all
}

// member is the kind of section that the tables in s are, if s takes tables of
// the user's own naming.
func member(s section) (section, bool) {
	f, ok := s.(freeSection)
	if !ok {
		return nil, false
	}
	v, _ := f.freeValue()
	inner, ok := v.(section)
	return inner, ok
}

// isTable reports whether k is a section, rather than a key of one.
func (k key) isTable() bool {
	_, ok := k.value.(*table)
	return ok
}
