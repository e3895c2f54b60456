package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
)

// TestPagesAreUpToDate compares each page with what gen would write.
func TestPagesAreUpToDate(t *testing.T) {
	t.Chdir("../..")
	for _, p := range pages() {
		want, err := p.text()
		if err != nil {
			t.Errorf("%s: %v", p.path, err)
			continue
		}
		got, err := os.ReadFile(p.path)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code says; run \"go run ./internal/gen\":\n%s", p.path, diff.Diff(p.path, got, "generated", want))
		}
	}
}
