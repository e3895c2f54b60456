package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/attach"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/policy"
	"github.com/landfast/landfast/internal/rootsvc"
)

// rootService is `landfast root-service`.
func (c *command) rootService() *cobra.Command {
	return &cobra.Command{
		Use:   "root-service",
		Short: "Do one request of a worker; units of setup run it",
		Long: `Root-service reads one request from the connection that systemd hands over as its
standard input, holds it against the policy (/etc/landfast/policy.toml), does it and
ends: deploy, build, discard, rollback, resume, start, stop, restart or reload, and
nothing else. Each is one line of the journal. landfast-root@.service runs it.`,
		Example: "  landfast root-service   # as landfast-root@.service does",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := c.connection()
			if err != nil {
				return err
			}
			m, err := c.openMachine(cmd.Context(), c.host)
			if err != nil {
				return errors.Join(err, conn.Close())
			}
			defer m.Close()
			worker := -1
			if u, err := user.Lookup(rootsvc.WorkerUser); err == nil {
				worker, _ = strconv.Atoi(u.Uid) // a number, on systems with systemd
			}
			s := &rootsvc.Server{
				Deployer: c.direct(m), WorkerUID: worker, Now: time.Now,
				UnitOf: m.unitOf,
				Log: slog.New(slog.NewTextHandler(c.std.Err, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey { // the journal knows
						return slog.Attr{}
					}
					return a
				}})),
			}
			// Nothing ends a deployment from without: it goes on to its end.
			return s.Serve(context.WithoutCancel(cmd.Context()), conn)
		},
	}
}

// connection is the one that systemd hands over as the standard input.
func (c *command) connection() (*net.UnixConn, error) {
	wrong := &landfast.Error{Kind: landfast.Invalid, Msg: "the standard input is no connection", Hint: "systemd starts this for a connection; `landfast setup` makes its units"}
	f, ok := c.std.In.(*os.File)
	if !ok {
		return nil, wrong
	}
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, wrong
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(wrong, conn.Close())
	}
	return unix, nil
}

// unitOf asks systemd for the unit of a process.
func (m *machine) unitOf(ctx context.Context, pid int) (string, error) {
	asker, ok := m.units.(interface {
		UnitOf(ctx context.Context, pid int) (string, error)
	})
	if !ok {
		return "", errors.New("this service manager does not tell")
	}
	return asker.UnitOf(ctx, pid)
}

// direct does the verbs of the root service on a machine.
func (c *command) direct(m *machine) *rootsvc.Direct {
	engine := m.engine(nil)
	prober := &rootsvc.Prober{}
	engine.Dialer, engine.FreePort, engine.PortFree = prober, prober.FreePort, prober.PortFree
	return &rootsvc.Direct{
		Engine:  *engine,
		Policy:  func() (*policy.Policy, error) { return readPolicy(m.root) },
		Applied: func(app string) (*landfast.App, error) { return applied(m.root, app) },
		Load: func(read func(string) ([]byte, error)) (*landfast.App, error) {
			overlays, err := c.overlays()
			if err != nil {
				return nil, err
			}
			layers, err := manifest.Load(read, localManifest, overlays...)
			if err != nil {
				return nil, err
			}
			return manifest.ParseLayers(layers...)
		},
		Units: func(ctx context.Context, app *landfast.App, verb string) ([]landfast.UnitStatus, error) {
			unlock, err := m.Lock(ctx, app.Name, verb)
			if err != nil {
				return nil, err
			}
			defer unlock()
			var all []landfast.UnitStatus
			err = m.power(ctx, app, verb, func(st landfast.UnitStatus) { all = append(all, st) })
			return all, err
		},
		Attach: func(out io.Writer) ([]landfast.Directive, func(), error) {
			a, err := attach.Pipes(runtimeBase, attach.Streams{In: strings.NewReader(""), Out: out, Err: out})
			if err != nil {
				return nil, nil, err
			}
			return a.Directives(), a.Close, nil
		},
		Builder:  builder,
		StateDir: filepath.Join(m.root, "/var/lib/landfast"),
		Systemd:  m.units.Version,
	}
}

// applied reads the manifest that was last applied on the host.
func applied(root, app string) (*landfast.App, error) {
	l, err := readApplied(root, app)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{
			Kind: landfast.NotFound, Msg: fmt.Sprintf("app %s has no manifest on this host", app),
			Hint: "`landfast apply` it once, so that it is known where its releases come from",
		}
	}
	return l.app, err
}

// readPolicy reads the policy of the host; without a file it is the default.
func readPolicy(root string) (*policy.Policy, error) {
	text, err := os.ReadFile(filepath.Join(root, policy.File))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unreadable("read the policy of this host", err)
	}
	return policy.Parse(policy.File, text)
}

// builder is the account that builds run as.
func builder() (uid, gid int, err error) {
	u, err := user.Lookup(rootsvc.BuildUser)
	if err != nil {
		return 0, 0, &landfast.Error{Kind: landfast.NotFound, Msg: "there is no account " + rootsvc.BuildUser, Hint: "`landfast setup` makes it"}
	}
	uid, err = strconv.Atoi(u.Uid)
	if err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	return uid, gid, err
}

// probe is `landfast probe`.
func (c *command) probe() *cobra.Command {
	return &cobra.Command{
		Use:   "probe",
		Short: "Connect to an app for the root service; units of setup run it",
		Long: `Probe passes the bytes of one health check on, between the root service, which has
no network, and an app. landfast-probe@.service runs it, as an account that exists
no longer than it does.`,
		Example: "  landfast probe   # as landfast-probe@.service does",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := c.connection()
			if err != nil {
				return err
			}
			return rootsvc.ServeProbe(cmd.Context(), conn)
		},
	}
}
