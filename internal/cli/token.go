package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// tokenVerb is `landfast token` and what is below it.
func (c *command) tokenVerb() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Manage tokens for the API",
		Long: `A token lets a build server ask this host for deployments over HTTP. It names the apps
and the actions it is good for. The host keeps nothing but its hash, in
/etc/landfast/listen.d/token-NAME.toml.`,
		Example: "  sudo landfast token add ci --app web\n  landfast token list",
		Args:    unknownVerb,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.tokenAdd(), c.tokenList(), c.tokenDelete())
	return cmd
}

func tokenFile(name string) string { return listenFile("token-" + name) }

// tokenJSON is a token as list and add print it.
type tokenJSON struct {
	Name    string    `json:"name"`
	Apps    []string  `json:"apps"`
	Actions []string  `json:"actions"`
	Expires time.Time `json:"expires,omitzero"`
	Token   string    `json:"token,omitempty"` // of add: shown once
}

func (c *command) tokenAdd() *cobra.Command {
	var root string
	var apps, actions []string
	var days int
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token and print it, once",
		Long: `Add makes a random token, writes its hash, and prints the token: it cannot be shown
again. A build server sends it as "Authorization: Bearer TOKEN".`,
		Example: "  sudo landfast token add ci --app web\n  sudo landfast token add ops --app '*' --action deploy --action rollback --days 90",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t := tokenJSON{Name: args[0], Apps: apps, Actions: actions}
			if !hostconf.IsName(t.Name) {
				return usage(cmd, fmt.Sprintf("%q cannot be the name of a token: small letters, digits, - and _", t.Name))
			}
			if len(apps) == 0 {
				return usage(cmd, "a token needs --app, the apps it is good for")
			}
			if days < 0 {
				return usage(cmd, "--days cannot be negative")
			}
			if days > 0 {
				t.Expires = time.Now().UTC().Add(time.Duration(days) * 24 * time.Hour).Truncate(time.Second)
			}
			var hash string
			t.Token, hash = trigger.NewToken()
			if err := writeListen(root, tokenFile(t.Name), t.text(hash), nil); err != nil {
				return err
			}
			if c.json {
				c.printJSON(t)
				return nil
			}
			c.printf("%s\n", t.Token)
			fmt.Fprintf(c.std.Err, "wrote its hash to %s; the token is shown this once\n", tokenFile(t.Name))
			return nil
		},
	}
	c.rootFlag(cmd, &root)
	cmd.Flags().StringSliceVar(&apps, "app", nil, "an `app` it is good for, or *; may be repeated")
	cmd.Flags().StringSliceVar(&actions, "action", []string{"deploy", "show"}, "an `action`: deploy, rollback, cancel, show, update; may be repeated")
	cmd.Flags().IntVar(&days, "days", 0, "it expires after this `number` of days; 0: never")
	return cmd
}

// text is the file of the token.
func (t *tokenJSON) text(hash string) string {
	list := func(all []string) string {
		quoted := make([]string, len(all))
		for i, s := range all {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	text := fmt.Sprintf("%s`landfast token delete %s` removes it.\n[[token]]\nname = %q\nhash = %q\napps = %s\nactions = %s\n",
		listenMark, t.Name, t.Name, hash, list(t.Apps), list(t.Actions))
	if !t.Expires.IsZero() {
		text += "expires = " + t.Expires.Format(time.RFC3339) + "\n"
	}
	return text
}

func (c *command) tokenList() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens of this host",
		Long:    "List prints each token with the apps and actions it is good for, and when it expires.\nThe tokens themselves are kept nowhere.",
		Example: "  landfast token list\n  landfast token list --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			conf, err := loadListen(root)
			if err != nil {
				return err
			}
			all := []tokenJSON{}
			for _, t := range conf.Tokens {
				all = append(all, tokenJSON{Name: t.Name, Apps: t.Apps, Actions: t.Actions, Expires: t.Expires})
			}
			if c.json {
				c.printJSON(all)
				return nil
			}
			for _, t := range all {
				until := "never expires"
				if !t.Expires.IsZero() {
					until = "until " + t.Expires.Format(time.DateOnly)
				}
				c.printf("%-16s %-20s %-30s %s\n", t.Name, strings.Join(t.Apps, ", "), strings.Join(t.Actions, ", "), until)
			}
			if len(all) == 0 {
				c.printf("no tokens; landfast token add makes one\n")
			}
			return nil
		},
	}
	c.rootFlag(cmd, &root)
	return cmd
}

func (c *command) tokenDelete() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Remove a token",
		Long:    "Delete removes the hash of a token that token add made, so that the token is refused\nfrom the next start of the listener on.",
		Example: "  sudo landfast token delete ci",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			conf, err := loadListen(root)
			if err != nil {
				return err
			}
			found := false
			for _, t := range conf.Tokens {
				found = found || t.Name == args[0]
			}
			if !found {
				return &landfast.Error{Kind: landfast.NotFound, Msg: fmt.Sprintf("there is no token %q", args[0]), Hint: "`landfast token list` shows them"}
			}
			r := deletedResult{Name: args[0], File: tokenFile(args[0])}
			if err := removeListen(root, r.File); err != nil {
				return err
			}
			if c.json {
				c.printJSON(r)
				return nil
			}
			c.printf("removed %s\n", r.File)
			return nil
		},
	}
	c.rootFlag(cmd, &root)
	return cmd
}
