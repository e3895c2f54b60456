package deploy_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/systemd"
)

// withSettings has a secret, a parameter and configuration that come from elsewhere.
const withSettings = manifestText + `
[env]
ssm = "/web"
` + ofSettings

const ofSettings = `
[dirs]
configuration = true

[secrets]
DB = { file = "/etc/landfast/secrets/web/db", env = true }

[config]
s3 = "s3://shop-config"
`

// cloud gives one parameter and two files, each with the same text.
type cloud struct {
	text string
	down bool
}

func (c *cloud) answer() error {
	if c.down {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "the cloud does not answer"}
	}
	return nil
}

func (c *cloud) Parameter(context.Context, string) (string, error) { return c.text, c.answer() }

func (c *cloud) Parameters(context.Context, string) (map[string]string, error) {
	return map[string]string{"/web/pool-size": c.text}, c.answer()
}

func (c *cloud) Files(context.Context, string) (map[string][]byte, error) {
	return map[string][]byte{"app.conf": []byte(c.text), "deep/er.conf": []byte(c.text)}, c.answer()
}

// settings changes what every source gives.
func (w *world) settings(text string) {
	w.t.Helper()
	w.cloud.text = text
	w.write("etc/landfast/secrets/web/db", text+"\n")
	if err := os.Chmod(filepath.Join(w.root, "etc/landfast/secrets/web/db"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// has checks what the app would be started with.
func (w *world) has(text string) {
	w.t.Helper()
	at := filepath.Join(w.root, "var/lib/landfast/web/settings/current")
	for file, want := range map[string]string{
		at + "/credentials/DB":                                text,
		at + "/environment":                                   "DB=\"" + text + "\"\nPOOL_SIZE=\"" + text + "\"\n",
		filepath.Join(w.root, "etc/web/fetched/app.conf"):     text,
		filepath.Join(w.root, "etc/web/fetched/deep/er.conf"): text,
	} {
		got, err := os.ReadFile(file)
		if err != nil || string(got) != want {
			w.t.Errorf("%s holds %q, %v, want %q", file, got, err, want)
		}
	}
}

func TestSettingsGoBackWithTheRelease(t *testing.T) {
	w := newWorld(t)
	w.settings("one")
	w.must(w.deploy(withSettings, "1", "good"))
	w.has("one")
	w.settings("two")
	w.must(w.deploy(withSettings, "2", "good"))
	w.has("two")
	w.settings("three")
	if err := w.deploy(withSettings, "3", "exits"); landfast.KindOf(err) != landfast.RolledBack {
		t.Fatal(err)
	}
	w.has("two")
	w.cloud.down = true
	w.must(w.rollback(withSettings))
	w.has("one")
}

// What is on the host is enough to deploy when a source does not answer.
func TestASourceThatIsDownStopsNoDeployment(t *testing.T) {
	w := newWorld(t)
	w.settings("one")
	w.cloud.down = true
	if err := w.deploy(withSettings, "1", "good"); landfast.KindOf(err) != landfast.Unavailable {
		t.Fatalf("error %v, want one that says that a source is not available", err)
	}
	w.cloud.down = false
	w.must(w.deploy(withSettings, "1", "good"))
	w.cloud.down = true
	w.must(w.deploy(withSettings, "2", "good"))
	w.has("one")
	said := false
	for _, e := range w.events {
		said = said || strings.Contains(e.Note, "the cloud does not answer")
	}
	if !said {
		t.Error("nobody was told")
	}
	// A new secret that cannot be had is another matter.
	more := strings.Replace(withSettings, "[config]", "TOKEN = { ssm = \"/web/token\" }\n[config]", 1)
	if err := w.deploy(more, "3", "good"); landfast.KindOf(err) != landfast.Unavailable {
		t.Fatalf("error %v, want one that says that a source is not available", err)
	}
	w.has("one")
}

// A refresh says that what is outside has changed: the former values are gone, for
// a rollback too.
func TestRefreshReplacesFormerSettings(t *testing.T) {
	w := newWorld(t)
	w.settings("one")
	w.must(w.deploy(withSettings, "1", "good"))
	w.settings("two")
	w.must(w.deploy(withSettings, "2", "good"))
	done, err := w.engine.RefreshSettings(t.Context(), w.app(withSettings))
	if err != nil || done.Changed {
		t.Fatalf("%+v, %v: nothing has changed", done, err)
	}
	w.settings("three")
	if done, err = w.engine.RefreshSettings(t.Context(), w.app(withSettings)); err != nil || !done.Changed {
		t.Fatalf("%+v, %v", done, err)
	}
	w.has("three")
	w.must(w.rollback(withSettings))
	w.has("three")
	sets, err := os.ReadDir(filepath.Join(w.root, "var/lib/landfast/web/settings/sets"))
	if err != nil || len(sets) != 1 {
		t.Errorf("%d sets are left, %v, want the one", len(sets), err)
	}
}

// A tree that is to become a machine gets no secrets: whoever has the image would have
// them.
func TestStagedHasNoSettings(t *testing.T) {
	w := newWorld(t)
	w.engine.Staged = true
	w.engine.Units = systemd.Offline(w.root)
	w.settings("one")
	w.must(w.deploy(withSettings, "1", "good"))
	for _, name := range []string{"var/lib/landfast/web/settings", "etc/web/fetched", "etc/web/.fetched"} {
		if _, err := os.Lstat(filepath.Join(w.root, name)); err == nil {
			t.Errorf("%s is in the tree", name)
		}
	}
}
