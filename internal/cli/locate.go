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

// envVariable names the environment where --env does not.
const envVariable = "LANDFAST_ENV"

// located is a manifest that was found and read.
type located struct {
	app    *landfast.App
	file   string // where it was read
	dir    string // what relative sources in it are relative to; "": an applied manifest
	layers []manifest.Layer
}

// locate finds the app that the arguments name, on the host whose files are below
// root.
func (c *command) locate(root string, args []string) (located, error) {
	if len(args) == 0 {
		return c.locateDefault(root)
	}
	arg := args[0]
	if strings.Contains(arg, "/") || strings.HasSuffix(arg, ".toml") {
		return c.readManifest(arg)
	}
	l, err := readApplied(root, arg)
	if err == nil && c.env != "" {
		return l, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("%s is for one environment already: it was merged when it was applied", l.file),
			Hint: "leave --env out, or name the manifest of the project",
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	if local, lerr := c.readManifest(localManifest); lerr == nil && local.app.Name == arg {
		return local, nil
	}
	return located{}, &landfast.Error{
		Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no app %q on this host", arg), Hint: whereIs(root, arg),
	}
}

func (c *command) locateDefault(root string) (located, error) {
	_, err := os.Stat(localManifest)
	if err == nil {
		return c.readManifest(localManifest)
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

// whereIs is a hint for an app that is not installed. One that was leaves what is
// remembered of it, and so does a first deployment that failed.
func whereIs(root, app string) string {
	if _, err := os.Stat(filepath.Join(root, "/var/lib/landfast", filepath.Base(app))); err == nil {
		return "it has left something: name the path of its manifest, such as ./landfast.toml"
	}
	return known(root)
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
		return nil, unreadable("list the apps of this host", err)
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

// readManifest reads the manifest of a project with its overlays.
func (c *command) readManifest(file string) (located, error) {
	overlays, err := c.overlays()
	if err != nil {
		return located{}, err
	}
	layers, err := manifest.Load(os.ReadFile, file, overlays...)
	if errors.Is(err, fs.ErrNotExist) {
		return located{}, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("there is no manifest %s", file)}
	}
	if landfast.KindOf(err) == landfast.Invalid {
		return located{}, err
	}
	if err != nil {
		return located{}, &landfast.Error{Kind: landfast.Invalid, Msg: "cannot read the manifest", Err: err}
	}
	app, err := manifest.ParseLayers(layers...)
	if err != nil {
		return located{}, err
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	return located{app: app, file: file, dir: dir, layers: layers}, err
}

// overlays are those that count here: of the environment, the host and this
// machine's user.
func (c *command) overlays() ([]manifest.Overlay, error) {
	env := manifest.Overlay{Name: c.env, Must: true}
	if env.Name == "" {
		env = manifest.Overlay{Name: os.Getenv(envVariable)} // set for the whole host, it may name what this app does not have
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	host, _, _ = strings.Cut(host, ".")
	var all []manifest.Overlay
	for _, o := range []manifest.Overlay{env, {Name: host}, {Name: "local"}} {
		if o.Name == "" {
			continue
		}
		if !manifest.IsOverlayName(o.Name) {
			if o.Name == host {
				continue // no file could be meant
			}
			return nil, &landfast.Error{
				Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not the name of an environment", o.Name),
				Hint: "letters, digits, - and _, as in landfast.production.toml",
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// unreadable says what could not be done, and what to do when it takes rights.
func unreadable(what string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return &landfast.Error{Msg: "cannot " + what, Err: err, Hint: "run as root"}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// readApplied reads the manifest last applied, without the mark in its first line.
func readApplied(root, name string) (located, error) {
	file := filepath.Join(root, appsDir, name+".toml")
	text, err := os.ReadFile(file)
	if err != nil {
		return located{}, unreadable("read the manifest last applied", err)
	}
	layer := manifest.Layer{Name: file, Text: []byte(plan.Unmarked(string(text)))}
	app, err := manifest.ParseLayers(layer)
	return located{app: app, file: file, layers: []manifest.Layer{layer}}, err
}
