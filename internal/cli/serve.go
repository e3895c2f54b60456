package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/serve"
)

// How long clients are asked to go at most when the server stops, and how long it
// then waits for requests under way.
const (
	serveLinger  = time.Second
	serveTimeout = 30 * time.Second
)

// serve is `landfast serve`.
func (c *command) serve() *cobra.Command {
	var listen, fallback string
	cmd := &cobra.Command{
		Use:   "serve [DIR]",
		Short: "Serve the files of a directory over HTTP, as the stack static does",
		Long: `Serve is a web server for the files below DIR (default: here). It takes its sockets
from systemd, or listens on --listen. A directory shows its index.html and is never
listed; names that begin with a dot and links that lead out of DIR are not there.
Pages are asked for again each time, by their content; what has a fingerprint in its
name may be kept for ever. A file NAME.br, NAME.zst or NAME.gz beside NAME is sent to
those who take it. It stops when it is told to, behind the last answer.`,
		Example: "  landfast serve public --listen 127.0.0.1:8080",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			listeners, err := serve.Inherited(os.Getenv)
			if err == nil && len(listeners) == 0 {
				listeners, err = listenOn(ctx, listen)
			}
			if err != nil {
				return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot listen", Err: err, Hint: "another address is --listen's"}
			}
			for _, l := range listeners {
				fmt.Fprintf(c.std.Err, "serving %s on %s\n", dir, l.Addr())
			}
			return serve.Run(ctx, serve.Options{
				Dir: dir, Listeners: listeners, Fallback: fallback, Linger: serveLinger, Timeout: serveTimeout,
				Notify: func(state string) { serve.Notify(os.Getenv("NOTIFY_SOCKET"), state) },
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "the `address` when systemd hands no socket over")
	cmd.Flags().StringVar(&fallback, "fallback", "", "answer with this `file` for pages that are not there, as single-page apps want it")
	return cmd
}

func listenOn(ctx context.Context, address string) ([]net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	return []net.Listener{l}, err
}
