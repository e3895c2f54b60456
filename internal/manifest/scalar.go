package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// boolean is true or false.
type boolean struct {
	src *node
	on  bool
}

func (b *boolean) decode(d *decoder, key string, n *node) {
	if n.kind != boolNode {
		d.wrongType(key, n, "true or false")
		return
	}
	b.src, b.on = n, n.text == "true"
}

func (b *boolean) label() string { return "boolean" }

func (b *boolean) schema() *jsonschema.Schema { return &jsonschema.Schema{Type: "boolean"} }

// integer is a whole number between two bounds.
type integer struct {
	low, high int
	src       *node
	n         int
}

// between bounds i.
func (i *integer) between(low, high int) value {
	i.low, i.high = low, high
	return i
}

func (i *integer) decode(d *decoder, key string, n *node) {
	if n.kind != integerNode {
		d.wrongType(key, n, "an integer")
		return
	}
	v, err := n.integer()
	if err != nil || v < int64(i.low) || v > int64(i.high) {
		d.at(n, key, fmt.Sprintf("%s is not between %d and %d", n.raw, i.low, i.high), "")
		return
	}
	i.src, i.n = n, int(v)
}

func (i *integer) label() string { return "integer" }

func (i *integer) schema() *jsonschema.Schema {
	low, high := float64(i.low), float64(i.high)
	return &jsonschema.Schema{Type: "integer", Minimum: &low, Maximum: &high}
}

// texts is a list of texts; a single one stands for a list of it.
type texts struct {
	form *form
	src  *node
	list []*text
}

// as makes the members of t values of form f.
func (t *texts) as(f *form) value {
	t.form = f
	return t
}

func (t *texts) decode(d *decoder, key string, n *node) {
	t.src = n
	if n.kind != arrayNode && n.kind != stringNode && (n.kind != integerNode || !t.form.number) {
		d.wrongType(key, n, t.form.name()+" or a "+t.label())
		return
	}
	if n.kind != arrayNode {
		one := &text{form: t.form}
		one.decode(d, key, n)
		t.list = append(t.list, one)
		return
	}
	for i, item := range n.items {
		one := &text{form: t.form}
		one.decode(d, key+"["+itoa(i)+"]", item)
		t.list = append(t.list, one)
	}
}

// values are the values of the good members.
func (t *texts) values() []string {
	var values []string
	for _, one := range t.list {
		if one.ok() {
			values = append(values, one.value)
		}
	}
	return values
}

func (t *texts) label() string {
	if len(t.form.words) > 0 {
		one := &text{form: t.form}
		return "list of " + one.label()
	}
	if strings.HasSuffix(t.form.label, "s") {
		return "list of " + t.form.label + "es"
	}
	return "list of " + t.form.label + "s"
}

func (t *texts) schema() *jsonschema.Schema {
	one := t.form.schema()
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{one, {Type: "array", Items: one}}}
}

// plainNumber is how a number reaches the app: integers in decimal, fractions
// as they were written, both without the underscores between digits.
func plainNumber(n *node) (string, error) {
	if n.kind == integerNode {
		v, err := n.integer()
		return strconv.FormatInt(v, 10), err
	}
	return strings.ReplaceAll(n.raw, "_", ""), nil
}
