package stack_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/landfast/landfast/internal/stack"
)

func TestNamesAreThePresets(t *testing.T) {
	t.Parallel()
	var files []string
	entries, err := fs.ReadDir(os.DirFS("presets"), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		files = append(files, strings.TrimSuffix(e.Name(), ".toml"))
	}
	names := slices.Sorted(slices.Values(stack.Names()))
	if !slices.Equal(names, files) {
		t.Errorf("Names = %v, files are %v", names, files)
	}
	if _, ok := stack.Preset("phoenix"); ok {
		t.Error("there is a preset phoenix")
	}
}
