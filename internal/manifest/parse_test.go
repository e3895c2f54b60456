package manifest_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
)

var update = flag.Bool("update", false, "write what Parse gives into testdata")

// TestGolden parses each testdata/*.txtar: landfast.toml must give app.json, or
// the text errors.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, file := range goldens(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, got := golden(t, archive.Files[0].Data)
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: name, Data: got})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(archive.Files) != 2 || archive.Files[1].Name != name {
				t.Fatalf("%s: Parse gives %s:\n%s", file, name, got)
			}
			if d := diff.Diff("want", archive.Files[1].Data, "got", got); d != nil {
				t.Errorf("%s", d)
			}
		})
	}
}

func goldens(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	return files
}

// golden is what Parse gives for text, as a file of a golden.
func golden(t *testing.T, text []byte) (name string, content []byte) {
	t.Helper()
	app, err := manifest.Parse("landfast.toml", text)
	if err != nil {
		checkError(t, err)
		return "errors", []byte(err.Error() + "\n")
	}
	if app.Manifest != string(text) {
		t.Errorf("App.Manifest is not the text")
	}
	app.Manifest = ""
	content, err = json.MarshalIndent(app, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return "app.json", append(content, '\n')
}

// checkError holds an error of Parse to its contract.
func checkError(t *testing.T, err error) {
	t.Helper()
	if kind := landfast.KindOf(err); kind != landfast.Invalid {
		t.Errorf("KindOf(%v) = %s, want invalid", err, kind)
	}
	problems, ok := errors.AsType[manifest.Errors](err)
	if !ok || len(problems) == 0 {
		t.Fatalf("%v (%T) wraps no manifest.Errors", err, err)
	}
	for _, p := range problems {
		if p.File == "" || p.Line < 1 || p.Column < 1 || p.Msg == "" || p.File == "default" {
			t.Errorf("problem without a place or a message: %+v", p)
		}
	}
}
