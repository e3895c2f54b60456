package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/listen"
	"github.com/landfast/landfast/internal/queue"
	"github.com/landfast/landfast/internal/serve"
	"github.com/landfast/landfast/internal/trigger"
)

// listen is `landfast listen`.
func (c *command) listen() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Take events from outside; a unit of setup runs it",
		Long: `Listen is the HTTP endpoint of this host. It verifies messages of the triggers in
/etc/landfast/listen.toml and calls of the API, puts their events into the spool, and
answers once they are on disk. It takes its socket from systemd, or listens on
--listen, and ends when nothing has come for a while. landfast-listen.service runs it.`,
		Example: "  landfast listen --listen 127.0.0.1:8420",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			s, closeAll, err := c.newListener()
			if err != nil {
				return err
			}
			defer closeAll()
			listeners, err := serve.Inherited(os.Getenv)
			if err == nil && len(listeners) == 0 {
				listeners, err = listenOn(ctx, address)
			}
			if err != nil {
				return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot listen", Err: err, Hint: "another address is --listen's"}
			}
			return s.Serve(ctx, listeners)
		},
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8420", "the `address` when systemd hands no socket over")
	return cmd
}

// newListener makes the endpoint of this host from its configuration.
func (c *command) newListener() (*listen.Server, func(), error) {
	conf, err := loadListen(c.host)
	if err != nil {
		return nil, nil, err
	}
	secrets := func(id string) ([]byte, error) { return hostconf.ReadSecret(c.host, id) }
	set, err := trigger.New(trigger.Options{Config: conf, Secret: secrets, Cache: trigger.OpenCache(filepath.Join(c.host, trigger.CacheDir))})
	if err != nil {
		return nil, nil, err
	}
	config, err := certificate(conf, secrets)
	if err != nil {
		return nil, nil, err
	}
	spool := filepath.Join(c.host, queue.Spool)
	writer, err := queue.OpenWriter(spool)
	if err != nil {
		return nil, nil, err
	}
	s := listen.New(listen.Options{
		Conf: conf.Listen, Triggers: set, Quarantine: trigger.OpenQuarantine(filepath.Join(c.host, trigger.QuarantineDir)),
		Queue: writer, Events: func(app string) (listen.Events, error) { return queue.OpenReader(spool, app) },
		TLS: config, Log: slog.New(slog.NewTextHandler(c.std.Err, &slog.HandlerOptions{ReplaceAttr: withoutTime})), Now: time.Now,
	})
	return s, func() { _ = writer.Close() }, nil
}

// withoutTime leaves the time to the journal.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// certificate is the TLS of the listener, if it has a certificate of its own.
func certificate(conf *hostconf.Config, secret func(string) ([]byte, error)) (*tls.Config, error) {
	file := conf.Listen.Certificate.Value
	if file == "" {
		return nil, nil //nolint:nilnil // plain HTTP, behind a proxy
	}
	chain, err := os.ReadFile(file)
	if err == nil {
		var key []byte
		var pair tls.Certificate
		if key, err = secret(hostconf.TLSKey); err == nil {
			if pair, err = tls.X509KeyPair(chain, key); err == nil {
				return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
			}
		}
	}
	return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "the certificate " + file + " cannot be used", Err: err, Hint: "correct certificate and key in [listen] of " + hostconf.File}
}

// settling is what became of messages that waited.
type settling struct {
	list  []trigger.Settled
	asked bool // the listener lacks something that is published
}

// settleWaiting verifies what waits in the quarantine of a host that has one.
func settleWaiting(ctx context.Context, root string, set *trigger.Set) (settling, error) {
	s := settling{list: []trigger.Settled{}}
	dir := filepath.Join(root, trigger.QuarantineDir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	q := trigger.OpenQuarantine(dir)
	asked, err := q.Asked()
	if err != nil {
		return s, err
	}
	s.asked = asked
	w, err := queue.OpenWriter(filepath.Join(root, queue.Spool))
	if err != nil {
		return s, err
	}
	defer func() { _ = w.Close() }() // everything is on the disk
	all, err := set.Settle(ctx, q, trigger.HTTP{}, func(ctx context.Context, ev landfast.Event) error {
		_, err := w.Enqueue(ctx, ev)
		return err
	})
	s.list = append(s.list, all...)
	return s, err
}
