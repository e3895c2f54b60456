package source_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release"
	"github.com/landfast/landfast/internal/source"
	"github.com/landfast/landfast/internal/source/hostile"
)

// The release that is measured: 20 MB in 500 files.
const (
	benchFiles = 500
	benchBytes = 20 << 20
)

// benchEntries are files of half random content, three directories deep.
func benchEntries() []hostile.Entry {
	random := rand.NewChaCha8([32]byte{})
	var entries []hostile.Entry
	for i := range benchFiles {
		body := make([]byte, benchBytes/benchFiles)
		_, _ = random.Read(body[:len(body)/2])
		entries = append(entries, hostile.Entry{Name: fmt.Sprintf("d%d/e%d/f%d", i%5, i%25, i), Body: string(body)})
	}
	return entries
}

// BenchmarkRelease measures a release from its source to the moment it is
// sealed. "fetch" has the digest taken and everything written; "seal" has
// owners, modes and the flush to the disk on top. cp-a and cp-a-sync are what
// they are compared with.
func BenchmarkRelease(b *testing.B) {
	dir := b.TempDir()
	entries := benchEntries()
	packed := hostile.Tar(entries...)
	for name, data := range map[string][]byte{
		"web.tar": packed, "web.tar.gz": hostile.Gzip(packed), "web.tar.zst": compressZstd(packed), "web.zip": hostile.Zip(entries...),
	} {
		must(b, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	original := filepath.Join(dir, "original")
	root := func() *os.Root {
		must(b, os.Mkdir(original, 0o755))
		r, err := os.OpenRoot(original)
		must(b, err)
		return r
	}()
	a, err := source.Open(b.Context(), landfast.Source{Kind: landfast.SourceArchive, Location: dir + "/web.tar"}, source.Options{})
	must(b, err)
	_, err = a.Unpack(b.Context(), root)
	must(b, err)

	b.Run("cp-a", func(b *testing.B) { benchCopy(b, original, false) })
	b.Run("cp-a-sync", func(b *testing.B) { benchCopy(b, original, true) })
	for _, name := range []string{"original", "web.tar", "web.tar.gz", "web.tar.zst", "web.zip"} {
		src := landfast.Source{Kind: landfast.SourceArchive, Location: filepath.Join(dir, name)}
		if name == "original" {
			src.Kind = landfast.SourceDir
		}
		b.Run("fetch/"+name, func(b *testing.B) { benchRelease(b, src, false) })
		b.Run("seal/"+name, func(b *testing.B) { benchRelease(b, src, true) })
	}
}

func benchCopy(b *testing.B, original string, sync bool) {
	dir := b.TempDir()
	for i := range b.N {
		to := filepath.Join(dir, fmt.Sprint(i))
		must(b, exec.Command("cp", "-a", original, to).Run())
		if sync {
			must(b, exec.Command("sync", "-f", to).Run())
		}
		b.StopTimer()
		must(b, os.RemoveAll(to))
		b.StartTimer()
	}
}

func benchRelease(b *testing.B, src landfast.Source, seal bool) {
	dir := b.TempDir()
	store := release.New(release.Options{App: "web", Deploy: dir + "/srv", State: dir + "/lib", UID: -1, GID: -1})
	for i := range b.N {
		id := landfast.ReleaseID(time.Unix(int64(i), 0), "abc", "")
		a, err := source.Open(b.Context(), src, source.Options{Work: dir})
		must(b, err)
		part, err := store.Stage(id)
		must(b, err)
		_, err = a.Unpack(b.Context(), part)
		must(b, err)
		must(b, part.Close())
		must(b, a.Close())
		if seal {
			must(b, store.Seal(b.Context(), id, landfast.Release{}))
		}
		b.StopTimer()
		must(b, store.Discard(id))
		b.StartTimer()
	}
}
