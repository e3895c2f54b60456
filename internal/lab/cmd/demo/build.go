package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast/internal/lab"
)

// built is what is brought to the machine.
type built struct {
	landfast string // the program, as a path on this host
	archives string // a directory with web-1.tar.gz, ...
	examples string // the examples of this tree
}

func (b *built) remove() error { return os.RemoveAll(b.archives) }

// releases are the releases of the Go example: each a version and its configuration.
var releases = []struct{ version, config string }{
	{"1", "config.json"},
	{"2", "config.json"},
	{"3", "broken/start.json"},  // is not JSON
	{"4", "broken/health.json"}, // names a directory that is not there
}

// build builds the program and the releases, as their makers would.
func build(ctx context.Context) (*built, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	b := &built{examples: filepath.Join(root, "examples")}
	if b.landfast, err = lab.Build(ctx, "github.com/landfast/landfast/cmd/landfast"); err != nil {
		return nil, err
	}
	if b.archives, err = os.MkdirTemp("", "landfast-demo-"); err != nil {
		return nil, err
	}
	for _, r := range releases {
		cmd := exec.CommandContext(ctx, "make", "--silent", "--no-print-directory",
			"-C", filepath.Join(b.examples, "go-web"), "VERSION="+r.version, "CONFIG="+r.config, "OUT="+b.archives)
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("pack release %s: %w\n%s", r.version, err, out)
		}
	}
	return b, nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/landfast/landfast").Output()
	if err != nil {
		return "", fmt.Errorf("find the module (the demo runs in its tree): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// place puts what a user would have at hand into the machine.
func (b *built) place(m *lab.Machine) error {
	files := map[string]string{"/root/web/landfast.toml": filepath.Join(b.examples, "go-web/landfast.toml")}
	for _, r := range releases {
		name := "web-" + r.version + ".tar.gz"
		files["/root/web/"+name] = filepath.Join(b.archives, name)
	}
	for _, name := range []string{"landfast.toml", "app.py", "config.json", "VERSION"} {
		files["/root/notes/"+name] = filepath.Join(b.examples, "python-web", name)
	}
	for inside, outside := range files {
		data, err := os.ReadFile(outside)
		if err != nil {
			return err
		}
		if err := m.WriteFile(inside, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
