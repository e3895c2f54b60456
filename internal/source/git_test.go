package source_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/source"
)

// repository is a git repository of the test.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T, content map[string]string) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	r := &repository{t: t, dir: files(t, content)}
	r.git("init", "--quiet", "--initial-branch=main")
	r.commit("first")
	return r
}

// git runs git as somebody whose configuration does not matter.
func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) commit(message string) string {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

func (r *repository) write(name, text string) {
	r.t.Helper()
	must(r.t, os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644))
}

func TestGitRevisions(t *testing.T) {
	r := newRepository(t, map[string]string{"f": "1"})
	first := r.git("rev-parse", "HEAD")
	r.git("tag", "--annotate", "-m", "one", "v1")
	r.write("f", "2")
	second := r.commit("second")
	r.git("branch", "feature/x")
	r.git("tag", "same")
	r.git("branch", "same")
	r.write("f", "3")
	third := r.commit("third")
	r.git("tag", "twice", first)
	r.git("branch", "twice")

	for revision, want := range map[string]struct {
		commit, content string
		kind            landfast.Kind
	}{
		"":                              {third, "3", ""},
		"main":                          {third, "3", ""},
		"refs/heads/main":               {third, "3", ""},
		"v1":                            {first, "1", ""},
		"refs/tags/v1":                  {first, "1", ""},
		"feature/x":                     {second, "2", ""},
		"same":                          {second, "2", ""},
		first:                           {first, "1", ""},
		second[:9]:                      {second, "2", ""},
		"twice":                         {"", "", landfast.Invalid},
		"nowhere":                       {"", "", landfast.NotFound},
		"0123456789":                    {"", "", landfast.NotFound},
		strings.Repeat("0123456789", 4): {"", "", landfast.NotFound},
		"--upload-pack=x":               {"", "", landfast.Invalid},
		"main^{}":                       {"", "", landfast.Invalid},
		"main..v1":                      {"", "", landfast.Invalid},
	} {
		t.Run("revision "+revision, func(t *testing.T) {
			t.Parallel()
			c := newCage(t)
			a, _, err := fetch(t, c, landfast.Source{Kind: landfast.SourceGit, Location: r.dir, Revision: revision}, source.Options{})
			if want.kind != "" {
				if landfast.KindOf(err) != want.kind {
					t.Errorf("got %v, want %s", err, want.kind)
				}
				return
			}
			must(t, err)
			if a.Revision != want.commit {
				t.Errorf("Revision = %s, want %s", a.Revision, want.commit)
			}
			if got, err := os.ReadFile(c.inner() + "/f"); string(got) != want.content || err != nil {
				t.Errorf("f = %q, %v", got, err)
			}
			if _, err := os.Lstat(c.inner() + "/.git"); !os.IsNotExist(err) {
				t.Errorf(".git is in the release: %v", err)
			}
		})
	}
}

func TestGitSubmodules(t *testing.T) {
	inner := newRepository(t, map[string]string{"deep": "inner"})
	middle := newRepository(t, map[string]string{"m": "middle"})
	middle.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", inner.dir, "in")
	middle.commit("with a submodule")
	outer := newRepository(t, map[string]string{"o": "outer"})
	outer.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", "--name", "lib", middle.dir, "lib/mid")
	outer.commit("with a submodule")
	middle.write("m", "later") // the submodule stays at its commit
	middle.commit("later")

	c := newCage(t)
	_, _, err := fetch(t, c, landfast.Source{Kind: landfast.SourceGit, Location: outer.dir}, source.Options{})
	must(t, err)
	for name, want := range map[string]string{"o": "outer", "lib/mid/m": "middle", "lib/mid/in/deep": "inner"} {
		if got, err := os.ReadFile(filepath.Join(c.inner(), name)); string(got) != want || err != nil {
			t.Errorf("%s = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"lib/mid/.git", "lib/mid/in/.git"} {
		if _, err := os.Lstat(filepath.Join(c.inner(), name)); !os.IsNotExist(err) {
			t.Errorf("%s is in the release: %v", name, err)
		}
	}
}

func TestGitRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	must(t, err)
	t.Cleanup(func() { l.Close() })
	r := newRepository(t, map[string]string{"f": "1"})
	must(t, os.Symlink("../../../etc/passwd", r.dir+"/out"))
	r.commit("a link out")
	marker := filepath.Join(t.TempDir(), "ran")
	for location, kind := range map[string]landfast.Kind{
		r.dir:                               landfast.Invalid, // the link
		t.TempDir():                         landfast.Unavailable,
		"ext::sh -c touch% " + marker:       landfast.Invalid,
		"--upload-pack=touch " + marker:     landfast.Invalid,
		"git://127.0.0.1/x":                 landfast.Invalid,
		"https://me:pw@127.0.0.1:1/x.git":   landfast.Unavailable,
		"ssh://-oProxyCommand=touch x/y":    landfast.Unavailable,
		"http://" + l.Addr().String() + "/": landfast.Unavailable,
	} {
		t.Run(location, func(t *testing.T) {
			t.Parallel()
			_, _, err := fetch(t, newCage(t), landfast.Source{Kind: landfast.SourceGit, Location: location}, source.Options{Stall: 1})
			if landfast.KindOf(err) != kind || strings.Contains(err.Error(), "me:pw") {
				t.Errorf("got %v, want %s", err, kind)
			}
			if _, err := os.Lstat(marker); !os.IsNotExist(err) {
				t.Error("a command of the location was run")
			}
		})
	}
}

func TestGitRunsNothingOfTheRepository(t *testing.T) {
	r := newRepository(t, map[string]string{"f": "1", ".gitattributes": "f filter=evil\n"})
	marker := filepath.Join(t.TempDir(), "ran")
	script := "#!/bin/sh\ntouch " + marker + "\n"
	for _, hook := range []string{"post-checkout", "post-upload-pack", "reference-transaction"} {
		must(t, os.WriteFile(filepath.Join(r.dir, ".git/hooks", hook), []byte(script), 0o755))
	}
	r.git("config", "filter.evil.smudge", "touch "+marker)
	r.git("config", "core.fsmonitor", "touch "+marker)
	r.git("config", "uploadpack.packObjectsHook", "touch "+marker)
	must(t, os.RemoveAll(marker)) // configuring it may have run it
	_, _, err := fetch(t, newCage(t), landfast.Source{Kind: landfast.SourceGit, Location: r.dir}, source.Options{})
	must(t, err)
	if _, err := os.Lstat(marker); !os.IsNotExist(err) {
		t.Error("a program of the repository was run")
	}
}

func TestGitEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept()
		if err == nil {
			cancel()
			<-t.Context().Done()
			conn.Close()
		}
	}()
	work := t.TempDir()
	_, err = source.Open(ctx, landfast.Source{Kind: landfast.SourceGit, Location: "http://" + l.Addr().String() + "/x.git"}, source.Options{Work: work})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Open() = %v", err)
	}
	checkEmpty(t, work)
}
