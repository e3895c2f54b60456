package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// openPackage fetches a package of the distribution with apt, which verifies it
// against the signed lists of its repository, and takes the files out of it. Nothing
// is installed: what the package holds becomes a release like any other, so it is
// switched to at once and can be gone back from. Its maintainer scripts are not run,
// and what it depends on must be on the host.
func openPackage(ctx context.Context, src landfast.Source, o Options) (_ *Artifact, err error) {
	dir, err := os.MkdirTemp(o.Work, workPrefix+"package-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the package: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	deb, err := fetchPackage(ctx, dir, src)
	if err != nil {
		return nil, err
	}
	about, err := packageTool(ctx, dir, "dpkg-deb", "--show", "--showformat", "${Package} ${Version} (${Architecture})", deb)
	if err != nil {
		return nil, err
	}
	file, err := packageFiles(ctx, dir, deb, o)
	if err != nil {
		return nil, err
	}
	return &Artifact{
		Revision: file.sum, Description: "package " + about,
		unpack: func(ctx context.Context, w *tree.Writer) error {
			if err := unpackArchive(ctx, file.File, formatTar, 0, w, o.Limits); err != nil {
				return fmt.Errorf("unpack package %s: %w", about, err)
			}
			return nil
		},
		check:   func(context.Context) error { return file.unchanged() },
		release: func() error { return errors.Join(file.close(), os.RemoveAll(dir)) },
	}, nil
}

// fetchPackage downloads the package and gives the name of its file.
func fetchPackage(ctx context.Context, dir string, src landfast.Source) (string, error) {
	if strings.HasPrefix(src.Location, "-") {
		return "", &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not the name of a package", src.Location)}
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "", &landfast.Error{
			Kind: landfast.Unavailable, Msg: "this host has no apt, with which packages are fetched", Err: err,
			Hint: "unpack the package where it is built, and deploy the directory or an archive of it",
		}
	}
	spec := src.Location
	if src.Revision != "" {
		spec += "=" + src.Revision
	}
	if _, err := packageTool(ctx, dir, "apt-get", "--quiet=2", "download", spec); err != nil {
		return "", &landfast.Error{
			Kind: landfast.Unavailable, Msg: fmt.Sprintf("cannot fetch package %s", spec), Err: err,
			Hint: "`apt-cache policy " + src.Location + "` tells which versions there are",
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		return "", errors.Join(fmt.Errorf("fetch package %s: apt left %d packages", spec, len(found)), err)
	}
	return found[0], nil
}

// packageFiles writes what the package holds into a file of its own, within the limits.
func packageFiles(ctx context.Context, dir, deb string, o Options) (*archiveFile, error) {
	name := filepath.Join(dir, "files.tar")
	out, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	limited := &limitedWriter{w: out, left: o.Limits.Bytes + int64(o.Limits.Files)*1024}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	cmd.Stdout, cmd.Stderr = limited, &stderr
	err = cmd.Run()
	switch {
	case limited.left < 0:
		return nil, errors.Join(tree.TooLarge(o.Limits.Bytes), out.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("dpkg-deb: %w: %s", err, bytes.TrimSpace(stderr.Bytes())), out.Close())
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	return openLocal(ctx, name, o)
}

// limitedWriter fails when more is written to it than it may take.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, io.ErrShortWrite
	}
	return l.w.Write(p)
}

// packageTool runs a tool in dir and gives what it prints.
func packageTool(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.Join(strings.Fields(stderr.String()), " "))
	}
	return strings.TrimSpace(string(out)), nil
}
