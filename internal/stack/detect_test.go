package stack_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/stack"
)

var update = flag.Bool("update", false, "write what Detect gives into testdata")

// TestDetect looks at the project in each testdata/*.txtar, in a directory called
// like the file: it must give landfast.toml and reasons. A comment "stack: NAME"
// asks for that stack.
func TestDetect(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			project, rest := fstest.MapFS{}, []txtar.File{}
			for _, f := range archive.Files {
				if f.Name != "landfast.toml" && f.Name != "reasons" {
					project[f.Name] = &fstest.MapFile{Data: f.Data}
					rest = append(rest, f)
				}
			}
			want, _ := strings.CutPrefix(strings.TrimSpace(string(archive.Comment)), "stack: ")
			guess, err := stack.Detect(project, name, want)
			if err != nil {
				t.Fatal(err)
			}
			text := guess.Manifest()
			var reasons strings.Builder
			for _, r := range guess.Reasons {
				reasons.WriteString(r.Key + " = " + r.Value + ": " + r.Why + "\n")
			}
			got := txtar.Format(&txtar.Archive{Comment: archive.Comment, Files: append(
				rest,
				txtar.File{Name: "landfast.toml", Data: []byte(text)}, txtar.File{Name: "reasons", Data: []byte(reasons.String())},
			)})
			checkManifest(t, guess, text)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := diff.Diff("want", txtar.Format(archive), "got", got); d != nil {
				t.Errorf("%s", d)
			}
		})
	}
}

// checkManifest holds a guess to its contract: the manifest is good and says
// what was guessed.
func checkManifest(t *testing.T, guess *stack.Guess, text string) {
	t.Helper()
	app, err := manifest.Parse("landfast.toml", []byte(text))
	if err != nil {
		t.Errorf("%v\n%s", err, text)
		return
	}
	if app.Name != guess.Name || app.Stack != guess.Stack {
		t.Errorf("the manifest is of %q, %q, the guess %q, %q", app.Name, app.Stack, guess.Name, guess.Stack)
	}
	if _, err := json.Marshal(guess); err != nil {
		t.Error(err)
	}
}

func TestDetectRefusesAnUnknownStack(t *testing.T) {
	t.Parallel()
	if g, err := stack.Detect(fstest.MapFS{}, "web", "phoenix"); err == nil {
		t.Errorf("Detect = %+v", g)
	}
}

// Whatever a project is called, the manifest must be good.
func TestDetectMakesGoodNames(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{
		"", ".", "/", "3rd Party Shop!", "root", "bin", "landfast", "systemd-thing", "Ünïcödé", "_x_", "9",
		"a-very-long-name-that-goes-on-and-on-and-on-and-on", "landfast-a-very-long-name-that-goes-on", "UPPER", "a.b.c",
	} {
		for _, want := range append(stack.Names(), "") {
			g, err := stack.Detect(fstest.MapFS{}, dir, want)
			if err != nil {
				t.Fatal(err)
			}
			checkManifest(t, g, g.Manifest())
		}
	}
}
