package manifest

import (
	"regexp"
	"strings"

	"github.com/landfast/landfast"
)

// artifact is [source]. (source is a text of ours.)
type artifact struct {
	dir, archive, git, pkg        text
	digest                        text
	strip                         integer
	revision, branch, tag, commit text
	version                       text
}

const (
	digestPattern = `^sha256:[0-9a-f]{64}$`
	commitPattern = `^([0-9a-f]{40}|[0-9a-f]{64})$`
	// Names of Debian's and of RPM packages, with the architecture where it is
	// not that of the host.
	packagePattern = `^[A-Za-z0-9][A-Za-z0-9+._-]*(:[a-z0-9]+)?$`
)

var (
	digests = regexp.MustCompile(digestPattern)
	commits = regexp.MustCompile(commitPattern)

	packages = regexp.MustCompile(packagePattern)
	versions = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+:~_^-]*$`)
	// gitURLs are the ways to a repository that cannot run a command of their own.
	gitURLs = regexp.MustCompile(`^((https|http|ssh|git|file)://[^-]|[A-Za-z0-9._]+@[A-Za-z0-9.-]+:|\.{0,2}/)`)
)

func (a *artifact) choices() (keys []string, must bool) {
	return []string{"dir", "archive", "git", "package"}, true
}

func (a *artifact) keys() []key {
	digest := &form{label: "digest", pattern: digestPattern, check: checkDigest}
	commit := &form{label: "commit", pattern: commitPattern, check: checkCommit}
	revision := &form{label: "revision", check: checkRevision}
	return []key{
		{
			name: "dir", value: a.dir.as(&form{label: "path", check: checkNotEmpty}), example: `"build/release"`,
			doc: "A directory, copied as it is. A relative path begins where the manifest lies.",
		},
		{
			name: "archive", value: a.archive.as(&form{label: "path or URL", check: checkArchive}), example: `"https://example.org/web-1.4.tar.gz"`,
			doc: "An archive (tar.gz, tar.zst, tar.xz, zip): a path, or an https URL or `s3://BUCKET/NAME` with a `digest`.",
		},
		{
			name: "git", value: a.git.as(&form{label: "repository", check: checkGit}), example: `"https://git.example.org/shop/web.git"`,
			doc: "A git repository.",
		},
		{
			name: "package", value: a.pkg.as(packageName), example: `"shop"`,
			doc: "A Debian package, fetched and verified with apt. Its files become a release like any other: nothing is installed, its scripts do not run, and what it depends on must be on the host.",
		},
		{
			name: "digest", value: a.digest.as(digest), example: `"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`,
			doc: "`archive`: what it must be. Required for a URL.",
		},
		{
			name: "strip", value: a.strip.between(0, 32), note: "0", example: `1`,
			doc: "`archive`: how many leading directories of the names in it are dropped.",
		},
		{
			name: "revision", value: a.revision.as(revision), note: "the default branch", example: `"v1.4"`,
			doc: "`git`: a branch, a tag or a commit. Instead, one of the next three says which of them it is.",
		},
		{name: "branch", value: a.branch.as(revision), example: `"main"`, doc: "`git`: a branch."},
		{name: "tag", value: a.tag.as(revision), example: `"v1.4"`, doc: "`git`: a tag."},
		{name: "commit", value: a.commit.as(commit), example: `"4be1c9a0c1d2e3f405162738495a6b7c8d9e0f1a"`, doc: "`git`: a commit, in full."},
		{name: "version", value: a.version.as(packageVer), note: "the newest", example: `"1.4-1"`, doc: "`package`: its version."},
	}
}

func checkNotEmpty(s string) (string, *flaw) {
	if s == "" {
		return "", &flaw{"is empty", ""}
	}
	return s, nil
}

func checkDigest(s string) (string, *flaw) {
	if !digests.MatchString(s) {
		return "", &flaw{quote(s) + " is not a digest", `write "sha256:" and 64 digits, as sha256sum prints them`}
	}
	return s, nil
}

