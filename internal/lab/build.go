package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// unused is how long what nobody asked for stays in the cache.
const unused = 30 * 24 * time.Hour

// Build builds a main package of the module in the current directory, statically
// linked as it is shipped, and gives the path of the program, for a Bind. Equal
// programs are one file in the cache, so building twice costs only go's own
// check.
func Build(ctx context.Context, pkg string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	programs := filepath.Join(cache, "programs")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return "", fmt.Errorf("make the program cache: %w", err)
	}
	if err := removeUnused(programs); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(programs, "build-")
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	defer func() { _ = os.RemoveAll(part) }()
	built := filepath.Join(part, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", built, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	sum, err := fileSum(built)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	to := filepath.Join(programs, sum)
	if err := os.Rename(built, to); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	return to, nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// removeUnused removes from a cache what was last used long ago, half-built
// things of killed processes among it.
func removeUnused(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list the cache: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < unused {
			continue // or it is just being removed by somebody else
		}
		if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clean the cache: %w", err)
		}
	}
	return nil
}
