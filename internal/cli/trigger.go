package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// triggerVerb is `landfast trigger` and what is below it.
func (c *command) triggerVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trigger",
		Short: "Say whose events deploy an app",
		Long: `A trigger is one sender of events (a repository at a forge, a topic of SNS, a build
server) and what it may deploy. Each has a secret of its own and a file of its own,
/etc/landfast/listen.d/NAME.toml, which may be edited.`,
		Example: "  sudo landfast trigger add github web --repository shop/web\n  landfast trigger list",
		Args:    unknownVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.triggerAdd(), c.triggerList(), c.triggerTest(), c.triggerPing(), c.triggerRefresh(), c.triggerDelete())
	return cmd
}

// loadListen reads the configuration of the listener of the host below root.
func loadListen(root string) (*hostconf.Config, error) { return hostconf.Load(os.DirFS(root)) }

// findTrigger is the trigger called name.
func findTrigger(root, name string) (*hostconf.Config, *hostconf.Trigger, error) {
	conf, err := loadListen(root)
	if err != nil {
		return nil, nil, err
	}
	t := conf.Trigger(name)
	if t == nil {
		names := []string{}
		for _, t := range conf.Triggers {
			names = append(names, t.Name)
		}
		hint := "there are none"
		if len(names) > 0 {
			hint = "known are: " + strings.Join(names, ", ")
		}
		return nil, nil, &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no trigger %q", name), Hint: hint}
	}
	return conf, t, nil
}

// listenFile is where a verb keeps what it writes for the listener.
func listenFile(name string) string { return filepath.Join(hostconf.Dir, name+".toml") }

// listenMark begins the files that verbs write, and that they may remove.
const listenMark = "# Made by landfast. It may be edited; "

// writeListen adds a file to the configuration below root. The configuration with
// it must be good, and there must be no such file.
func writeListen(root, file, text string, secrets map[string]string) error {
	if _, err := os.Lstat(filepath.Join(root, file)); !errors.Is(err, fs.ErrNotExist) {
		return &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("there is a %s already", file), Hint: "take another --name, or delete that one first"}
	}
	if _, err := hostconf.LoadWith(os.DirFS(root), file, []byte(text)); err != nil {
		return err
	}
	base, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer base.Close()
	for dir, mode := range map[string]fs.FileMode{hostconf.Dir: 0o755, hostconf.SecretsDir: 0o700} {
		if err := base.MkdirAll(strings.TrimPrefix(filepath.Dir(dir), "/"), 0o755); err != nil {
			return unreadable("write the configuration of the listener", err)
		}
		if err := base.Mkdir(dir[1:], mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return unreadable("write the configuration of the listener", err)
		}
	}
	for id, secret := range secrets { // before what needs them
		if err := atomicfile.WriteFile(base, hostconf.SecretsDir[1:]+"/"+id, []byte(secret+"\n"), atomicfile.Mode(0o600)); err != nil {
			return unreadable("write the secret", err)
		}
	}
	if err := atomicfile.WriteFile(base, file[1:], []byte(text), atomicfile.Mode(0o644)); err != nil {
		return unreadable("write the configuration of the listener", err)
	}
	return nil
}

// removeListen takes a file of ours and its secrets away again. Not there is no
// error; not ours is.
func removeListen(root, file string, secrets ...string) error {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadable("read "+file, err)
	}
	if err != nil || !strings.HasPrefix(string(text), listenMark) {
		return &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("it is not in %s, a file that landfast made", file), Hint: "remove it from the file that you wrote"}
	}
	base, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer base.Close()
	if err := atomicfile.Remove(base, file[1:]); err != nil {
		return unreadable("remove "+file, err)
	}
	for _, id := range secrets {
		if err := atomicfile.Remove(base, hostconf.SecretsDir[1:]+"/"+id); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unreadable("remove the secret", err)
		}
	}
	return nil
}

// triggerJSON is a trigger as list and add print it.
type triggerJSON struct {
	Name       string   `json:"name"`
	Provider   string   `json:"provider"`
	Apps       []string `json:"apps"`
	Repository string   `json:"repository"`
	Enabled    bool     `json:"enabled"`
	Production bool     `json:"production"`
	Path       string   `json:"path"`
}

func newTriggerJSON(t *hostconf.Trigger) triggerJSON {
	return triggerJSON{t.Name, string(t.Provider), t.Apps, t.Repository, t.On(), t.Production, "/hooks/" + t.Name}
}

