package adopt

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// Unit is a unit as it lies on a host.
type Unit struct {
	Name    string   // with its suffix, and its instance
	Aliases []string // other names that lead to it
	Files   []File   // its unit file, then the drop-ins in the order in which systemd reads them
	Enabled bool     // something is told to start it
}

// File is one file of a unit.
type File struct {
	Path string // on the host
	Text string
}

// Options are what a caller may say about the manifest.
type Options struct {
	Name string // of the app; "": as the unit is called, as far as an app can be called that
	// Loose: the files lie somewhere, and not where a host's systemd reads them.
	// Nothing is said of what the host would do, and every socket counts as enabled.
	Loose bool
	// Systemd is the version that reads the units; 0: the newest known.
	Systemd int
}

// Result is a manifest and what it leaves unsaid.
type Result struct {
	Unit     string   `json:"unit"` // what was adopted
	Files    []string `json:"files"`
	App      string   `json:"app"`
	Rendered string   `json:"rendered_unit"` // what the plan calls it
	Manifest string   `json:"manifest"`
	// CannotExpress are the settings that the rendered unit has otherwise.
	CannotExpress []Gap `json:"cannot_express"`
	// WouldAdd are the lines that the sandbox profile strict would add.
	WouldAdd []Line `json:"sandbox_would_add"`
	// Changes are what is different by nature once the manifest is applied.
	Changes []string `json:"changes"`
}

// Gap is a setting that a manifest cannot say.
type Gap struct {
	Setting string `json:"setting"` // Section.Name=value, or the unit that it is about
	Why     string `json:"why"`
}

// Line is a line that the sandbox would add.
type Line struct {
	Setting string `json:"setting"` // Name=value
	Takes   string `json:"takes"`   // what the service could not do any more
	// Kept is a value of the unit's own that stands in its way until it is taken out
	// of the manifest.
	Kept string `json:"kept,omitempty"`
}

// Adopt makes a manifest of a service. triggers are the sockets, timers and paths
// that start it. An error is of kind Invalid: a file that systemd itself would not
// read to its end, or a name that no app can have.
func Adopt(service Unit, triggers []Unit, o Options) (*Result, error) {
	name, ok := splitName(service.Name)
	switch {
	case !ok || name.suffix != ".service":
		return nil, invalid(fmt.Sprintf("%q is not the name of a service unit", service.Name), "write NAME.service")
	case name.template:
		return nil, invalid(service.Name+" is a template", fmt.Sprintf("name an instance of it: %s@NAME.service", name.prefix))
	}
	app, err := appName(o.Name, name)
	if err != nil {
		return nil, err
	}
	a := &adoption{
		service: service, name: name, app: app, loose: o.Loose, systemd: o.Systemd,
		forced: map[string]bool{}, left: map[string]string{},
		result: &Result{Unit: service.Name, App: app, Rendered: app + ".service", CannotExpress: []Gap{}, WouldAdd: []Line{}, Changes: []string{}},
	}
	if err := a.read(); err != nil {
		return nil, err
	}
	if err := a.chooseSocket(triggers); err != nil {
		return nil, err
	}
	if err := a.settle(); err != nil {
		return nil, err
	}
	a.changes()
	return a.result, nil
}

func invalid(msg, hint string) error {
	return &landfast.Error{Kind: landfast.Invalid, Msg: msg, Hint: hint}
}

// adoption is one service on its way.
type adoption struct {
	service  Unit
	name     unitName
	app      string // its name, and that of the rendered unit
	loose    bool
	systemd  int
	settings []setting
	socket   *socket // that is adopted with it; nil: none
	user     string  // that it runs as; "": root, without saying so
	group    string  // "": that of the user
	doc      doc
	result   *Result

	forced map[string]bool   // settings that no key takes
	left   map[string]string // settings and keys that nothing takes, and why
}

