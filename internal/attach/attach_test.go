package attach_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/attach"
	"github.com/landfast/landfast/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// stream is the path that a directive names.
func stream(t *testing.T, a *attach.Attachment, name string) string {
	t.Helper()
	for _, d := range a.Directives() {
		if path, ok := strings.CutPrefix(d.Value, "file:"); d.Name == name && ok {
			return path
		}
	}
	t.Fatalf("no %s in %v", name, a.Directives())
	return ""
}

// The streams are used as systemd does: the input is connected to, the outputs are
// opened for writing.
func TestPipesCarryEverything(t *testing.T) {
	base := t.TempDir()
	var out, errs bytes.Buffer
	in := strings.Repeat("input\n", 50_000)
	a, err := attach.Pipes(base, attach.Streams{In: strings.NewReader(in), Out: &out, Err: &errs})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", stream(t, a, "StandardInput"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c) // ends, because the input does
	if err != nil || string(got) != in {
		t.Errorf("read %d bytes of %d: %v", len(got), len(in), err)
	}
	c.Close()
	for name, text := range map[string]string{"StandardOutput": strings.Repeat("out\n", 100_000), "StandardError": "err\n"} {
		// Two writers, one behind the other: the end of the first is not the end.
		for _, part := range []string{text[:len(text)/2], text[len(text)/2:]} {
			f, err := os.OpenFile(stream(t, a, name), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(part); err != nil {
				t.Error(err)
			}
			f.Close()
		}
	}
	a.Close()
	if out.String() != strings.Repeat("out\n", 100_000) || errs.String() != "err\n" {
		t.Errorf("got %d bytes of output and %q", out.Len(), errs.String())
	}
	left, err := os.ReadDir(base)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// A unit that never comes as far as opening its streams.
func TestPipesUnused(t *testing.T) {
	a, err := attach.Pipes(t.TempDir(), attach.Streams{In: strings.NewReader("x"), Out: io.Discard, Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
}