func (c *command) triggerList() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the triggers of this host",
		Long:    "List prints each trigger of listen.toml and listen.d: who sends, what it deploys, and\nthe path that it sends to. Secrets are not looked at.",
		Example: "  landfast trigger list\n  landfast trigger list --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			conf, err := loadListen(root)
			if err != nil {
				return err
			}
			all := []triggerJSON{}
			for i := range conf.Triggers {
				all = append(all, newTriggerJSON(&conf.Triggers[i]))
			}
			if c.json {
				c.printJSON(all)
				return nil
			}
			for _, t := range all {
				state := ""
				if !t.Enabled {
					state = "  off"
				}
				if t.Production {
					state += "  production"
				}
				c.printf("%-16s %-10s %-20s %s → %s%s\n", t.Name, t.Provider, t.Path, cmp.Or(t.Repository, "-"), strings.Join(t.Apps, ", "), state)
			}
			if len(all) == 0 {
				c.printf("no triggers; landfast trigger add makes one\n")
			}
			return nil
		},
	}
	c.rootFlag(cmd, &root)
	return cmd
}

// fetchedResult is the JSON of trigger refresh.
type fetchedResult struct {
	Fetched []trigger.Fetched `json:"fetched"`
	Settled []trigger.Settled `json:"settled"`
}

func (c *command) triggerRefresh() *cobra.Command {
	var root string
	var force bool
	var linger time.Duration
	cmd := &cobra.Command{
		Use:   "refresh",
		Short: "Fetch what the listener needs to verify messages",
		Long: `Refresh fetches the keys of the issuers of [[oidc]] and the address ranges that
triggers name, into /var/cache/landfast: the listener itself opens no connection. It
also verifies messages that had to wait for a certificate, and confirms subscriptions.
What cannot be fetched keeps its last good copy. What is younger than an hour is not
fetched again.`,
		Example: "  sudo landfast trigger refresh",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := loadListen(root)
			if err != nil {
				return err
			}
			dir := filepath.Join(root, trigger.CacheDir)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return unreadable("make "+trigger.CacheDir, err)
			}
			set, err := trigger.New(trigger.Options{Config: conf, Cache: trigger.OpenCache(dir)})
			if err != nil {
				return err
			}
			age := time.Hour
			if force {
				age = 0
			}
			settled, err := settleWaiting(cmd.Context(), root, set)
			if err != nil {
				return err
			}
			if settled.asked {
				age = 0
			}
			r := fetchedResult{append([]trigger.Fetched{}, set.Refresh(cmd.Context(), trigger.HTTP{}, age)...), settled.list}
			// The unit is started again as long as a message waits.
			if slices.ContainsFunc(settled.list, func(s trigger.Settled) bool { return s.Outcome == trigger.OutcomeWaits }) {
				pause(cmd.Context(), linger)
			}
			return c.printFetched(r)
		},
	}
	c.rootFlag(cmd, &root)
	cmd.Flags().BoolVar(&force, "force", false, "fetch what is younger than an hour, too")
	cmd.Flags().DurationVar(&linger, "linger", 0, "stay for this long while a message waits for what could not be fetched; for the unit")
	return cmd
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (c *command) printFetched(r fetchedResult) error {
	failed := 0
	for _, f := range r.Fetched {
		if f.Error != "" {
			failed++
		}
		if !c.json {
			c.printf("%s: %s\n", f.What, cmp.Or(f.Error, "of "+f.Updated.Local().Format(time.DateTime)))
		}
	}
	for _, s := range r.Settled {
		if !c.json {
			c.printf("message to %s: %s\n", s.Trigger, strings.TrimSuffix(s.Outcome+": "+s.Reason, ": "))
		}
	}
	if c.json {
		c.printJSON(r)
	} else if len(r.Fetched)+len(r.Settled) == 0 {
		c.printf("nothing has to be fetched\n")
	}
	if failed > 0 {
		return silentIf(c.json, &landfast.Error{Kind: landfast.Unavailable, Msg: fmt.Sprintf("%s could not be fetched", countOf(failed, "thing")), Hint: "what was fetched before still counts"})
	}
	return nil
}

// silentIf keeps an error from being printed a second time where JSON has it.
func silentIf(yes bool, err error) error {
	if yes {
		return silent{err}
	}
	return err
}
