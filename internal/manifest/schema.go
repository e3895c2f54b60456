package manifest

import (
	"encoding/json"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema is the JSON Schema (draft 2020-12) of a manifest, for editors. What it
// refuses, Parse refuses; Parse also checks what a schema cannot say, such as
// references.
func Schema() ([]byte, error) {
	s := sectionSchema(&manifest{})
	s.Schema = "https://json-schema.org/draft/2020-12/schema"
	s.Title = "landfast.toml"
	s.Description = "The manifest of an app that Landfast deploys."
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(text, '\n'), nil
}

// sectionSchema describes a table with known keys.
func sectionSchema(sec section) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type:                 "object",
		Properties:           map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
	for _, k := range sec.keys() {
		one := k.value.schema()
		one.Description = k.doc
		if k.def != "" {
			one.Default = defaultJSON(k.def)
		}
		s.Properties[k.name] = one
		s.PropertyOrder = append(s.PropertyOrder, k.name)
		if t, ok := k.value.(*table); k.must && !k.late || ok && t.always && len(one.Required) > 0 {
			s.Required = append(s.Required, k.name)
		}
	}
	if c, ok := sec.(chooser); ok {
		s.Not, s.AnyOf = choiceSchema(c)
	}
	if f, ok := sec.(freeSection); ok {
		v, pattern := f.freeValue()
		s.AdditionalProperties = v.schema()
		s.PropertyNames = &jsonschema.Schema{Pattern: pattern}
	}
	if c, ok := sec.(constrainer); ok {
		c.constrain(s)
	}
	return s
}

// constrainer is a section whose schema says more than what each key may be.
type constrainer interface {
	constrain(s *jsonschema.Schema)
}

// choiceSchema says that no two of the keys of a choice stand together, and
// that there is one if there must be.
func choiceSchema(c chooser) (not *jsonschema.Schema, anyOf []*jsonschema.Schema) {
	keys, must := c.choices()
	not = &jsonschema.Schema{}
	for i, a := range keys {
		for _, b := range keys[:i] {
			not.AnyOf = append(not.AnyOf, &jsonschema.Schema{Required: []string{b, a}})
		}
		if must {
			anyOf = append(anyOf, &jsonschema.Schema{Required: []string{a}})
		}
	}
	return not, anyOf
}

func (t *table) schema() *jsonschema.Schema { return sectionSchema(t.section) }

// defaultJSON is a default in JSON.
func defaultJSON(def string) json.RawMessage {
	n := defaultNode(def)
	if n.kind == stringNode {
		text, err := json.Marshal(n.text)
		if err != nil {
			return nil
		}
		return text
	}
	return json.RawMessage(n.raw) // integers and booleans are written alike
}
