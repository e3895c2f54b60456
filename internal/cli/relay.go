package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/relay"
	"github.com/landfast/landfast/internal/serve"
)

// relay is `landfast relay`.
func (c *command) relay() *cobra.Command {
	o := relay.Options{}
	var listen []string
	var proxy string
	cmd := &cobra.Command{
		Use:   "relay --target LINK",
		Short: "Hold a public socket and join its connections to an app's own",
		Long: `Relay hands every connection on to the address that is the text of the symbolic link
LINK: 127.0.0.1:20001, [::1]:20001 or unix:/run/web/web.sock. The link is read for each
connection, so to switch is to rename another link over it. It takes its sockets from
systemd, or listens on --listen. It knows nothing of HTTP.`,
		Example: "  landfast relay --target /srv/web/target --listen 127.0.0.1:8080",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			o.Proxy = relay.Proxy(proxy)
			o.Log = func(line string) { fmt.Fprintln(c.std.Err, line) }
			o.Listeners = relay.Inherited(os.Getenv)
			if len(o.Listeners) == 0 {
				for _, a := range listen {
					fd, err := relay.Listen(ctx, a)
					if err != nil {
						return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot listen on " + a, Err: err, Hint: "another address is --listen's"}
					}
					o.Listeners = append(o.Listeners, fd)
				}
			}
			r, err := relay.New(o)
			if err != nil {
				return err
			}
			return c.runRelay(ctx, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Target, "target", "", "the `LINK` whose text is the address of the app")
	f.StringArrayVar(&listen, "listen", nil, "an `address` when systemd hands no socket over; may be repeated")
	f.DurationVar(&o.Wait, "wait", 10*time.Second, "how long a client waits for a target that takes it")
	f.DurationVar(&o.Drain, "drain", 30*time.Second, "how long connections may go on when the relay is stopped")
	f.StringVar(&proxy, "proxy", "", "tell the app who the client is, by the PROXY protocol of this `version`: v1 or v2")
	f.IntVar(&o.Limit, "limit", 0, "how many connections may be open at once (default: what the limit of open files allows)")
	f.IntVar(&o.Loops, "loops", 0, "how many threads relay (default: as many as there are processors, at most 4)")
	return cmd
}

func (c *command) runRelay(ctx context.Context, r *relay.Relay) error {
	tell := func(state string) { serve.Notify(os.Getenv("NOTIFY_SOCKET"), state) }
	tell("READY=1")
	return r.Run(ctx)
}
