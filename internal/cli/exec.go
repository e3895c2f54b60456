package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/attach"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/systemd"
)

// exec is `landfast exec`.
func (c *command) exec() *cobra.Command {
	return &cobra.Command{
		Use:   "exec [APP] -- COMMAND [ARGUMENT...]",
		Short: "Run a command with the app's user, environment, directories and sandbox",
		Long: `Exec runs a command of the current release just as the app's main unit would run
it: the same user, variables, directories, working directory and sandbox. A word
with a slash is a path below the release, a bare word is looked for by systemd. It
has your terminal, if there is one, or else your streams, and its exit code is ours.

` + appArg,
		Example: "  sudo landfast exec web -- bin/web version\n  sudo landfast exec web -- sh\n  sudo landfast exec web -- bin/web import < data.csv",
		Args:    cobra.MinimumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			app, argv, err := splitDash(cmd, args)
			if err != nil {
				return err
			}
			return c.onMachine(cmd.Context(), c.host, app, func(m *machine, l located) error {
				return c.runInUnit(cmd.Context(), m, l.app, landfast.Command{Argv: argv})
			})
		},
	}
}

// console is `landfast console`.
func (c *command) console() *cobra.Command {
	return &cobra.Command{
		Use:   "console [APP]",
		Short: "Open the console that the manifest names, in the app's own surroundings",
		Long: `Console runs the command named console in [commands], with the user, environment,
directories and sandbox of the app. Without one it is a shell.

` + appArg,
		Example: "  sudo landfast console web",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.onMachine(cmd.Context(), c.host, args, func(m *machine, l located) error {
				command, err := namedCommand(l.app, consoleName)
				if err != nil {
					command = landfast.Command{Argv: []string{"/bin/sh"}}
				}
				return c.runInUnit(cmd.Context(), m, l.app, command)
			})
		},
	}
}

// consoleName is the name in [commands] that `landfast console` runs.
const consoleName = "console"

// runCommand is `landfast run`.
func (c *command) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run [APP] NAME [-- ARGUMENT...]",
		Short: "Run a command that the manifest names, such as a migration",
		Long: `Run runs a command of [commands] in the manifest with the app's user, environment,
directories and sandbox, in the current release. Arguments behind -- are added to
it. "migrate" without such an entry means the migrate hooks.

` + appArg,
		Example: "  sudo landfast run web migrate\n  sudo landfast run report -- --month 11",
		Args:    cobra.MinimumNArgs(1),

		ValidArgsFunction: c.completeWith(commandNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			args, extra := splitExtra(cmd, args)
			if len(args) == 0 || len(args) > 2 {
				return usage(cmd, "name one command, and before it perhaps an app")
			}
			args, name := args[:len(args)-1], args[len(args)-1]
			return c.onMachine(cmd.Context(), c.host, args, func(m *machine, l located) error {
				return c.runNamed(cmd.Context(), m, l.app, name, extra)
			})
		},
	}
}

// splitExtra takes off what stands behind "--".
func splitExtra(cmd *cobra.Command, args []string) (rest, extra []string) {
	if n := cmd.ArgsLenAtDash(); n >= 0 {
		return args[:n], args[n:]
	}
	return args, nil
}

func (c *command) runNamed(ctx context.Context, m *machine, app *landfast.App, name string, extra []string) error {
	command, err := namedCommand(app, name)
	if err != nil && name == "migrate" && len(app.Hooks.Migrate) > 0 && len(extra) == 0 {
		for _, hook := range app.Hooks.Migrate {
			if err := c.runInUnit(ctx, m, app, hook); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	command.Argv = append(slices.Clone(command.Argv), extra...)
	return c.runInUnit(ctx, m, app, command)
}

// namedCommand finds a command of [commands].
func namedCommand(app *landfast.App, name string) (landfast.Command, error) {
	var names []string
	for _, n := range app.Commands {
		if n.Name == name {
			return n.Command, nil
		}
		names = append(names, n.Name)
	}
	hint := "its manifest has no [commands]"
	if names != nil {
		hint = "there are: " + strings.Join(names, ", ")
	}
	return landfast.Command{}, &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no command %q", app.Name, name), Hint: hint}
}

// splitDash tells the app from the command behind "--".
func splitDash(cmd *cobra.Command, args []string) (app, argv []string, err error) {
	n := cmd.ArgsLenAtDash()
	if n < 0 || n == len(args) || n > 1 {
		return nil, nil, usage(cmd, "the command goes behind --, as in: landfast exec web -- bin/web version")
	}
	return args[:n], args[n:], nil
}

// runtimeBase is where the streams of a command are while it runs.
const runtimeBase = "/run/landfast"

// runInUnit runs a command in a transient unit of the app.
func (c *command) runInUnit(ctx context.Context, m *machine, app *landfast.App, cmd landfast.Command) error {
	if err := needsRelease(m, app, "exec"); err != nil {
		return err
	}
	cmd.Argv = slices.Clone(cmd.Argv)
	if p := cmd.Argv[0]; strings.Contains(p, "/") && !strings.HasPrefix(p, "/") {
		cmd.Argv[0] = app.Paths.Current + "/" + p
	}
	facts, err := m.facts(ctx, app)
	if err != nil {
		return err
	}
	streams, err := c.attach()
	if err != nil {
		return err
	}
	text, err := plan.Transient(app, facts, plan.TransientOptions{Command: cmd, Env: c.terminalEnv(), Directives: streams.Directives()})
	if err != nil {
		streams.Close()
		return err
	}
	unit := "landfast-" + app.Name + "-exec-" + strconv.Itoa(os.Getpid()) + ".service"
	st, err := m.RunOnce(ctx, unit, text)
	streams.Close()
	if err != nil {
		return err
	}
	return c.exited(st)
}

// attach connects our streams: as a terminal if a person sits there.
func (c *command) attach() (*attach.Attachment, error) {
	if in, out, ok := c.seat(); ok {
		return attach.Terminal(in, out)
	}
	return attach.Pipes(runtimeBase, attach.Streams{In: c.std.In, Out: c.std.Out, Err: c.std.Err})
}

// seat is the terminal that a person sits at, if there is one.
func (c *command) seat() (in, out *os.File, ok bool) {
	in, isFile := c.std.In.(*os.File)
	out, isFile2 := c.std.Out.(*os.File)
	if !isFile || !isFile2 || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil, nil, false
	}
	return in, out, true
}

// terminalEnv tells the command what kind of terminal it has.
func (c *command) terminalEnv() []landfast.Var {
	if _, _, ok := c.seat(); ok && os.Getenv("TERM") != "" {
		return []landfast.Var{{Name: "TERM", Value: os.Getenv("TERM")}}
	}
	return nil
}

// exitStatus is the exit code of a command that was run for somebody.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("the command ended with %d", int(s)) }

// exited turns the end of a unit into our exit code, as a shell would.
func (c *command) exited(st landfast.UnitStatus) error {
	const killed, dumped = 2, 3 // CLD_KILLED, CLD_DUMPED of waitid(2)
	switch {
	case st.Result == "success":
		return nil
	case st.ExitCode == killed || st.ExitCode == dumped:
		fmt.Fprintln(c.std.Err, "landfast:", systemd.Explain("", st))
		return exitStatus(128 + st.ExitStatus)
	case st.ExitStatus >= 200 || st.ExitStatus == 0:
		// systemd could not even start it, or gave up on it.
		fmt.Fprintln(c.std.Err, "landfast:", systemd.Explain("", st))
		return exitStatus(max(st.ExitStatus, exitFailed))
	}
	return exitStatus(st.ExitStatus)
}
