package manifest

import (
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// directives is [systemd]: systemd's own settings, by section.
type directives struct {
	unit, service, socket, install passthrough
	timer                          passthrough
	timed                          bool // there is a timer instead of a socket
}

// withTimer lets s have settings of a timer instead of a socket.
func (s *directives) withTimer() *directives {
	s.timed = true
	return s
}

// passthrough is one section of them.
type passthrough struct {
	section string
	list    []*directive
}

// directive is one setting, in the order of the text.
type directive struct {
	owner  *passthrough
	name   string
	values []*text
}

const directivePattern = `^[A-Z][A-Za-z0-9]*$`

func (s *directives) keys() []key {
	third := key{name: "Socket", value: &table{section: s.socket.of("Socket")}, doc: "[Socket], where there is one."}
	if s.timed {
		third = key{name: "Timer", value: &table{section: s.timer.of("Timer")}, doc: "[Timer]."}
	}
	return []key{
		{name: "Unit", value: &table{section: s.unit.of("Unit")}, doc: "[Unit] of the service."},
		{name: "Service", value: &table{section: s.service.of("Service")}, doc: "[Service]."},
		third,
		{name: "Install", value: &table{section: s.install.of("Install")}, doc: "[Install] of the unit that is started with the machine."},
	}
}

// of tells p its section.
func (p *passthrough) of(section string) *passthrough {
	p.section = section
	return p
}

func (p *passthrough) keys() []key { return nil }

func (p *passthrough) free(name string) (value, *flaw) {
	if _, ok := unit.Lookup(p.section, name); !ok {
		return nil, p.unknown(name)
	}
	return &directive{owner: p, name: name}, nil
}

// unknown says what is wrong with a name that is not in systemd's section.
func (p *passthrough) unknown(name string) *flaw {
	if in := unit.SectionsOf(name); len(in) > 0 {
		return &flaw{quote(name) + " is no setting of [" + p.section + "]", "systemd has it in [" + strings.Join(in, "] and [") + "]"}
	}
	hint := didYouMean(name, unit.Names(p.section))
	for _, section := range unit.Sections() {
		if near := nearest(name, unit.Names(section)); near != "" && hint == "" {
			hint = "did you mean " + quote(near) + " of [" + section + "]?"
		}
	}
	if hint == "" {
		hint = "systemd's settings are written like OOMScoreAdjust; those up to version " + itoa(unit.Newest) + " are known"
	}
	return &flaw{quote(name) + " is not the name of a systemd setting", hint}
}

func (p *passthrough) freeValue() (v value, pattern string) {
	return &directive{}, directivePattern
}

func (p *passthrough) freeDoc() (doc, example string) {
	switch p.section {
	case "Unit":
		example = `Documentation = "https://example.org/runbook"`
	case "Service":
		example = `OOMScoreAdjust = -500`
	case "Timer":
		example = `AccuracySec = "1s"`
	case "Socket":
		example = `KeepAlive = true`
	default:
		example = `WantedBy = ["shop.target"]`
	}
	return "A setting of systemd. A list becomes several lines; an empty list or string takes back what stood there before.", example
}

func (x *directive) decode(d *decoder, key string, n *node) {
	x.owner.list = append(x.owner.list, x)
	if n.kind != arrayNode {
		x.add(d, key, n)
		return
	}
	for i, item := range n.items {
		x.add(d, key+"["+itoa(i)+"]", item)
	}
	if len(n.items) == 0 {
		x.literal(d, key, n, "")
	}
}

// add takes one value.
func (x *directive) add(d *decoder, key string, n *node) {
	switch n.kind {
	case stringNode:
		t := &text{form: anyText}
		t.decode(d, key, n)
		x.values = append(x.values, t)
	case boolNode:
		x.literal(d, key, n, map[string]string{"true": "yes", "false": "no"}[n.text])
	case integerNode, floatNode:
		s, err := plainNumber(n)
		if err != nil {
			d.at(n, key, err.Error(), "write it as a string")
			return
		}
		x.literal(d, key, n, s)
	default:
		d.wrongType(key, n, "a string, a number, a boolean or a list of these")
	}
}

// literal takes a value without references.
func (x *directive) literal(d *decoder, key string, n *node, s string) {
	t := &text{form: anyText, parts: []part{{literal: s}}}
	d.track(t, key, n)
	x.values = append(x.values, t)
}

func (x *directive) label() string { return "string, number, boolean, or list of these" }

func (x *directive) schema() *jsonschema.Schema {
	one := &jsonschema.Schema{Types: []string{"string", "number", "boolean"}, Pattern: cleanPattern}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}
}

func (s *directives) build(d *decoder, socket bool) []landfast.Directive {
	var built []landfast.Directive
	for _, p := range []*passthrough{&s.unit, &s.service, &s.socket, &s.timer, &s.install} {
		for _, x := range p.list {
			for _, t := range x.values {
				if p == &s.socket && !socket {
					d.flaw(t, &flaw{"there is no socket to set this for", "add a [socket] section"})
				}
				if t.ok() {
					built = append(built, landfast.Directive{Section: p.section, Name: x.name, Value: t.value})
				}
			}
		}
	}
	return built
}
