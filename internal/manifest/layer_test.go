package manifest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/stack"
)

// layers are the files of an archive that end in .toml.
func layers(archive *txtar.Archive) []manifest.Layer {
	var all []manifest.Layer
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".toml") && f.Name != "merged.toml" {
			all = append(all, manifest.Layer{Name: f.Name, Text: f.Data})
		}
	}
	return all
}

// TestLayers merges the .toml files of each testdata/layers/*.txtar, in their
// order: they must come to merged.toml, and landfast config must show
// config.toml; or they must give errors.
func TestLayers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/layers/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := txtar.Format(archive)
			got := &txtar.Archive{Comment: archive.Comment}
			for _, l := range layers(archive) {
				got.Files = append(got.Files, txtar.File{Name: l.Name, Data: l.Text})
			}
			got.Files = append(got.Files, merged(t, layers(archive))...)
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := diff.Diff("want", want, "got", txtar.Format(got)); d != nil {
				t.Errorf("%s", d)
			}
		})
	}
}

// merged is what becomes of layers, as files of a golden.
func merged(t *testing.T, layers []manifest.Layer) []txtar.File {
	t.Helper()
	app, err := manifest.ParseLayers(layers...)
	if err != nil {
		checkError(t, err)
		return []txtar.File{{Name: "errors", Data: []byte(err.Error() + "\n")}}
	}
	sameApp(t, app)
	config, err := manifest.Effective(false, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return []txtar.File{{Name: "merged.toml", Data: []byte(app.Manifest)}, {Name: "config", Data: []byte(config.Text)}}
}

// sameApp holds App.Manifest to its contract: read alone, it gives the App.
func sameApp(t testing.TB, app *landfast.App) {
	t.Helper()
	again, err := manifest.Parse("merged", []byte(app.Manifest))
	if err != nil {
		t.Errorf("App.Manifest cannot be read: %v\n%s", err, app.Manifest)
		return
	}
	a, _ := json.Marshal(app)
	b, _ := json.Marshal(again)
	if string(a) != string(b) {
		t.Errorf("App.Manifest gives another App:\n%s\n%s\n%s", app.Manifest, a, b)
	}
}

// TestMergedTextOfEveryGolden spreads each golden over two files, of which the
// second is empty, so that it is written anew.
func TestMergedTextOfEveryGolden(t *testing.T) {
	t.Parallel()
	for _, file := range goldens(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := archive.Files[0].Data
		want, err := manifest.Parse("landfast.toml", text)
		if err != nil {
			continue
		}
		got, err := manifest.ParseLayers(manifest.Layer{Name: "landfast.toml", Text: text}, manifest.Layer{Name: "landfast.local.toml"})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		sameApp(t, got)
		want.Manifest, got.Manifest = "", ""
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if string(a) != string(b) {
			t.Errorf("%s: an empty overlay changes the App:\n%s\n%s", file, a, b)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"d/landfast.toml": "base", "d/landfast.prod.toml": "prod", "d/landfast.web1.toml": "host", "d/landfast.local.toml": "local",
	}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
	load := func(file string, overlays ...manifest.Overlay) string {
		t.Helper()
		layers, err := manifest.Load(read, file, overlays...)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range layers {
			names = append(names, l.Name+"="+string(l.Text))
		}
		return strings.Join(names, " ")
	}
	for _, test := range []struct {
		overlays []manifest.Overlay
		want     string
	}{
		{nil, "d/landfast.toml=base"},
		{
			[]manifest.Overlay{{Name: "prod", Must: true}, {Name: "web1"}, {Name: "local"}},
			"d/landfast.toml=base d/landfast.prod.toml=prod d/landfast.web1.toml=host d/landfast.local.toml=local",
		},
		{[]manifest.Overlay{{Name: "web2"}, {Name: "local"}}, "d/landfast.toml=base d/landfast.local.toml=local"},
		{[]manifest.Overlay{{Name: "local"}, {Name: "local"}}, "d/landfast.toml=base d/landfast.local.toml=local"},
	} {
		if got := load("d/landfast.toml", test.overlays...); got != test.want {
			t.Errorf("overlays %v:\ngot  %s\nwant %s", test.overlays, got, test.want)
		}
	}
	if _, err := manifest.Load(read, "d/landfast.toml", manifest.Overlay{Name: "prd", Must: true}); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("a missing environment: %v, want invalid", err)
	}
	if _, err := manifest.Load(read, "landfast.toml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing manifest: %v, want ErrNotExist", err)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	const text = `name = "web"
[service]
command = ["bin/web", "--api-token", "hush1", "--password=hush2", "--port=80", "--secret-file=${configuration_dir}"]
before_start = "env SECRET_KEY_BASE=hush3 PORT=80 bin/warm --auth-token hush9 --port 81"
[dirs]
configuration = true
[env]
SECRET_KEY_BASE = "hush4"
DB_PASSWORD = "hush5"
GITHUB_TOKEN = 1234567
AWS_ACCESS_KEY_ID = "hush6"
RELEASE_COOKIE = "hush7"
DATABASE_URL = "postgres://web:hush8@db/web?pool=5"
SIGNING_KEY = "${SECRET_KEY_BASE}"
MONKEY = "seen1"
KEYBOARD = "seen2"
HOMEPAGE = "https://example.org:8080/@me"
`
	config, err := manifest.Effective(false, manifest.Layer{Name: "landfast.toml", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(config.Tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{config.Text, string(asJSON)} {
		if strings.Contains(out, "hush") || strings.Contains(out, "1234567") {
			t.Errorf("a secret shows:\n%s", out)
		}
		for _, want := range []string{"seen1", "seen2", "postgres://web:[hidden]@db/web?pool=5", "${SECRET_KEY_BASE}", "--port=80", "--port 81", "https://example.org:8080/@me", "${configuration_dir}"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s is hidden:\n%s", want, out)
			}
		}
	}
	shown, err := manifest.Effective(true, manifest.Layer{Name: "landfast.toml", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(shown.Text, "hidden") || !strings.Contains(shown.Text, "hush4") {
		t.Errorf("with secrets:\n%s", shown.Text)
	}
}

// Every preset must be a good manifest, with no more than a command beside it.
func TestPresets(t *testing.T) {
	t.Parallel()
	for _, name := range stack.Names() {
		text := "name = \"my-web\"\nstack = \"" + name + "\"\n"
		preset, ok := stack.Preset(name)
		if !ok {
			t.Errorf("there is no preset %s", name)
		}
		if !strings.Contains(preset, "command = ") {
			text += "[service]\ncommand = \"bin/web\"\n"
		}
		app, err := manifest.Parse("landfast.toml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if app.Stack != name {
			t.Errorf("%s: Stack = %q", name, app.Stack)
		}
		for _, line := range app.Sandbox.Allow {
			if !strings.Contains(preset, "# "+line+": ") {
				t.Errorf("%s takes back %s of the sandbox without a reason beside it", name, line)
			}
		}
	}
}
