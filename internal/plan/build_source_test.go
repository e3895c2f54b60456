package plan_test

import (
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// TestNICE12BuiltOnTargetIsWarnedOf: a repository of a compiled app is allowed, and
// the plan says what speaks against it.
func TestNICE12BuiltOnTargetIsWarnedOf(t *testing.T) {
	const app = "name = \"web\"\n[service]\ncommand = \"bin/web\"\n"
	for _, tt := range []struct {
		name, text string
		warns      bool
	}{
		{"go from git", "stack = \"go\"\n" + app + "[source]\ngit = \"https://git.example.org/web.git\"\n", true},
		{"go from an archive", "stack = \"go\"\n" + app + "[source]\narchive = \"web.tar.gz\"\n", false},
		{"python from git", "stack = \"python\"\n" + app + "[source]\ngit = \"https://git.example.org/web.git\"\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parsed, err := manifest.Parse("landfast.toml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			p, err := plan.Build(parsed, plan.Facts{})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(p.Notes, "\n"), "building on the target"); got != tt.warns {
				t.Errorf("warned: %v, want %v: %q", got, tt.warns, p.Notes)
			}
		})
	}
}
