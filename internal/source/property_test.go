package source_test

import (
	"archive/tar"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"pgregory.net/rapid"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/source/hostile"
)

// kinds are drawn from; a file too large for one buffer takes its time.
var kinds = []string{"dir", "dir", "dir", "file", "file", "file", "file", "exec", "exec", "link", "link", "link", "large"}

// randomTree draws a tree that a release may hold, parents before children.
func randomTree(t *rapid.T) []hostile.Entry {
	name := rapid.StringMatching(`[a-zA-Z0-9 ._%äß+-]{1,12}`).Filter(func(s string) bool {
		return s != "." && s != ".." && s != ".git"
	})
	dirs := []string{""}
	taken := map[string]bool{}
	entries := []hostile.Entry{{Name: "always", Body: "there"}}
	taken["always"] = true
	for range rapid.IntRange(0, 12).Draw(t, "entries") {
		parent := rapid.SampledFrom(dirs).Draw(t, "parent")
		full := path.Join(parent, name.Draw(t, "name"))
		if taken[full] {
			continue
		}
		taken[full] = true
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case "dir":
			dirs = append(dirs, full)
			entries = append(entries, hostile.Entry{Name: full + "/", Type: tar.TypeDir, Mode: 0o700})
		case "file":
			body := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "body")
			entries = append(entries, hostile.Entry{Name: full, Body: string(body), Mode: 0o604})
		case "exec":
			entries = append(entries, hostile.Entry{Name: full, Mode: 0o100, Body: "#!"})
		case "large":
			size := rapid.IntRange(255<<10, 300<<10).Draw(t, "size")
			entries = append(entries, hostile.Entry{Name: full, Body: strings.Repeat("0123456", size/7)})
		case "link":
			up := strings.Repeat("../", strings.Count(full, "/"))
			to := path.Join(rapid.SampledFrom(dirs).Draw(t, "to"), rapid.SampledFrom([]string{"", "always", "nothing of this name"}).Draw(t, "target"))
			entries = append(entries, hostile.Entry{Name: full, Type: tar.TypeSymlink, Link: up + "./" + to})
		}
	}
	return entries
}

// writeDir makes the tree as a directory.
func writeDir(t *rapid.T, dir string, entries []hostile.Entry) {
	for _, e := range entries {
		full := filepath.Join(dir, e.Name)
		var err error
		switch e.Type {
		case tar.TypeDir:
			err = os.Mkdir(full, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(e.Link, full)
		default:
			mode := fs.FileMode(0o644)
			if e.Mode&0o111 != 0 {
				mode = 0o755
			}
			err = os.WriteFile(full, []byte(e.Body), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// read is what a directory holds, in a form that can be compared.
func read(t *rapid.T, dir string) []string {
	var all []string
	err := filepath.WalkDir(dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil || full == dir {
			return err
		}
		name, _ := filepath.Rel(dir, full)
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := name + " " + info.Mode().Type().String()
		switch info.Mode().Type() {
		case fs.ModeSymlink:
			target, err := os.Readlink(full)
			all = append(all, line+" "+target)
			return err
		case 0:
			if info.Mode()&0o111 != 0 {
				line += " x"
			}
			data, err := os.ReadFile(full)
			all = append(all, line+" "+string(data))
			return err
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(all)
	return all
}

func compressZstd(data []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func compressXZ(data []byte) []byte {
	var b strings.Builder
	w, err := xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(data); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return []byte(b.String())
}

// The same tree is the same release, however it came.
func TestEverySourceGivesTheSameTree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		top, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		entries := randomTree(rt)
		original := filepath.Join(top, "original")
		if err := os.Mkdir(original, 0o755); err != nil {
			rt.Fatal(err)
		}
		writeDir(rt, original, entries)
		packed := hostile.Tar(entries...)
		sources := map[string]landfast.Source{"dir": {Kind: landfast.SourceDir, Location: original}}
		for name, data := range map[string][]byte{
			"tar": packed, "gz": hostile.Gzip(packed), "zst": compressZstd(packed), "xz": compressXZ(packed), "zip": hostile.Zip(entries...),
		} {
			location := filepath.Join(top, "archive."+name)
			if err := os.WriteFile(location, data, 0o644); err != nil {
				rt.Fatal(err)
			}
			sources[name] = landfast.Source{Kind: landfast.SourceArchive, Location: location}
		}
		want, content := tree.Summary{}, read(rt, original)
		for name, src := range sources {
			into := filepath.Join(top, "into-"+name)
			got := unpackInto(rt, t, src, into)
			if want.Content == "" {
				want = got
			}
			if got != want {
				rt.Errorf("%s: %+v, others %+v", name, got, want)
			}
			if diff := cmp.Diff(content, read(rt, into)); diff != "" {
				rt.Errorf("%s: %s", name, diff)
			}
		}
	})
}

// unpackInto unpacks a source and checks its summary against a walk.
func unpackInto(rt *rapid.T, t *testing.T, src landfast.Source, into string) tree.Summary {
	if err := os.Mkdir(into, 0o755); err != nil {
		rt.Fatal(err)
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		rt.Fatal(err)
	}
	defer root.Close()
	a, err := source.Open(t.Context(), src, source.Options{})
	if err != nil {
		rt.Fatalf("%+v: %v", src, err)
	}
	defer a.Close()
	s, err := a.Unpack(t.Context(), root)
	if err != nil {
		rt.Fatalf("%+v: %v", src, err)
	}
	walked, err := tree.Digest(t.Context(), root, tree.Limits{}, nil)
	if err != nil || walked != s {
		rt.Errorf("%+v: the walk says %+v, %v, the writer %+v", src, walked, err, s)
	}
	return s
}

// Whatever an archive holds, nothing outside of the release changes.
func FuzzUnpack(f *testing.F) {
	for _, c := range hostile.Cases() {
		if len(c.Archive) < 64<<10 {
			f.Add(c.Archive, 0)
		}
	}
	f.Add(compressZstd(hostile.Tar(hostile.Entry{Name: "f"})), 0)
	f.Add(compressXZ(hostile.Tar(hostile.Entry{Name: "f"})), 0)
	f.Fuzz(func(t *testing.T, data []byte, strip int) {
		path := filepath.Join(t.TempDir(), "archive")
		must(t, os.WriteFile(path, data, 0o644))
		c := newCage(t)
		_, err := unpack(t, c, path, strip%4)
		c.check(t)
		if err == nil {
			c.checkLinks(t)
		}
	})
}
