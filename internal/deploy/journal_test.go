package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/landfast/landfast/internal/deploy"
)

// A journal that is damaged is named, and nothing waits for one that is no file.
func TestADamagedJournalIsNamed(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"empty":     func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"garbage":   func(p string) error { return os.WriteFile(p, []byte("{}\n{}\n"), 0o600) },
		"a pipe":    func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"a link":    func(p string) error { return os.Symlink("/etc/passwd", p) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.must(w.deploy(manifestText, "1", "good"))
			path := filepath.Join(w.root, "var/lib/landfast/web/deployments/20991121T013000Z-deploy.jsonl")
			w.must(damage(path))
			err := w.deploy(manifestText, "2", "good")
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "moved away") {
				t.Errorf("error %v", err)
			}
			state, err := w.host.OpenState("web")
			w.must(err)
			defer state.Close()
			if _, err := deploy.History(state, 0); err == nil {
				t.Error("no error from the history")
			}
			w.must(os.RemoveAll(path))
			w.must(w.deploy(manifestText, "2", "good"))
		})
	}
}

// Whatever a journal holds, reading it ends with a record or an error.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(`{"at":"2026-11-21T01:30:00Z","kind":"begin","begin":{"deployment":{"id":"x","status":"running"}}}` + "\n" +
		`{"kind":"step","step":{"name":"fetch","status":"doing"}}` + "\n" + `{"kind":"status","status":"comm`))
	f.Fuzz(func(_ *testing.T, b []byte) { _ = deploy.Decode(b) })
}
