// Package source is where releases come from: a directory, an archive on this
// machine or behind https, a commit of a git repository, a package of the
// distribution.
//
// Open gets a source and proves that it is the right one: the archive has the
// digest that was asked for, the tag or branch has become one commit. Only then
// is there an Artifact, and only an Artifact can be unpacked. Unpack goes
// through a tree.Writer, which decides what a release may hold.
//
// The package knows nothing of release ids, of the layout of a host or of
// deployments, and nothing in it needs root.
package source

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/release/tree"
)

// Options are what Open needs besides the source. The zero value works for
// directories and local archives.
type Options struct {
	// Work is a directory for downloads and checkouts; "" is the system's
	// directory for temporary files. What a killed process leaves there is
	// removed by Clean.
	Work   string
	Limits tree.Limits
	// RootFS says that the source is the root file system of a machine, as
	// tree.NewRootFS writes it. Only tar archives are.
	RootFS bool
	// Progress is told how far a download or an unpacking is; nil: nobody is.
	// It may be called from any goroutine and must not block.
	Progress func(Progress)
	// Client makes the https requests; nil: one with the proxy of the
	// environment, timeouts, and redirects to https only.
	Client *http.Client
	// Object opens an object of S3, s3://BUCKET/KEY, of a size or -1; nil: there are none.
	Object func(ctx context.Context, location string) (io.ReadCloser, int64, error)
	// Stall is how many seconds a download or fetch may stand still; 0: 60.
	Stall int
}

// Progress is how far something is.
type Progress struct {
	Phase string // download, fetch, unpack
	Done  int64  // bytes
	Total int64  // bytes; 0: not known
}

// Artifact is a source that was fetched and verified, ready to be unpacked.
type Artifact struct {
	// Revision tells this version from others of the same source, in lower-case
	// hexadecimal: the commit, the sha256 of the archive, or for a directory
	// its tree.Fingerprint.
	Revision string
	// Digest is "sha256:HEX" of the archive file; "" for other kinds.
	Digest string
	// Description names the source for people, without passwords.
	Description string

	options Options
	unpack  func(context.Context, *tree.Writer) error
	check   func(context.Context) error // that the source is still the same; may be nil
	release func() error                // frees what is in Work; may be nil
	size    int64                       // what Unpack will come to, as far as it is known
}

// Open fetches and verifies src. Errors have kind invalid when the source is
// not what it was said to be, not-found when there is no such thing, and
// unavailable when trying again may help. It ends soon after ctx does. The
// caller closes the Artifact.
func Open(ctx context.Context, src landfast.Source, o Options) (*Artifact, error) {
	if o.Work == "" {
		o.Work = os.TempDir()
	}
	if o.Stall <= 0 {
		o.Stall = 60
	}
	o.Limits = o.Limits.OrDefault()
	if src.Location == "" {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: "no source is named",
			Hint: "set [source] in the manifest, or say --from",
		}
	}
	if o.RootFS && src.Kind != landfast.SourceArchive {
		return nil, notRootFS(fmt.Sprintf("a source of kind %s", src.Kind))
	}
	var a *Artifact
	var err error
	switch src.Kind {
	case landfast.SourceDir:
		a, err = openDir(ctx, src, o)
	case landfast.SourceArchive:
		a, err = openArchive(ctx, src, o)
	case landfast.SourceGit:
		a, err = openGit(ctx, src, o)
	case landfast.SourcePackage:
		a, err = openPackage(ctx, src, o)
	default:
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not a kind of source", src.Kind)}
	}
	if err != nil {
		return nil, err
	}
	a.options = o
	return a, nil
}

// Unpack puts the whole content below into, which must be empty, and checks it.
// After an error what is below into is of no use; the caller removes it.
// Nothing is flushed to the disk.
func (a *Artifact) Unpack(ctx context.Context, into *os.Root) (tree.Summary, error) {
	write := tree.NewWriter
	if a.options.RootFS {
		write = tree.NewRootFS
	}
	w := write(into, a.options.Limits, func(done int64) {
		a.options.progress("unpack", done, a.size)
	})
	defer w.Close()
	if err := a.unpack(ctx, w); err != nil {
		return tree.Summary{}, err
	}
	s, err := w.Finish()
	if err == nil && a.check != nil {
		err = a.check(ctx)
	}
	return s, err
}

// Close removes what was fetched. It may be called again.
func (a *Artifact) Close() error {
	if a.release == nil {
		return nil
	}
	release := a.release
	a.release = nil
	return release()
}

// workPrefix starts the name of everything this package puts into a work
// directory.
const workPrefix = "landfast-fetch-"

// Clean removes what killed processes left in a work directory. Nobody may be
// fetching into it.
func Clean(work string) error {
	left, err := filepath.Glob(filepath.Join(work, workPrefix+"*"))
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) progress(phase string, done, total int64) {
	if o.Progress != nil {
		o.Progress(Progress{Phase: phase, Done: done, Total: total})
	}
}

// isURL reports whether a location names something behind a network protocol.
func isURL(location string) bool { return strings.Contains(location, "://") }
