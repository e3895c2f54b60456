package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/deploy"
	"github.com/landfast/landfast/internal/secret"
)

// secrets is `landfast secrets`.
func (c *command) secrets() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "List, get anew and set the secrets of an app",
		Long: `Secrets are what [secrets], [env] ssm and [config] of a manifest name. A deployment
gets them, and they stay on the host, in files that root alone can read, so that it
starts its apps when no source answers. No verb prints a value.`,
		Example: "  sudo landfast secrets list web\n  sudo landfast secrets refresh web --restart",
		Args:    unknownVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.secretsList(), c.secretsRefresh(), c.secretsSet())
	return cmd
}

// settingJSON is one line of `landfast secrets list`.
type settingJSON struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	From string `json:"from"`
	Env  bool   `json:"env"`
	Kept bool   `json:"kept"`
}

// secretsResult is the JSON of `landfast secrets list`.
type secretsResult struct {
	App     string        `json:"app"`
	Set     string        `json:"set"`
	Secrets []settingJSON `json:"secrets"`
}

func (c *command) secretsList() *cobra.Command {
	return &cobra.Command{
		Use:   "list [APP]",
		Short: "List the secrets of an app, where each comes from, and whether this host has it",
		Long: `List prints the names of the secrets, parameters and configuration of an app, never
a value. The set is the version that counts: it changes when a value does.

` + appArg,
		Example: "  sudo landfast secrets list web",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			return c.onFiles(c.host, args, func(m *machine, l located) error {
				done, err := m.listSecrets(l.app)
				if err != nil {
					return err
				}
				c.printSecrets(&done)
				return nil
			})
		},
	}
}

// listSecrets looks what there is of the settings of an app.
func (m *machine) listSecrets(app *landfast.App) (secretsResult, error) {
	done := secretsResult{App: app.Name, Secrets: []settingJSON{}}
	var kept []string
	var variables, config bool
	state, err := m.OpenState(app.Name)
	if err == nil {
		defer state.Close()
		settings := m.settings(app, state)
		if done.Set, err = settings.Current(); err == nil && done.Set != "" {
			kept, variables, config, err = settings.Names(done.Set)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return done, unreadable("look at the secrets", err)
	}
	for _, s := range app.Secrets {
		done.Secrets = append(done.Secrets, settingJSON{s.Name, string(s.Kind), s.Location, s.Env, slices.Contains(kept, s.Name)})
	}
	for _, p := range app.Parameters {
		done.Secrets = append(done.Secrets, settingJSON{"env.ssm", "parameters", p, true, variables})
	}
	if app.Config != nil {
		done.Secrets = append(done.Secrets, settingJSON{"config", "s3", app.Config.Location, false, config})
	}
	return done, nil
}

func (c *command) printSecrets(done *secretsResult) {
	if c.json {
		c.printJSON(done)
		return
	}
	if len(done.Secrets) == 0 {
		c.printf("%s has no secrets\n", done.App)
		return
	}
	rows := [][]string{{"NAME", "FROM", "", "AS", "ON THIS HOST"}}
	for _, s := range done.Secrets {
		as, kept := "credential", "yes"
		switch {
		case s.Kind == "s3":
			as = "files"
		case s.Kind == "parameters":
			as = "variables"
		case s.Env:
			as = "credential, variable"
		}
		if !s.Kept {
			kept = "no"
		}
		rows = append(rows, []string{s.Name, s.Kind, s.From, as, kept})
	}
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, r := range rows {
		line := ""
		for i, cell := range r {
			line += fmt.Sprintf("%-*s  ", widths[i], cell)
		}
		c.printf("%s\n", strings.TrimRight(line, " "))
	}
	if done.Set != "" {
		c.printf("set %s\n", done.Set)
	}
}

// refreshResult is the JSON of `landfast secrets refresh`.
type refreshResult struct {
	App       string `json:"app"`
	Set       string `json:"set"`
	Changed   bool   `json:"changed"`
	Restarted bool   `json:"restarted"`
}

func (c *command) secretsRefresh() *cobra.Command {
	var restart bool
	cmd := &cobra.Command{
		Use:   "refresh [APP]",
		Short: "Get the secrets and configuration of an app anew",
		Long: `Refresh asks every source again. The new values count from the next start of the
app on; --restart starts it at once, if they are others. Where a source does not
answer, nothing changes. Former values are removed, since they are no longer right
outside: a rollback keeps the new ones.

` + appArg,
		Example: "  sudo landfast secrets refresh web --restart",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.onMachine(ctx, c.host, args, func(m *machine, l located) error {
				if !l.app.HasSettings() {
					return &landfast.Error{Kind: landfast.Invalid, Msg: l.app.Name + " has no secrets", Hint: "[secrets] in its manifest names them"}
				}
				return c.refresh(ctx, m, l.app, restart)
			})
		},
	}
	cmd.Flags().BoolVar(&restart, "restart", false, "restart the app if something has changed")
	return cmd
}

