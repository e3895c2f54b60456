package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast/internal/manifest"
)

// configResult is the JSON of config.
type configResult struct {
	App    string         `json:"app"`
	Stack  string         `json:"stack"`
	Files  []string       `json:"files"` // later ones come before earlier ones
	Config map[string]any `json:"config"`
}

// config is `landfast config`.
func (c *command) config() *cobra.Command {
	var secrets bool
	cmd := &cobra.Command{
		Use:   "config [APP]",
		Short: "Print what the files of a manifest come to",
		Long: `Config prints the manifest as it counts: landfast.toml with what its stack presets
below it, and upon it landfast.ENV.toml (--env), landfast.HOST.toml (the short name
of this host) and landfast.local.toml, each where it exists. Tables are merged,
anything else is replaced. Values that look like secrets are hidden.

` + appArg,
		Example: "  landfast config --env production\n  landfast config web --json",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := c.locate(c.host, args)
			if err != nil {
				return err
			}
			config, err := manifest.Effective(secrets, l.layers...)
			if err != nil {
				return err
			}
			files := make([]string, len(l.layers))
			for i, layer := range l.layers {
				files[i] = filepath.Clean(layer.Name)
			}
			if c.json {
				c.printJSON(configResult{l.app.Name, l.app.Stack, files, config.Tree})
				return nil
			}
			if l.app.Stack != "" {
				c.printf("# stack %s\n", l.app.Stack)
			}
			for _, f := range files {
				c.printf("# %s\n", f)
			}
			c.printf("\n%s", config.Text)
			return nil
		},
	}
	cmd.Flags().BoolVar(&secrets, "show-secrets", false, "print secrets as they are")
	return cmd
}
