package lab

import (
	"os"
	"path/filepath"
)

// Cached gives the root file system of a suite when it was built before, and
// whether it was. It waits for nothing and builds nothing.
func Cached(suite string) (root string, ok bool) {
	s, err := SuiteNamed(suite)
	if err != nil {
		return "", false
	}
	cache, err := CacheDir()
	if err != nil {
		return "", false
	}
	dir := filepath.Join(cache, "images", s.key())
	if _, err := os.Stat(filepath.Join(dir, imageDone)); err != nil {
		return "", false
	}
	return filepath.Join(dir, "root"), true
}
