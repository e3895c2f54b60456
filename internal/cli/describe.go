package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// check is `landfast check`.
func (c *command) check() *cobra.Command {
	return &cobra.Command{
		Use:   "check [APP]",
		Short: "Check a manifest and say everything that is wrong with it",
		Long: `Check reads a manifest and reports every unknown key, wrong type and bad value in
one run, each with its place. It needs no root and touches nothing.

` + appArg,
		Example: "  landfast check\n  landfast check deploy/landfast.toml",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := c.locate(c.host, args)
			if err != nil {
				return err
			}
			p, err := plan.Build(l.app, plan.Facts{Instance: plan.Example()})
			if err != nil {
				return err
			}
			if c.json {
				c.printJSON(checkResult{OK: true, App: l.app.Name, File: l.file, Files: len(p.Files), Units: len(p.Units)})
				return nil
			}
			c.printf("%s: ok (app %s, %d files, %d units)\n", l.file, l.app.Name, len(p.Files), len(p.Units))
			return nil
		},
	}
}

// schema is `landfast schema`.
func (c *command) schema() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of landfast.toml",
		Long:    "Schema prints the JSON Schema (2020-12) of the manifest, for editors that complete and\ncheck TOML.",
		Example: "  landfast schema > landfast.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := manifest.Schema()
			if err != nil {
				return err
			}
			c.printf("%s\n", b)
			return nil
		},
	}
}

// render is `landfast render`.
func (c *command) render() *cobra.Command {
	var version int
	var out string
	cmd := &cobra.Command{
		Use:   "render [APP]",
		Short: "Print the units and files that a manifest becomes",
		Long: `Render prints every file of the plan, or writes them below a directory. It works
offline and without root, and the same manifest gives the same bytes.

` + appArg,
		Example: "  landfast render\n  landfast render --systemd 247 --out build/root",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := c.locate(c.host, args)
			if err != nil {
				return err
			}
			if err := knownSystemd(version); err != nil {
				return err
			}
			p, err := plan.Build(l.app, plan.Facts{Systemd: version, Instance: plan.Example()})
			if err != nil {
				return err
			}
			if out != "" {
				return c.writeFiles(out, p)
			}
			c.printFiles(p)
			return nil
		},
	}
	cmd.Flags().IntVar(&version, "systemd", 0, "render for this `version` of systemd (default: the newest known)")
	cmd.Flags().StringVar(&out, "out", "", "write the files below this `directory`")
	cmd.AddCommand(c.codedeploy())
	return cmd
}

func (c *command) printFiles(p *plan.Plan) {
	if c.json {
		c.printJSON(newPlanResult(p))
		return
	}
	for i, f := range p.Files {
		if i > 0 {
			c.printf("\n")
		}
		c.printf("==> %s (%s:%s %s)\n%s", f.Path, f.Owner, f.Group, octal(f.Mode), f.Content)
	}
	for _, n := range p.Notes {
		fmt.Fprintln(c.std.Err, "note:", n)
	}
}

// writeFiles writes the files of a plan below a directory, each durably, and
// leaves everything else there alone.
func (c *command) writeFiles(dir string, p *plan.Plan) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &landfast.Error{Kind: landfast.Invalid, Msg: "cannot make the directory for --out", Err: err}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	done := writtenResult{App: p.App, Written: []string{}, Notes: append([]string{}, p.Notes...)}
	for _, f := range p.Files {
		name := strings.TrimPrefix(f.Path, "/")
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(root, name, []byte(f.Content), atomicfile.Mode(f.Mode)); err != nil {
			return err
		}
		done.Written = append(done.Written, filepath.Join(dir, name))
	}
	if c.json {
		c.printJSON(done)
		return nil
	}
	for _, name := range done.Written {
		c.printf("%s\n", name)
	}
	for _, n := range p.Notes {
		fmt.Fprintln(c.std.Err, "note:", n)
	}
	return nil
}

// oldestRendered is the version of systemd that the oldest of its directives we
// write are taken from: CentOS 7 has it.
const oldestRendered = 219

// knownSystemd refuses a version that nothing is rendered for; 0 stands for none.
func knownSystemd(version int) error {
	if version == 0 || version >= oldestRendered {
		return nil
	}
	return &landfast.Error{
		Kind: landfast.Invalid, Msg: fmt.Sprintf("nothing can be rendered for systemd %d", version),
		Hint: fmt.Sprintf("%d is the oldest; `systemctl --version` prints what a machine has", oldestRendered),
	}
}
