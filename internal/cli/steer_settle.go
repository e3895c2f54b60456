package cli

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast/internal/steer"
)

// settled is the JSON of steer settle.
type settled struct {
	Public  steer.Public `json:"public"`
	Private uint16       `json:"private"`
	Settled bool         `json:"settled"`
}

// steerSettle is `landfast steer settle`.
func (c *command) steerSettle() *cobra.Command {
	var f registerFlags
	cmd := &cobra.Command{
		Use:   "settle",
		Short: "Wait until a process has accepted all connections that wait for it; for its unit",
		Long: `Settle waits until a process that is no longer steered to has accepted every
connection that the kernel holds for it, and those whose handshake is under way. A
process that is told to stop before may close its listener on them. It changes
nothing.`,
		Example: "  landfast steer settle --public 8080 --private 20001 --pid $MAINPID",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.settle(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	f.addWhich(flags)
	flags.DurationVar(&f.wait, "wait", 10*time.Second, "how long the process may take")
	return cmd
}

func (c *command) settle(ctx context.Context, f registerFlags) error {
	// systemd.exec(5): in ExecStop= without a main process, only the former is set.
	if os.Getenv("SERVICE_RESULT") != "" && os.Getenv("MAINPID") == "" && f.pid == 0 {
		f.pid = ended
	}
	s, err := f.parse()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	if err := steer.Accepted(ctx, s.Owner, s.Private, s.Public); err != nil {
		return err
	}
	if c.json {
		c.printJSON(settled{s.Public, s.Private, true})
		return nil
	}
	c.printf("no connection waits on port %d\n", s.Private)
	return nil
}

// ended is a number that no process has: above the most that the kernel gives.
const ended = 1 << 23
