package tree_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

func newRoot(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// The digest names releases on disk and in known-bad memory, so its listing
// must never change.
func TestTheDigestIsThatOfTheListing(t *testing.T) {
	root := newRoot(t)
	w := tree.NewWriter(root, tree.Limits{}, nil)
	defer w.Close()
	err := errors.Join(
		w.File(t.Context(), "b/run", true, 2, strings.NewReader("#!")),
		w.Symlink("b/link", "../a"),
		w.File(t.Context(), "a", false, 0, strings.NewReader("text")),
		w.Dir("c/"),
		w.Hardlink(t.Context(), "b.txt", "a"),
	)
	if err != nil {
		t.Fatal(err)
	}
	listing := "landfast tree 1\n" +
		"f 4 " + sum("text") + " a\n" +
		"d 0 - b\n" +
		"f 4 " + sum("text") + " b.txt\n" +
		"l 0 " + sum("../a") + " b/link\n" +
		"x 2 " + sum("#!") + " b/run\n" +
		"d 0 - c\n"
	want := tree.Summary{Content: "sha256:" + sum(listing), Bytes: 10, Files: 3}
	if got, err := w.Finish(); got != want || err != nil {
		t.Errorf("Finish() = %+v, %v, want %+v", got, err, want)
	}
	if got, err := tree.Digest(t.Context(), root, tree.Limits{}, nil); got != want || err != nil {
		t.Errorf("Digest() = %+v, %v, want %+v", got, err, want)
	}
}

func TestTheDigestSeesEveryDifference(t *testing.T) {
	base := func(dir string) error {
		return errors.Join(
			os.Mkdir(dir+"/d", 0o755), os.WriteFile(dir+"/d/f", []byte("text"), 0o644), os.Symlink("d/f", dir+"/l"),
		)
	}
	seen := map[string]string{}
	for name, change := range map[string]func(dir string) error{
		"nothing":   func(string) error { return nil },
		"content":   func(d string) error { return os.WriteFile(d+"/d/f", []byte("tex!"), 0o644) },
		"exec":      func(d string) error { return os.Chmod(d+"/d/f", 0o654) },
		"target":    func(d string) error { return errors.Join(os.Remove(d+"/l"), os.Symlink("d", d+"/l")) },
		"empty dir": func(d string) error { return os.Mkdir(d+"/e", 0o755) },
		"name":      func(d string) error { return os.Rename(d+"/d/f", d+"/d/g") },
		"link": func(d string) error {
			return errors.Join(os.Remove(d+"/l"), os.WriteFile(d+"/l", []byte("d/f"), 0o644))
		},
	} {
		root := newRoot(t)
		if err := errors.Join(base(root.Name()), change(root.Name())); err != nil {
			t.Fatal(err)
		}
		s, err := tree.Digest(t.Context(), root, tree.Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[s.Content]; ok {
			t.Errorf("%q and %q have the same digest", name, other)
		}
		seen[s.Content] = name
		epoch := time.Unix(0, 0)
		if err := errors.Join(os.Chmod(root.Name()+"/d", 0o700), os.Chtimes(root.Name()+"/d", epoch, epoch)); err != nil {
			t.Fatal(err)
		}
		if again, err := tree.Digest(t.Context(), root, tree.Limits{}, nil); again != s || err != nil {
			t.Errorf("%q: times and modes count: %v", name, err)
		}
	}
}

func TestAFailedFileFailsTheRelease(t *testing.T) {
	broken := errors.New("broken")
	for name, r := range map[string]io.Reader{
		"at once": iotest.ErrReader(broken),
		"later":   io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken)),
		"large":   io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), iotest.ErrReader(broken)),
		"slowly":  iotest.OneByteReader(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken))),
	} {
		w := tree.NewWriter(newRoot(t), tree.Limits{}, nil)
		if err := w.File(t.Context(), "f", false, 1<<20, r); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
		w.Close()
	}
	// Errors of files that are written by other goroutines.
	root := newRoot(t)
	w := tree.NewWriter(root, tree.Limits{}, nil)
	if err := os.WriteFile(filepath.Join(root.Name(), "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = w.File(t.Context(), "f", false, 1, strings.NewReader("x"))
	if _, err := w.Finish(); !errors.Is(err, os.ErrExist) {
		t.Errorf("a file in the way: %v", err)
	}
}

// What a file says of its size is wrong, in both directions.
func TestSizesAreNotBelieved(t *testing.T) {
	for _, says := range []int64{-5, 0, 1, 1 << 40} {
		for _, size := range []int{0, 1, 5000, 1 << 20} {
			root := newRoot(t)
			w := tree.NewWriter(root, tree.Limits{}, nil)
			r := iotest.HalfReader(strings.NewReader(strings.Repeat("x", size)))
			if err := w.File(t.Context(), "f", false, says, r); err != nil {
				t.Fatal(err)
			}
			s, err := w.Finish()
			info, statErr := root.Stat("f")
			if err != nil || statErr != nil || s.Bytes != int64(size) || info.Size() != int64(size) {
				t.Errorf("says %d, is %d: %+v, %v, %v", says, size, s, err, info)
			}
		}
	}
}

func TestCountingAndProgress(t *testing.T) {
	var told int64
	w := tree.NewWriter(newRoot(t), tree.Limits{Bytes: 10, Files: 3}, func(n int64) { told = n })
	defer w.Close()
	if err := w.File(t.Context(), "d/f", false, 4, strings.NewReader("text")); err != nil || w.Remaining() != 6 || told != 4 {
		t.Errorf("%v, %d left, %d told", err, w.Remaining(), told)
	}
	if err := w.File(t.Context(), "g", false, 0, strings.NewReader("more text")); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("13 bytes of 10: %v", err)
	}
	if err := w.Dir("h"); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("4 entries of 3: %v", err)
	}
}

func TestALargeFileEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := tree.NewWriter(newRoot(t), tree.Limits{}, func(n int64) {
		if n > 1<<20 {
			cancel()
		}
	})
	defer w.Close()
	if err := w.File(ctx, "f", false, 1<<40, zeros{}); !errors.Is(err, context.Canceled) {
		t.Errorf("File() = %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestDigestRefuses(t *testing.T) {
	root := newRoot(t)
	for i := range 5 {
		if err := os.WriteFile(fmt.Sprintf("%s/f%d", root.Name(), i), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, limits := range []tree.Limits{{Files: 4}, {Bytes: 499}} {
		if _, err := tree.Digest(t.Context(), root, limits, nil); landfast.KindOf(err) != landfast.Invalid {
			t.Errorf("%+v: %v", limits, err)
		}
	}
	skip := func(e *tree.Entry) bool { return e.Base == "f0" }
	if s, err := tree.Digest(t.Context(), root, tree.Limits{Files: 4}, skip); s.Files != 4 || err != nil {
		t.Errorf("%+v, %v", s, err)
	}
}
