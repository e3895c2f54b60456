package hostconf_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/manifest"
)

var update = flag.Bool("update", false, "write what Load gives into testdata")

// TestGolden loads the files of each testdata/*.txtar below etc/landfast: they must
// give config.json, or the text errors.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fsys := fstest.MapFS{}
			var rest []txtar.File
			for _, f := range a.Files {
				if strings.HasPrefix(f.Name, "etc/") {
					fsys[f.Name] = &fstest.MapFile{Data: f.Data}
					rest = append(rest, f)
				}
			}
			got := txtar.File{Name: "config.json"}
			c, err := hostconf.Load(fsys)
			if err != nil {
				if _, ok := errors.AsType[manifest.Errors](err); !ok || landfast.KindOf(err) != landfast.Invalid {
					t.Errorf("%T of kind %s", err, landfast.KindOf(err))
				}
				got = txtar.File{Name: "errors", Data: []byte(err.Error() + "\n")}
			} else if got.Data, err = json.MarshalIndent(c, "", " "); err != nil {
				t.Fatal(err)
			}
			a.Files = append(rest, got)
			text := txtar.Format(a)
			if *update {
				if err := os.WriteFile(file, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff.Diff("want", want, "got", text); d != nil {
				t.Errorf("%s", d)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns, text string
		want           bool
	}{
		{"main", "main", true},
		{"main", "main2", false},
		{"main", "a/main", false},
		{"release/*", "release/1", true},
		{"release/*", "release/1/2", false},
		{"release/**", "release/1/2", true},
		{"**/x", "x", true},
		{"**/x", "a/b/x", true},
		{"docs/**", "docs", false},
		{"v?.?", "v1.2", true},
		{"v?.?", "v1/2", false},
		{"** !docs/** docs/index.md", "docs/index.md", true},
		{"** !docs/** docs/index.md", "docs/other.md", false},
		{"!main", "main", false},
		{"!main", "other", false},
		{"", "main", false},
		{"a.b", "axb", false},
		{"(main", "(main", true},
		{"ä*", "äö", true},
		{"*", "", true},
		{"*", "a\nb", true},
	} {
		var list []hostconf.Pattern
		for p := range strings.FieldsSeq(c.patterns) {
			one, ok := hostconf.NewPattern(p)
			if !ok {
				t.Errorf("%q is no pattern", p)
			}
			list = append(list, one)
		}
		if got := hostconf.Match(list, c.text); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.patterns, c.text, got)
		}
	}
}

// TestDefaults are those that the reference page tells.
func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := hostconf.Load(fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Listen
	if len(l.Address) != 1 || l.Address[0] != "[::]:8420" || l.MaxBody.Bytes != 5<<20 || l.MaxHeader.Bytes != 32<<10 || l.MaxConnections != 256 ||
		l.Timeout.Span != 10*time.Second || l.Idle.Span != 30*time.Second || *l.Rate != 600 || l.Burst != 120 {
		t.Errorf("%+v", l)
	}
}

// TestReferenceHasEveryKey: each has a meaning and an example that is good.
func TestReferenceHasEveryKey(t *testing.T) {
	t.Parallel()
	text := string(hostconf.Reference())
	for _, key := range []string{"trusted_proxies", "branches", "delivery_header", "expires", "claims", "insecure_http"} {
		if !strings.Contains(text, "`"+key+"`") {
			t.Errorf("the page has no %s", key)
		}
	}
	if strings.Contains(text, "|  |") {
		t.Error("a key has no meaning or no example")
	}
}

// TestHowTo: what the page shows is good.
func TestHowTo(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/how-to/push-to-deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(text), "```toml listen\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		if _, err := hostconf.Parse("push-to-deploy.md", []byte(block)); err != nil {
			t.Errorf("%v", err)
		}
		n++
	}
	if n < 6 {
		t.Errorf("%d blocks", n)
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := hostconf.ReadSecret(dir, "web.secret"); landfast.KindOf(err) != landfast.Invalid {
		t.Errorf("missing: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, hostconf.SecretsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, hostconf.SecretsDir, "web.secret"), []byte("of the file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := hostconf.ReadSecret(dir, "web.secret"); err != nil || string(got) != "of the file" {
		t.Errorf("%q, %v", got, err)
	}
	unit := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", unit)
	if err := os.WriteFile(filepath.Join(unit, "web.secret"), []byte("of the unit"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := hostconf.ReadSecret(dir, "web.secret"); err != nil || string(got) != "of the unit" {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzParse: whatever the text, it is a configuration, or mistakes with places.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := hostconf.Parse("listen.toml", text)
		if err == nil {
			return
		}
		all, ok := errors.AsType[manifest.Errors](err)
		if !ok || len(all) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		for _, p := range all {
			if p.Line < 1 || p.Column < 1 || p.Msg == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
