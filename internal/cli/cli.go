// Package cli is the command line: one file per verb, which turns flags into a
// call and its result into text or JSON. Nothing is decided here but what to
// print and which exit code an error gives.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
)

// Std are the standard streams.
type Std struct {
	In       io.Reader
	Out, Err io.Writer
}

// The exit codes, documented in the help and in docs/reference.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPending     = 3
	exitRolledBack  = 4
	exitStuck       = 5
	exitConflict    = 6
	exitUnavailable = 7
)

// exitCodes is the one table from kinds of error to exit codes.
var exitCodes = map[landfast.Kind]int{
	landfast.Internal:    exitFailed,
	landfast.Invalid:     exitUsage,
	landfast.NotFound:    exitUsage,
	landfast.Pending:     exitPending,
	landfast.RolledBack:  exitRolledBack,
	landfast.Stuck:       exitStuck,
	landfast.Conflict:    exitConflict,
	landfast.Unavailable: exitUnavailable,
}

// Run executes one command line and returns its exit code. It blocks until the
// command has ended; when ctx ends, a deployment under way is rolled back first.
func Run(ctx context.Context, args []string, std Std, version string) int {
	c := &command{std: std}
	root := c.root(version)
	root.SetArgs(args)
	root.SetIn(std.In)
	root.SetOut(std.Out)
	root.SetErr(std.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	c.printError(err)
	return exitCodes[landfast.KindOf(err)]
}

// command is one execution: the streams and the flags every verb has.
type command struct {
	std  Std
	json bool
}

const exitCodeHelp = `Exit codes: 0 ok, 1 failed, 2 usage or manifest, 3 changes pending,
4 rolled back, 5 stuck, 6 conflict, 7 unavailable.`

func (c *command) root(version string) *cobra.Command {
	root := &cobra.Command{
		Use:   "landfast",
		Short: "Deploy apps to Linux machines with systemd",
		Long: `Landfast makes any Linux machine with systemd a place to deploy to. Describe an
app in landfast.toml; it becomes hardened units, users and directories, and its
releases land atomically and come back by themselves when they are bad.

` + exitCodeHelp,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON instead of text")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(cmd, err.Error())
	})
	root.AddGroup(
		&cobra.Group{ID: "describe", Title: "Describe an app:"},
		&cobra.Group{ID: "deploy", Title: "Deploy it:"},
		&cobra.Group{ID: "operate", Title: "Operate it:"},
	)
	for _, v := range []struct {
		group string
		cmd   *cobra.Command
	}{
		{"describe", c.check()},
		{"describe", c.render()},
		{"describe", c.schema()},
		{"describe", c.plan()},
		{"describe", c.apply()},
		{"describe", c.uninstall()},
		{"deploy", c.deploy()},
		{"deploy", c.rollback()},
		{"deploy", c.resume()},
		{"deploy", c.releases()},
		{"deploy", c.prune()},
		{"operate", c.status()},
		{"operate", c.logs()},
		{"operate", c.power("start")},
		{"operate", c.power("stop")},
		{"operate", c.power("restart")},
		{"operate", c.deployments()},
		{"operate", c.show()},
		{"operate", c.doctor()},
	} {
		v.cmd.GroupID = v.group
		v.cmd.Args = atMost(v.cmd.Args)
		root.AddCommand(v.cmd)
	}
	return root
}

// unknownVerb refuses arguments of the program itself: each would be a verb.
func unknownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("there is no verb %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		msg += fmt.Sprintf(", did you mean %q", near[0])
	}
	return usage(cmd, msg)
}

// atMost turns cobra's complaint about arguments into a usage error.
func atMost(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(cmd, args); err != nil {
			return usage(cmd, err.Error())
		}
		return nil
	}
}

// usage is a command line that cannot be understood.
func usage(cmd *cobra.Command, msg string) error {
	return &landfast.Error{Kind: landfast.Invalid, Msg: msg, Hint: fmt.Sprintf("see `%s --help`", cmd.CommandPath())}
}

// silent marks an error whose text has been printed already.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// printError prints the one error of a command.
func (c *command) printError(err error) {
	if _, ok := errors.AsType[silent](err); ok {
		return
	}
	if c.json {
		c.printJSON(map[string]any{"error": map[string]any{"kind": landfast.KindOf(err), "message": err.Error()}})
		return
	}
	fmt.Fprintln(c.std.Err, "landfast:", err)
}

// printJSON prints one value, indented.
func (c *command) printJSON(v any) {
	enc := json.NewEncoder(c.std.Out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		fmt.Fprintln(c.std.Err, "landfast: print JSON:", err)
	}
}

func (c *command) printf(format string, args ...any) { fmt.Fprintf(c.std.Out, format, args...) }
