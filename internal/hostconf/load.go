package hostconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/manifest"
)

// Where the configuration of a host is.
const (
	File = "/etc/landfast/listen.toml"
	Dir  = "/etc/landfast/listen.d"
)

// layer is one file of the configuration.
type layer struct {
	name string
	text []byte
}

// Load reads listen.toml and listen.d/*.toml, in the order of their names, of the
// host whose root directory is fsys. Without any, the Config has no triggers. An
// error is a *landfast.Error: of kind Invalid, wrapping manifest.Errors, for
// mistakes; of kind Internal for what cannot be read.
func Load(fsys fs.FS) (*Config, error) {
	layers, err := read(fsys)
	if err != nil {
		return nil, err
	}
	return merge(layers)
}

// read gives the files, in their order.
func read(fsys fs.FS) ([]layer, error) {
	var layers []layer
	names, err := fs.ReadDir(fsys, Dir[1:])
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unreadable(err)
	}
	all := []string{File}
	for _, e := range names {
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			all = append(all, path.Join(Dir, e.Name()))
		}
	}
	for _, name := range all {
		text, err := fs.ReadFile(fsys, name[1:])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, unreadable(err)
		}
		layers = append(layers, layer{name, text})
	}
	return layers, nil
}

func unreadable(err error) error {
	e := &landfast.Error{Msg: "cannot read the configuration of the listener", Err: err}
	if errors.Is(err, fs.ErrPermission) {
		e.Hint = "run as root"
	}
	return e
}

// Parse reads one text as the whole configuration. Messages name the file name.
func Parse(name string, text []byte) (*Config, error) {
	return merge([]layer{{name, text}})
}

// merge reads the layers one upon the other: lists add up, and of [listen] the
// last one that sets a key counts.
func merge(layers []layer) (*Config, error) {
	var all manifest.Errors
	seen := map[string]string{} // kind and name → where
	var merged Config
	for _, l := range layers {
		d := &document{name: l.name, text: l.text, all: &all}
		before := len(all)
		d.decode()
		if len(all) > before && d.at == nil {
			continue
		}
		d.check()
		for path, kind := range d.names() {
			if other, twice := seen[kind]; twice {
				d.add(path, "is the name of another one as well, in "+other, "names are unique")
			}
			seen[kind] = d.name
		}
		merged.Listen = over(merged.Listen, d.config.Listen)
		merged.Triggers = append(merged.Triggers, d.config.Triggers...)
		merged.Tokens = append(merged.Tokens, d.config.Tokens...)
		merged.OIDC = append(merged.OIDC, d.config.OIDC...)
		merged.Reports = append(merged.Reports, d.config.Reports...)
	}
	if err := manifest.Report(all); err != nil {
		return nil, err
	}
	merged.fill()
	return &merged, nil
}

// names gives every name with its kind, in the order of the text.
func (d *document) names() func(func(path, kind string) bool) {
	var all [][2]string
	add := func(kind string, i int, name string) {
		if name != "" {
			all = append(all, [2]string{index(kind, i) + ".name", kind + " " + name})
		}
	}
	for i, t := range d.config.Triggers {
		add("trigger", i, t.Name)
	}
	for i, t := range d.config.Tokens {
		add("token", i, t.Name)
	}
	for i, o := range d.config.OIDC {
		add("oidc", i, o.Name)
	}
	for i, r := range d.config.Reports {
		add("report", i, r.Name)
	}
	return func(yield func(path, kind string) bool) {
		for _, n := range all {
			if !yield(n[0], n[1]) {
				return
			}
		}
	}
}

// or is b, or a where b is not set.
func or[T any](a, b T, set bool) T {
	if set {
		return b
	}
	return a
}

// over lays one [listen] upon another.
func over(a, b Listen) Listen {
	return Listen{
		Address:        or(a.Address, b.Address, b.Address != nil),
		Certificate:    or(a.Certificate, b.Certificate, b.Certificate.Value != ""),
		Key:            or(a.Key, b.Key, b.Key.Value != ""),
		TrustedProxies: or(a.TrustedProxies, b.TrustedProxies, b.TrustedProxies != nil),
		MaxBody:        or(a.MaxBody, b.MaxBody, b.MaxBody.Bytes != 0),
		MaxHeader:      or(a.MaxHeader, b.MaxHeader, b.MaxHeader.Bytes != 0),
		MaxConnections: or(a.MaxConnections, b.MaxConnections, b.MaxConnections != 0),
		Timeout:        or(a.Timeout, b.Timeout, b.Timeout.Span != 0),
		Idle:           or(a.Idle, b.Idle, b.Idle.Span != 0),
		Rate:           or(a.Rate, b.Rate, b.Rate != nil),
		Burst:          or(a.Burst, b.Burst, b.Burst != 0),
	}
}

// fill sets what was left out.
func (c *Config) fill() {
	l := &c.Listen
	*l = over(Listen{
		Address: []string{"[::]:8420"},
		MaxBody: Size{Bytes: 5 << 20}, MaxHeader: Size{Bytes: 32 << 10}, MaxConnections: 256,
		Timeout: Duration{Span: 10 * time.Second}, Idle: Duration{Span: 30 * time.Second},
		Rate: new(600), Burst: 120,
	}, *l)
	for i := range c.Triggers {
		c.Triggers[i].fill()
	}
	for i := range c.Tokens {
		c.Tokens[i].Actions = or([]string{"deploy", "show"}, c.Tokens[i].Actions, c.Tokens[i].Actions != nil)
	}
	for i := range c.OIDC {
		c.OIDC[i].Actions = or([]string{"deploy", "show"}, c.OIDC[i].Actions, c.OIDC[i].Actions != nil)
	}
	for i := range c.Reports {
		r := &c.Reports[i]
		r.Apps = or([]string{"*"}, r.Apps, r.Apps != nil)
		r.On = or([]string{"pending", "success", "failure"}, r.On, r.On != nil)
	}
}

func (t *Trigger) fill() {
	if t.App != "" {
		t.Apps = []string{t.App}
	}
	t.Events = or([]string{"push"}, t.Events, t.Events != nil)
	t.Actions = or([]string{"deploy"}, t.Actions, t.Actions != nil)
	if t.Tolerance.Span == 0 {
		t.Tolerance.Span = 5 * time.Minute
		if t.Provider == SNS {
			t.Tolerance.Span = 24 * time.Hour
		}
	}
	g := &t.Generic
	g.Header = or("X-Signature-256", g.Header, g.Header != "")
	g.Encoding = or("hex", g.Encoding, g.Encoding != "")
	g.Algorithm = or("sha256", g.Algorithm, g.Algorithm != "")
}

// On reports whether what t takes is acted on.
func (t *Trigger) On() bool { return t.Enabled == nil || *t.Enabled }

// Trigger is the trigger called name, or nil.
func (c *Config) Trigger(name string) *Trigger {
	i := slices.IndexFunc(c.Triggers, func(t Trigger) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Triggers[i]
}

// Allows reports whether a list of apps has app in it.
func Allows(apps []string, app string) bool {
	return slices.Contains(apps, "*") || slices.Contains(apps, app)
}

// String names t for people.
func (t *Trigger) String() string { return fmt.Sprintf("the trigger %q", t.Name) }

// LoadWith reads the configuration as it would be with one more file.
func LoadWith(fsys fs.FS, name string, text []byte) (*Config, error) {
	layers, err := read(fsys)
	if err != nil {
		return nil, err
	}
	return merge(append(layers, layer{name, text}))
}
