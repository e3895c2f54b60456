package manifest

import (
	"maps"
	"slices"
	"strings"
)

// frame is a text being resolved and the reference in it that is followed.
type frame struct {
	text *text
	part part
}

// resolve gives every text its value.
func (d *decoder) resolve() {
	for _, t := range d.texts {
		d.resolveText(t, nil)
	}
}

// resolveText gives t its value: references first, those in them before, then
// the check of its form. It reports whether t has one. A text made of a bad
// one is bad without another word.
func (d *decoder) resolveText(t *text, stack []frame) bool {
	if t.state != raw {
		return t.ok()
	}
	t.state = resolving
	var b strings.Builder
	good := t.src != nil
	for _, p := range t.parts {
		if p.ref == "" && p.text == nil {
			b.WriteString(p.literal)
			good = good && p.pos >= 0
			continue
		}
		s, ok := d.follow(append(stack, frame{t, p}))
		b.WriteString(s)
		good = good && ok
	}
	t.value, t.state = b.String(), resolved
	if t.derive != nil {
		t.value = t.derive(t.value)
	}
	if !good || !d.check(t) {
		t.state = bad
	}
	return t.ok()
}

// follow is the value of the reference on top of stack.
func (d *decoder) follow(stack []frame) (string, bool) {
	top := stack[len(stack)-1]
	target := d.target(top.text, top.part)
	switch {
	case target == nil:
		d.unknownRef(top)
		return "", false
	case target.state == resolving:
		d.cycle(stack, target)
		return "", false
	}
	ok := d.resolveText(target, stack)
	return target.value, ok
}

// target is what the reference p in t stands for, or nil. A text of a section
// with names of its own does not refer to itself but to what it shadows.
func (d *decoder) target(t *text, p part) *text {
	if p.text != nil {
		return p.text
	}
	if own := t.local[p.ref]; own != nil && own != t {
		return own
	}
	return d.refs[p.ref]
}

// cycle reports texts that are made of each other, at the first of them that
// the manifest itself sets.
func (d *decoder) cycle(stack []frame, target *text) {
	from := slices.IndexFunc(stack, func(f frame) bool { return f.text == target })
	loop := stack[from:]
	names := []string{}
	for _, f := range loop {
		names = append(names, f.part.ref)
	}
	// Begin with the one that is reported.
	at := max(slices.IndexFunc(loop, func(f frame) bool { return f.text.given() }), 0)
	names = append(names[at:len(names):len(names)], names[:at]...)
	chain := names[len(names)-1] + " → " + strings.Join(names, " → ")
	msg := "refers to itself: " + chain
	f := loop[at]
	hint := ""
	if strings.ToUpper(f.part.ref) == f.part.ref {
		hint = "the variables of the host are not known here, only those of [env]"
	}
	d.add(f.text.src.src, f.part.pos, f.text.key, msg, hint)
}

// unknownRef reports a reference to nothing.
func (d *decoder) unknownRef(f frame) {
	ref := f.part.ref
	msg := "unknown reference ${" + ref + "}"
	hint := didYouMean(ref, slices.Concat(slices.Sorted(maps.Keys(f.text.local)), slices.Sorted(maps.Keys(d.refs))))
	switch {
	case ref == instanceRef:
		msg, hint = "there are no instances here", "${instance} is for [services.NAME] with instances"
	case ref == privatePort:
		hint = "a release has a port of its own with the strategies steer and relay"
	case d.off[ref] != "":
		msg = "${" + ref + "} refers to a directory that is not switched on"
		hint = "write " + d.off[ref] + " = true in [dirs]"
	case strings.ContainsAny(ref, ":?"):
		hint = "a reference is a name only; set the variable in [env]"
	case hint == "" && strings.ToUpper(ref) == ref:
		hint = "set it in [env], or write $${" + ref + "} for a literal ${" + ref + "}"
	case hint == "":
		hint = "write $${ for a literal ${"
	}
	d.add(f.text.src.src, f.part.pos, f.text.key, msg, hint)
}

// check holds t against its form.
func (d *decoder) check(t *text) bool {
	f := t.form
	if len(f.words) > 0 && !slices.Contains(f.words, t.value) {
		hint := didYouMean(t.value, f.words)
		d.flaw(t, &flaw{quote(t.value) + " is not " + f.name(), hint})
		return false
	}
	if f.check == nil {
		return true
	}
	clean, flaw := f.check(t.value)
	if flaw != nil {
		d.flaw(t, flaw)
		return false
	}
	t.value = clean
	return true
}

// flaw reports what is wrong with the value of t.
func (d *decoder) flaw(t *text, f *flaw) {
	place := d.origin(t)
	d.at(place, t.key, f.msg, f.hint)
}

// origin is where a person can change the value of t: itself, or for a default
// the first text of the manifest that it is made of.
func (d *decoder) origin(t *text) *node {
	if t.given() {
		return t.src
	}
	for _, p := range t.parts {
		if target := d.target(t, p); target != nil && target != t {
			if n := d.origin(target); n != d.root {
				return n
			}
		}
	}
	return d.root
}
