package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast/internal/deploy"
)

// matching are the words that begin with what was typed. A word may have a
// description behind a tab.
func matching(words []string, typed string) []string {
	var out []string
	for _, w := range words {
		if strings.HasPrefix(w, typed) {
			out = append(out, w)
		}
	}
	return out
}

// rootOf is the root directory that a command line is about.
func (c *command) rootOf(cmd *cobra.Command) string {
	if f := cmd.Flags().Lookup("root"); f != nil {
		if root, err := absRoot(f.Value.String()); err == nil {
			return root
		}
	}
	return c.host
}

// completeApp completes an app of the host. A manifest is a file, which the shell
// completes.
func (c *command) completeApp(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := appliedNames(c.rootOf(cmd))
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return matching(names, typed), cobra.ShellCompDirectiveDefault
}

// completeWith completes an app, and then what ids gives of it. Where one need not
// name the app, the ids are offered at once.
func (c *command) completeWith(ids func(*machine, located) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		words, directive := c.completeApp(cmd, args, typed)
		// What cannot be read is not completed, and not complained about either.
		_ = c.onFiles(c.rootOf(cmd), args, func(m *machine, l located) error {
			words = append(words, matching(ids(m, l), typed)...)
			return nil
		})
		return words, directive
	}
}

// releaseIDs are the releases that one can go back to, newest first.
func releaseIDs(m *machine, l located) []string {
	store, err := m.store(l.app)
	if err != nil {
		return nil
	}
	all, err := store.List()
	if err != nil {
		return nil
	}
	current, err := store.Current()
	if err != nil {
		return nil
	}
	var ids []string
	for _, r := range all {
		if r.ID != current {
			ids = append(ids, cobra.CompletionWithDesc(r.ID, string(r.State)+", from "+r.Source))
		}
	}
	return ids
}

// deploymentIDs are the deployments there were, newest first.
func deploymentIDs(m *machine, l located) []string {
	state, err := m.OpenState(l.app.Name)
	if err != nil {
		return nil
	}
	defer state.Close()
	all, err := deploy.History(state, 0)
	if err != nil {
		return nil
	}
	ids := []string{cobra.CompletionWithDesc("last", "the newest one")}
	for _, d := range all {
		ids = append(ids, cobra.CompletionWithDesc(d.ID, string(d.Status)+", by "+d.Actor))
	}
	return ids
}

// commandNames are those of [commands].
func commandNames(_ *machine, l located) []string {
	var names []string
	for _, n := range l.app.Commands {
		names = append(names, n.Name)
	}
	return names
}
