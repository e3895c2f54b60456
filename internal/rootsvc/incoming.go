package rootsvc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/source"
)

const (
	// incomingDir is where the worker puts what it fetched, below the app's state.
	incomingDir = "incoming"
	// builtDir is where root has builds done, out of the worker's reach.
	builtDir = "built"
	// manifestName is the manifest in a release.
	manifestName = "landfast.toml"
	maxManifest  = 1 << 20
)

// openIncoming opens incoming/ID of an app. The state directory is root's; incoming/ is
// the worker's, who may put anything there, so nothing that is opened is a link, and
// nothing leads out of incoming/.
func openIncoming(state *os.Root, id string) (*os.Root, error) {
	incoming, err := openReal(state, incomingDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{
			Kind: landfast.NotFound, Msg: "this host takes no deliveries for the app", Hint: "`landfast setup APP` makes it ready",
		}
	}
	if err != nil {
		return nil, err
	}
	defer incoming.Close()
	dir, err := openReal(incoming, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("there is nothing in incoming/%s", id)}
	}
	return dir, err
}

// openReal opens a directory that is one, and not a link to one. What was opened is
// compared with what was looked at: it may have been replaced in between.
func openReal(dir *os.Root, name string) (*os.Root, error) {
	looked, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !looked.IsDir() {
		return nil, invalid("%s is not a directory", name)
	}
	opened, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	found, err := opened.Stat(".")
	if err == nil && !os.SameFile(looked, found) {
		err = invalid("%s is a link, or was replaced just now", name)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// openBelow opens a directory some levels down, through no link.
func openBelow(dir *os.Root, name string) (*os.Root, error) {
	at, err := dir.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for _, part := range splitPath(name) {
		next, err := openReal(at, part)
		_ = at.Close()
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

func splitPath(name string) []string {
	name = path.Clean(name)
	if name == "." {
		return nil
	}
	dir, last := path.Split(name)
	return append(splitPath(path.Clean(dir)), last)
}

// readFile reads a small regular file, through no link.
func readFile(dir *os.Root, name string, most int64) ([]byte, error) {
	looked, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !looked.Mode().IsRegular() {
		return nil, invalid("%s is not a file", name)
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if found, err := f.Stat(); err != nil || !os.SameFile(looked, found) {
		return nil, invalid("%s was replaced just now", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = invalid("%s is larger than %d bytes", name, most)
	}
	return text, err
}

// delivery marks a release with the delivery that it came by.
func delivery(id string) string { return " (delivery " + id + ")" }

// delivered gives the live release if it came by a delivery already: whoever asked for
// it died before it heard the answer, and asks again.
func delivered(releases deploy.Releases, id string) (string, error) {
	current, err := releases.Current()
	if err != nil || current == "" {
		return "", err
	}
	rel, err := releases.Get(current)
	if err != nil || rel.State != landfast.ReleaseGood || !strings.HasSuffix(rel.Source, delivery(id)) {
		return "", err
	}
	return current, nil
}

// opener makes the engine take what is in a directory.
func opener(dir *os.Root, o Origin, id string) func(context.Context, *landfast.App, source.Options) (*source.Artifact, error) {
	described := "incoming/" + id
	if o.Repository != "" {
		described = o.Repository
	}
	if o.Commit != "" {
		described += " " + o.Commit
	} else if o.Digest != "" {
		described += " " + o.Digest
	}
	described += delivery(id)
	return func(ctx context.Context, _ *landfast.App, options source.Options) (*source.Artifact, error) {
		top, err := dir.OpenRoot(".")
		if err != nil {
			return nil, err
		}
		return source.OpenRoot(ctx, top, source.Described{Text: described, Revision: o.Commit}, options)
	}
}
