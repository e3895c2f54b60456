package rules_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/cli"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// documents are the pages for people, by their path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"README.md": read(t, "README.md")}
	err := fs.WalkDir(os.DirFS(filepath.Join("..", "..")), "docs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".md") {
			all[name] = read(t, name)
		}
		return err
	})
	if err != nil || len(all) < 10 {
		t.Fatalf("found %d documents, %v", len(all), err)
	}
	return all
}

// blocks are the blocks of code of a kind, without their fences.
func blocks(text, kind string) []string {
	var all []string
	for rest, ok := text, true; ok; {
		var block string
		if _, rest, ok = strings.Cut(rest, "\n```"+kind+"\n"); !ok {
			break
		}
		if block, rest, ok = strings.Cut(rest, "\n```"); ok {
			all = append(all, block+"\n")
		}
	}
	return all
}

// TestManifestsInDocumentsAreGood reads and plans each, with a name and a command
// where it shows only a part.
func TestManifestsInDocumentsAreGood(t *testing.T) {
	n := 0
	for name, text := range documents(t) {
		for _, block := range blocks(text, "toml") {
			n++
			if !strings.HasPrefix(block, "name = ") {
				block = "name = \"web\"\n" + block
			}
			if !strings.Contains(block, "\ncommand = ") && !strings.Contains(block, "\nstack = ") && !strings.Contains(block, "\nkind = ") {
				if strings.Contains(block, "[service]\n") {
					block = strings.Replace(block, "[service]\n", "[service]\ncommand = \"bin/web\"\n", 1)
				} else {
					block += "\n[service]\ncommand = \"bin/web\"\n"
				}
			}
			app, err := manifest.Parse(name, []byte(block))
			if err != nil {
				t.Errorf("%s:\n%s\n%v", name, block, err)
				continue
			}
			for _, systemd := range []int{0, 247} {
				if _, err := plan.Build(app, plan.Facts{Systemd: systemd}); err != nil {
					t.Errorf("%s, for systemd %d:\n%s\n%v", name, systemd, block, err)
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("found %d manifests only", n)
	}
}

// invocation finds the program in a line of shell, up to what is not its business.
var invocation = regexp.MustCompile(`(?:^|[$;&|(` + "`" + `] *|sudo )landfast ([a-z][^|;&>` + "`" + `#]*)`)

// TestCommandsInDocumentsExist gives every command line in the documents to the
// program, with --help: an unknown verb or flag is an error all the same. A flag at
// the end gets a value.
func TestCommandsInDocumentsExist(t *testing.T) {
	n := 0
	for name, text := range documents(t) {
		for _, found := range invocation.FindAllStringSubmatch(text, -1) {
			line := strings.SplitN(found[1], "\n", 2)[0]
			args := strings.Fields(strings.NewReplacer("…", "", "'", "", `"`, "", "[", "", "]", "", "{", "", "}", "").Replace(line))
			for i, a := range args {
				if a == "--" {
					args = args[:i]
					break
				}
			}
			if len(args) == 0 {
				continue
			}
			n++
			var out bytes.Buffer
			if code := cli.Run(t.Context(), append(args, "x", "--help"), cli.Std{In: &out, Out: &out, Err: &out}, "test"); code != 0 {
				t.Errorf("%s: landfast %s: exit code %d\n%s", name, line, code, out.String())
			}
		}
	}
	if n < 50 {
		t.Errorf("found %d command lines only", n)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// TestLinksInDocumentsLeadSomewhere follows the relative ones.
func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	all := documents(t)
	for _, name := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"} {
		all[name] = read(t, name)
	}
	for name, text := range all {
		for _, l := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("..", "..", filepath.Dir(name), l[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, l[1])
			}
		}
	}
}
