package manifest

import (
	"regexp"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// environment is [environment].
type environment struct {
	on        bool
	at        *node
	command   command
	cloudInit instanceData
	after     texts
}

func (e *environment) switchOn(at *node) { e.on, e.at = true, at }

func (e *environment) choices() (keys []string, must bool) {
	return []string{"command", "cloud_init"}, true
}

func (e *environment) keys() []key {
	return []key{
		{
			name: "command", value: e.command.prefixed(), example: `"bin/instance-data"`,
			doc: "A command that prints `NAME=value` lines. It runs before the services, and they do not start when it fails. Prefixes as in `before_start`.",
		},
		{
			name: "cloud_init", value: &table{section: &e.cloudInit}, example: `{ REGION = "v1.region", INSTANCE_ID = "v1.instance_id" }`,
			doc: "Variables from what cloud-init knows of the instance, by the key of its instance data (`cloud-init query --list-keys`). The keys below `v1` are the same in every cloud.",
		},
		{
			name: "after", directive: "After", value: e.after.as(unitName), example: `["cloud-init.service"]`,
			doc: "Units that are started before it, if they are started at all.",
		},
	}
}

// ownProgram is this program, as systemd finds it.
const ownProgram = "landfast"

// build gives the command of an app whose main unit is called name.
func (e *environment) build(d *decoder, current, name string) *landfast.EnvironmentCommand {
	if !e.on {
		return nil
	}
	name += "-environment"
	built := &landfast.EnvironmentCommand{
		Unit: name + ".service", After: e.after.values(), File: "/run/" + name + "/environment",
	}
	if list := e.cloudInit.list; len(list) > 0 {
		built.Command.Argv = []string{ownProgram, "instance-data"}
		for _, v := range list {
			built.Command.Argv = append(built.Command.Argv, v.name+"="+v.key.value)
		}
		// The unit that writes the file has had two names.
		built.After = append([]string{"cloud-init-local.service", "cloud-init.service", "cloud-init-network.service"}, built.After...)
		return built
	}
	built.Command = e.command.build(d, current)
	return built
}

// instanceData is environment.cloud_init: names of variables and keys of the
// instance data.
type instanceData struct {
	list []*instanceVariable
}

type instanceVariable struct {
	name string
	key  text
}

const instanceKeyPattern = `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`

var (
	instanceKeys = regexp.MustCompile(instanceKeyPattern)
	instanceKey  = &form{label: "key of the instance data", pattern: instanceKeyPattern, check: checkInstanceKey}
)

func (i *instanceData) keys() []key { return nil }

func (i *instanceData) free(name string) (value, *flaw) {
	if !variableNames.MatchString(name) {
		return nil, &flaw{quote(name) + " cannot be the name of a variable", "letters, digits and _, no digit first"}
	}
	v := &instanceVariable{name: name}
	i.list = append(i.list, v)
	return v, nil
}

func (i *instanceData) freeValue() (v value, pattern string) {
	return &instanceVariable{}, variablePattern
}

func (i *instanceData) freeDoc() (doc, example string) {
	return "A variable and the key of the instance data that it gets.", `REGION = "v1.region"`
}

func (v *instanceVariable) decode(d *decoder, key string, n *node) {
	v.key.as(instanceKey).decode(d, key, n)
}

func (v *instanceVariable) label() string { return instanceKey.label }

func (v *instanceVariable) schema() *jsonschema.Schema { return instanceKey.schema() }

func checkInstanceKey(s string) (string, *flaw) {
	if !instanceKeys.MatchString(s) {
		return "", &flaw{quote(s) + " is not a key of the instance data", `write one such as "v1.region"`}
	}
	return s, nil
}
