package manifest

import (
	"slices"

	"github.com/landfast/landfast"
)

// service is [service], and what [services.NAME] and [timers.NAME] share with it.
type service struct {
	name, kind                   text
	command, wrapper             command
	stop, reload                 command
	beforeStart                  commands
	restart, restartDelay        text
	restartFlag                  flagFile
	startTimeout, stopTimeout    text
	after, wants, requires       texts
	limitNofile                  integer
	limitCore, umask, identifier text
	what                         text // kind of service
}

// defaultName is the unit of the main service, without its suffix.
const defaultName = `"${external_name}"`

// keys are those of the main service.
func (s *service) keys() []key {
	keys := slices.Concat(s.processKeys(defaultName), s.restartKeys(), s.unitKeys())
	return slices.Insert(keys, 1, key{
		name: "kind", value: s.what.as(words("process", string(landfast.KindNspawn))), def: `"process"`, example: `"process"`,
		doc: "What is run: `process` is a command; with `nspawn` the release is the root file system of a container of systemd-nspawn, see [machine].",
	})
}

// processKeys are the keys of what is run.
func (s *service) processKeys(name string) []key {
	return []key{
		{
			name: "name", value: s.name.as(appName), def: name, ref: "service_name", example: `"shop-web"`,
			doc: "The unit, without its suffix. Of the main service, account, directories and log identifier follow it.",
		},
		{
			name: "command", directive: "ExecStart", value: &s.command, must: true, late: true, example: `"bin/web --data ${shared_dir}"`,
			doc: "What to run: a string that is split into words like in a shell (but no shell runs), or a list of words. A program with a `/` that is not absolute lies in the release; a bare word is found on systemd's path. References are filled in after the splitting, so that a value with spaces stays one argument. A `stack` may give it.",
		},
		{
			name: "wrapper", value: &s.wrapper, example: `["/usr/bin/nice", "-n", "5"]`,
			doc: "A program, with its arguments, that the command is an argument of. Its path is found like that of a command.",
		},
		{
			name: "type", directive: "Type", value: s.kind.as(words("exec", "simple", "notify", "forking", "oneshot")), def: `"exec"`, example: `"notify"`,
			doc: "When systemd takes the service for started: with `exec` once the program runs, with `simple` even before that, with `notify` when it says so itself, with `forking` when its first process leaves, with `oneshot` when it has ended.",
		},
		{
			name: "before_start", directive: "ExecStartPre", value: s.beforeStart.prefixed(), example: `["+/usr/bin/install -d -o ${user} /run/shop", ["-bin/web", "warm"]]`,
			doc: "Commands that run before each start, in this order. Prefixes as in systemd: `-` ignores a failure, `+` runs with all privileges, `!` as root within the sandbox.",
		},
		{
			name: "stop", directive: "ExecStop", value: s.stop.prefixed(), note: "SIGTERM", example: `"bin/web drain"`,
			doc: "How to stop the service, where SIGTERM is not enough.",
		},
		{
			name: "start_timeout", directive: "TimeoutStartSec", value: s.startTimeout.as(span), note: "systemd's, 90s", example: `"2min"`,
			doc: "How long the service may take to start.",
		},
		{
			name: "stop_timeout", directive: "TimeoutStopSec", value: s.stopTimeout.as(span), note: "systemd's, 90s", example: `"30s"`,
			doc: "How long the service may take to stop before it is killed.",
		},
	}
}

// restartKeys are the keys of what is to go on running.
func (s *service) restartKeys() []key {
	return []key{
		{
			name: "reload", directive: "ExecReload", value: s.reload.prefixed(), note: "not reloadable", example: `"bin/web reload"`,
			doc: "How to make the service read its configuration anew.",
		},
		{
			name: "restart", directive: "Restart", value: s.restart.as(words("always", "on-failure", "on-abnormal", "on-abort", "on-watchdog", "on-success", "no")), def: `"always"`, note: "`\"no\"` for type `oneshot`", example: `"on-failure"`,
			doc: "When systemd starts the service again after it ended. A server that ends without being asked to is down, whatever its exit code says: hence `always`.",
		},
		{
			name: "restart_delay", directive: "RestartSec", value: s.restartDelay.as(span), def: `"1s"`, example: `"5s"`,
			doc: "How long to wait before that.",
		},
		{
			name: "restart_flag", value: &s.restartFlag, note: "none", example: `true`,
			doc: "A file that restarts the service when somebody touches it, so that this needs no other right than to write there. `true` is `" + defaultFlag + "`; a string is the path.",
		},
	}
}

