package deploy_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// makeRelease makes a release of 20 MB: the Go example, and files beside it such
// as an app's pages, of a content that gzip can make a little smaller.
func makeRelease(b *testing.B) string {
	b.Helper()
	const megabyte = 1_000_000
	dir := b.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		b.Fatal(err)
	}
	web := filepath.Join(dir, "bin/web")
	output(b, "env", "-C", "../../examples/go-web", "CGO_ENABLED=0", "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", web, ".")
	info, err := os.Stat(web)
	if err != nil {
		b.Fatal(err)
	}
	config := read(b, "../../examples/go-web/config.json")
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		b.Fatal(err)
	}
	const files = 698 // with the program, its configuration and its version there are 701
	random := rand.New(rand.NewPCG(20, 1))
	size := (20*megabyte - int(info.Size())) / files
	for i := range files {
		page := make([]byte, size)
		for j := range page {
			page[j] = "abcdefghijklmnopqrstuvwxyz <>/=\n"[random.IntN(32)]
		}
		path := filepath.Join(dir, fmt.Sprintf("pages/%02d/%03d.html", i%20, i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, page, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}
