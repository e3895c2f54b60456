package source

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/landfast/landfast"
)

// git runs the git program on a repository of our own, in an environment where
// nothing asks a question and nothing but our own configuration counts.
type git struct {
	url  string
	tree string // the repository's work tree
	env  []string
}

// newGit makes an empty repository below dir to fetch url into.
func newGit(ctx context.Context, dir, url string, o Options) (*git, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, &landfast.Error{
			Kind: landfast.Unavailable, Msg: "git is not installed", Hint: "install it: apt install git", Err: err,
		}
	}
	if isLocal(url) && !isURL(url) {
		absolute, err := filepath.Abs(url)
		if err != nil {
			return nil, err
		}
		url = absolute
	}
	g := &git{url: url, tree: filepath.Join(dir, "tree"), env: gitEnvironment(os.Environ(), dir)}
	if err := os.Mkdir(g.tree, 0o700); err != nil {
		return nil, err
	}
	config := []byte(gitConfig(url, o.Stall))
	//nolint:forbidigo // it lives as long as this fetch; nothing reads it after a crash
	if err := os.WriteFile(filepath.Join(dir, "config"), config, 0o600); err != nil {
		return nil, err
	}
	if _, err := g.run(ctx, "init", "--quiet", "--template="); err != nil {
		return nil, g.broken(ctx, "prepare", err)
	}
	return g, nil
}

// isLocal reports whether git will read url from this machine. Without a
// scheme, "host:path" is ssh unless a slash comes first (git-clone(1)).
func isLocal(url string) bool {
	if isURL(url) {
		return strings.HasPrefix(url, "file://")
	}
	before, _, colon := strings.Cut(url, ":")
	return !colon || strings.Contains(before, "/")
}

// gitConfig is the only configuration git sees.
func gitConfig(url string, stall int) string {
	var b strings.Builder
	section := func(name string, lines ...string) {
		fmt.Fprintf(&b, "[%s]\n\t%s\n", name, strings.Join(lines, "\n\t"))
	}
	section("core", "hooksPath = /dev/null", "attributesFile = /dev/null", "excludesFile = /dev/null",
		"fsmonitor = false", "symlinks = true", "fileMode = true", "autocrlf = false", "askPass = true")
	section("credential", "helper =")
	section("gc", "auto = 0")
	section("maintenance", "auto = false")
	section("advice", "detachedHead = false")
	section("init", "defaultBranch = none")
	section("http", "lowSpeedLimit = 1", fmt.Sprintf("lowSpeedTime = %d", stall))
	section("protocol", "allow = never")
	for _, allowed := range []string{"https", "http", "ssh"} {
		section(`protocol "`+allowed+`"`, "allow = always")
	}
	if isLocal(url) {
		// Only then: a submodule of a repository from elsewhere must not copy
		// repositories of this machine (CVE-2022-39253).
		section(`protocol "file"`, "allow = always")
		// The operator named this repository, so whose it is does not matter.
		path := strings.TrimPrefix(url, "file://")
		section("safe", "directory = "+gitQuote(path), "directory = "+gitQuote(filepath.Join(path, ".git")))
	}
	return b.String()
}

// gitQuote writes a value so that git reads it back as it is (git-config(1)).
func gitQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// gitEnvironment takes from the environment only what reaching a server needs.
func gitEnvironment(environ []string, dir string) []string {
	env := []string{
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + filepath.Join(dir, "config"),
		"GIT_ATTR_NOSYSTEM=1",
		"XDG_CONFIG_HOME=" + dir,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=true",
		"SSH_ASKPASS=true",
		"SSH_ASKPASS_REQUIRE=never",
		"GIT_SSH_COMMAND=ssh -oBatchMode=yes -oConnectTimeout=20 -oServerAliveInterval=15 -oServerAliveCountMax=4",
		"GIT_CEILING_DIRECTORIES=" + dir,
	}
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		switch strings.ToLower(name) {
		// HOME is for ~/.netrc; git's own files there are not read.
		case "path", "home", "ssh_auth_sock", "tmpdir", "ssl_cert_file", "ssl_cert_dir", "git_ssl_cainfo",
			"http_proxy", "https_proxy", "all_proxy", "no_proxy":
			env = append(env, v)
		}
	}
	return env
}

// run runs one git command and gives what it printed. An error says what git
// said.
func (g *git) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = g.env
	cmd.Dir = g.tree
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	// git has children of its own: ssh, git-remote-https.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return "", fmt.Errorf("git %s: %w: %s", args[0], err, lastLines(said.String(), g.url))
}

// lastLines are the last lines git said, without the password in the location.
func lastLines(said, url string) string {
	said = strings.ReplaceAll(strings.TrimSpace(said), url, redact(url))
	lines := strings.Split(said, "\n")
	return strings.Join(lines[max(0, len(lines)-4):], " / ")
}

// unavailable is the error for a repository that cannot be reached.
func (g *git) unavailable(ctx context.Context, verb string, err error) error {
	return g.failed(ctx, landfast.Unavailable, verb, "check the location and the key or password for it, or try again later", err)
}

// broken is the error for something that needs no server and still failed.
func (g *git) broken(ctx context.Context, verb string, err error) error {
	return g.failed(ctx, landfast.Invalid, verb, "", err)
}

func (g *git) failed(ctx context.Context, kind landfast.Kind, verb, hint string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &landfast.Error{Kind: kind, Msg: fmt.Sprintf("cannot %s the git repository %s", verb, redact(g.url)), Hint: hint, Err: err}
}