// unitKeys are the keys of the unit around it.
func (s *service) unitKeys() []key {
	return []key{
		{
			name: "after", directive: "After", value: s.after.as(unitName), example: `["postgresql.service"]`,
			doc: "Units that are started before this one, if they are started at all.",
		},
		{
			name: "wants", directive: "Wants", value: s.wants.as(unitName), example: `["redis.service"]`,
			doc: "Units that are started together with this one.",
		},
		{
			name: "requires", directive: "Requires", value: s.requires.as(unitName), example: `["postgresql.service"]`,
			doc: "Units without which this one does not run. Order is separate: name them in `after` too.",
		},
		{
			name: "limit_nofile", directive: "LimitNOFILE", value: s.limitNofile.between(0, 1<<30), def: `65535`, example: `4096`,
			doc: "How many files and connections the app may have open; 0 leaves systemd's limit.",
		},
		{
			name: "limit_core", directive: "LimitCORE", value: s.limitCore.as(limit), note: "systemd's", example: `"infinity"`,
			doc: "How large a core dump may be.",
		},
		{
			name: "umask", directive: "UMask", value: s.umask.as(octal), def: `"0027"`, example: `"0077"`,
			doc: "The permissions that new files of the app do not get.",
		},
		{
			name: "identifier", directive: "SyslogIdentifier", value: s.identifier.as(anyText), def: `"${service_name}"`, ref: "identifier", example: `"shop"`,
			doc: "The name of the service in the log.",
		},
	}
}

// build gives the service with its programs below the release at current.
func (s *service) build(d *decoder, current string) landfast.Service {
	built := landfast.Service{
		Unit:         s.name.value + ".service",
		Type:         s.kind.value,
		Command:      s.wrapped(d, current),
		BeforeStart:  s.beforeStart.build(d, current),
		Stop:         s.stop.optional(d, current),
		Reload:       s.reload.optional(d, current),
		Restart:      s.restart.value,
		RestartDelay: s.restartDelay.duration(),
		StartTimeout: s.startTimeout.duration(),
		StopTimeout:  s.stopTimeout.duration(),
		After:        s.after.values(),
		Wants:        s.wants.values(),
		Requires:     s.requires.values(),
		LimitNOFILE:  s.limitNofile.n,
		LimitCORE:    s.limitCore.value,
		Umask:        s.umask.value,
		Identifier:   s.identifier.value,
		RestartFlag:  s.restartFlag.value(),
	}
	if built.Type != "oneshot" {
		return built
	}
	switch {
	case !s.restart.given():
		built.Restart = "no"
	case built.Restart == "always" || built.Restart == "on-success":
		d.flaw(&s.restart, &flaw{"systemd refuses " + quote(built.Restart) + " for type oneshot", `write "no" or "on-failure"`})
	}
	return built
}

// wrapped is the command behind its wrapper.
func (s *service) wrapped(d *decoder, current string) landfast.Command {
	cmd := s.command.build(d, current)
	if !s.wrapper.given() {
		return cmd
	}
	wrapper := s.wrapper.build(d, current)
	if len(cmd.Argv) == 0 || len(wrapper.Argv) == 0 {
		return landfast.Command{} // reported already
	}
	return landfast.Command{Argv: slices.Concat(wrapper.Argv, cmd.Argv)}
}

// requireCommand reports when there is nothing to run.
func (s *service) requireCommand(d *decoder, hint string) {
	if c := &s.command; !c.given() && c.missing != nil {
		d.at(c.missing, c.key, "is missing", `write command = "bin/web"`+hint)
	}
}

// optional is the command, or nil when it is not set.
func (c *command) optional(d *decoder, current string) *landfast.Command {
	if !c.given() {
		return nil
	}
	built := c.build(d, current)
	return &built
}
