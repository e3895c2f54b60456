package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// Build works out everything app needs on a host. The same app and facts give
// the same plan, byte for byte. All that is wrong with the app is told in one
// error of kind Invalid, each with the key of the manifest it comes from.
//
// What the host's systemd is too old for is left out or replaced by what did
// the same before, and Plan.Notes says so.
func Build(app *landfast.App, facts Facts) (*Plan, error) {
	b := &builder{
		app: app, version: facts.Systemd, program: facts.Program, instance: facts.Instance, current: app.Paths.Current,
		plan: &Plan{App: app.Name, Current: app.Paths.Current},
	}
	b.check()
	if err := b.err(); err != nil {
		return nil, err // the rest relies on sound names and paths
	}
	b.source()
	b.users()
	b.dirs()
	b.tmpfiles()
	b.manifest()
	for i := range app.Services {
		b.socket(&app.Services[i])
	}
	b.traffic()
	b.watch()
	b.environmentCommand()
	for i := range app.Services {
		if app.Services[i].Overlap {
			b.overlapping(i)
		} else {
			b.service(&app.Services[i])
		}
	}
	for i := range app.Services {
		b.timer(&app.Services[i])
		b.restartFlag(&app.Services[i])
	}
	b.grants()
	b.tmpfilesFile()
	b.checkUnique()
	slices.SortFunc(b.plan.Files, func(x, y File) int { return strings.Compare(x.Path, y.Path) })
	if err := b.err(); err != nil {
		return nil, err
	}
	return b.plan, nil
}

// builder collects a plan, and what is wrong with the app.
type builder struct {
	app      *landfast.App
	version  int    // of systemd; 0: the newest
	program  string // see Facts
	instance landfast.Instance
	current  string // paths.current, also where app is one release of it
	plan     *Plan
	wrong    []error
	template bool     // the unit that is being made has instances
	tmp      []string // lines of the tmpfiles.d file
	once     bool     // a single command, which may run before the services ever did
}

// has reports whether the host's systemd has what came with version since.
func (b *builder) has(since int) bool { return b.version == 0 || b.version >= since }

// fail notes that the value of a key of the manifest is wrong.
func (b *builder) fail(key string, err error) {
	b.wrong = append(b.wrong, &landfast.Error{
		Kind: landfast.Invalid, Msg: key, Err: err,
		Hint: "change " + key + " in the manifest",
	})
}

func (b *builder) failf(key, format string, args ...any) { b.fail(key, fmt.Errorf(format, args...)) }

// ok takes what an escaping function gives, for a key of the manifest.
func (b *builder) ok(key string) func(string, error) string {
	return func(value string, err error) string {
		if err != nil {
			b.fail(key, err)
		}
		return value
	}
}

func (b *builder) err() error {
	if len(b.wrong) == 1 {
		return b.wrong[0]
	}
	return errors.Join(b.wrong...)
}

// notef adds a note, once.
func (b *builder) notef(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if !slices.Contains(b.plan.Notes, note) {
		b.plan.Notes = append(b.plan.Notes, note)
	}
}

// file adds a file of root's that everybody may read.
func (b *builder) file(path, content string) {
	b.plan.Files = append(b.plan.Files, File{Path: path, Mode: 0o644, Owner: "root", Group: "root", Content: content})
}

// unitFile renders a unit and adds it.
func (b *builder) unitFile(name string, f *unit.File) {
	f.Comments = []string{strings.TrimSuffix(strings.TrimPrefix(Mark(b.app.Name), "# "), "\n")}
	text, err := f.Render()
	if err != nil {
		b.fail(name, err)
		return
	}
	b.file(unitDir+"/"+name, text)
}

// manifest adds the copy of the manifest, under a mark of its own. A manifest
// that is itself such a copy gets no second mark.
func (b *builder) manifest() {
	text := b.app.Manifest
	if MarkOf(text) != "" {
		_, text, _ = strings.Cut(text, "\n")
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	b.file("/etc/landfast/apps/"+b.app.Name+".toml", "# "+markStart+b.app.Name+"). The manifest last applied.\n"+text)
}