func checkCommit(s string) (string, *flaw) {
	if !commits.MatchString(s) {
		return "", &flaw{quote(s) + " is not a whole commit id", "git rev-parse prints all 40 digits"}
	}
	return s, nil
}

// checkRevision takes what may be the name of a branch or a tag. A leading -
// would be an option for git.
func checkRevision(s string) (string, *flaw) {
	if s == "" || strings.HasPrefix(s, "-") || strings.ContainsAny(s, " ~^:?*[\\") || strings.Contains(s, "..") {
		return "", &flaw{quote(s) + " is not the name of a branch, a tag or a commit", ""}
	}
	return s, nil
}

func checkPackage(s string) (string, *flaw) {
	if name, version, ok := strings.Cut(s, "="); ok && packages.MatchString(name) {
		return "", &flaw{"a version stands apart", "write version = " + quote(version)}
	}
	if !packages.MatchString(s) {
		return "", &flaw{quote(s) + " is not the name of a package", ""}
	}
	return s, nil
}

func checkVersion(s string) (string, *flaw) {
	if !versions.MatchString(s) {
		return "", &flaw{quote(s) + " is not the version of a package", ""}
	}
	return s, nil
}

func checkArchive(s string) (string, *flaw) {
	scheme, _, url := strings.Cut(s, "://")
	switch {
	case s == "":
		return "", &flaw{"is empty", ""}
	case url && scheme == "http":
		return "", &flaw{"http can be changed on the way", "use https"}
	case url && scheme != "https" && scheme != "s3":
		return "", &flaw{quote(scheme) + " is not a way to an archive", "write a path, an https URL or s3://BUCKET/NAME"}
	}
	return s, nil
}

func checkGit(s string) (string, *flaw) {
	if strings.Contains(s, "::") || !gitURLs.MatchString(s) {
		return "", &flaw{quote(s) + " is not the address of a repository", `write "https://...", "ssh://...", "git@HOST:PATH" or the path of a directory`}
	}
	return s, nil
}

func (a *artifact) build(d *decoder) landfast.Source {
	var built landfast.Source
	revisions := []*text{&a.revision, &a.branch, &a.tag, &a.commit}
	switch {
	case a.dir.src != nil:
		built = landfast.Source{Kind: landfast.SourceDir, Location: a.dir.value}
	case a.archive.src != nil:
		built = landfast.Source{Kind: landfast.SourceArchive, Location: a.archive.value, Digest: a.digest.value, Strip: a.strip.n}
		if strings.Contains(a.archive.value, "://") && a.digest.src == nil {
			d.flaw(&a.archive, &flaw{"an archive from the network needs its digest", `add digest = "sha256:..."`})
		}
	case a.git.src != nil:
		built = landfast.Source{Kind: landfast.SourceGit, Location: a.git.value, Revision: a.pick(d, revisions)}
	case a.pkg.src != nil:
		built = landfast.Source{Kind: landfast.SourcePackage, Location: a.pkg.value, Revision: a.version.value}
	default:
		return built
	}
	if built.Kind != landfast.SourcePackage {
		a.refuse(d, "package", &a.version)
	}
	if built.Kind != landfast.SourceArchive {
		a.refuse(d, "archive", &a.digest)
		if a.strip.src != nil {
			d.at(a.strip.src, "source.strip", "is only for archive", "remove it")
		}
	}
	if built.Kind != landfast.SourceGit {
		a.refuse(d, "git", revisions...)
	}
	return built
}

// pick is the one revision that is set.
func (a *artifact) pick(d *decoder, revisions []*text) string {
	var picked *text
	for _, t := range revisions {
		switch {
		case t.src == nil:
		case picked == nil:
			picked = t
		default:
			d.flaw(t, &flaw{"cannot stand beside " + quote(picked.key[len("source."):]), "keep one of them"})
		}
	}
	if picked == nil {
		return ""
	}
	return picked.value
}

// refuse reports keys that are only for another kind of source.
func (a *artifact) refuse(d *decoder, kind string, keys ...*text) {
	for _, t := range keys {
		if t.src != nil {
			d.flaw(t, &flaw{"is only for " + kind, "remove it"})
		}
	}
}
