package trigger_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast/internal/hostconf"
)

var update = flag.Bool("update", false, "write what Handle gives into testdata")

// TestGolden signs the body of each testdata/*.txtar as the provider does, and
// compares what Handle makes of it. The bodies are cut from what the forges
// document.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := golden(t, a)
			last := len(a.Files) - 1
			if *update {
				a.Files[last].Data = got
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := diff.Diff("want", a.Files[last].Data, "got", got); d != nil {
				t.Errorf("%s", d)
			}
		})
	}
}

func golden(t *testing.T, a *txtar.Archive) []byte {
	t.Helper()
	of := map[string]string{}
	for _, f := range a.Files {
		of[f.Name] = string(f.Data)
	}
	c, err := hostconf.Parse("listen.toml", []byte(of["listen.toml"]))
	if err != nil {
		t.Fatal(err)
	}
	p := c.Triggers[0].Provider
	set := newSet(t, of["listen.toml"], secretsFor(p))
	h, body := headers(of["headers"]), strings.TrimSuffix(of["body"], "\n")
	sign(t, p, h, body)
	v, err := handle(set, "web", h, body)
	if err != nil {
		return []byte("refused " + err.Error() + "\n")
	}
	for i := range v.Events {
		if v.Events[i].Received != testNow {
			t.Errorf("received %v", v.Events[i].Received)
		}
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}
