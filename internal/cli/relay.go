package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
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
	var replace int
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
			if replace > 0 {
				return replaceRelay(replace)
			}
			if err := checkRelay(o); err != nil {
				return err
			}
			r, err := makeRelay(ctx, o, listen)
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
	f.IntVar(&replace, "replace", 0, "have the relay that is process `PID` replaced by a new process, and wait until it is: for ExecReload=")
	return cmd
}

// checkRelay looks at the flags.
func checkRelay(o relay.Options) error {
	wrong := ""
	switch {
	case o.Target == "":
		wrong = "--target is missing: the link whose text is the address of the app"
	case !filepath.IsAbs(o.Target):
		wrong = fmt.Sprintf("--target %s is not a whole path", o.Target)
	case o.Proxy != relay.ProxyNone && o.Proxy != relay.ProxyV1 && o.Proxy != relay.ProxyV2:
		wrong = fmt.Sprintf("--proxy %q is neither v1 nor v2", o.Proxy)
	case o.Wait < 0 || o.Drain < 0 || o.Limit < 0 || o.Loops < 0:
		wrong = "--wait, --drain, --limit and --loops cannot be less than 0"
	default:
		return nil
	}
	return &landfast.Error{Kind: landfast.Invalid, Msg: wrong, Hint: "see: landfast relay --help"}
}

// makeRelay takes over from another process, or takes systemd's sockets, or makes
// some.
func makeRelay(ctx context.Context, o relay.Options, listen []string) (*relay.Relay, error) {
	if relay.TakesOver(os.Getenv) {
		return relay.TakeOver(o, os.Getenv)
	}
	o.Listeners = relay.Inherited(os.Getenv)
	if len(o.Listeners) == 0 {
		for _, a := range listen {
			fd, err := relay.Listen(ctx, a)
			if err != nil {
				return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot listen on " + a, Err: err, Hint: "another address is --listen's"}
			}
			o.Listeners = append(o.Listeners, fd)
		}
	}
	if len(o.Listeners) == 0 {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "there is no socket to hold", Hint: "name one with --listen, or start it by a socket unit"}
	}
	return relay.New(o)
}

// replaceTimeout is how long a relay may take to be replaced.
const replaceTimeout = 15 * time.Second

func replaceRelay(pid int) error {
	replaced, err := relay.Replace(pid, replaceTimeout)
	if err == nil && !replaced {
		err = fmt.Errorf("it still relays after %s", replaceTimeout)
	}
	if err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: fmt.Sprintf("process %d was not replaced", pid), Err: err, Hint: "the log of its unit says why"}
	}
	return nil
}

// runRelay relays until it is told to end, or has handed over.
func (c *command) runRelay(ctx context.Context, r *relay.Relay) error {
	manager := os.Getenv("NOTIFY_SOCKET")
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	over := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				serve.Notify(manager, "STOPPING=1")
				return
			case <-over:
				return
			case <-asked:
				if err := r.HandOver(successor(manager)); err != nil {
					fmt.Fprintln(c.std.Err, err)
				}
			}
		}
	}()
	if !relay.TakesOver(os.Getenv) {
		serve.Notify(manager, "READY=1") // the service is ready already
	}
	err := r.Run(ctx)
	signal.Stop(asked)
	close(over)
	<-ended
	return err
}

// successor is the program that is at the same place by now, with the same flags.
func successor(manager string) relay.Successor {
	path := os.Args[0] // as systemd has it: the whole path, links not followed
	if !filepath.IsAbs(path) {
		path = "/proc/self/exe"
	}
	return relay.Successor{
		Path: path, Args: os.Args, Env: os.Environ(),
		Moved: func(pid int) {
			serve.Notify(manager, fmt.Sprintf("MAINPID=%d", pid))
			_ = relay.Barrier(manager) // this process must not end before that is read
		},
	}
}
