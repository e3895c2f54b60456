package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"syscall"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
)

// Store keeps the sets of one app. It lies in the state directory of the app, and
// for configuration in the directory that the app reads:
//
//	settings/sets/ID/credentials/NAME   one secret, 0600 root
//	settings/sets/ID/environment        variables, 0600 root
//	settings/current -> sets/ID         which set counts
//	settings/releases/RELEASE -> ../sets/ID     which set a release runs with
//	/etc/web/.fetched/sets/ID/...       configuration of the same set, 0640 root:app
//	/etc/web/.fetched/releases/RELEASE -> ../sets/ID
//	/etc/web/fetched -> .fetched/sets/ID        which counts
//
// Whoever changes it holds the lock of the app. Every method may be called again
// after it was killed anywhere.
type Store struct {
	state  *os.Root // /var/lib/landfast/APP
	config string   // the configuration directory of the app; "": nothing is fetched into it
	link   string   // its name for the current files
	gid    func() (int, error)
}

const (
	home        = "settings"
	setsDir     = home + "/sets"
	currentLink = home + "/current"
	notesDir    = home + "/releases"

	configSets  = "/sets" // behind the name of the hidden directory
	configNotes = "/releases"
)

// StoreOptions say where a Store lies.
type StoreOptions struct {
	State *os.Root // the state directory of the app
	// Config is the path of the link to the current files of configuration, in the
	// directory that the app reads, which may be made later; "": it has none.
	Config string
	GID    func() (int, error) // the group that may read them
}

// NewStore opens a store. Nothing is made before there is something to keep.
func NewStore(o StoreOptions) *Store {
	s := &Store{state: o.State, gid: o.GID}
	if o.Config != "" {
		s.config, s.link = path.Split(o.Config)
	}
	return s
}

// inConfig runs f in the configuration directory, if there is one.
func (s *Store) inConfig(f func(root *os.Root) error) error {
	if s.config == "" {
		return nil
	}
	root, err := s.openConfig()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f(root), root.Close())
}

// openConfig opens the configuration directory, which must be one and root's: root
// writes nothing where somebody else could put a link in the way.
func (s *Store) openConfig() (*os.Root, error) {
	name := path.Clean(s.config)
	looked, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	st, ok := looked.Sys().(*syscall.Stat_t)
	if !looked.IsDir() || !ok || st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return nil, &landfast.Error{
			Kind: landfast.Conflict, Msg: name + " is not a directory of root's, so no configuration is put into it",
			Hint: "look who made it; `landfast apply` makes it as it should be",
		}
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if opened, err := root.Stat("."); err != nil || !os.SameFile(looked, opened) {
		return nil, errors.Join(fmt.Errorf("%s was replaced while it was opened", name), err, root.Close())
	}
	return root, nil
}

