package manifest

import (
	"strings"
	"time"

	"github.com/landfast/landfast"
)

// cutover is [cutover].
type cutover struct {
	at              *node
	strategy        text
	listen          texts
	drain, proxy    text
	rehearse        boolean
	privatePortMark text
}

// privatePort is the name of the port that an instance is given.
const privatePort = "private_port"

func (c *cutover) keys() []key {
	return []key{
		{
			name: "strategy", value: c.strategy.as(words("restart", "handoff", "steer", "relay")), def: `"restart"`, example: `"handoff"`,
			doc: "`restart` stops the old release and starts the new one; with a [socket], requests wait meanwhile. With the others both run for a while and no request is lost: with `handoff` both take from the one [socket]; with `steer` and `relay` each listens on a private port of its own, and the kernel, or a small relay, moves the public one.",
		},
		{
			name: "listen", value: c.listen.as(listen), note: "none", example: `["8080"]`,
			doc: "`steer` and `relay`: the public addresses. The app itself listens on `127.0.0.1` at the port in its variable `PORT`, which is `${" + privatePort + "}`.",
		},
		{
			name: "drain", value: c.drain.as(span), def: `"30s"`, example: `"2min"`,
			doc: "How long the old release may take to finish what it has begun, unless [service] has a `stop_timeout`. Not for `restart`.",
		},
		{
			name: "rehearse", value: &c.rehearse, note: "`true` with `handoff`", example: `false`,
			doc: "Start the new release on a private socket first, ask it [health] and [smoke], and stop it again. What fails there has never seen a request. It needs a [socket].",
		},
		{
			name: "proxy", value: c.proxy.as(words("v1", "v2")), note: "none", example: `"v2"`,
			doc: "`relay`: begin each connection to the app with a line of the PROXY protocol, which tells it the client's address.",
		},
	}
}

func (c *cutover) switchOn(at *node) { c.at = at }

// ported reports whether each release has a port of its own. The strategy is
// not resolved yet when references are.
func (c *cutover) ported() bool {
	word := ""
	for _, p := range c.strategy.parts {
		word += p.literal
	}
	return landfast.Strategy(word).Ported()
}

// ports makes the names of the private port known, where there is one.
func (c *cutover) ports(d *decoder) {
	if !c.ported() {
		return
	}
	at := c.at
	if at == nil {
		at = d.root
	}
	c.privatePortMark = text{form: anyText, parts: []part{{literal: landfast.PortMark}}}
	d.track(&c.privatePortMark, "cutover.strategy", at)
	d.refs[privatePort] = &c.privatePortMark
	if d.refs["PORT"] == nil {
		d.refs["PORT"] = &c.privatePortMark
	}
}

// build gives the cutover, and makes the main service what it asks for.
func (c *cutover) build(d *decoder, m *manifest, app *landfast.App) landfast.Cutover {
	built := landfast.Cutover{
		Strategy: landfast.Strategy(c.strategy.value), Listen: c.listen.values(),
		Drain: c.drain.duration(), Proxy: c.proxy.value, Smoke: m.smoke.build(),
	}
	if !c.strategy.ok() {
		return built
	}
	c.check(d, m, app, built.Strategy)
	built.Rehearse = c.rehearse.on
	if c.rehearse.src == nil {
		built.Rehearse = built.Strategy == landfast.StrategyHandoff
	}
	main := app.Main()
	if built.Strategy.Instanced() {
		main.Overlap = true
		if main.StopTimeout == 0 {
			main.StopTimeout = built.Drain
		}
	}
	if built.Strategy.Ported() {
		c.addPort(d, m, app)
	}
	return built
}

