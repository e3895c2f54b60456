package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cloud"
	"github.com/landfast/landfast/internal/unit"
)

// instanceData is `landfast instance-data`.
func (c *command) instanceData() *cobra.Command {
	return &cobra.Command{
		Use:   "instance-data NAME=KEY...",
		Short: "Print what cloud-init knows of this instance as variables",
		Long: `Instance-data prints a line NAME="value" for each argument, as systemd reads it in a
file of variables. KEY is a key of cloud-init's instance data, such as v1.region;
those below v1 are the same in every cloud. It is what [environment] cloud_init of a
manifest runs before each start of the app. A key that is not known is an error.`,
		Example: "  landfast instance-data REGION=v1.region INSTANCE_ID=v1.instance_id",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := filepath.Join(c.host, cloud.InstanceDataFile)
			text, err := os.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				return &landfast.Error{
					Kind: landfast.Unavailable, Msg: "cloud-init has written no " + cloud.InstanceDataFile,
					Hint: "is this an instance of a cloud, and has cloud-init run?",
				}
			}
			if err != nil {
				return err
			}
			data, err := cloud.ReadInstanceData(text)
			if err != nil {
				return err
			}
			values := map[string]string{}
			lines := ""
			for _, arg := range args {
				name, key, ok := strings.Cut(arg, "=")
				if !ok || !unit.IsEnvName(name) {
					return usage(cmd, "\""+arg+"\" is not NAME=KEY")
				}
				value, err := data.Value(key)
				if err != nil {
					return err
				}
				line, err := unit.VariableLine(name, value)
				if err != nil {
					return &landfast.Error{Kind: landfast.Invalid, Msg: "the value of " + key, Err: err}
				}
				values[name] = value
				lines += line + "\n"
			}
			if c.json {
				c.printJSON(values)
				return nil
			}
			c.printf("%s", lines)
			return nil
		},
	}
}
