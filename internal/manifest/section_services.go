package manifest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// services is [services]: further services of the app, by name.
type services struct {
	list []*extra
}

// extra is [services.NAME].
type extra struct {
	id        string // NAME
	at        *node
	service   service
	working   text
	instances instances
	env       ownEnv
	overlap   overlap
	socket    socket
	systemd   directives
}

const (
	partPattern     = `^[a-z][a-z0-9_-]{0,30}$`
	instancePattern = `^[A-Za-z0-9:_.-]{1,60}$`
	instanceRef     = "instance"
)

var (
	partNames     = regexp.MustCompile(partPattern)
	instanceNames = regexp.MustCompile(instancePattern)
)

// partName says what is wrong with the NAME of a table. Units of ours have the
// two names that are refused.
func partName(name string) *flaw {
	switch {
	case !partNames.MatchString(name):
		return &flaw{quote(name) + " cannot be a name", "lower-case letters, digits, - and _, a letter first, at most 31 characters"}
	case slices.Contains([]string{"environment", "restart", "rehearsal", "steer", "relay", "watch"}, name):
		return &flaw{quote(name) + " is reserved", "units of Landfast are called so"}
	}
	return nil
}

func (s *services) keys() []key { return nil }

func (s *services) free(name string) (value, *flaw) {
	if f := partName(name); f != nil {
		return nil, f
	}
	e := &extra{id: name}
	s.list = append(s.list, e)
	return e, nil
}

func (s *services) freeValue() (v value, pattern string) { return &extra{id: "NAME"}, partPattern }

func (s *services) freeDoc() (doc, example string) {
	return "A service beside the main one.", `worker = { command = "bin/worker" }`
}

func (e *extra) keys() []key {
	keys := e.service.processKeys(`"${service_name}-` + e.id + `"`)
	keys = append(keys, workingKey(&e.working))
	keys = slices.Concat(keys, e.service.restartKeys(), e.service.unitKeys(), e.overlap.keys())
	return append(
		keys,
		key{
			name: "instances", value: &e.instances, note: "one service without a name of its own", example: `3`,
			doc: "How many of it there are, or their names. The unit is a template then, as in `web-worker@1.service`, and `${instance}` in its commands and variables stands for the name.",
		},
		key{name: "env", value: &table{section: &e.env}, doc: "Variables of this service alone; they override those of the app."},
		key{name: "socket", value: &table{section: &e.socket, set: e.socket.switchOn}, doc: "A socket that systemd holds for this service."},
		key{name: "systemd", value: &table{section: &e.systemd}, doc: "Systemd's own settings for this service."},
	)
}

// workingKey is the working directory of a service that is not the main one.
func workingKey(t *text) key {
	return key{
		name: "working", directive: "WorkingDirectory", value: t.as(absPath), note: "`\"${working_dir}\"`", example: `"${current_dir}/worker"`,
		doc: "The working directory of this service.",
	}
}

// decode takes a table whose names (${service_name}, its variables) come before
// those of the app.
func (e *extra) decode(d *decoder, key string, n *node) {
	e.at = n
	d.local = map[string]*text{}
	defer func() { d.local = nil }()
	if n.kind == tableNode && n.get("instances") != nil {
		mark := &text{form: anyText, parts: []part{{literal: landfast.InstanceMark}}}
		d.track(mark, key+".instances", n)
		d.local[instanceRef] = mark
	}
	d.section(key, e, n)
}

func (e *extra) label() string { return "table" }

func (e *extra) schema() *jsonschema.Schema { return sectionSchema(e) }

func (e *extra) build(d *decoder, current string) landfast.Service {
	e.service.requireCommand(d, "")
	built := e.service.build(d, current)
	built.Working = e.working.value
	built.Env = e.env.vars()
	built.Systemd = e.systemd.build(d, e.socket.on)
	if built.Instances = e.instances.names(d); built.Instances != nil {
		built.Unit = strings.TrimSuffix(built.Unit, ".service") + "@.service"
	}
	e.overlap.build(d, e.id, &built)
	if e.socket.on {
		built.Socket = e.socket.build(d, e.service.name.value)
		if built.Instances != nil {
			d.at(e.socket.at, "services."+e.id+".socket", "a service with instances cannot have a socket", "give each a port: PORT = \"400${instance}\" in its env")
		}
	}
	return built
}

// instances are a number of instances, or their names.
type instances struct {
	key  string
	src  *node
	n    int
	list texts
}

const maxInstances = 1000

func (i *instances) decode(d *decoder, key string, n *node) {
	i.key, i.src = key, n
	if n.kind == integerNode {
		v, err := n.integer()
		if err != nil || v < 1 || v > maxInstances {
			d.at(n, key, n.raw+" is not between 1 and "+itoa(maxInstances), "")
			return
		}
		i.n = int(v)
		return
	}
	i.list.form = instanceName
	if n.kind != arrayNode {
		d.wrongType(key, n, "a number or a list of names")
		return
	}
	i.list.decode(d, key, n)
}

// names are the names of the instances, or nil when there are none.
func (i *instances) names(d *decoder) []string {
	var names []string
	for n := range i.n {
		names = append(names, itoa(n+1))
	}
	for _, one := range i.list.list {
		switch {
		case !one.ok():
		case slices.Contains(names, one.value):
			d.flaw(one, &flaw{quote(one.value) + " is listed twice", ""})
		default:
			names = append(names, one.value)
		}
	}
	if i.list.src != nil && len(i.list.list) == 0 {
		d.at(i.list.src, i.key, "is empty", "leave it out for one service without a name of its own")
	}
	return names
}

func (i *instances) label() string { return "integer or list of names" }

func (i *instances) schema() *jsonschema.Schema {
	low, high, one := 1.0, float64(maxInstances), 1
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "integer", Minimum: &low, Maximum: &high},
		{Type: "array", Items: instanceName.schema(), MinItems: &one},
	}}
}

func checkInstance(s string) (string, *flaw) {
	if !instanceNames.MatchString(s) {
		return "", &flaw{quote(s) + " cannot be the name of an instance", "letters, digits and :_.-"}
	}
	return s, nil
}
