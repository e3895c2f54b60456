package manifest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/landfast/landfast/internal/manifest"
)

// value draws a text that a manifest may hold, rich in what systemd, shells and
// our own references treat in their own way.
func value(t *rapid.T, label string) string {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"$", "{", "}", "${", "$${", "${name}", "%", "%h", `\`, `\n`, `"`, "'", " ", "  ", "#", "=", ";", "&&", "ü", "🙂", "a"}),
		rapid.StringMatching(`[ -~]{0,6}`),
		rapid.StringOfN(rapid.Rune(), 0, 4, -1),
	)
	s := strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, label), "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
}

// quoted writes s as a TOML string in which nothing is a reference.
func quoted(t *rapid.T, s string) string {
	s = strings.ReplaceAll(s, "${", "$${")
	if !strings.ContainsAny(s, "'") && rapid.Bool().Draw(t, "literal") {
		return "'" + s + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func TestValuesComeThroughUnchanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value, arg, setting := value(t, "value"), value(t, "argument"), value(t, "setting")
		text := "name = 'web'\n[service]\ncommand = ['bin/web', " + quoted(t, arg) + ", '${VALUE}', '--v=${VALUE}']\n" +
			"stop = \"bin/web '${VALUE}' ${VALUE}\"\n" +
			"[env]\nVALUE = " + quoted(t, value) + "\nTWICE = '${VALUE}${VALUE}'\n" +
			"[systemd.Service]\nPersonality = " + quoted(t, setting) + "\n"
		app, err := manifest.Parse("landfast.toml", []byte(text))
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		for i, want := range []string{"C.UTF-8", value, value + value} {
			if got := app.Env[i].Value; got != want {
				t.Errorf("%s = %q, want %q", app.Env[i].Name, got, want)
			}
		}
		if want := []string{"/srv/web/current/bin/web", arg, value, "--v=" + value}; !slices.Equal(app.Main().Command.Argv, want) {
			t.Errorf("command = %q, want %q", app.Main().Command.Argv, want)
		}
		if want := []string{"/srv/web/current/bin/web", value, value}; !slices.Equal(app.Main().Stop.Argv, want) {
			t.Errorf("stop = %q, want %q", app.Main().Stop.Argv, want)
		}
		if got := app.Systemd[0].Value; got != setting {
			t.Errorf("Personality = %q, want %q", got, setting)
		}
	})
}

// TestSplitting writes words the way a shell would quote them.
func TestSplitting(t *testing.T) {
	t.Parallel()
	quoting := strings.NewReplacer(`'`, `'\''`)
	rapid.Check(t, func(t *rapid.T) {
		words := []string{"bin/web"}
		line := "bin/web"
		for range rapid.IntRange(0, 4).Draw(t, "words") {
			w := value(t, "word")
			words = append(words, w)
			line += " '" + quoting.Replace(w) + "'"
		}
		text := "name = 'web'\n[service]\ncommand = " + quoted(t, line) + "\n"
		app, err := manifest.Parse("landfast.toml", []byte(text))
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if got := app.Main().Command.Argv[1:]; !slices.Equal(got, words[1:]) {
			t.Errorf("%s gives %q, want %q", line, got, words[1:])
		}
	})
}

// FuzzParse holds Parse to its contract for any text: no panic, errors with a
// place, the same verdict on TOML as the library's own decoder, and nothing
// accepted that the schema refuses.
func FuzzParse(f *testing.F) {
	for _, file := range goldens(f) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	schema := resolvedSchema(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		app, err := manifest.Parse("landfast.toml", text)
		var tree map[string]any
		tomlErr := toml.Unmarshal(text, &tree)
		if ours := manifest.CheckTOML(text); (ours == nil) != (tomlErr == nil) && !lateTOML(tomlErr) {
			t.Errorf("as TOML: %v, want %v", ours, tomlErr)
		}
		if err != nil {
			checkError(t, err)
			return
		}
		if doc, err := document(text); err == nil {
			if err := schema.Validate(doc); err != nil {
				t.Errorf("the schema refuses what Parse takes: %v", err)
			}
		}
		if _, err := json.Marshal(app); err != nil {
			t.Error(err)
		}
		merged, err := manifest.ParseLayers(manifest.Layer{Name: "landfast.toml", Text: text}, manifest.Layer{Name: "landfast.local.toml"})
		if err != nil {
			t.Fatalf("an empty overlay makes it bad: %v", err)
		}
		sameApp(t, merged)
	})
}

// lateTOML reports whether err is about the content of a number or a date, which we look
// at when a key takes it: no key takes a date, and integers have bounds.
func lateTOML(err error) bool {
	return err != nil && !strings.Contains(err.Error(), "already")
}
