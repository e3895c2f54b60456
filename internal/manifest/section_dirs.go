package manifest

import (
	"path"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// dirs is [dirs].
type dirs struct {
	runtime, configuration, logs, state, cache, tmp dir
}

// dir is one directory of [dirs]: true, a name, or a table.
type dir struct {
	kind               landfast.DirKind
	on                 bool
	base, name, mode   text
	preserve, location text
}

// of tells d its kind.
func (d *dir) of(kind landfast.DirKind) value {
	d.kind = kind
	return d
}

func (s *dirs) keys() []key {
	return []key{
		{
			name: "runtime", directive: "RuntimeDirectory", value: s.runtime.of(landfast.RuntimeDir), example: `{ mode = "0755", preserve = "restart" }`,
			doc: "For sockets and other files that last as long as the service: `/run/NAME`, `RUNTIME_DIR`, `${runtime_dir}`.",
		},
		{
			name: "configuration", directive: "ConfigurationDirectory", value: s.configuration.of(landfast.ConfigurationDir), example: `true`,
			doc: "For configuration that the host provides: `/etc/NAME`, `CONFIGURATION_DIR`, `${configuration_dir}`.",
		},
		{
			name: "logs", directive: "LogsDirectory", value: s.logs.of(landfast.LogsDir), example: `true`,
			doc: "For log files, where the journal will not do: `/var/log/NAME`, `LOGS_DIR`, `${logs_dir}`.",
		},
		{
			name: "state", directive: "StateDirectory", value: s.state.of(landfast.StateDir), example: `"shop"`,
			doc: "For data that must last: `/var/lib/NAME`, `STATE_DIR`, `${state_dir}`.",
		},
		{
			name: "cache", directive: "CacheDirectory", value: s.cache.of(landfast.CacheDir), example: `true`,
			doc: "For data that can be made again: `/var/cache/NAME`, `CACHE_DIR`, `${cache_dir}`.",
		},
		{
			name: "tmp", value: s.tmp.of(landfast.TmpDir), example: `true`,
			doc: "For large temporary files that last over a restart: `/var/tmp/NAME`, `TMP_DIR`, `${tmp_dir}`.",
		},
	}
}

// dirDefaults is where systemd keeps a directory of a kind (systemd.exec(5)),
// and the variable that names it to the app.
func dirDefaults(kind landfast.DirKind) (base, variable string) {
	switch kind {
	case landfast.RuntimeDir:
		return "/run", "RUNTIME_DIR"
	case landfast.ConfigurationDir:
		return "/etc", "CONFIGURATION_DIR"
	case landfast.LogsDir:
		return "/var/log", "LOGS_DIR"
	case landfast.StateDir:
		return "/var/lib", "STATE_DIR"
	case landfast.CacheDir:
		return "/var/cache", "CACHE_DIR"
	}
	return "/var/tmp", "TMP_DIR"
}

// ref is the name of the directory in ${...}.
func (d *dir) ref() string { return string(d.kind) + "_dir" }

// keys are those of the table form.
func (d *dir) keys() []key {
	base, _ := dirDefaults(d.kind)
	keys := []key{
		{
			name: "name", value: d.name.as(relPath), def: `"${service_name}"`, example: `"shop/web"`,
			doc: "Its name below the base.",
		},
		{
			name: "mode", value: d.mode.as(octal), def: `"0750"`, example: `"0700"`,
			doc: "Its mode.",
		},
		{
			name: "base", value: d.base.as(absPath), def: quote(base), example: `"/data"`,
			doc: "The directory it lies in.",
		},
	}
	if d.kind == landfast.RuntimeDir {
		keys = append(keys, key{
			name: "preserve", directive: "RuntimeDirectoryPreserve", value: d.preserve.as(words("no", "restart", "yes")), def: `"no"`, example: `"restart"`,
			doc: "Only of `runtime`: whether it outlasts a restart, or even a stop.",
		})
	}
	return keys
}

func (d *dir) decode(dec *decoder, key string, n *node) {
	var given *node
	switch n.kind {
	case boolNode:
		d.on = n.text == "true"
	case stringNode:
		d.on = true
		given = &node{kind: tableNode, src: n.src, pos: n.pos}
		given.set("name", n.pos, n)
	case tableNode:
		d.on, given = true, n
	default:
		dec.wrongType(key, n, "true, a name or a table")
		return
	}
	if !d.on {
		d.absent(dec, key, n)
		return
	}
	dec.section(key, d, given)
	d.location = text{form: anyText, key: key, src: n, parts: []part{{text: &d.base}, {literal: "/"}, {text: &d.name}}}
	dec.texts = append(dec.texts, &d.location)
	dec.refs[d.ref()] = &d.location
}

func (d *dir) absent(dec *decoder, _ string, _ *node) { dec.off[d.ref()] = string(d.kind) }

func (d *dir) label() string { return "true, name or table" }

func (d *dir) schema() *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "boolean"}, relPath.schema(), sectionSchema(d)}}
}

// all are the directories in the order of landfast's kinds.
func (s *dirs) all() []*dir {
	return []*dir{&s.runtime, &s.configuration, &s.logs, &s.state, &s.cache, &s.tmp}
}

func (s *dirs) build() []landfast.Dir {
	var built []landfast.Dir
	for _, d := range s.all() {
		if !d.on {
			continue
		}
		_, variable := dirDefaults(d.kind)
		one := landfast.Dir{Kind: d.kind, Base: d.base.value, Name: d.name.value, Mode: d.mode.value, Env: variable}
		one.Path = path.Join(one.Base, one.Name)
		if p := d.preserve.value; p != "no" {
			one.Preserve = p
		}
		built = append(built, one)
	}
	return built
}
