package codedeploy_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast/internal/codedeploy"
	"github.com/landfast/landfast/internal/manifest"
)

var update = flag.Bool("update", false, "write the goldens")

// Each testdata/*.txtar is a manifest and the bundle it becomes.
func TestBundle(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range cases {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := bundle(t, txtar.Parse(text))
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(string(text), string(got)); d != "" && !*update {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// bundle is the case as it should be.
func bundle(t *testing.T, c *txtar.Archive) []byte {
	t.Helper()
	in := c.Files[0]
	app, err := manifest.Parse(in.Name, in.Data)
	if err != nil {
		t.Fatal(err)
	}
	out := &txtar.Archive{Comment: c.Comment, Files: []txtar.File{in}}
	for _, f := range codedeploy.Bundle(app) {
		if f.Path == "landfast.toml" {
			if f.Content != string(in.Data) {
				t.Error("the bundle holds another manifest")
			}
			continue
		}
		name := fmt.Sprintf("%s (%04o)", f.Path, f.Mode)
		out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(f.Content)})
		if strings.HasPrefix(f.Content, "#!/bin/sh") {
			checkShell(t, f.Content)
		}
	}
	return txtar.Format(out)
}

// checkShell lets the shell read a script without running it.
func checkShell(t *testing.T, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-n")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s\n%s", err, out, script)
	}
}
