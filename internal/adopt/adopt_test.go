package adopt_test

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/adopt"
)

var update = flag.Bool("update", false, "write the goldens")

// Each testdata/*.txtar begins with what is adopted, and has the files of a host;
// a file "link: TARGET" is a symbolic link. What comes out stands at its end.
func TestAdopt(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := golden(t, txtar.Parse(text))
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(text), string(got)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// golden is the case as it should be.
func golden(t *testing.T, c *txtar.Archive) []byte {
	t.Helper()
	host, given := fstest.MapFS{}, c.Files[:0:0]
	for _, f := range c.Files {
		if f.Name == "landfast.toml" || f.Name == "lists" || f.Name == "error" {
			continue
		}
		given = append(given, f)
		if target, ok := strings.CutPrefix(string(f.Data), "link: "); ok {
			host[f.Name] = &fstest.MapFile{Data: []byte(strings.TrimSpace(target)), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		host[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
	}
	first, _, _ := strings.Cut(string(c.Comment), "\n")
	args := strings.Fields(first)
	o := adopt.Options{}
	if len(args) > 1 {
		o.Name = args[1]
	}
	out := &txtar.Archive{Comment: c.Comment, Files: given}
	r, err := run(host, args[0], o)
	if err != nil {
		if k := landfast.KindOf(err); k != landfast.Invalid && k != landfast.NotFound {
			t.Errorf("an error of kind %s: %v", k, err)
		}
		out.Files = append(out.Files, txtar.File{Name: "error", Data: []byte(err.Error() + "\n")})
		return txtar.Format(out)
	}
	manifest := r.Manifest
	r.Manifest = ""
	lists, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	out.Files = append(out.Files, txtar.File{Name: "landfast.toml", Data: []byte(manifest)}, txtar.File{Name: "lists", Data: append(lists, '\n')})
	return txtar.Format(out)
}

func run(host fs.FS, name string, o adopt.Options) (*adopt.Result, error) {
	tree := adopt.System(host)
	u, err := tree.Find(name)
	if err != nil {
		return nil, err
	}
	triggers, err := tree.Triggers(u)
	if err != nil {
		return nil, err
	}
	return adopt.Adopt(u, triggers, o)
}
