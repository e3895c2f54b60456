package manifest

import (
	"regexp"

	"github.com/landfast/landfast"
)

// named is [commands].
type named struct {
	list []*namedCommand
}

// namedCommand is one command of [commands].
type namedCommand struct {
	name    string
	command command
}

const commandPattern = `^[a-z][a-z0-9_-]{0,30}$`

var commandNames = regexp.MustCompile(commandPattern)

func (c *named) keys() []key { return nil }

func (c *named) free(name string) (value, *flaw) {
	if !commandNames.MatchString(name) {
		return nil, &flaw{quote(name) + " cannot be the name of a command", "small letters, digits, - and _, a letter first"}
	}
	n := &namedCommand{name: name}
	c.list = append(c.list, n)
	return &n.command, nil
}

func (c *named) freeValue() (v value, pattern string) { return &command{}, commandPattern }

func (c *named) freeDoc() (doc, example string) {
	return "A command that `landfast run NAME` runs with the user, environment, directories and sandbox of the service; `console` is also `landfast console`.", `console = "bin/web remote"`
}

func (c *named) build(d *decoder, current string) []landfast.NamedCommand {
	var out []landfast.NamedCommand
	for _, n := range c.list {
		out = append(out, landfast.NamedCommand{Name: n.name, Command: n.command.build(d, current)})
	}
	return out
}
