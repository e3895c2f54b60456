package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/adopt"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/systemd"
)

// adopt is `landfast adopt`.
func (c *command) adopt() *cobra.Command {
	var root, name, out string
	cmd := &cobra.Command{
		Use:   "adopt UNIT",
		Short: "Write a manifest for a service that the host has already",
		Long: `Adopt reads a service unit with its drop-ins, and the socket that starts it, and
prints a manifest whose unit has the same settings. What the manifest cannot say is
listed, and what the sandbox would add, which is off in it; so is what changes when
the manifest is applied. Adopt itself changes nothing on the host.

UNIT is the name of a service, or of an instance of a template, or the path of a
unit file (it has a slash), whose drop-ins and socket lie beside it.`,
		Example: "  landfast adopt nginx\n  landfast adopt redis-server@cache --out landfast.toml\n  landfast adopt ./shop.service --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := c.adoptUnit(cmd.Context(), root, args[0], name)
			if err != nil {
				return err
			}
			return c.printAdopted(r, out)
		},
	}
	c.rootFlag(cmd, &root)
	cmd.Flags().StringVar(&name, "name", "", "call the app and its unit `NAME`, instead of as the unit is called")
	cmd.Flags().StringVar(&out, "out", "", "write the manifest to this new `file`")
	return cmd
}

// adoptUnit reads the unit that an argument names.
func (c *command) adoptUnit(ctx context.Context, root, arg, name string) (*adopt.Result, error) {
	o := adopt.Options{Name: name}
	tree := adopt.System(os.DirFS(root))
	if strings.Contains(arg, "/") {
		file, err := filepath.Abs(arg)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", arg, err)
		}
		o.Loose = true
		tree = adopt.Tree{FS: os.DirFS("/"), Dirs: []string{filepath.Dir(file)}}
		arg = filepath.Base(file)
	} else {
		version, err := systemd.Offline(root).Version(ctx)
		if err != nil {
			return nil, err
		}
		o.Systemd = version
	}
	if filepath.Ext(arg) == "" {
		arg += ".service"
	}
	service, err := tree.Find(arg)
	if err != nil {
		return nil, err
	}
	triggers, err := tree.Triggers(service)
	if err != nil {
		return nil, err
	}
	return adopt.Adopt(service, triggers, o)
}

// printAdopted prints the manifest, or writes it, and the lists beside it.
func (c *command) printAdopted(r *adopt.Result, out string) error {
	if out != "" {
		if err := writeNew(out, r.Manifest); err != nil {
			return err
		}
	}
	if c.json {
		c.printJSON(r)
		return nil
	}
	if out == "" {
		c.printf("%s", r.Manifest)
	} else {
		c.printf("wrote %s\n", out)
	}
	w := c.std.Err
	fmt.Fprintf(w, "\nThe manifest cannot express: %s\n", orNothing(len(r.CannotExpress)))
	for _, g := range r.CannotExpress {
		fmt.Fprintf(w, "  %s\n      %s\n", g.Setting, g.Why)
	}
	fmt.Fprintf(w, "\nThe sandbox profile strict, which is off, would add: %s\n", orNothing(len(r.WouldAdd)))
	for _, l := range r.WouldAdd {
		kept := ""
		if l.Kept != "" {
			kept = " (once " + l.Kept + ", which is the unit's own, is out of the manifest)"
		}
		fmt.Fprintf(w, "  %s%s\n      %s\n", l.Setting, kept, l.Takes)
	}
	fmt.Fprintf(w, "\nWhen it is applied:\n")
	for _, change := range r.Changes {
		fmt.Fprintf(w, "  %s\n", change)
	}
	return nil
}

func orNothing(n int) string {
	if n == 0 {
		return "nothing"
	}
	return ""
}

// writeNew writes a file that is not there yet.
func writeNew(file, text string) error {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return &landfast.Error{Kind: landfast.Invalid, Msg: "cannot write " + file, Err: err}
	}
	defer root.Close()
	name := filepath.Base(file)
	if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return &landfast.Error{Kind: landfast.Conflict, Msg: "there is a " + file + " already", Hint: "move it away, or write to another file"}
	}
	if err := atomicfile.WriteFile(root, name, []byte(text), atomicfile.Mode(0o644)); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// adoptFields are what adopt prints with --json.
func adoptFields() []field {
	return []field{
		{path: "unit", meaning: "the unit that was adopted, which is another than was named where that is an alias"},
		{path: "files", meaning: "the files it was read from"},
		{path: "app", meaning: "the app"},
		{path: "rendered_unit", meaning: "the unit that the manifest becomes"},
		{path: "manifest", meaning: "the text of the manifest"},
		{path: "cannot_express", meaning: "the settings that the unit of the manifest has otherwise"},
		{path: "cannot_express[].setting", meaning: "`Section.Name=value`, or the name of a unit"},
		{path: "cannot_express[].why", meaning: "why"},
		{path: "sandbox_would_add", meaning: "the lines that the profile strict would add"},
		{path: "sandbox_would_add[].setting", meaning: "the line"},
		{path: "sandbox_would_add[].takes", meaning: "what it takes from the service"},
		{path: "sandbox_would_add[].kept", meaning: "a value of the unit's own that stands in its way until it is taken out of the manifest"},
		{path: "changes", meaning: "what is different by nature once the manifest is applied"},
	}
}
