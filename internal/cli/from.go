package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
)

// from are the flags that say where a release comes from.
type from struct {
	location, digest, revision string
	strip                      int
}

func (f *from) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.location, "from", "", "the `source`: a directory, an archive (path, https URL or s3://BUCKET/NAME), a git repository or package:NAME[=VERSION]")
	cmd.Flags().StringVar(&f.digest, "digest", "", "the archive's `sha256:HEX`; required for https and s3")
	cmd.Flags().StringVar(&f.revision, "revision", "", "git: the `commit`, tag or branch")
	cmd.Flags().IntVar(&f.strip, "strip", 0, "archive: leave out this many leading path components")
}

// source is what the flags say, or else the manifest.
func (f *from) source(l located) (landfast.Source, error) {
	if f.location == "" {
		return f.fromManifest(l)
	}
	if pkg, ok := strings.CutPrefix(f.location, "package:"); ok {
		name, version, _ := strings.Cut(pkg, "=")
		return landfast.Source{Kind: landfast.SourcePackage, Location: name, Revision: version}, nil
	}
	src := landfast.Source{Location: f.location, Digest: f.digest, Revision: f.revision, Strip: f.strip}
	var err error
	src.Kind, err = kindOf(f.location, f.revision)
	if err != nil {
		return src, err
	}
	if src.Kind == landfast.SourceArchive && strings.Contains(src.Location, "://") && src.Digest == "" {
		return src, &landfast.Error{
			Kind: landfast.Invalid, Msg: "an archive from the network needs its digest",
			Hint: "add --digest sha256:… (`sha256sum FILE` prints it)",
		}
	}
	if !isURL(src.Location) {
		src.Location, err = filepath.Abs(src.Location)
	}
	return src, err
}

func (f *from) fromManifest(l located) (landfast.Source, error) {
	src := l.app.Source
	if f.digest != "" {
		src.Digest = f.digest
	}
	if f.revision != "" {
		src.Revision = f.revision
	}
	switch {
	case src.Kind == "":
		return src, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s names no source", l.file),
			Hint: "say where the release comes from with --from, or add [source]",
		}
	case src.Kind == landfast.SourcePackage || isURL(src.Location) || filepath.IsAbs(src.Location):
	case l.dir == "":
		return src, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("the source %q is relative to a project that is not here", src.Location),
			Hint: "use --from",
		}
	default:
		src.Location = filepath.Join(l.dir, src.Location)
	}
	return src, nil
}

// isURL reports whether a location is no path: a URL, or git's user@host:path.
func isURL(s string) bool {
	if strings.Contains(s, "://") {
		return true
	}
	host, _, ok := strings.Cut(s, ":")
	return ok && strings.Contains(host, "@") && !strings.Contains(host, "/")
}

// kindOf tells what kind of source a location is.
func kindOf(location, revision string) (landfast.SourceKind, error) {
	if isURL(location) {
		if strings.HasPrefix(location, "s3://") {
			return landfast.SourceArchive, nil
		}
		if revision != "" || !strings.HasPrefix(location, "https://") || strings.HasSuffix(location, ".git") {
			return landfast.SourceGit, nil
		}
		return landfast.SourceArchive, nil
	}
	info, err := os.Stat(location)
	switch {
	case err != nil:
		return "", &landfast.Error{Kind: landfast.Invalid, Msg: "there is no source", Err: err}
	case info.Mode().IsRegular():
		return landfast.SourceArchive, nil
	case revision != "" || strings.HasSuffix(location, ".git"):
		return landfast.SourceGit, nil
	}
	return landfast.SourceDir, nil
}
