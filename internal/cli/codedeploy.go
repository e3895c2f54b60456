package cli

import (
	"github.com/spf13/cobra"

	"github.com/landfast/landfast/internal/codedeploy"
	"github.com/landfast/landfast/internal/plan"
)

// codedeploy is `landfast render codedeploy`.
func (c *command) codedeploy() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "codedeploy [APP]",
		Short: "Print the appspec.yml and hook scripts for AWS CodeDeploy",
		Long: `Codedeploy writes what AWS CodeDeploy needs to deploy the app with our verbs. Put the
files at the top of the bundle, beside the release in the directory "release". The
one hook that matters runs landfast deploy, which stops, starts, checks and, if need
be, comes back; it fails when the release is bad, and CodeDeploy reports that.

` + appArg,
		Example: "  landfast render codedeploy --out bundle\n  cp -r build bundle/release && cd bundle && zip -qr ../bundle.zip .",
		Args:    cobra.MaximumNArgs(1),

		ValidArgsFunction: c.completeApp,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := c.locate(c.host, args)
			if err != nil {
				return err
			}
			p := &plan.Plan{App: l.app.Name, Files: codedeploy.Bundle(l.app)}
			if out != "" {
				return c.writeFiles(out, p)
			}
			c.printFiles(p)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write the files below this `directory`")
	return cmd
}
