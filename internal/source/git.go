package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

var (
	fullCommit  = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	shortCommit = regexp.MustCompile(`^[0-9a-f]{7,63}$`)
)

// openGit turns the revision into one commit, fetches it with its submodules
// into the work directory and checks it out there. Unpack copies from there, so
// that a repository gets no more say in what a release holds than an archive.
func openGit(ctx context.Context, src landfast.Source, o Options) (*Artifact, error) {
	if err := checkGitSource(src); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Work, workPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", redact(src.Location), err)
	}
	remove := func() error { return os.RemoveAll(dir) }
	a, err := fetchGit(ctx, src, o, dir)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	closeTop := a.release
	a.release = func() error { return errors.Join(closeTop(), remove()) }
	return a, nil
}

func fetchGit(ctx context.Context, src landfast.Source, o Options, dir string) (*Artifact, error) {
	g, err := newGit(ctx, dir, src.Location, o)
	if err != nil {
		return nil, err
	}
	commit, err := g.fetch(ctx, src.Revision)
	if err != nil {
		return nil, err
	}
	if err := g.checkout(ctx, commit); err != nil {
		return nil, err
	}
	top, err := os.OpenRoot(g.tree)
	if err != nil {
		return nil, err
	}
	return &Artifact{
		Revision:    commit,
		Description: describeGit(src, commit),
		unpack:      func(ctx context.Context, w *tree.Writer) error { return copyDir(ctx, top, w) },
		release:     top.Close,
	}, nil
}

// describeGit says which branch or tag a commit was taken for.
func describeGit(src landfast.Source, commit string) string {
	if src.Revision == "" || src.Revision == commit {
		return redact(src.Location)
	}
	return redact(src.Location) + " " + src.Revision
}

func checkGitSource(src landfast.Source) error {
	invalid := func(what, hint string) error {
		return &landfast.Error{Kind: landfast.Invalid, Msg: what, Hint: hint}
	}
	switch {
	case strings.HasPrefix(src.Location, "-"), strings.ContainsAny(src.Location, "\x00\n"):
		return invalid(fmt.Sprintf("%q is not the location of a git repository", src.Location), "")
	case strings.Contains(src.Location, "::"):
		// git-remote-helpers: "ext::command" would run it.
		return invalid(fmt.Sprintf("%q names a git transport of its own", redact(src.Location)), "use https, ssh or a path")
	case strings.HasPrefix(src.Revision, "-"), strings.ContainsAny(src.Revision, " \t\x00\n~^:?*[\\"), strings.Contains(src.Revision, ".."):
		return invalid(fmt.Sprintf("%q is not a commit, tag or branch", src.Revision), "")
	}
	if isURL(src.Location) {
		scheme, _, _ := strings.Cut(src.Location, "://")
		switch scheme {
		case "https", "http", "ssh", "file":
		default:
			return invalid(fmt.Sprintf("git repositories are not fetched over %s", scheme), "use https, ssh or a path")
		}
	}
	return nil
}

// fetch resolves a revision to one commit and gets it, without history where
// the server can do that.
func (g *git) fetch(ctx context.Context, revision string) (string, error) {
	commit := revision
	if !fullCommit.MatchString(revision) {
		var err error
		if commit, err = g.resolve(ctx, revision); err != nil {
			return "", err
		}
	}
	if commit != "" {
		_, err := g.run(ctx, "fetch", "--depth=1", "--no-tags", "--no-recurse-submodules", "--end-of-options", g.url, commit)
		if err == nil {
			return g.verify(ctx, commit, revision)
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
	}
	// A short commit, or a server that gives out no commit by its number: get
	// everything and look for it there.
	_, err := g.run(ctx, "fetch", "--no-recurse-submodules", "--end-of-options", g.url,
		"+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
	if err != nil {
		return "", g.unavailable(ctx, "fetch", err)
	}
	if commit == "" {
		commit = revision
	}
	return g.verify(ctx, commit, revision)
}

// resolve asks the repository which commit a branch or tag is now, or HEAD when
// revision is "". It gives "" for what may be a shortened commit.
func (g *git) resolve(ctx context.Context, revision string) (string, error) {
	names := []string{"refs/heads/" + revision, "refs/tags/" + revision}
	switch {
	case revision == "":
		names = []string{"HEAD"}
	case strings.HasPrefix(revision, "refs/"):
		names = []string{revision}
	}
	args := []string{"ls-remote", "--end-of-options", g.url}
	for _, name := range names {
		args = append(args, name, name+"^{}")
	}
	out, err := g.run(ctx, args...)
	if err != nil {
		return "", g.unavailable(ctx, "ask", err)
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if commit, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && fullCommit.MatchString(commit) {
			refs[ref] = commit
		}
	}
	commit, err := choose(refs, names, revision)
	if err == nil && commit == "" && !shortCommit.MatchString(revision) {
		return "", g.noRevision(revision)
	}
	return commit, err
}

// choose picks the commit of the one name that was found. An annotated tag is
// an object of its own; its "^{}" is the commit.
func choose(refs map[string]string, names []string, revision string) (string, error) {
	found := ""
	for _, name := range names {
		commit, ok := refs[name+"^{}"]
		if !ok {
			commit, ok = refs[name]
		}
		if ok && found != "" && commit != found {
			return "", &landfast.Error{
				Kind: landfast.Invalid, Msg: fmt.Sprintf("%s is both a branch and a tag", revision),
				Hint: fmt.Sprintf("write refs/heads/%s or refs/tags/%s", revision, revision),
			}
		}
		if ok {
			found = commit
		}
	}
	return found, nil
}

// verify makes sure that commit is there, and gives its full number.
func (g *git) verify(ctx context.Context, commit, revision string) (string, error) {
	out, err := g.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", commit+"^{commit}")
	full := strings.TrimSpace(out)
	switch {
	case err == nil && fullCommit.MatchString(full):
		return full, nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	return "", g.noRevision(revision)
}

func (g *git) noRevision(revision string) error {
	return &landfast.Error{
		Kind: landfast.NotFound,
		Msg:  fmt.Sprintf("%s has no branch, tag or commit %s", redact(g.url), revision),
		Hint: "was it pushed?",
	}
}

// checkout puts the files of a commit and of its submodules into g.tree.
func (g *git) checkout(ctx context.Context, commit string) error {
	if _, err := g.run(ctx, "checkout", "--quiet", "--force", "--detach", commit); err != nil {
		return g.broken(ctx, "check out", err)
	}
	if _, err := os.Lstat(filepath.Join(g.tree, ".gitmodules")); err != nil {
		return nil // no submodules
	}
	// Relative submodule locations are relative to the remote called origin.
	if _, err := g.run(ctx, "remote", "add", "--end-of-options", "origin", g.url); err != nil {
		return g.broken(ctx, "check out", err)
	}
	update := []string{"submodule", "update", "--init", "--recursive", "--no-recommend-shallow"}
	if _, err := g.run(ctx, append(update, "--depth=1")...); err == nil {
		return nil
	}
	// As above: not every server gives out a commit by its number.
	if _, err := g.run(ctx, update...); err != nil {
		return g.unavailable(ctx, "fetch the submodules of", err)
	}
	return nil
}
