package manifest

import (
	"regexp"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// env is [env].
type env struct {
	files texts
	ssm   texts
	list  []*variable
}

// variable is one variable of [env].
type variable struct {
	env  *env
	name string
	text text
}

const (
	variablePattern = `^[A-Za-z_][A-Za-z0-9_]*$`
	defaultLang     = "C.UTF-8"
)

var variableNames = regexp.MustCompile(variablePattern)

func (e *env) keys() []key {
	return []key{
		{
			name: "files", directive: "EnvironmentFile", value: e.files.as(envFile), example: `["-${configuration_dir}/environment"]`,
			doc: "Files of variables that systemd reads at each start. One with a `-` in front may be absent. Later files override earlier ones, and files override the variables set here.",
		},
		{
			name: "ssm", value: e.ssm.as(ssmPath), note: "none", example: `["/web/production"]`,
			doc: "Paths of AWS Systems Manager. Each parameter below one is a variable: of `/web/production/db/pool-size`, `DB_POOL_SIZE`. They are fetched with the secrets and kept like them. They override the variables set here, and `files` override them.",
		},
	}
}

func (e *env) free(name string) (value, *flaw) {
	if !variableNames.MatchString(name) {
		return nil, &flaw{quote(name) + " cannot be the name of a variable", "letters, digits and _, no digit first"}
	}
	v := &variable{env: e, name: name}
	return v, nil
}

func (e *env) freeValue() (v value, pattern string) { return &variable{}, variablePattern }

func (e *env) freeDoc() (doc, example string) {
	return "A variable, which reaches the app exactly as it stands here. Integers are passed in decimal, other numbers and booleans as they are written. `${NAME}` refers to it where the name has no lower-case letters. `LANG` is `" + defaultLang + "` unless it is set.", `PORT = 4000`
}

func (v *variable) decode(d *decoder, key string, n *node) {
	v.text.form, v.text.key = anyText, key
	switch n.kind {
	case stringNode:
		v.text.decode(d, key, n)
	case integerNode, floatNode, boolNode:
		s := n.raw
		if n.kind != boolNode {
			var err error
			if s, err = plainNumber(n); err != nil {
				d.at(n, key, err.Error(), "write it as a string")
				return
			}
		}
		v.text.parts = []part{{literal: s}}
		d.track(&v.text, key, n)
	default:
		d.wrongType(key, n, "a string, a number or a boolean")
	}
	v.env.list = append(v.env.list, v)
	if strings.ToUpper(v.name) == v.name {
		d.scope()[v.name] = &v.text
	}
}

func (v *variable) label() string { return "string, number or boolean" }

func (v *variable) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "number", "boolean"}, Pattern: cleanPattern}
}

// vars are the variables in the order of the manifest, LANG first when it is
// not among them.
func (e *env) vars() []landfast.Var {
	vars := []landfast.Var{{Name: "LANG", Value: defaultLang}}
	for _, v := range e.list {
		if v.name == "LANG" {
			vars = vars[1:]
			break
		}
	}
	for _, v := range e.list {
		vars = append(vars, landfast.Var{Name: v.name, Value: v.text.value})
	}
	return vars
}

// find is the value of the variable called name.
func (e *env) find(name string) (string, bool) {
	for _, v := range e.list {
		if v.name == name && v.text.ok() {
			return v.text.value, true
		}
	}
	return "", false
}

func (e *env) fileList() []landfast.EnvFile {
	var files []landfast.EnvFile
	for _, f := range e.files.values() {
		path, optional := strings.CutPrefix(f, "-")
		files = append(files, landfast.EnvFile{Path: path, Optional: optional})
	}
	return files
}