// check refuses what does not go with the strategy.
func (c *cutover) check(d *decoder, m *manifest, app *landfast.App, s landfast.Strategy) { //nolint:gocyclo // a list of what does not go together
	main := app.Main()
	name := quote(string(s))
	switch {
	case s == landfast.StrategyHandoff && !m.socket.on:
		d.flaw(&c.strategy, &flaw{name + " hands a socket over, and there is none", `add [socket] with listen = "8080"; an app that opens its port by itself takes strategy = "steer"`})
	case s.Ported() && m.socket.on:
		d.flaw(&c.strategy, &flaw{name + " is for apps that open a port by themselves", `with a [socket], strategy = "handoff" does it`})
	case s.Ported() && len(c.listen.list) == 0:
		d.flaw(&c.strategy, &flaw{name + " needs a public address", `add listen = "8080"`})
	case s.Instanced() && main.Kind == landfast.KindNspawn:
		d.flaw(&c.strategy, &flaw{name + " cannot run two machines of one name", `write strategy = "restart"`})
	case s.Instanced() && (main.Type == "oneshot" || main.Type == "forking"):
		d.flaw(&c.strategy, &flaw{name + " is for services of type exec, simple or notify", ""})
	}
	if c.listen.src != nil && !s.Ported() {
		d.at(c.listen.src, "cutover.listen", "is for the strategies steer and relay", "with handoff and restart the address stands in [socket]")
	}
	if s.Ported() {
		for _, one := range c.listen.list {
			if one.ok() && strings.HasPrefix(one.value, "@") || s == landfast.StrategySteer && one.ok() && strings.HasPrefix(one.value, "/") {
				d.flaw(one, &flaw{quote(one.value) + " is no port", name + " moves TCP ports"})
			}
		}
	}
	if c.proxy.given() && s != landfast.StrategyRelay {
		d.flaw(&c.proxy, &flaw{"is for the strategy relay", "the others show the app the client's own address"})
	}
	if c.rehearse.on && !m.socket.on {
		d.at(c.rehearse.src, "cutover.rehearse", "needs a [socket], which the rehearsal replaces by a private one", "the strategies steer and relay probe the new release on its own port in any case")
	}
	if m.smoke.at != nil && !m.socket.on && !s.Ported() {
		d.at(m.smoke.at, "smoke", "needs a [socket], or the strategy steer or relay", "otherwise nothing can be asked before traffic arrives")
	}
}

// addPort gives the app its port, and refuses a PORT that is not that.
func (c *cutover) addPort(d *decoder, m *manifest, app *landfast.App) {
	for _, v := range m.env.list {
		if v.name != "PORT" {
			continue
		}
		if v.text.ok() && v.text.value != landfast.PortMark {
			d.flaw(&v.text, &flaw{"each release gets a port of its own with this strategy", "leave PORT out, or write ${" + privatePort + "}; the public port stands in [cutover] listen"})
		}
		return
	}
	app.Env = append(app.Env, landfast.Var{Name: "PORT", Value: landfast.PortMark})
}

// smoke is [smoke]: paths and the status each must answer.
type smoke struct {
	at   *node
	list []*smokeTest
}

type smokeTest struct {
	path   string
	status integer
}

func (s *smoke) switchOn(at *node) { s.at = at }

func (s *smoke) keys() []key { return nil }

func (s *smoke) free(name string) (value, *flaw) {
	if !strings.HasPrefix(name, "/") || strings.ContainsAny(name, " #\x00\r\n") {
		return nil, &flaw{quote(name) + " is not a path to ask for", `write "/login" = 200`}
	}
	t := &smokeTest{path: name}
	s.list = append(s.list, t)
	return t.status.between(100, 599), nil
}

func (s *smoke) freeValue() (v value, pattern string) {
	return (&integer{}).between(100, 599), `^/[^ #]*$`
}

func (s *smoke) freeDoc() (doc, example string) {
	return "A path, and the HTTP status that the new release must answer there before any traffic reaches it.", `"/login" = 200`
}

func (s *smoke) build() []landfast.Smoke {
	var out []landfast.Smoke
	for _, t := range s.list {
		out = append(out, landfast.Smoke{Path: t.path, Status: t.status.n})
	}
	return out
}

// overlap are the keys of a service beside the main one about its cutover.
type overlap struct {
	on  boolean
	max text
}

func (o *overlap) keys() []key {
	return []key{
		{
			name: "overlap", value: &o.on, def: `false`, example: `true`,
			doc: "At a cutover, start the new release's process before the old one's is stopped. Without it the old one is stopped first, as a single consumer or scheduler needs.",
		},
		{
			name: "max_overlap", value: o.max.as(span), note: "as long as the old one takes to stop", example: `"1min"`,
			doc: "With `overlap`: how long both may run before the old one is killed.",
		},
	}
}

// build applies the keys to a service.
func (o *overlap) build(d *decoder, id string, s *landfast.Service) {
	s.Overlap = o.on.on
	if o.max.given() && !o.on.on {
		d.flaw(&o.max, &flaw{"is for services with overlap = true", ""})
	}
	if !o.on.on {
		return
	}
	if s.Instances != nil || s.Type == "oneshot" || s.Type == "forking" {
		d.at(o.on.src, "services."+id+".overlap", "is for single services of type exec, simple or notify", "")
	}
	if most := o.max.duration(); most > 0 && (s.StopTimeout == 0 || most < s.StopTimeout) {
		s.StopTimeout = most
	} else if s.StopTimeout == 0 {
		s.StopTimeout = 30 * time.Second
	}
}