// gap notes what the manifest cannot say.
func (a *adoption) gap(settingText, format string, args ...any) {
	a.result.CannotExpress = append(a.result.CannotExpress, Gap{settingText, fmt.Sprintf(format, args...)})
}

// changef notes what changes by nature.
func (a *adoption) changef(format string, args ...any) {
	a.result.Changes = append(a.result.Changes, fmt.Sprintf(format, args...))
}

// appName is the name of the app, which its unit has too: the unit's own where an
// app can be called that.
func appName(given string, n unitName) (string, error) {
	if given != "" {
		if !possible(given) {
			return "", invalid(fmt.Sprintf("an app cannot be called %q", given), "lower-case letters, digits, - and _, a letter first, at most 31 characters, and not a reserved name such as ssh")
		}
		return given, nil
	}
	base := n.prefix
	if n.instance != "" {
		base += "-" + n.instance
	}
	base = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '-'
	}, strings.ToLower(base))
	base = strings.Trim(base, "-")
	for _, candidate := range []string{base, base + "-app", "app-" + base} {
		if len(candidate) > 31 {
			candidate = strings.TrimRight(candidate[:31], "-_")
		}
		if possible(candidate) {
			return candidate, nil
		}
	}
	return "", invalid(fmt.Sprintf("no app can be called like %s", n), "choose a name with --name")
}

// possible asks the manifest itself whether an app can have that name.
func possible(name string) bool {
	_, err := manifest.Parse("name", []byte("name = "+tomlString(name)+"\nuser = \"nobody\"\n[service]\ncommand = \"/bin/true\"\n"))
	return err == nil
}

// settle writes the manifest, and compares it with the original. What the checks of
// the manifest or those of a plan refuse in a key is passed through in the next try;
// what they refuse there is left out.
func (a *adoption) settle() error {
	told := slices.Clone(a.result.CannotExpress)
	for {
		a.doc = doc{}
		a.result.CannotExpress = slices.Clone(told)
		a.translate()
		a.result.Manifest = a.doc.text(a.header())
		app, text, err := a.build("none")
		if err == nil {
			return a.verify(app, text)
		}
		again := false
		for key, why := range refused(err) {
			id := strings.TrimPrefix(key, "systemd.")
			if origin := a.doc.origin(key); origin != "" {
				again = again || !a.forced[origin]
				a.forced[origin] = true
			} else if _, before := a.left[id]; !before {
				again = true
				a.left[id] = why
			}
		}
		if !again {
			return err
		}
	}
}

// refused are the keys that an error is about, each with what is wrong.
func refused(err error) map[string]string {
	keys := map[string]string{}
	if problems, ok := errors.AsType[manifest.Errors](err); ok {
		for _, p := range problems {
			key, _, _ := strings.Cut(p.Key, "[")
			keys[key] = p.Msg
		}
		return keys
	}
	if many, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, e := range many.Unwrap() {
			maps.Copy(keys, refused(e))
		}
		return keys
	}
	if e, ok := errors.AsType[*landfast.Error](err); ok && e.Err != nil {
		keys[e.Msg] = e.Err.Error()
	}
	return keys
}

// build reads the manifest and makes its plan, with a sandbox profile of choice.
func (a *adoption) build(profile string) (*landfast.App, string, error) {
	app, err := manifest.Parse("landfast.toml", []byte(a.result.Manifest))
	if err != nil {
		return nil, "", fmt.Errorf("read the manifest made of %s: %w", a.service.Name, err)
	}
	app.Sandbox.Profile = profile
	p, err := plan.Build(app, plan.Facts{Systemd: a.systemd})
	if err != nil {
		return nil, "", fmt.Errorf("plan the manifest made of %s: %w", a.service.Name, err)
	}
	for _, f := range p.Files {
		if strings.HasSuffix(f.Path, "/"+app.Main().Unit) {
			return app, f.Content, nil
		}
	}
	return nil, "", fmt.Errorf("plan the manifest made of %s: there is no %s in it", a.service.Name, app.Main().Unit)
}
