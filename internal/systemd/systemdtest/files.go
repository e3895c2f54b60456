package systemdtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	unitDir    = "etc/systemd/system"
	runtimeDir = "run/systemd/system"
)

var errNoUnit = errors.New("there is no such unit")

// Enable makes the links that the [Install] sections ask for.
func (f *Fake) Enable(ctx context.Context, units ...string) error {
	if err := f.called(ctx, "enable", units...); err != nil {
		return err
	}
	for _, name := range units {
		text, path := f.read(name)
		if path == "" {
			return fmt.Errorf("enable %s: %w", name, errNoUnit)
		}
		for _, link := range links(name, text) {
			link = filepath.Join(f.root, link)
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				return err
			}
			if err := os.Symlink(path, link); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	return nil
}

// Disable removes every link to the units, and directories that it leaves empty.
func (f *Fake) Disable(ctx context.Context, units ...string) error {
	if err := f.called(ctx, "disable", units...); err != nil {
		return err
	}
	for _, name := range units {
		found, err := f.wants(name)
		if err != nil {
			return err
		}
		for _, link := range found {
			if err := os.Remove(link); err != nil {
				return err
			}
			_ = os.Remove(filepath.Dir(link)) // unless it holds others
		}
	}
	return nil
}

// fileState is systemd's word for whether a unit is enabled.
func (f *Fake) fileState(name, text string) string {
	found, _ := f.wants(name)
	switch {
	case len(found) > 0:
		return "enabled"
	case len(links(name, text)) == 0:
		return "static"
	}
	return "disabled"
}

// wants are the links that start a unit.
func (f *Fake) wants(name string) ([]string, error) {
	var found []string
	for _, kind := range []string{"wants", "requires"} {
		some, err := filepath.Glob(filepath.Join(f.root, unitDir, "*."+kind, name))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// enabled are the units that start at boot, sockets first.
func (f *Fake) enabled() []string {
	found, _ := f.wants("*")
	for i, link := range found {
		found[i] = filepath.Base(link)
	}
	slices.SortFunc(found, func(a, b string) int {
		if as, bs := strings.HasSuffix(a, ".socket"), strings.HasSuffix(b, ".socket"); as != bs {
			if as {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(found)
}

// links are the links that the [Install] section of a unit asks for.
func links(name, text string) []string {
	var out []string
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		kind := map[string]string{"WantedBy": "wants", "RequiredBy": "requires"}[key]
		if section != "[Install]" || kind == "" {
			continue
		}
		for _, target := range strings.Fields(value) {
			out = append(out, filepath.Join(unitDir, target+"."+kind, name))
		}
	}
	return out
}

// read gives the text and the path of a unit file, or two empty strings.
func (f *Fake) read(name string) (text, path string) {
	files := []string{name}
	if prefix, instance, ok := strings.Cut(name, "@"); ok && !strings.HasPrefix(instance, ".") {
		files = append(files, prefix+"@"+filepath.Ext(name)) // without one of its own, an instance has the file of its template
	}
	for _, file := range files {
		for _, dir := range []string{unitDir, runtimeDir} {
			b, err := os.ReadFile(filepath.Join(f.root, dir, file))
			if err == nil {
				return string(b), "/" + dir + "/" + file
			}
		}
	}
	return "", ""
}