var setIDs = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}$`)

// Put makes a set of v, or leaves it as it is when it is there. When the current set
// holds just the same no set is made; used is the id of the one that holds v.
func (s *Store) Put(id string, v Values) (used string, err error) {
	if !setIDs.MatchString(id) {
		return "", fmt.Errorf("%q cannot be the id of a set", id)
	}
	current, err := s.Current()
	if err != nil {
		return "", err
	}
	if current != "" && current != id {
		if same, err := s.holds(current, v); err != nil || same {
			return current, err
		}
	}
	if err := s.Discard(id); err != nil {
		return "", err
	}
	if err := s.directories(); err != nil {
		return "", err
	}
	if err := s.putConfig(id, v.Files); err != nil {
		return "", err
	}
	files := map[string][]byte{}
	for name, value := range v.Credentials {
		files["credentials/"+name] = value
	}
	if v.Environment != nil {
		files["environment"] = v.Environment
	}
	return id, putSet(s.state, setsDir, id, files, atomicfile.Mode(0o700), atomicfile.Mode(0o600))
}

func (s *Store) directories() error {
	for _, dir := range []string{home, setsDir, notesDir} {
		if err := atomicfile.Mkdir(s.state, dir, atomicfile.Mode(0o700)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) putConfig(id string, files map[string][]byte) error {
	if s.config == "" || files == nil {
		return nil
	}
	gid, err := s.gid()
	if err != nil {
		return err
	}
	root, err := s.openConfig()
	if landfast.KindOf(err) == landfast.Conflict {
		return err
	}
	if err != nil {
		return &landfast.Error{Kind: landfast.Conflict, Msg: "cannot put configuration into " + s.config, Err: err, Hint: "`landfast apply` makes the directory"}
	}
	defer root.Close()
	dir := atomicfile.Attr{Mode: 0o750, UID: -1, GID: gid}
	for _, name := range []string{"", configSets, configNotes} {
		if err := atomicfile.Mkdir(root, "."+s.link+name, dir); err != nil {
			return err
		}
	}
	return putSet(root, "."+s.link+configSets, id, files, dir, atomicfile.Attr{Mode: 0o640, UID: -1, GID: gid})
}

// holds reports whether the set id is just v.
func (s *Store) holds(id string, v Values) (bool, error) {
	want := map[string][]byte{}
	for name, value := range v.Credentials {
		want["credentials/"+name] = value
	}
	if v.Environment != nil {
		want["environment"] = v.Environment
	}
	have, err := readSet(s.state, setsDir+"/"+id)
	if err != nil || !maps.EqualFunc(want, have, bytes.Equal) {
		return false, err
	}
	have = map[string][]byte{}
	err = s.inConfig(func(root *os.Root) (err error) {
		have, err = readSet(root, "."+s.link+configSets+"/"+id)
		return err
	})
	return err == nil && maps.EqualFunc(v.Files, have, bytes.Equal), err
}

// Current is the id of the set that counts; "": none.
func (s *Store) Current() (string, error) { return readLink(s.state, currentLink) }

// Names are the secrets that a set holds, and whether it holds variables and
// configuration.
func (s *Store) Names(id string) (secrets []string, variables, config bool, err error) {
	entries, err := fs.ReadDir(s.state.FS(), setsDir+"/"+id+"/credentials")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, false, err
	}
	for _, e := range entries {
		secrets = append(secrets, e.Name())
	}
	_, err = s.state.Lstat(setsDir + "/" + id + "/environment")
	variables = err == nil
	err = s.inConfig(func(root *os.Root) error {
		_, err := root.Lstat("." + s.link + configSets + "/" + id)
		config = err == nil
		return nil
	})
	return secrets, variables, config, err
}

// Covers reports whether the set id holds everything that app needs.
func (s *Store) Covers(id string, app *landfast.App) (bool, error) {
	if id == "" {
		return !app.HasSettings(), nil
	}
	names, variables, config, err := s.Names(id)
	if err != nil {
		return false, err
	}
	for _, one := range app.Secrets {
		if !slices.Contains(names, one.Name) {
			return false, nil
		}
	}
	return (variables || !app.HasVariables()) && (config || app.Config == nil), nil
}

// Use makes the set id count; "": none.
func (s *Store) Use(id string) error {
	if id == "" {
		if err := removeLink(s.state, currentLink); err != nil {
			return err
		}
		return s.inConfig(func(root *os.Root) error { return removeLink(root, s.link) })
	}
	if err := s.inConfig(func(root *os.Root) error {
		if _, err := root.Lstat("." + s.link + configSets + "/" + id); errors.Is(err, fs.ErrNotExist) {
			return removeLink(root, s.link)
		} else if err != nil {
			return err
		}
		return atomicfile.Symlink(root, "."+s.link+configSets+"/"+id, s.link, atomicfile.Mode(0))
	}); err != nil {
		return err
	}
	return atomicfile.Symlink(s.state, "sets/"+id, currentLink, atomicfile.Mode(0))
}

// Discard removes a set that does not count, and what remembers it. It is no error
// when there is none.
func (s *Store) Discard(id string) error {
	if id == "" {
		return nil
	}
	if err := discard(s.state, setsDir, notesDir, id); err != nil {
		return err
	}
	_ = s.state.Remove(home) // where it is empty now
	return s.inConfig(func(root *os.Root) error {
		if err := discard(root, "."+s.link+configSets, "."+s.link+configNotes, id); err != nil {
			return err
		}
		_ = root.Remove("." + s.link)
		return nil
	})
}

// Note remembers that a release runs with the set id.
func (s *Store) Note(release, id string) error {
	if id == "" {
		return nil
	}
	if err := s.directories(); err != nil {
		return err
	}
	if err := atomicfile.Symlink(s.state, "../sets/"+id, notesDir+"/"+release, atomicfile.Mode(0)); err != nil {
		return err
	}
	return s.inConfig(func(root *os.Root) error {
		if _, err := root.Lstat("." + s.link + configSets + "/" + id); err != nil {
			return nil //nolint:nilerr // the set has no configuration
		}
		return atomicfile.Symlink(root, "../sets/"+id, "."+s.link+configNotes+"/"+release, atomicfile.Mode(0))
	})
}

// Forget forgets what a release runs with.
func (s *Store) Forget(release string) error {
	if err := removeLink(s.state, notesDir+"/"+release); err != nil {
		return err
	}
	return s.inConfig(func(root *os.Root) error { return removeLink(root, "."+s.link+configNotes+"/"+release) })
}

// Noted is the set that a release ran with last, "" when it is not kept.
func (s *Store) Noted(release string) (string, error) {
	id, err := readLink(s.state, notesDir+"/"+release)
	if err != nil || id == "" {
		return "", err
	}
	if _, err := s.state.Lstat(setsDir + "/" + id); err != nil {
		return "", nil //nolint:nilerr // it has been removed
	}
	return id, nil
}

// Prune forgets releases for which kept is false, and removes every set but the
// current one and those of releases that are remembered.
func (s *Store) Prune(kept func(release string) bool) error {
	notes, err := fs.ReadDir(s.state.FS(), notesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	current, err := s.Current()
	if err != nil {
		return err
	}
	needed := map[string]bool{current: true}
	for _, n := range notes {
		id, err := s.Noted(n.Name())
		if err != nil {
			return err
		}
		if id == "" || !kept(n.Name()) {
			if err := s.Forget(n.Name()); err != nil {
				return err
			}
			continue
		}
		needed[id] = true
	}
	if err := sweep(s.state, setsDir, needed); err != nil {
		return err
	}
	return s.inConfig(func(root *os.Root) error { return sweep(root, "."+s.link+configSets, needed) })
}

// Settings are a store and the sources that fill it, for one app.
type Settings struct {
	*Store
	Sources *Sources
	App     *landfast.App
}

// Get asks the sources and keeps what they give; see Sources.Get and Store.Put.
func (s *Settings) Get(ctx context.Context, id string, release *os.Root) (used string, err error) {
	v, err := s.Sources.Get(ctx, s.App, release)
	if err != nil {
		return "", err
	}
	return s.Put(id, v)
}

// Covers reports whether the set id holds all that the app needs.
func (s *Settings) Covers(id string) (bool, error) { return s.Store.Covers(id, s.App) }
