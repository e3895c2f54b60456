package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/forge"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// newTrigger is what the flags of trigger add say.
type newTrigger struct {
	root, provider, app, name, repository, url string
	branches, tags, events, topics, sources    []string
	production, signed, register               bool
	forge                                      forgeFlags
}

// forgeFlags are those of the verbs that speak to a forge.
type forgeFlags struct{ api, tokenFile string }

func (f *forgeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.api, "api", "", "the API of the forge: `URL` (default: that of github.com or gitlab.com)")
	cmd.Flags().StringVar(&f.tokenFile, "api-token-file", "", "`file` with a token of the forge that may manage webhooks")
}

// repository is the repository of a trigger at its forge.
func (f *forgeFlags) repository(t *hostconf.Trigger) (*forge.Repository, error) {
	if f.tokenFile == "" {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "the forge wants a token", Hint: "--api-token-file FILE"}
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: "cannot read the token of the forge", Err: err}
	}
	return &forge.Repository{Provider: string(t.Provider), API: f.api, Token: strings.TrimSpace(string(text)), Name: t.Repository}, nil
}

func (c *command) triggerAdd() *cobra.Command {
	var n newTrigger
	cmd := &cobra.Command{
		Use:   "add PROVIDER APP",
		Short: "Make a trigger with a secret of its own",
		Long: `Add makes a random secret (/etc/landfast/secrets/NAME.secret, for root alone), writes
/etc/landfast/listen.d/NAME.toml, and prints what to paste at the forge. With
--register and a token it makes the webhook there itself: pushes only, the
certificate of this host verified.

PROVIDER is github, gitlab, gitea, forgejo, bitbucket, generic, standard (Standard
Webhooks) or sns.`,
		Example: "  sudo landfast trigger add github web --repository shop/web --url https://deploy.example.org\n" +
			"  sudo landfast trigger add gitlab web --repository shop/web --url https://deploy.example.org \\\n    --register --api-token-file token\n" +
			"  sudo landfast trigger add sns web --topic arn:aws:sns:eu-west-1:123456789012:deploy",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.provider, n.app = args[0], args[1]
			return c.addTrigger(cmd, n)
		},
	}
	c.rootFlag(cmd, &n.root)
	f := cmd.Flags()
	f.StringVar(&n.name, "name", "", "the `name` of the trigger (default: that of the app)")
	f.StringVar(&n.repository, "repository", "", "the `repository`, as shop/web")
	f.StringVar(&n.url, "url", "", "the address of this host's listener, as the sender reaches it: `URL`")
	f.StringSliceVar(&n.branches, "branch", nil, "a `branch` that deploys, or a pattern; may be repeated (default: main, where there is no --tag)")
	f.StringSliceVar(&n.tags, "tag", nil, "a `tag` that deploys, or a pattern; may be repeated")
	f.StringSliceVar(&n.events, "event", nil, "an `event` that deploys; may be repeated (default: push)")
	f.StringSliceVar(&n.topics, "topic", nil, "of sns: the ARN of a `topic`; may be repeated")
	f.StringSliceVar(&n.sources, "source", nil, "an `address` or range it may send from, or github; may be repeated")
	f.BoolVar(&n.production, "production", false, "guard it: deleting it takes its name once more")
	f.BoolVar(&n.signed, "signed", false, "of gitlab: a signing token, which covers the body, instead of a secret token")
	f.BoolVar(&n.register, "register", false, "make the webhook at the forge")
	n.forge.add(cmd)
	return cmd
}

