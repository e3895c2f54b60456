package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionResult is the JSON of version.
type versionResult struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// versionVerb is `landfast version`.
func (c *command) versionVerb() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    "Version prints the version of landfast, the Go it was built with, and for what machine.",
		Example: "  landfast version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := versionResult{Version: c.version, Revision: revision(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if c.json {
				c.printJSON(v)
				return nil
			}
			from := ""
			if v.Revision != "" {
				from = v.Revision[:min(12, len(v.Revision))] + ", "
			}
			c.printf("landfast %s (%s%s, %s)\n", v.Version, from, v.Go, v.Platform)
			return nil
		},
	}
}

// revision is the commit that the program was built from, or "".
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// help is `landfast help`. Cobra's own takes an unknown verb for success.
func (c *command) help() *cobra.Command {
	return &cobra.Command{
		Use:     "help [VERB]",
		Short:   "Help about a verb",
		Long:    "Help prints what a verb does, its flags, an example and its exit codes.",
		Example: "  landfast help deploy",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usage(cmd.Root(), err.Error())
			}
			if len(rest) > 0 {
				return unknownVerb(about, rest)
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if about, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, below := range about.Commands() {
					if below.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(below.Name(), below.Short))
					}
				}
			}
			return matching(names, typed), cobra.ShellCompDirectiveNoFileComp
		},
	}
}
