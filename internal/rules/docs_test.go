package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// TestArchitectureHasTheSteps compares the table of steps with the code.
func TestArchitectureHasTheSteps(t *testing.T) {
	var want strings.Builder
	want.WriteString("| step | does | undo | if the process dies in it |\n|---|---|---|---|\n")
	for _, s := range deploy.Steps() {
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", s.Name, s.Summary, s.Undo, s.Crash)
	}
	got := between(t, "ARCHITECTURE.md", "<!-- steps -->\n", "<!-- /steps -->")
	if got != want.String() {
		t.Errorf("the table of steps in ARCHITECTURE.md differs from deploy.Steps; it should be:\n%s", want.String())
	}
}

// TestReadmeShowsWhatIsRendered renders the manifest of the README and compares the
// unit that it shows, up to its ellipsis.
func TestReadmeShowsWhatIsRendered(t *testing.T) {
	text := between(t, "README.md", "<!-- manifest -->\n```toml\n", "```")
	app, err := manifest.Parse("README.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(app, plan.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.TrimSuffix(between(t, "README.md", "<!-- unit -->\n```ini\n", "```"), "…\n")
	for _, f := range p.Files {
		if filepath.Base(f.Path) != "web.service" {
			continue
		}
		if !strings.HasPrefix(f.Content, shown) {
			t.Errorf("README.md shows another unit than is rendered:\n%s", f.Content)
		}
		rest := strings.Count(f.Content[min(len(shown), len(f.Content)):], "=")
		if said := fmt.Sprintf("and %d more lines of sandbox", rest-1); !strings.Contains(read(t, "README.md"), said) {
			t.Errorf("README.md should say %q", said)
		}
		return
	}
	t.Error("nothing was rendered")
}

// TestDocumentsStaySmall keeps the documents readable in one sitting.
func TestDocumentsStaySmall(t *testing.T) {
	for name, most := range map[string]int{"README.md": 200, "ARCHITECTURE.md": 300, "CONTRIBUTING.md": 200} {
		if n := strings.Count(read(t, name), "\n"); n > most {
			t.Errorf("%s has %d lines, at most %d", name, n, most)
		}
	}
}

// read gives a document of the root directory.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// between is the part of a document between two texts that must be in it.
func between(t *testing.T, name, start, end string) string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, name), start)
	part, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part between %q and %q", name, start, end)
	}
	return part
}
