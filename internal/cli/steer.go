package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/steer"
)

// steer is `landfast steer`, which only has verbs below it.
func (c *command) steer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "steer",
		Short: "Show which process the kernel steers public ports to; for units, register one",
		Long: `Steer is about apps with the cutover strategy "steer": each release listens on a
private port, and the kernel hands new connections of the public port to the current
one. Show is for people; the others are for the units of such apps.`,
		Example: "  sudo landfast steer show",
		Args:    unknownVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(c.steerShow(), c.steerLoad(), c.steerRegister(), c.steerSettle())
	return cmd
}

// steerShow is `landfast steer show`.
func (c *command) steerShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show what the kernel steers where",
		Long: `Show lists the public ports that the kernel steers, with the process that gets their
new connections, its private address, and how many connections wait to be accepted.
A process that has ended is not listed: the kernel forgets it at once. Programs that
listen on a public port in the ordinary way get nothing meanwhile, and are listed
behind it.`,
		Example: "  sudo landfast steer show\n  sudo landfast steer show --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			entries := []steer.Entry{}
			table, err := steer.Look(steer.Dir())
			if err != nil {
				return err
			}
			if table != nil {
				defer table.Close()
				if entries, err = table.Entries(); err != nil {
					return err
				}
			}
			if c.json {
				c.printJSON(entries)
				return nil
			}
			c.printEntries(entries)
			return nil
		},
	}
}

func (c *command) printEntries(entries []steer.Entry) {
	if len(entries) == 0 {
		c.printf("nothing is steered\n")
		return
	}
	rows := [][]string{{"PUBLIC", "FAMILY", "TO", "WAITING", "PROCESS", "UNIT"}}
	for _, e := range entries {
		row := []string{e.Public.String(), string(e.Family), "nobody who is here", "-", "-", "-"}
		if e.Private.IsValid() {
			row[2], row[3] = e.Private.String(), strconv.FormatUint(uint64(e.Waiting), 10)
		}
		if len(e.Processes) > 0 {
			row[4] = fmt.Sprintf("%d %s", e.Processes[0].PID, e.Processes[0].Name)
		}
		if units := e.Units(); len(units) > 0 {
			row[5] = strings.Join(units, ", ")
		}
		rows = append(rows, row)
	}
	c.table(rows)
	told := map[string]bool{}
	for _, e := range entries {
		for _, p := range e.Behind {
			line := fmt.Sprintf("%s listens on port %s, too, and gets no connections meanwhile\n", p, e.Public)
			if !told[line] {
				told[line] = true
				c.printf("%s", line)
			}
		}
	}
}

// steerLoad is `landfast steer load`.
func (c *command) steerLoad() *cobra.Command {
	return &cobra.Command{
		Use:   "load",
		Short: "Load the program that steers; for a unit at boot",
		Long: `Load gives the kernel the program that steers, and an empty table, and pins both below
/sys/fs/bpf/landfast, or /run/landfast/bpf in a container that has no such place; it
mounts the BPF file system if need be. What is there already is kept, with all that is
steered; a program of another version is replaced at once. It takes Linux 5.9.`,
		Example: "  sudo landfast steer load",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			table, err := steer.Load(cmd.Context(), steer.Dir())
			if err != nil {
				return err
			}
			defer table.Close()
			if c.json {
				c.printJSON(loadedResult{steer.Dir()})
				return nil
			}
			c.printf("loaded; pinned in %s\n", steer.Dir())
			return nil
		},
	}
}

// loadedResult is the JSON of steer load.
type loadedResult struct {
	Dir string `json:"dir"`
}

// registration is the JSON of steer register.
type registration struct {
	App     string       `json:"app"`
	Release string       `json:"release"`
	Current string       `json:"current,omitempty"` // the release that is
	Public  steer.Public `json:"public"`
	Private uint16       `json:"private"`
	steer.Switched
}

// registerFlags are those of steer register.
type registerFlags struct {
	public, private, current string
	pid                      int
	wait                     time.Duration
	over                     []string
	anyway                   bool
}

