package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// localManifest is the manifest of the project one stands in.
const localManifest = "landfast.toml"

// appsDir holds the manifests last applied.
const appsDir = "/etc/landfast/apps"

// appArg documents the argument that names an app.
const appArg = `APP is the name of an app on this host, or the path of a manifest (it has a slash
or ends in .toml). Without it: ./landfast.toml, or else the only app there is.`

// located is a manifest that was found and read.
type located struct {
	app  *landfast.App
	file string // where it was read
	dir  string // what relative sources in it are relative to; "": an applied manifest
}

// locate finds the app that the arguments name, on the host whose files are below
// root.
func locate(root string, args []string) (located, error) {
	if len(args) == 0 {
		return locateDefault(root)
	}
	arg := args[0]
	if strings.Contains(arg, "/") || strings.HasSuffix(arg, ".toml") {
		return readManifest(arg)
	}
	l, err := readApplied(root, arg)
	if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	if local, lerr := readManifest(localManifest); lerr == nil && local.app.Name == arg {
		return local, nil
	}
	return located{}, &landfast.Error{
		Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no app %q on this host", arg), Hint: known(root),
	}
}

func locateDefault(root string) (located, error) {
	_, err := os.Stat(localManifest)
	if err == nil {
		return readManifest(localManifest)
	}
	names, err := appliedNames(root)
	if err != nil {
		return located{}, err
	}
	if len(names) == 1 {
		return readApplied(root, names[0])
	}
	return located{}, &landfast.Error{
		Kind: landfast.Invalid, Msg: "which app? There is no landfast.toml here", Hint: known(root),
	}
}

// known is a hint that lists the apps of the host.
func known(root string) string {
	names, err := appliedNames(root)
	if err != nil || len(names) == 0 {
		return "name a manifest, such as ./landfast.toml"
	}
	return "known are: " + strings.Join(names, ", ")
}

// appliedNames lists the apps of the host.
func appliedNames(root string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, appsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the apps of this host: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".toml"); ok && !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func readManifest(file string) (located, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return located{}, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("there is no manifest %s", file)}
	}
	if err != nil {
		return located{}, &landfast.Error{Kind: landfast.Invalid, Msg: "cannot read the manifest", Err: err}
	}
	app, err := manifest.Parse(file, text)
	if err != nil {
		return located{}, err
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	return located{app: app, file: file, dir: dir}, err
}

// readApplied reads the manifest last applied, without the mark in its first line.
func readApplied(root, name string) (located, error) {
	file := filepath.Join(root, appsDir, name+".toml")
	text, err := os.ReadFile(file)
	if err != nil {
		return located{}, err
	}
	app, err := manifest.Parse(file, []byte(plan.Unmarked(string(text))))
	return located{app: app, file: file}, err
}