// text is the file of the trigger.
func (n *newTrigger) text() string {
	var b strings.Builder
	b.WriteString(listenMark + "`landfast trigger delete " + n.name + "` removes it.\n[[trigger]]\n")
	set := func(key string, values ...string) {
		if len(values) == 0 {
			return
		}
		for i, v := range values {
			values[i] = strconv.Quote(v)
		}
		b.WriteString(key + " = [" + strings.Join(values, ", ") + "]\n")
	}
	fmt.Fprintf(&b, "name = %q\napp = %q\nprovider = %q\n", n.name, n.app, n.provider)
	if n.repository != "" {
		fmt.Fprintf(&b, "repository = %q\n", n.repository)
	}
	set("branches", slices.Clone(n.branches)...)
	set("tags", slices.Clone(n.tags)...)
	set("events", slices.Clone(n.events)...)
	set("topics", slices.Clone(n.topics)...)
	set("sources", slices.Clone(n.sources)...)
	if n.production {
		b.WriteString("production = true\n")
	}
	return b.String()
}

// addResult is the JSON of trigger add. The secret is printed once, here.
type addResult struct {
	triggerJSON
	File    string `json:"file"`
	URL     string `json:"url"`
	Secret  string `json:"secret,omitempty"`
	Webhook int64  `json:"webhook,omitempty"` // the forge's id
}

// check fills in what was left out, and refuses what cannot be.
func (n *newTrigger) check(cmd *cobra.Command) error {
	n.name = cmp.Or(n.name, n.app)
	if !hostconf.IsName(n.name) {
		return usage(cmd, fmt.Sprintf("%q cannot be the name of a trigger: small letters, digits, - and _", n.name))
	}
	forges := []string{"github", "gitlab", "gitea", "forgejo", "bitbucket"}
	if len(n.branches)+len(n.tags) == 0 && slices.Contains(forges, n.provider) {
		n.branches = []string{"main"}
	}
	if n.register && n.url == "" {
		return usage(cmd, "--register needs --url, the address that the forge is to send to")
	}
	n.url = strings.TrimSuffix(n.url, "/")
	if n.url != "" && !strings.HasPrefix(n.url, "https://") {
		return usage(cmd, "--url must be an https address")
	}
	return nil
}

func (c *command) addTrigger(cmd *cobra.Command, n newTrigger) error {
	if err := n.check(cmd); err != nil {
		return err
	}
	t := &hostconf.Trigger{Name: n.name, Provider: hostconf.Provider(n.provider), Apps: []string{n.app}, Repository: n.repository, Production: n.production}
	r := addResult{triggerJSON: newTriggerJSON(t), File: listenFile(n.name), URL: n.url + "/hooks/" + n.name}
	secrets := map[string]string{}
	if credential, needed := t.Secret(); needed {
		r.Secret = trigger.NewSecret(n.provider == "standard" || n.provider == "gitlab" && n.signed)
		secrets[credential.ID] = r.Secret
	}
	var at *forge.Repository
	if n.register {
		var err error
		if at, err = n.forge.repository(t); err != nil {
			return err
		}
	}
	if err := writeListen(n.root, r.File, n.text(), secrets); err != nil {
		return err
	}
	if at != nil {
		hook, err := at.Create(cmd.Context(), r.URL, r.Secret)
		if err != nil { // nothing is left of a trigger that nobody can use
			return errors.Join(err, removeListen(n.root, r.File, t.Name+".secret"))
		}
		r.Webhook, r.Secret = hook.ID, ""
	}
	if c.json {
		c.printJSON(r)
		return nil
	}
	c.printAdded(t, r)
	return nil
}

// printAdded says what to paste where.
func (c *command) printAdded(t *hostconf.Trigger, r addResult) {
	c.printf("wrote %s\n", r.File)
	switch {
	case r.Webhook != 0:
		c.printf("made the webhook %d of %s\n", r.Webhook, r.Repository)
	case t.Provider == hostconf.SNS:
		c.printf("subscribe the topic to this address; it is confirmed by itself:\n  protocol: https\n  endpoint: %s\n  raw message delivery: off\n", r.URL)
	default:
		c.printf("paste at %s:\n  URL:          %s\n  content type: application/json\n  secret:       %s\n  events:       pushes\n", t.Provider, r.URL, r.Secret)
		c.printf("the secret is shown this once; it is in %s/%s.secret\n", hostconf.SecretsDir, t.Name)
	}
	c.printf("the listener knows it when its units have been set up again\n")
}
