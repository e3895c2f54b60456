package source_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	os.MkdirAll(src+"/a/b", 0o755)
	os.WriteFile(src+"/a/b/c", []byte("hello"), 0o755)
	os.WriteFile(src+"/big", make([]byte, 1<<20), 0o644)
	os.Symlink("a/b/c", src+"/l")
	for c, n := range map[string]string{"-cf": "x.tar", "-czf": "x.tgz", "-cJf": "x.txz"} {
		if out, err := exec.Command("tar", c, filepath.Join(dir, n), "-C", src, ".").CombinedOutput(); err != nil {
			t.Fatal(string(out))
		}
	}
	cmd := exec.Command("zip", "-qyr", filepath.Join(dir, "x.zip"), ".")
	cmd.Dir = src
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	var first tree.Summary
	for i, s := range []landfast.Source{
		{Kind: "dir", Location: src}, {Kind: "archive", Location: dir + "/x.tar"}, {Kind: "archive", Location: dir + "/x.tgz"},
		{Kind: "archive", Location: dir + "/x.txz"}, {Kind: "archive", Location: dir + "/x.zip"},
	} {
		a, err := source.Open(t.Context(), s, source.Options{})
		if err != nil {
			t.Fatal(s, err)
		}
		into := filepath.Join(dir, "into", string(rune('a'+i)))
		os.MkdirAll(into, 0o755)
		root, _ := os.OpenRoot(into)
		sum, err := a.Unpack(t.Context(), root)
		if err != nil {
			t.Fatal(s, err)
		}
		t.Log(sum, a.Revision)
		if i == 0 {
			first = sum
		} else if sum != first {
			t.Errorf("%v: %v != %v", s, sum, first)
		}
		a.Close()
	}
}
