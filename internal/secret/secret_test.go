package secret_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/secret"
)

// machine is a root directory with what its files hold, each with its mode.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	return &machine{t, t.TempDir()}
}

func (m *machine) write(name, text string, mode os.FileMode) {
	m.t.Helper()
	file := filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, mode)); err != nil {
		m.t.Fatal(err)
	}
}

// get asks for one secret, with the release in the directory of that name.
func (m *machine) get(s landfast.Secret, cloud secret.Cloud) (string, error) {
	m.t.Helper()
	s.Name = "NAME"
	release, err := os.OpenRoot(filepath.Join(m.root, "release"))
	if err == nil {
		defer release.Close()
	} else {
		release = nil
	}
	sources := &secret.Sources{Root: m.root, Cloud: func(context.Context) (secret.Cloud, error) { return cloud, nil }}
	v, err := sources.Get(m.t.Context(), &landfast.App{Secrets: []landfast.Secret{s}}, release)
	return string(v.Credentials["NAME"]), err
}

// refused checks kind and text of an error.
func refused(t *testing.T, err error, kind landfast.Kind, texts ...string) {
	t.Helper()
	if landfast.KindOf(err) != kind {
		t.Fatalf("error %v of kind %s, want %s", err, landfast.KindOf(err), kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func TestFiles(t *testing.T) {
	m := newMachine(t)
	file := landfast.Secret{Kind: landfast.SecretFile, Location: "/etc/db"}
	_, err := m.get(file, nil)
	refused(t, err, landfast.NotFound, "secret NAME (file /etc/db)", "landfast secrets set")
	for text, want := range map[string]string{
		"x": "x", "x\n": "x", "x\r\n": "x", "x\n\n": "x\n", " x ": " x ", "\x00\xff": "\x00\xff", "a\nb\n": "a\nb",
	} {
		m.write("etc/db", text, 0o600)
		if got, err := m.get(file, nil); err != nil || got != want {
			t.Errorf("a file with %q is the secret %q, %v, want %q", text, got, err, want)
		}
	}
	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o600: true, 0o644: false, 0o604: false, 0o620: false, 0o666: false} {
		m.write("etc/db", "hunter2", mode)
		_, err := m.get(file, nil)
		if (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Error("the error tells the secret")
		}
	}
	m.write("etc/db", "\n", 0o600)
	_, err = m.get(file, nil)
	refused(t, err, landfast.Invalid, "it is empty")
	m.write("etc/db", strings.Repeat("x", 1<<20+1), 0o600)
	_, err = m.get(file, nil)
	refused(t, err, landfast.Invalid, "larger than 1 MiB")
	_, err = m.get(landfast.Secret{Kind: landfast.SecretFile, Location: "/etc"}, nil)
	refused(t, err, landfast.Invalid, "is not a file")
}

func TestAge(t *testing.T) {
	m := newMachine(t)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	m.write("etc/landfast/age.key", "# created: today\n"+key.String()+"\n", 0o600)
	from := landfast.Secret{Kind: landfast.SecretAge, Location: "secrets/db.age", Identity: "/etc/landfast/age.key"}
	_, err = m.get(from, nil)
	refused(t, err, landfast.NotFound, "no release")
	for name, armored := range map[string]bool{"binary": false, "armored": true} {
		m.write("release/secrets/db.age", sealed(t, "hunter2\n", armored, key.Recipient(), other.Recipient()), 0o644)
		if got, err := m.get(from, nil); err != nil || got != "hunter2" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	m.write("release/secrets/db.age", sealed(t, "hunter2", true, other.Recipient()), 0o644)
	_, err = m.get(from, nil)
	refused(t, err, landfast.Invalid, "not encrypted for a key of this host")
	good := sealed(t, "hunter2", false, key.Recipient())
	m.write("release/secrets/db.age", good[:len(good)-1]+"?", 0o644)
	_, err = m.get(from, nil)
	refused(t, err, landfast.Invalid, "cannot be decrypted")
	m.write("release/secrets/db.age", "plain text", 0o644)
	_, err = m.get(from, nil)
	refused(t, err, landfast.Invalid, "cannot be decrypted")
	if err := os.Remove(filepath.Join(m.root, "release/secrets/db.age")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(m.root, "release/secrets/db.age")); err != nil {
		t.Fatal(err)
	}
	if _, err = m.get(from, nil); err == nil {
		t.Error("a link out of the release was followed")
	}
	m.write("etc/landfast/age.key", "AGE-SECRET-KEY-NONSENSE", 0o600)
	m.write("release/other.age", good, 0o644)
	from.Location = "other.age"
	_, err = m.get(from, nil)
	refused(t, err, landfast.Invalid, "holds no age key")
	if strings.Contains(err.Error(), "NONSENSE") {
		t.Error("the error quotes the key")
	}
	m.write("etc/landfast/age.key", key.String(), 0o644)
	_, err = m.get(from, nil)
	refused(t, err, landfast.Invalid, "chmod 600")
}

func sealed(t *testing.T, text string, armored bool, to ...age.Recipient) string {
	t.Helper()
	var b bytes.Buffer
	var out io.Writer = &b
	var closers []io.Closer
	if armored {
		a := armor.NewWriter(&b)
		out, closers = a, []io.Closer{a}
	}
	w, err := age.Encrypt(out, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	for _, c := range append([]io.Closer{w}, closers...) {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// stand is a cloud with parameters.
type stand map[string]string

func (s stand) Parameter(_ context.Context, name string) (string, error) {
	if v, ok := s[name]; ok {
		return v, nil
	}
	return "", &landfast.Error{Kind: landfast.NotFound, Msg: "there is no parameter " + name}
}

func (s stand) Parameters(_ context.Context, path string) (map[string]string, error) {
	found := map[string]string{}
	for name, v := range s {
		if strings.HasPrefix(name, strings.TrimSuffix(path, "/")+"/") {
			found[name] = v
		}
	}
	return found, nil
}

func (s stand) Files(context.Context, string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, v := range s {
		files[name] = []byte(v)
	}
	return files, nil
}

func (m *machine) values(app *landfast.App, cloud secret.Cloud) (secret.Values, error) {
	sources := &secret.Sources{Root: m.root, Cloud: func(context.Context) (secret.Cloud, error) { return cloud, nil }}
	return sources.Get(m.t.Context(), app, nil)
}

func TestParametersBecomeVariables(t *testing.T) {
	m := newMachine(t)
	m.write("etc/token", "of the secret", 0o600)
	app := &landfast.App{
		Parameters: []string{"/web/base", "/web/production/"},
		Secrets:    []landfast.Secret{{Name: "TOKEN", Kind: landfast.SecretFile, Location: "/etc/token", Env: true}},
	}
	v, err := m.values(app, stand{
		"/web/base/pool": "1", "/web/base/db/pool-size.max": "5", "/web/production/pool": "a \"b\" $c `d` \\e\nf'", "/web/production/token": "of SSM", "/webby/x": "no",
	})
	want := "DB_POOL_SIZE_MAX=\"5\"\nPOOL=\"a \\\"b\\\" \\$c \\`d\\` \\\\e\nf'\"\nTOKEN=\"of the secret\"\n"
	if err != nil || string(v.Environment) != want {
		t.Errorf("got %s, %v, want %s", v.Environment, err, want)
	}
	for name, c := range map[string]struct {
		cloud stand
		kind  landfast.Kind
		says  string
	}{
		"nothing":   {stand{}, landfast.NotFound, "no parameters below /web/base"},
		"collision": {stand{"/web/base/a-b": "1", "/web/base/a/b": "2", "/web/production/x": "1"}, landfast.Invalid, "would both be A_B"},
		"digit":     {stand{"/web/base/1st": "1", "/web/production/x": "1"}, landfast.Invalid, "cannot be a variable"},
		"control":   {stand{"/web/base/x": "a\x01", "/web/production/x": "1\x00"}, landfast.Invalid, "bytes that a variable cannot have"},
	} {
		_, err := m.values(app, c.cloud)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestNamesOfFetchedFiles(t *testing.T) {
	m := newMachine(t)
	app := &landfast.App{Config: &landfast.RemoteConfig{Location: "s3://b/p", Dir: "/etc/web/fetched"}}
	if v, err := m.values(app, stand{"a.conf": "1", "d/e.conf": "2"}); err != nil || len(v.Files) != 2 {
		t.Errorf("%v, %v", v.Files, err)
	}
	for _, bad := range []stand{
		{"../x": "1"}, {"/etc/passwd": "1"}, {"a//b": "1"}, {"a/./b": "1"}, {"a\nb": "1"}, {"": "1"}, {"a": "1", "a/b": "2"},
	} {
		_, err := m.values(app, bad)
		refused(t, err, landfast.Invalid, "cannot be a file")
	}
	_, err := m.values(app, stand{})
	refused(t, err, landfast.NotFound, "no files below s3://b/p")
}

// Everything that is wrong is told at once, and waiting counts only when it would help.
func TestAllThatIsWrongIsTold(t *testing.T) {
	m := newMachine(t)
	app := &landfast.App{Secrets: []landfast.Secret{
		{Name: "A", Kind: landfast.SecretFile, Location: "/a"}, {Name: "B", Kind: landfast.SecretSSM, Location: "/b"},
	}}
	_, err := m.values(app, stand{})
	refused(t, err, landfast.NotFound, "2 settings cannot be had", "secret A (file /a)", "secret B (ssm /b)")
}

func TestWrite(t *testing.T) {
	m := newMachine(t)
	sources := &secret.Sources{Root: m.root}
	file := landfast.Secret{Name: "DB", Kind: landfast.SecretFile, Location: "/etc/landfast/secrets/web/db"}
	if err := sources.Write(file, []byte("hunter2")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"etc/landfast": 0o755, "etc/landfast/secrets": 0o700, "etc/landfast/secrets/web": 0o700, "etc/landfast/secrets/web/db": 0o600} {
		if info, err := os.Stat(filepath.Join(m.root, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %o", name, info.Mode(), err, want)
		}
	}
	refused(t, sources.Write(landfast.Secret{Name: "V", Kind: landfast.SecretVault, Location: "kv/web#x"}, []byte("x")), landfast.Invalid, "comes from vault kv/web#x")
}
