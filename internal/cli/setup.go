package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/plan"
	"github.com/landfast/landfast/internal/rootsvc"
	"github.com/landfast/landfast/internal/setup"
)

var setupNames = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,30}$`)

// setup is `landfast setup`.
func (c *command) setup() *cobra.Command {
	var root string
	var dry, remove bool
	cmd := &cobra.Command{
		Use:   "setup [APP...]",
		Short: "Make this host ready to take deliveries",
		Long: `Setup makes the accounts, directories, sockets and units with which events become
deployments: the root service, the prober and, for each APP, the worker and its
spool. Apps that are on this host already, or were set up before, are set up too. A
second setup changes nothing. The policy (/etc/landfast/policy.toml) is written
where there is none, and never touched again.

--remove takes units and files away again; policy, secrets, spool and accounts stay.`,
		Example: "  sudo landfast setup --plan web\n  sudo landfast setup web\n  sudo landfast setup --remove",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range args {
				if !setupNames.MatchString(name) || name == setup.App {
					return usage(cmd, fmt.Sprintf("%q cannot be the name of an app", name))
				}
			}
			dir, err := absRoot(root)
			if err != nil {
				return err
			}
			m, err := c.openMachine(cmd.Context(), dir)
			if err != nil {
				return err
			}
			defer m.Close()
			return c.doSetup(cmd.Context(), m, args, dry, remove)
		},
	}
	c.targetFlags(cmd, &root)
	cmd.Flags().BoolVar(&dry, "plan", false, "print what would change, and change nothing; exit 3 when there is something")
	cmd.Flags().BoolVar(&remove, "remove", false, "take off this host what setup made")
	return cmd
}

func (c *command) doSetup(ctx context.Context, m *machine, apps []string, dry, remove bool) error {
	p, changes, err := m.setup(ctx, apps, remove)
	if err != nil {
		return err
	}
	if !dry && !changes.Empty() {
		unlock, err := m.Lock(ctx, setup.App, "setup")
		if err != nil {
			return err
		}
		defer unlock()
		if p, changes, err = m.setup(ctx, apps, remove); err != nil {
			return err
		}
		if err := m.Apply(ctx, changes); err != nil {
			return err
		}
	}
	p.App = "this host"
	c.printChanges(p, &changes)
	if dry && !changes.Empty() {
		return silent{&landfast.Error{Kind: landfast.Pending, Msg: "there are changes to make"}}
	}
	return nil
}

// listener is what the units of the listener depend on. A host without triggers,
// tokens and issuers has none of them.
func (m *machine) listener() (*setup.Listener, error) {
	conf, err := loadListen(m.root)
	if err != nil {
		return nil, err
	}
	if len(conf.Triggers)+len(conf.Tokens)+len(conf.OIDC) == 0 {
		return nil, nil //nolint:nilnil // there is nobody to listen to
	}
	l := &setup.Listener{Addresses: conf.Listen.Address}
	for _, c := range conf.ListenCredentials() {
		l.Credentials = append(l.Credentials, setup.Credential(c))
	}
	return l, nil
}

// setup works out what there is to change.
func (m *machine) setup(ctx context.Context, apps []string, remove bool) (*plan.Plan, plan.Changes, error) {
	facts, err := m.Facts(ctx)
	if err != nil {
		return nil, plan.Changes{}, err
	}
	if apps, err = m.deliveries(apps); err != nil {
		return nil, plan.Changes{}, err
	}
	rules, err := readPolicy(m.root)
	if err != nil {
		return nil, plan.Changes{}, err
	}
	program, err := program(m.root)
	if err != nil {
		return nil, plan.Changes{}, err
	}
	listener, err := m.listener()
	if err != nil {
		return nil, plan.Changes{}, err
	}
	p, err := setup.Plan(setup.Options{
		Program: program, Systemd: facts.Systemd, Apps: apps, Bases: rules.Bases(apps),
		RootSocket: rootsvc.Socket, ProbeSocket: rootsvc.ProbeSocket, Listener: listener,
	})
	if err != nil {
		return nil, plan.Changes{}, err
	}
	seen, err := m.Observe(ctx, p)
	if err != nil {
		return nil, plan.Changes{}, err
	}
	if remove {
		return p, plan.Uninstall(p, seen, false), nil
	}
	changes, err := setup.Diff(p, seen)
	if err != nil {
		return nil, plan.Changes{}, err
	}
	for _, f := range setup.Once() {
		if _, err := os.Lstat(filepath.Join(m.root, f.Path)); errors.Is(err, fs.ErrNotExist) {
			changes = setup.WithOnce(changes, f)
		}
	}
	return p, changes, nil
}

// deliveries are the apps that take deliveries: those named, those applied, and those
// set up before.
func (m *machine) deliveries(named []string) ([]string, error) {
	apps, err := appliedNames(m.root)
	if err != nil {
		return nil, err
	}
	before, err := os.ReadDir(filepath.Join(m.root, "/var/spool/landfast"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unreadable("list the spool", err)
	}
	for _, e := range before {
		if e.IsDir() && setupNames.MatchString(e.Name()) {
			apps = append(apps, e.Name())
		}
	}
	apps = append(apps, named...)
	slices.Sort(apps)
	return slices.Compact(apps), nil
}

// program is the path of this program, as units start it. In a tree it is where
// packages put it.
func program(root string) (string, error) {
	if root != "/" {
		return "/usr/bin/landfast", nil
	}
	path, err := os.Executable()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return path, nil
}
