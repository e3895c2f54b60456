package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// File is where the policy of a host is.
const File = "/etc/landfast/policy.toml"

// Policy is what a host allows.
type Policy struct {
	defaults table
	apps     map[string]table
	reloads  map[string]Reload
}

// Reload is something beside the app that the worker may have read its configuration
// again, such as a web server in front of it.
type Reload struct {
	Test []string `toml:"test"` // a command that must succeed first
	Unit string   `toml:"unit"` // what is reloaded then
	Apps []string `toml:"apps"` // which apps may ask for it
}

// document is policy.toml.
type document struct {
	Default table             `toml:"default"`
	App     map[string]table  `toml:"app"`
	Reload  map[string]Reload `toml:"reload"`
}

// table is [default] or [app.NAME]. A key that is not there is as [default] says, and
// there as Default does.
type table struct {
	Deploy       *bool     `toml:"deploy"`
	Manifest     *string   `toml:"manifest"`
	Users        *[]string `toml:"users"`
	Groups       *[]string `toml:"groups"`
	Names        *[]string `toml:"names"`
	Base         *[]string `toml:"base"`
	Sandbox      *string   `toml:"sandbox"`
	Allow        *[]string `toml:"allow"`
	Directives   *[]string `toml:"directives"`
	Capabilities *[]string `toml:"capabilities"`
	Ports        *[]int    `toml:"ports"`
	Units        *[]string `toml:"units"`
	ProbeHosts   *[]string `toml:"probe_hosts"`
	Secrets      *[]string `toml:"secrets"`
	Grants       *bool     `toml:"grants"`
	Chroot       *bool     `toml:"chroot"`
	Nspawn       *bool     `toml:"nspawn"`
	RestartFlag  *bool     `toml:"restart_flag"`
	Build        *bool     `toml:"build"`
	BuildNetwork *bool     `toml:"build_network"`
}

var appNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$`)

// Parse reads a policy. name is the file that messages name. An error is of kind
// Invalid and gives file, line and column. An empty text is the default policy.
func Parse(name string, text []byte) (*Policy, error) {
	var doc document
	d := toml.NewDecoder(strings.NewReader(string(text))).DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, placed(name, err)
	}
	p := &Policy{defaults: doc.Default, apps: doc.App, reloads: doc.Reload}
	c := checker{name: name, at: places(text)}
	c.table("default", doc.Default)
	for app, t := range doc.App {
		if !appNames.MatchString(app) {
			c.wrong("app."+app, "%q cannot be the name of an app", app)
		}
		c.table("app."+app, t)
	}
	for reload, r := range doc.Reload {
		c.reload("reload."+reload, r)
	}
	if len(c.all) > 0 {
		slices.Sort(c.all)
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: strings.Join(c.all, "\n"), Hint: "correct the policy of this host"}
	}
	return p, nil
}

// placed gives an error of the library with its place.
func placed(name string, err error) error {
	var lines []string
	add := func(d *toml.DecodeError, what string) {
		row, column := d.Position()
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", name, row, column, what))
	}
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		for i := range strict.Errors {
			add(&strict.Errors[i], strings.Join(strict.Errors[i].Key(), ".")+": unknown key")
		}
	} else if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		add(d, strings.TrimPrefix(d.Error(), "toml: "))
	} else {
		lines = append(lines, name+": "+err.Error())
	}
	return &landfast.Error{Kind: landfast.Invalid, Msg: strings.Join(lines, "\n"), Hint: "correct the policy of this host"}
}

// places finds where each key of a document stands.
func places(text []byte) map[string]string {
	at := map[string]string{}
	var p unstable.Parser
	p.Reset(text)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table && e.Kind != unstable.KeyValue {
			continue
		}
		var words []string
		var first unstable.Range
		for it := e.Key(); it.Next(); {
			if len(words) == 0 {
				first = it.Node().Raw
			}
			words = append(words, string(it.Node().Data))
		}
		key := strings.Join(words, ".")
		if e.Kind == unstable.Table {
			table = key
		} else if table != "" {
			key = table + "." + key
		}
		start := p.Shape(first).Start
		at[key] = fmt.Sprintf("%d:%d", start.Line, start.Column)
	}
	return at
}

// checker collects what is wrong with a policy.
type checker struct {
	name string
	at   map[string]string
	all  []string
}

func (c *checker) wrong(key, format string, args ...any) {
	at := c.at[key]
	for at == "" && strings.Contains(key, ".") { // an inline table has no place of its own
		key = key[:strings.LastIndex(key, ".")]
		at = c.at[key]
	}
	if at == "" {
		at = "1:1"
	}
	c.all = append(c.all, fmt.Sprintf("%s:%s: %s: %s", c.name, at, key, fmt.Sprintf(format, args...)))
}

func (c *checker) table(key string, t table) {
	c.oneOf(key+".manifest", t.Manifest, manifestRelease, manifestHost)
	c.oneOf(key+".sandbox", t.Sandbox, floors...)
	for _, list := range []struct {
		name  string
		words *[]string
	}{{"users", t.Users}, {"groups", t.Groups}} {
		for _, w := range deref(list.words) {
			name := strings.ReplaceAll(w, appMark, "app")
			switch {
			case name == "root" || name == deployUser || strings.HasPrefix(name, deployUser+"-"):
				c.wrong(key+"."+list.name, "%q cannot be allowed: it has rights that no app may have", w)
			case !unit.IsUserName(name):
				c.wrong(key+"."+list.name, "%q is not the name of an account", w)
			}
		}
	}
	c.lists(key, t)
}

func (c *checker) lists(key string, t table) {
	for _, w := range deref(t.Base) {
		if err := unit.CheckPath(w); err != nil || w == "/" {
			c.wrong(key+".base", "%q is not a directory for apps", w)
		}
	}
	for _, w := range deref(t.Allow) {
		if !slices.Contains(unit.AllowNames(), w) {
			c.wrong(key+".allow", "%q is no line of the sandbox; there are %s", w, strings.Join(unit.AllowNames(), ", "))
		}
	}
	for _, w := range deref(t.Directives) {
		if len(unit.SectionsOf(w)) == 0 {
			c.wrong(key+".directives", "systemd knows no directive %q", w)
		} else if never(w) {
			c.wrong(key+".directives", "%q cannot be allowed: with it a manifest could run anything as root", w)
		}
	}
	for _, n := range deref(t.Ports) {
		if n < 1 || n > 65535 {
			c.wrong(key+".ports", "%d is not a port", n)
		}
	}
}

func (c *checker) oneOf(key string, value *string, words ...string) {
	if value != nil && !slices.Contains(words, *value) {
		c.wrong(key, "%q is none of %s", *value, strings.Join(words, ", "))
	}
}

func (c *checker) reload(key string, r Reload) {
	if len(r.Test) == 0 || !strings.HasPrefix(r.Test[0], "/") {
		c.wrong(key+".test", "name the command that tests the configuration first, with its absolute path")
	} else if _, err := unit.Command("", r.Test); err != nil {
		c.wrong(key+".test", "%v", err)
	}
	if !unitNames.MatchString(r.Unit) {
		c.wrong(key+".unit", "%q is not the name of a unit", r.Unit)
	}
	for _, app := range r.Apps {
		if !appNames.MatchString(app) {
			c.wrong(key+".apps", "%q cannot be the name of an app", app)
		}
	}
}

func deref[T any](p *[]T) []T {
	if p == nil {
		return nil
	}
	return *p
}
