package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/landfast/landfast/internal/cli"
)

// TestReferenceIsWhatTheVerbsSay compares the pages with what is written from the
// verbs.
func TestReferenceIsWhatTheVerbsSay(t *testing.T) {
	for name, want := range map[string][]byte{"cli.md": cli.Reference(), "exit-codes.md": cli.ExitCodes()} {
		got, err := os.ReadFile("../../docs/reference/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("docs/reference/%s differs; run `go run ./internal/gen` (-want +got):\n%s", name, d)
		}
	}
}

// TestEveryVerbExplainsItself: what is said in a line, what is said at length, an
// example that calls it, its exit codes, and a meaning for each flag.
func TestEveryVerbExplainsItself(t *testing.T) {
	root := cli.Verbs()
	ours := regexp.MustCompile(`(?m)^  (sudo )?landfast .*`)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		name := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q, want a sentence without a full stop", name, cmd.Short)
		}
		if len(cmd.Long) <= len(cmd.Short) {
			t.Errorf("%s: Long says no more than Short", name)
		}
		for line := range strings.Lines(cmd.Long) {
			if len([]rune(line)) > 88 {
				t.Errorf("%s: this line of its help does not fit on a terminal: %s", name, line)
			}
		}
		if !ours.MatchString(cmd.Example) || !strings.Contains(cmd.Example, name) && cmd != root {
			t.Errorf("%s: the example does not show it: %q", name, cmd.Example)
		}
		if cmd != root && cmd.ValidArgsFunction == nil && strings.Contains(cmd.Use, "[APP]") {
			t.Errorf("%s: names of apps are not completed", name)
		}
		for _, below := range cmd.Commands() {
			if below.Name() == "completion" {
				continue // cobra's own, but for the example
			}
			visit(below)
		}
	}
	visit(root)
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" && !strings.Contains(cmd.Long, "Exit codes: 0 ok, 1 failed, 2 usage or manifest") {
			t.Errorf("%s: the help does not tell its exit codes", cmd.CommandPath())
		}
		if cmd.GroupID == "" {
			t.Errorf("%s: it is in no group of the list of verbs", cmd.CommandPath())
		}
	}
}
