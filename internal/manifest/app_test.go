package manifest_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
)

// TestEveryFieldCanBeSet finds fields of the vocabulary that no golden sets.
func TestEveryFieldCanBeSet(t *testing.T) {
	t.Parallel()
	set := map[string]bool{}
	for _, file := range goldens(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if app, err := manifest.Parse("landfast.toml", archive.Files[0].Data); err == nil {
			visit(reflect.ValueOf(*app), set)
		}
	}
	types := []any{
		landfast.App{},
		landfast.Paths{},
		landfast.Service{},
		landfast.Command{},
		landfast.Socket{},
		landfast.Var{},
		landfast.EnvFile{},
		landfast.Dir{},
		landfast.Health{},
		landfast.Hooks{},
		landfast.Cutover{},
		landfast.Build{},
		landfast.Source{},
		landfast.Retention{},
		landfast.Sandbox{},
		landfast.Directive{},
		landfast.EnvironmentCommand{},
		landfast.Chroot{},
		landfast.Machine{},
		landfast.Timer{},
		landfast.Secret{},
		landfast.RemoteConfig{},
	}
	for _, v := range types {
		for field := range reflect.TypeOf(v).Fields() {
			if name := reflect.TypeOf(v).Name() + "." + field.Name; !set[name] {
				t.Errorf("no golden sets %s", name)
			}
		}
	}
}

// visit notes the fields below v that are not zero.
func visit(v reflect.Value, set map[string]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), set)
		}
	case reflect.Slice:
		for i := range v.Len() {
			visit(v.Index(i), set)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				set[v.Type().Name()+"."+v.Type().Field(i).Name] = true
			}
			visit(v.Field(i), set)
		}
	}
}

// TestExampleManifests reads the manifests that the documentation shows.
func TestExampleManifests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/*/landfast.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	schema := resolvedSchema(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manifest.Parse(file, text); err != nil {
			t.Error(err)
		}
		doc, err := document(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestProblemAsJSON(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse("web.toml", []byte("name = 'web'\n[service]\n\tcomand = 'bin/web'\n"))
	problems, ok := errors.AsType[manifest.Errors](err)
	if !ok {
		t.Fatal(err)
	}
	got, err := json.Marshal(problems)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"file":"web.toml","line":3,"column":2,"key":"service.comand","message":"unknown key",` +
		`"hint":"did you mean \"command\"?","source":"\tcomand = 'bin/web'"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
