package manifest

import "github.com/landfast/landfast"

// environment is [environment].
type environment struct {
	on      bool
	command command
	after   texts
}

func (e *environment) switchOn(*node) { e.on = true }

func (e *environment) keys() []key {
	return []key{
		{
			name: "command", value: e.command.prefixed(), must: true, example: `"bin/instance-data"`,
			doc: "A command that prints `NAME=value` lines. It runs before the services, and they do not start when it fails. Prefixes as in `before_start`.",
		},
		{
			name: "after", directive: "After", value: e.after.as(unitName), example: `["cloud-init.service"]`,
			doc: "Units that are started before it, if they are started at all.",
		},
	}
}

// build gives the command of an app whose main unit is called name.
func (e *environment) build(d *decoder, current, name string) *landfast.EnvironmentCommand {
	if !e.on {
		return nil
	}
	name += "-environment"
	return &landfast.EnvironmentCommand{
		Unit: name + ".service", Command: e.command.build(d, current), After: e.after.values(),
		File: "/run/" + name + "/environment",
	}
}
