// Package cli is the command line: one file per verb, which turns flags into a
// call and its result into text or JSON. Nothing is decided here but what to
// print and which exit code an error gives.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/systemd"
)

// Std are the standard streams.
type Std struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run executes one command line and returns its exit code. It blocks until the
// command has ended; when ctx ends, a deployment under way is rolled back first.
func Run(ctx context.Context, args []string, std Std, version string) int {
	c := &command{
		std: std, version: version, host: "/",
		connect: func(ctx context.Context) (systemd.Manager, error) { return systemd.Connect(ctx) },
	}
	return c.run(ctx, args)
}

// command is one execution: the streams, the machine it runs on, and the flags
// that every verb has.
type command struct {
	std     Std
	version string
	host    string // the root directory of the machine
	connect func(context.Context) (systemd.Manager, error)

	json  bool
	lines bool // of JSON, one value on each: a stream
	// systemd is the version that was given with --root; 0: none.
	systemd int
	env     string // the environment whose overlay counts; "": as LANDFAST_ENV says
}

func (c *command) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.std.In)
	root.SetOut(c.std.Out)
	root.SetErr(c.std.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if status, ok := errors.AsType[exitStatus](err); ok {
		return int(status) // of a command that was run for somebody
	}
	// A flag that is not understood keeps those behind it from being read.
	c.json = c.json || asksForJSON(args)
	c.printError(err)
	return exitOf(err)
}

func asksForJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--json", "--json=true":
			return true
		case "--":
			return false
		}
	}
	return false
}

// verb is one command of the program.
type verb struct {
	group string
	cmd   *cobra.Command
	exits []int // besides those every verb has
}

// verbs are all of them, in the order in which one needs them.
func (c *command) verbs() []verb {
	applies := []int{exitConflict, exitUnavailable}
	deploys := append([]int{exitRolledBack, exitStuck}, applies...)
	return []verb{
		{"describe", c.init(), []int{exitConflict}},
		{"describe", c.adopt(), []int{exitConflict}},
		{"describe", c.check(), nil},
		{"describe", c.config(), nil},
		{"describe", c.render(), nil},
		{"describe", c.schema(), nil},
		{"describe", c.plan(), append([]int{exitPending}, applies...)},
		{"describe", c.apply(), applies},
		{"describe", c.uninstall(), applies},
		{"deploy", c.deploy(), deploys},
		{"deploy", c.rollback(), deploys},
		{"deploy", c.resume(), deploys},
		{"deploy", c.releases(), nil},
		{"deploy", c.prune(), applies},
		{"operate", c.status(), []int{exitStuck, exitUnavailable}},
		{"operate", c.logs(), []int{exitUnavailable}},
		{"operate", c.power("start"), applies},
		{"operate", c.power("stop"), applies},
		{"operate", c.power("restart"), applies},
		{"operate", c.deployments(), nil},
		{"operate", c.show(), nil},
		{"operate", c.exec(), []int{exitUnavailable}},
		{"operate", c.console(), []int{exitUnavailable}},
		{"operate", c.runCommand(), []int{exitUnavailable}},
		{"operate", c.secrets(), applies},
		{"operate", c.queue(), applies},
		{"operate", c.doctor(), nil},
		{"events", c.setup(), append([]int{exitPending}, applies...)},
		{"events", c.triggerVerb(), []int{exitConflict, exitUnavailable}},
		{"events", c.tokenVerb(), []int{exitConflict}},
		{"program", c.serve(), []int{exitUnavailable}},
		{"program", c.instanceData(), []int{exitUnavailable}},
		{"program", c.steer(), applies},
		{"program", c.relay(), []int{exitUnavailable}},
		{"program", c.worker(), applies},
		{"program", c.rootService(), []int{exitUnavailable}},
		{"program", c.probe(), nil},
		{"program", c.listen(), []int{exitUnavailable}},
		{"program", c.watch(), deploys},
		{"program", c.versionVerb(), nil},
		{"program", c.help(), nil},
	}
}

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "landfast",
		Short: "Deploy apps to Linux machines with systemd",
		Long: `Landfast makes any Linux machine with systemd a place to deploy to. Describe an
app in landfast.toml; it becomes hardened units, users and directories, and its
releases land atomically and come back by themselves when they are bad.`,
		Example:       "  landfast check\n  sudo landfast deploy --from build/web.tar.gz\n  sudo landfast status",
		Version:       c.version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON instead of text")
	root.PersistentFlags().StringVar(&c.env, "env", "", "merge landfast.`NAME`.toml into the manifest (default: $LANDFAST_ENV, if there is such a file)")
	root.SetFlagErrorFunc(wrongFlag)
	for _, g := range verbGroups() {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title + ":"})
	}
	every := allExits()
	for _, v := range c.verbs() {
		v.cmd.GroupID = v.group
		v.cmd.Long += "\n\n" + exitHelp(allExits(v.exits...))
		every = append(every, v.exits...)
		root.AddCommand(v.cmd)
		if v.cmd.Name() == "help" {
			root.SetHelpCommand(v.cmd)
		}
	}
	root.Long += "\n\n" + exitHelp(every)
	root.SetHelpCommandGroupID("program")
	root.SetCompletionCommandGroupID("program")
	root.InitDefaultCompletionCmd()
	if cmd, _, err := root.Find([]string{"completion"}); err == nil && cmd != root {
		cmd.Example = "  landfast completion bash > /etc/bash_completion.d/landfast"
		cmd.Args = unknownVerb // cobra takes a shell it does not know for success
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, cmd := range root.Commands() {
		checkArgs(cmd)
	}
	return root
}

// verbGroup is a heading in the list of verbs.
type verbGroup struct{ id, title string }

func verbGroups() []verbGroup {
	return []verbGroup{
		{"describe", "Describe an app"},
		{"deploy", "Deploy it"},
		{"operate", "Operate it"},
		{"events", "Take events that deploy"},
		{"program", "This program"},
	}
}

// unknownVerb refuses arguments of the program itself: each would be a verb.
func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("there is no verb %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		msg += fmt.Sprintf(", did you mean %q", near[0])
	}
	return usage(cmd, msg)
}

// checkArgs makes cobra's complaints about arguments usage errors, for a verb and
// those below it.
func checkArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if _, ours := errors.AsType[*landfast.Error](err); err == nil || ours {
				return err
			}
			return usage(cmd, fmt.Sprintf("%s cannot be those of `%s`", countOf(len(args), "argument"), strings.TrimSuffix(cmd.UseLine(), " [flags]")))
		}
	}
	for _, below := range cmd.Commands() {
		checkArgs(below)
	}
}

// wrongFlag says in our words what is wrong with a flag.
func wrongFlag(cmd *cobra.Command, err error) error {
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return usage(cmd, err.Error())
	}
	why := bad.Unwrap().Error()
	switch bad.GetFlag().Value.Type() {
	case "int":
		why = "it must be a whole number"
	case "bool":
		why = "it must be true or false"
	}
	return usage(cmd, fmt.Sprintf("--%s cannot be %q: %s", bad.GetFlag().Name, bad.GetValue(), why))
}

// countOf is a number of things in words.
func countOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// usage is a command line that cannot be understood.
func usage(cmd *cobra.Command, msg string) error {
	return &landfast.Error{Kind: landfast.Invalid, Msg: msg, Hint: fmt.Sprintf("see `%s --help`", cmd.CommandPath())}
}