func (c *command) refresh(ctx context.Context, m *machine, app *landfast.App, restart bool) error {
	// What an interrupted deployment left is settled first, and said.
	set, err := m.engine(func(e deploy.Event) {
		if e.Note != "" {
			fmt.Fprintln(c.std.Err, e.Note)
		}
	}).RefreshSettings(ctx, app)
	if err != nil {
		return err
	}
	done := refreshResult{App: app.Name, Set: set.Set, Changed: set.Changed, Restarted: set.Changed && restart}
	switch {
	case c.json:
	case !set.Changed:
		c.printf("%s: nothing has changed (set %s)\n", app.Name, set.Set)
	case restart:
		c.printf("%s: the new set is %s\n", app.Name, set.Set)
	default:
		c.printf("%s: the new set is %s; `landfast restart %s` starts it with that\n", app.Name, set.Set, app.Name)
	}
	if done.Restarted {
		if err := c.restartWith(ctx, m, app); err != nil {
			return err
		}
	}
	if c.json {
		c.printJSON(done)
	}
	return nil
}

// restartWith restarts the app, and says so as `landfast restart` does.
func (c *command) restartWith(ctx context.Context, m *machine, app *landfast.App) error {
	unlock, err := m.Lock(ctx, app.Name, "restart")
	if err != nil {
		return err
	}
	defer unlock()
	quiet := *c
	if c.json {
		quiet.std.Out = io.Discard
	}
	return quiet.doPower(ctx, m, app, "restart")
}

// setResult is the JSON of `landfast secrets set`.
type setResult struct {
	App  string `json:"app"`
	Name string `json:"name"`
	File string `json:"file"`
}

func (c *command) secretsSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set [APP] NAME",
		Short: "Write the file that a secret comes from",
		Long: `Set reads a value from the standard input, or asks for it on a terminal, and writes
it to the file that the manifest names for the secret, which root alone can read then.
One line end behind the value is left out. The app gets it by "landfast secrets
refresh", or with the next release.

` + appArg,
		Example: "  pwgen -s 40 1 | sudo landfast secrets set web DATABASE_PASSWORD\n  sudo landfast secrets set web DATABASE_PASSWORD",
		Args:    cobra.RangeArgs(1, 2),

		ValidArgsFunction: c.completeWith(func(_ *machine, l located) []string {
			var names []string
			for _, s := range l.app.Secrets {
				if s.Kind == landfast.SecretFile {
					names = append(names, s.Name)
				}
			}
			return names
		}),
		RunE: func(_ *cobra.Command, args []string) error {
			args, name := args[:len(args)-1], args[len(args)-1]
			return c.onFiles(c.host, args, func(m *machine, l located) error {
				i := slices.IndexFunc(l.app.Secrets, func(s landfast.Secret) bool { return s.Name == name })
				if i < 0 {
					return &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("%s has no secret %s", l.app.Name, name), Hint: "`landfast secrets list` shows those of its manifest"}
				}
				return c.setSecret(m, l.app, l.app.Secrets[i])
			})
		},
	}
}

func (c *command) setSecret(m *machine, app *landfast.App, s landfast.Secret) error {
	value, err := []byte("x"), error(nil)
	if s.Kind == landfast.SecretFile {
		value, err = c.readValue(s.Name)
	}
	if err != nil {
		return err
	}
	if err := m.sources().Write(s, value); err != nil {
		return unreadable("write "+s.Location, err)
	}
	if c.json {
		c.printJSON(setResult{App: app.Name, Name: s.Name, File: s.Location})
		return nil
	}
	c.printf("%s is in %s; `landfast secrets refresh %s` gives it to the app\n", s.Name, s.Location, app.Name)
	return nil
}

// maxValue is a little more than a secret may have.
const maxValue = 2 << 20

// readValue reads a value, without showing it where it is typed.
func (c *command) readValue(name string) ([]byte, error) {
	if f, ok := c.std.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(c.std.Err, "Value of %s: ", name)
		value, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.std.Err)
		return value, err
	}
	value, err := io.ReadAll(io.LimitReader(c.std.In, maxValue))
	return secret.WithoutLineEnd(value), err
}
