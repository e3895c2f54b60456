package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// openDir looks at every entry of the directory but reads no file. Unpack copies
// it and notices when it has changed since.
func openDir(ctx context.Context, src landfast.Source, o Options) (*Artifact, error) {
	root, err := openDirectory(src.Location)
	if err != nil {
		return nil, err
	}
	return openTree(ctx, root, src.Location, o)
}

// Described is what is said of a source that OpenRoot opens.
type Described struct {
	Text     string // for people
	Revision string // of the content, as who fetched it says; "": its tree.Fingerprint
}

// OpenRoot is Open for a directory that is open already, as one that another account
// may write. Nothing outside of root is read, whatever is in it. The Artifact closes
// root.
func OpenRoot(ctx context.Context, root *os.Root, d Described, o Options) (*Artifact, error) {
	o.Limits = o.Limits.OrDefault()
	if o.RootFS {
		return nil, errors.Join(notRootFS("a directory"), root.Close())
	}
	a, err := openTree(ctx, root, d.Text, o)
	if err != nil {
		return nil, err
	}
	a.options = o
	if d.Revision != "" {
		a.Revision = d.Revision
	}
	return a, nil
}

func openTree(ctx context.Context, root *os.Root, name string, o Options) (*Artifact, error) {
	seen, err := tree.Fingerprint(ctx, root, o.Limits, isGit)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if seen.Files == 0 {
		err := &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("the directory %s holds no file", name)}
		return nil, errors.Join(err, root.Close())
	}
	return &Artifact{
		Revision:    strings.TrimPrefix(seen.Content, "sha256:"),
		Description: name,
		size:        seen.Bytes,
		unpack: func(ctx context.Context, w *tree.Writer) error {
			return copyDir(ctx, root, w)
		},
		check: func(ctx context.Context) error {
			now, err := tree.Fingerprint(ctx, root, o.Limits, isGit)
			if err != nil || now.Content == seen.Content {
				return err
			}
			return &landfast.Error{
				Kind: landfast.Conflict, Msg: fmt.Sprintf("the directory %s changed while it was copied", name),
				Hint: "deploy again when nothing writes to it",
			}
		},
		release: root.Close,
	}, nil
}

// openDirectory opens a directory for reading below it only.
func openDirectory(location string) (*os.Root, error) {
	info, err := os.Stat(location)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no directory %s", location)}
	case err != nil:
		return nil, fmt.Errorf("read directory: %w", err)
	case !info.IsDir():
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s is not a directory", location),
			Hint: "name it as an archive if it is one",
		}
	}
	return os.OpenRoot(location)
}

// copyDir copies every file below root but .git. Links are copied as links;
// nothing outside of root is read.
func copyDir(ctx context.Context, root *os.Root, w *tree.Writer) error {
	into, err := w.Top()
	if err != nil {
		return err
	}
	self := into.Sys().(*syscall.Stat_t)
	return tree.Walk(ctx, root, func(e *tree.Entry) error {
		if isGit(e) {
			return tree.ErrSkip
		}
		if err := e.Check(); err != nil {
			return err
		}
		switch {
		case e.IsDir():
			if e.Stat.Dev == self.Dev && e.Stat.Ino == self.Ino {
				return tree.Refuse(e.Name, "it is where the release is being unpacked")
			}
			return w.Dir(e.Name)
		case e.IsLink():
			target, err := root.Readlink(e.Name)
			if err != nil {
				return err
			}
			return w.Symlink(e.Name, target)
		}
		name := e.Name
		return w.Copy(ctx, name, e.Exec(), func() (*os.File, error) { return tree.Open(root, name) })
	})
}

// isGit reports whether an entry is the administrative directory of a
// repository, or the file that stands for one in a submodule.
func isGit(e *tree.Entry) bool { return e.Base == ".git" }
