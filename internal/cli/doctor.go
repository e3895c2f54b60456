package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/steer"
)

// finding is the result of one check of the doctor.
type finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// doctor is `landfast doctor`.
func (c *command) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check that this host is fit for Landfast, and its apps for their job",
		Long: `Doctor looks at the host (systemd, its journal, tools, free space) and at each app
(manifest, drift, stuck deployments, code that the app could write) and says what to
do about what it finds. It changes nothing, and exits 1 when something is wrong.`,
		Example: "  sudo landfast doctor",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := c.examine(cmd.Context())
			if c.json {
				c.printJSON(all)
			} else {
				c.printFindings(all)
			}
			for _, f := range all {
				if !f.OK {
					return silent{fmt.Errorf("%s: %s", f.What, f.Text)}
				}
			}
			return nil
		},
	}
}

func (c *command) printFindings(all []finding) {
	for _, f := range all {
		mark := c.paint(green, "✓")
		if !f.OK {
			mark = c.paint(red, "✗")
		}
		c.printf("%s %-12s %s\n", mark, f.What, f.Text)
		if f.Hint != "" {
			c.printf("  %-12s %s\n", "", f.Hint)
		}
	}
}

// examine makes every check.
func (c *command) examine(ctx context.Context) []finding {
	var all []finding
	all = append(all, checkRoot(), checkJournal(c.host), checkTools(), checkSpace(filepath.Join(c.host, "srv")), checkSpace(filepath.Join(c.host, "var/lib")), checkSteering())
	m, err := c.openMachine(ctx, c.host)
	if err != nil {
		return append(all, finding{What: "systemd", Text: err.Error()})
	}
	defer m.Close()
	all = append(all, checkSystemd(ctx, m))
	apps, err := appliedNames(c.host)
	if err != nil {
		return append(all, finding{What: "apps", Text: err.Error()})
	}
	if len(apps) == 0 {
		all = append(all, finding{What: "apps", OK: true, Text: "none yet"})
	}
	for _, name := range apps {
		all = append(all, m.checkApp(ctx, name)...)
	}
	return all
}

func checkRoot() finding {
	if os.Geteuid() == 0 {
		return finding{What: "rights", OK: true, Text: "running as root"}
	}
	return finding{What: "rights", Text: "not running as root, so not everything can be seen", Hint: "sudo landfast doctor"}
}

// oldestSystemd is the oldest version this is tested on.
const oldestSystemd = 247

func checkSystemd(ctx context.Context, m *machine) finding {
	v, err := m.units.Version(ctx)
	switch {
	case err != nil:
		return finding{What: "systemd", Text: err.Error()}
	case v < oldestSystemd:
		return finding{
			What: "systemd", OK: true, Text: fmt.Sprintf("version %d", v),
			Hint: fmt.Sprintf("older than %d, on which this is tested: `landfast plan` lists what it cannot do", oldestSystemd),
		}
	}
	return finding{What: "systemd", OK: true, Text: fmt.Sprintf("version %d", v)}
}

// checkSteering is about the cutover strategy steer, which few apps need.
func checkSteering() finding {
	switch err := steer.Probe(steer.Dir()); {
	case errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0:
		return finding{What: "steering", OK: true, Text: "cannot be looked at without root"}
	case err != nil:
		return finding{What: "steering", OK: true, Text: err.Error(), Hint: "apps without the cutover strategy steer do not need it"}
	}
	return finding{What: "steering", OK: true, Text: "the kernel can steer public ports"}
}

func checkJournal(root string) finding {
	if _, err := os.Stat(filepath.Join(root, "/var/log/journal")); err != nil {
		return finding{
			What: "journal", OK: true, Text: "logs are kept in memory only, until the next boot",
			Hint: "mkdir /var/log/journal && systemctl restart systemd-journald keeps them",
		}
	}
	return finding{What: "journal", OK: true, Text: "logs survive a reboot"}
}

func checkTools() finding {
	var missing []string
	for _, tool := range []string{"journalctl", "systemd-sysusers", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	f := finding{What: "tools", OK: true, Text: "journalctl, systemd-sysusers and git are there"}
	if missing != nil {
		f.Text = "not installed: " + strings.Join(missing, ", ")
		f.Hint = "git is only needed for releases from git; the others come with systemd"
		f.OK = len(missing) == 1 && missing[0] == "git"
	}
	return f
}

// lowSpace is below what a release of ordinary size and its unit files need.
const lowSpace = 256 << 20

func checkSpace(dir string) finding {
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return finding{What: "space", Text: fmt.Sprintf("%s: %v", dir, err)}
	}
	free := int64(st.Bavail) * st.Bsize
	f := finding{What: "space", OK: free >= lowSpace, Text: fmt.Sprintf("%s free in %s", size(free), dir)}
	if !f.OK {
		f.Hint = "`landfast prune APP --keep 1` removes old releases"
	}
	if st.Files > 0 && st.Ffree < 1000 {
		f.OK, f.Text = false, fmt.Sprintf("only %d files can be made in %s", st.Ffree, dir)
	}
	return f
}

// checkApp looks at one app.
func (m *machine) checkApp(ctx context.Context, name string) []finding {
	l, err := readApplied(m.root, name)
	if err != nil {
		return []finding{{What: name, Text: "its manifest cannot be read: " + err.Error()}}
	}
	s, err := m.appStatus(ctx, l.app)
	if err != nil {
		return []finding{{What: name, Text: err.Error()}}
	}
	var all []finding
	if s.Held != "" {
		all = append(all, finding{What: name, Text: s.Held})
	}
	if d := s.Deployment; d != nil && !d.Status.Ended() && s.Held == "" {
		all = append(all, finding{
			What: name, Text: fmt.Sprintf("deployment %s is %s, or its process has died", d.ID, d.Status),
			Hint: "`landfast resume " + name + "` settles it; a conflict means that it is still at work",
		})
	}
	if len(s.Drift) > 0 {
		all = append(all, finding{
			What: name, Text: "this host differs from the manifest: " + strings.Join(s.Drift, "; "),
			Hint: "`landfast plan " + name + "` shows it, `landfast apply " + name + "` mends it",
		})
	}
	if s.Release != "" && !s.Healthy {
		all = append(all, finding{What: name, Text: "not healthy: " + s.Health, Hint: "`landfast logs " + name + "`"})
	}
	all = append(all, m.checkWritable(l.app)...)
	all = append(all, m.checkSettings(l.app, s.Release != "")...)
	if all == nil {
		all = append(all, finding{What: name, OK: true, Text: "as its manifest says, " + s.Health})
	}
	return all
}

// checkWritable looks for code that the app itself could change.
func (m *machine) checkWritable(app *landfast.App) []finding {
	var all []finding
	for _, dir := range []string{app.Paths.Deploy, app.Paths.Releases, app.Paths.Bin} {
		info, err := os.Lstat(filepath.Join(m.root, dir))
		if err != nil {
			continue
		}
		if info.Mode().Perm()&0o022 != 0 {
			all = append(all, finding{
				What: app.Name, Text: fmt.Sprintf("%s has mode %04o, so others than its owner can change the code", dir, info.Mode().Perm()),
				Hint: "`landfast apply " + app.Name + "` mends it",
			})
		}
	}
	return all
}
