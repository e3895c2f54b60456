package rules_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestShippedProgram builds the program as it is shipped. When anything in it
// looks methods up by a name computed at run time, the linker must keep every
// exported method of every type, which costs up to 10 MB; it marks such a
// function in its dump of dependencies.
func TestShippedProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("links the program: left out with -short")
	}
	const most = 34 << 20
	out := filepath.Join(t.TempDir(), "landfast")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -dumpdep", "-o", out, module+"/cmd/landfast")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	dump, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(dump))
	}
	lines := 0
	guilty := map[string]bool{}
	for s := bufio.NewScanner(bytes.NewReader(dump)); s.Scan(); lines++ {
		for end := range strings.SplitSeq(s.Text(), " -> ") {
			if name, ok := strings.CutSuffix(end, " <ReflectMethod>"); ok || strings.Contains(end, "<ReflectMethod>") {
				guilty[name] = true
			}
		}
	}
	if lines < 1000 {
		t.Fatalf("the linker's dump has only %d lines; it would prove nothing\n%s", lines, tail(dump))
	}
	for name := range guilty {
		t.Errorf("%s looks methods up by name: the linker keeps every exported method", name)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.1f MB", float64(info.Size())/(1<<20))
	if info.Size() > most {
		t.Errorf("the program has %d bytes, at most %d", info.Size(), most)
	}
}

func tail(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// TestShippedProgramIsOnlyItself: what is for tests and for debugging stays out.
// (text/template is named by a library and cut off by the linker, which the
// test above sees to.)
func TestShippedProgramIsOnlyItself(t *testing.T) {
	deps, err := run("go", "list", "-deps", module+"/cmd/landfast")
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(deps) {
		switch dep = strings.TrimSpace(dep); dep {
		case "html/template", "testing", "net/http/pprof", "expvar", module + "/internal/lab":
			t.Errorf("the program contains %s", dep)
		}
	}
}
