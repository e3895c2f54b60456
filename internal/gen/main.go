// Command gen writes the reference pages that are made from the code, so that
// they cannot differ from it. Run it from the top of the repository:
//
//	go run ./internal/gen
//
// A test beside it compares the pages with what it would write.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/landfast/landfast/internal/cli"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/manifest"
)

// page is one generated file.
type page struct {
	path string
	text func() ([]byte, error)
}

func pages() []page {
	return []page{
		{"docs/reference/manifest.md", func() ([]byte, error) { return manifest.Reference(), nil }},
		{"docs/reference/listen-toml.md", func() ([]byte, error) { return hostconf.Reference(), nil }},
		{"docs/reference/directives.md", directivesPage},
		{"docs/reference/capabilities.md", capabilitiesPage},
		{"docs/reference/sandbox.md", sandboxPage},
		{"docs/reference/stacks.md", stacksPage},
		{"docs/reference/cli.md", func() ([]byte, error) { return cli.Reference(), nil }},
		{"docs/reference/exit-codes.md", func() ([]byte, error) { return cli.ExitCodes(), nil }},
	}
}

func main() {
	for _, p := range pages() {
		if err := write(p); err != nil {
			log.Fatal(err)
		}
	}
}

func write(p page) error {
	text, err := p.text()
	if err != nil {
		return fmt.Errorf("make %s: %w", p.path, err)
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	if err := os.WriteFile(p.path, text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", p.path, err)
	}
	return nil
}
