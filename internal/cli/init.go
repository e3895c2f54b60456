package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/stack"
)

// initResult is the JSON of init.
type initResult struct {
	File     string         `json:"file"`
	App      string         `json:"app"`
	Stack    string         `json:"stack"`
	Reasons  []stack.Reason `json:"reasons"`
	Manifest string         `json:"manifest"`
}

// init is `landfast init`.
func (c *command) init() *cobra.Command {
	var want string
	var force bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a first landfast.toml for a project",
		Long: `Init looks at the files of the project in DIR (default: here), guesses what it is made
with and how it is started, writes a short landfast.toml, and says what it guessed
and why. It changes nothing else.`,
		Example: "  landfast init\n  landfast init ../shop --stack elixir",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return c.initProject(dir, want, force)
		},
	}
	cmd.Flags().StringVar(&want, "stack", "", "what the project is made with, instead of a guess: `STACK`")
	_ = cmd.RegisterFlagCompletionFunc("stack", cobra.FixedCompletions(stack.Names(), cobra.ShellCompDirectiveNoFileComp)) // it is there
	cmd.Flags().BoolVar(&force, "force", false, "replace a landfast.toml that is there")
	return cmd
}

func (c *command) initProject(dir, want string, force bool) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return &landfast.Error{Kind: landfast.Invalid, Msg: "cannot open the project", Err: err}
	}
	defer root.Close()
	file := filepath.Join(dir, localManifest)
	if _, err := root.Lstat(localManifest); !errors.Is(err, fs.ErrNotExist) && !force {
		return &landfast.Error{Kind: landfast.Conflict, Msg: fmt.Sprintf("there is a %s already", file), Hint: "--force replaces it"}
	}
	guess, err := stack.Detect(root.FS(), filepath.Base(abs), want)
	if err != nil {
		return &landfast.Error{Kind: landfast.Invalid, Err: err}
	}
	text := []byte(guess.Manifest())
	if _, err := manifest.Parse(file, text); err != nil {
		return fmt.Errorf("a fault of landfast: the manifest it made is not good: %w", err)
	}
	if err := atomicfile.WriteFile(root, localManifest, text, atomicfile.Mode(0o644)); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if c.json {
		c.printJSON(initResult{file, guess.Name, guess.Stack, guess.Reasons, string(text)})
		return nil
	}
	c.printf("wrote %s\n", file)
	for _, r := range guess.Reasons {
		c.printf("  %-16s %s (%s)\n", r.Key, r.Value, r.Why)
	}
	c.printf("next: landfast check, landfast render, sudo landfast plan\n")
	return nil
}
