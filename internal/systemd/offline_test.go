package systemd_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/landfast/landfast/internal/systemd"
)

func TestATreeTellsWhichSystemdWillRunThere(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string // below the tree
		give int
		want int
	}{
		{"nothing there", "", 0, 0},
		{"Debian 12", "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 0, 252},
		{"Fedora", "usr/lib64/systemd/libsystemd-shared-255.4-1.fc40.so", 0, 255},
		{"Arch", "usr/lib/systemd/libsystemd-shared-257.2-1.so", 0, 257},
		{"a library without a version", "usr/lib/systemd/libsystemd-shared-next.so", 0, 0},
		{"said to be another", "usr/lib/systemd/libsystemd-shared-257.so", 247, 247},
		{"only said", "", 239, 239},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "a [strange] name*")
			name := filepath.Join(root, tt.file)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.file != "" {
				if err := os.WriteFile(name, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tree := systemd.Offline(root)
			if tt.give != 0 {
				tree = tree.For(tt.give)
			}
			if got, err := tree.Version(t.Context()); err != nil || got != tt.want {
				t.Errorf("Version() = %d, %v, want %d", got, err, tt.want)
			}
		})
	}
}
