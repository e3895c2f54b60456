package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast/internal/systemd"
)

// RunOn is Run on the machine whose root directory is root, and whose systemd is
// units.
func RunOn(ctx context.Context, args []string, std Std, root string, units systemd.Manager) int {
	c := &command{
		std: std, version: "test", host: root,
		connect: func(context.Context) (systemd.Manager, error) { return units, nil },
	}
	return c.run(ctx, args)
}

// Verbs is the tree of verbs.
func Verbs() *cobra.Command { return (&command{host: "/"}).root() }

// Fields are the paths of the fields that a verb is documented to print with
// --json; rare tells those that it prints on some machines only.
func Fields(verb string) (paths []string, rare map[string]bool) {
	return pathsOf(outputOf(verb).fields)
}

// ErrorFields are the paths of the fields that every verb prints when it fails.
func ErrorFields() []string {
	paths, _ := pathsOf(errorFields())
	return paths
}

func pathsOf(fields []field) (paths []string, rare map[string]bool) {
	rare = map[string]bool{}
	for _, f := range fields {
		paths, rare[f.path] = append(paths, f.path), f.rare
	}
	return paths, rare
}