// steerRegister is `landfast steer register`.
func (c *command) steerRegister() *cobra.Command {
	var f registerFlags
	cmd := &cobra.Command{
		Use:   "register APP RELEASE",
		Short: "Steer a public port to a process of a release, if that is the current one; for its unit",
		Long: `Register makes the kernel hand new connections of a public port to the process that
listens on a private one: the main process of a unit, or any other in it. It does
nothing when RELEASE is not the one that --current names, so that an old release
that starts again cannot take the port. It waits until the process listens. It is
for ExecStartPost=+ of the unit, for the kernel forgets a process that ends.`,
		Example: "  landfast steer register web 20261121T013000Z-4be1c9a --public 8080 --private 20001 --pid $MAINPID",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.register(cmd.Context(), args[0], args[1], f)
		},
	}
	flags := cmd.Flags()
	f.addWhich(flags)
	flags.StringVar(&f.current, "current", "", "the `link` that names the current release (default: /srv/APP/current)")
	flags.DurationVar(&f.wait, "wait", 10*time.Second, "how long the process may take until it listens")
	flags.StringSliceVar(&f.over, "over", nil, "a `unit` that may listen on the public port in the ordinary way")
	flags.BoolVar(&f.anyway, "anyway", false, "steer also when somebody else listens on the public port, and say so")
	return cmd
}

// addWhich adds the flags that say which ports and which process.
func (f *registerFlags) addWhich(flags *pflag.FlagSet) {
	flags.StringVar(&f.public, "public", "", "where clients connect: a `port`, or an address with one")
	flags.StringVar(&f.private, "private", "", "the `port` that the process listens on")
	flags.IntVar(&f.pid, "pid", 0, "the main process (default: $MAINPID)")
}

func (c *command) register(ctx context.Context, app, release string, f registerFlags) error {
	s, err := f.parse()
	if err != nil {
		return err
	}
	if f.current == "" {
		f.current = filepath.Join("/srv", app, "current")
	}
	result := registration{App: app, Release: release, Public: s.Public, Private: s.Private}
	s.If = func() (ok bool, err error) {
		result.Current, err = namedBy(f.current)
		return result.Current == release, err
	}
	result.Switched, err = registerIf(ctx, s)
	if err != nil {
		return err
	}
	if c.json {
		c.printJSON(result)
		return nil
	}
	for _, w := range result.Warnings {
		fmt.Fprintln(c.std.Err, "landfast: note:", w)
	}
	switch {
	case result.Done:
		c.printf("port %s is steered to %s of %s, which listens on port %d\n", s.Public, release, app, s.Private)
	case result.Current == "":
		c.printf("%s has no current release, so nothing is steered\n", app)
	default:
		c.printf("%s is the current release of %s, so nothing is steered to %s\n", result.Current, app, release)
	}
	return nil
}

// registerIf asks before it waits, and loads nothing for a release that is not
// current.
func registerIf(ctx context.Context, s steer.Switch) (steer.Switched, error) {
	none := steer.Switched{Families: []steer.Family{}}
	if ok, err := s.If(); !ok || err != nil {
		return none, err
	}
	table, err := steer.Open(ctx, steer.Dir())
	if err != nil {
		return none, err
	}
	defer table.Close()
	done, err := table.Set(ctx, s)
	if !done.Done {
		return none, err
	}
	return done, err
}

// parse reads what the flags say.
func (f *registerFlags) parse() (s steer.Switch, err error) {
	if f.public == "" || f.private == "" {
		return s, &landfast.Error{Kind: landfast.Invalid, Msg: "which port?", Hint: "name both, --public and --private"}
	}
	if s.Public, err = steer.ParsePublic(f.public); err != nil {
		return s, err
	}
	if s.Private, err = steer.ParsePort(f.private); err != nil {
		return s, err
	}
	if f.pid == 0 {
		f.pid, _ = strconv.Atoi(os.Getenv("MAINPID"))
	}
	if f.pid <= 0 {
		return s, &landfast.Error{Kind: landfast.Invalid, Msg: "which process?", Hint: "give --pid; systemd sets MAINPID in ExecStartPost="}
	}
	s.Owner.PID, s.Wait, s.Over, s.Anyway = f.pid, f.wait, f.over, f.anyway
	return s, nil
}

// namedBy is the last part of what a symbolic link names; "" when there is none.
func namedBy(link string) (string, error) {
	target, err := os.Readlink(link)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find the current release: %w", err)
	}
	return filepath.Base(target), nil
}
