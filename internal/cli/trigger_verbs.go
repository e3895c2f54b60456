package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// pingResult is the JSON of trigger ping.
type pingResult struct {
	Name    string `json:"name"`
	Webhook int64  `json:"webhook"`
}

func (c *command) triggerPing() *cobra.Command {
	var root, url string
	var f forgeFlags
	cmd := &cobra.Command{
		Use:     "ping NAME",
		Short:   "Have the forge send a test message",
		Long:    "Ping asks the forge, through its API, to send a test message to the webhook of the\ntrigger. Whether it came, the log of the listener says.",
		Example: "  sudo landfast trigger ping web --url https://deploy.example.org --api-token-file token",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, t, err := findTrigger(root, args[0])
			if err != nil {
				return err
			}
			at, err := f.repository(t)
			if err != nil {
				return err
			}
			hook, err := at.Find(cmd.Context(), strings.TrimSuffix(url, "/")+"/hooks/"+t.Name)
			if err != nil {
				return err
			}
			if err := at.Ping(cmd.Context(), hook.ID); err != nil {
				return err
			}
			if c.json {
				c.printJSON(pingResult{t.Name, hook.ID})
				return nil
			}
			c.printf("%s sends a test message to %s\n", t.Provider, hook.URL)
			return nil
		},
	}
	c.rootFlag(cmd, &root)
	cmd.Flags().StringVar(&url, "url", "", "the address of this host's listener, as the sender reaches it: `URL`")
	_ = cmd.MarkFlagRequired("url") // it is there
	f.add(cmd)
	return cmd
}

// testResult is the JSON of trigger test.
type testResult struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	Status int    `json:"status"`
	Answer string `json:"answer"`
}

func (c *command) triggerTest() *cobra.Command {
	var root, url string
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a signed message to the listener of this host",
		Long: `Test signs a message as the sender of the trigger would, and sends it to the listener
of this host. It deploys nothing: the message is of an event that no trigger is for,
and is recorded as a closed event. It fails when the listener does not take it.`,
		Example: "  sudo landfast trigger test web\n  sudo landfast trigger test web --url https://deploy.example.org",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, t, err := findTrigger(root, args[0])
			if err != nil {
				return err
			}
			return c.testTrigger(cmd, root, cmp.Or(strings.TrimSuffix(url, "/"), own(conf)), t)
		},
	}
	c.rootFlag(cmd, &root)
	cmd.Flags().StringVar(&url, "url", "", "the address of the listener: `URL` (default: as listen.toml says, on this host)")
	return cmd
}

// own is the address of the listener from this host itself.
func own(conf *hostconf.Config) string {
	scheme := "http"
	if conf.Listen.Certificate.Value != "" {
		scheme = "https"
	}
	address := conf.Listen.Address[0]
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		port = address // a port alone
	}
	switch host {
	case "", "::", "0.0.0.0":
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (c *command) testTrigger(cmd *cobra.Command, root, base string, t *hostconf.Trigger) error {
	credential, needed := t.Secret()
	var text []byte
	var err error
	if needed {
		if text, err = hostconf.ReadSecret(root, credential.ID); err != nil {
			return err
		}
	}
	h, body, err := trigger.Sample(t, text, time.Now())
	if err != nil {
		return err
	}
	r := testResult{Name: t.Name, URL: base + "/hooks/" + t.Name}
	request, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%s is not an address", base), Err: err}
	}
	request.Header = h
	client := http.Client{Timeout: 30 * time.Second}
	if strings.HasPrefix(base, "https://127.0.0.1:") {
		// Its certificate is for the name that others use; nobody is between us and it.
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // as above
	}
	answer, err := client.Do(request)
	if err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "the listener does not answer", Err: err, Hint: "systemctl status landfast-listen.socket"}
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "the listener does not answer", Err: err}
	}
	r.Status, r.Answer = answer.StatusCode, strings.TrimSpace(string(got))
	if answer.StatusCode/100 != 2 {
		return &landfast.Error{Msg: fmt.Sprintf("the listener answers %s: %s", answer.Status, r.Answer), Hint: "its units may have to be set up again after a change of triggers or secrets"}
	}
	if c.json {
		c.printJSON(r)
		return nil
	}
	c.printf("the listener took it: %s\n", answer.Status)
	return nil
}

// deletedResult is the JSON of trigger delete and token delete.
type deletedResult struct {
	Name    string `json:"name"`
	File    string `json:"file"`
	Webhook int64  `json:"webhook,omitempty"` // that was deleted at the forge
}

func (c *command) triggerDelete() *cobra.Command {
	var root, url string
	var yes bool
	var f forgeFlags
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a trigger and its secret",
		Long: `Delete removes the file and the secret of a trigger that trigger add made; with a
token, its webhook at the forge as well. One that is marked as production asks for
its name, or takes --yes-production.`,
		Example: "  sudo landfast trigger delete web\n  sudo landfast trigger delete web --url https://deploy.example.org --api-token-file token",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, t, err := findTrigger(root, args[0])
			if err != nil {
				return err
			}
			if t.Production && !yes {
				if err := c.typed(t.Name); err != nil {
					return err
				}
			}
			r := deletedResult{Name: t.Name, File: listenFile(t.Name)}
			if f.tokenFile != "" {
				at, err := f.repository(t)
				if err != nil {
					return err
				}
				hook, err := at.Find(cmd.Context(), strings.TrimSuffix(url, "/")+"/hooks/"+t.Name)
				if err == nil {
					err = at.Delete(cmd.Context(), hook.ID)
				}
				if err != nil && landfast.KindOf(err) != landfast.NotFound {
					return err
				}
				r.Webhook = hook.ID
			}
			if err := removeListen(root, r.File, t.Name+".secret"); err != nil {
				return err
			}
			if c.json {
				c.printJSON(r)
				return nil
			}
			c.printf("removed %s and its secret\n", r.File)
			return nil
		},
	}
	c.rootFlag(cmd, &root)
	cmd.Flags().BoolVar(&yes, "yes-production", false, "remove one that is marked as production without asking")
	cmd.Flags().StringVar(&url, "url", "", "the address of this host's listener, as the webhook has it: `URL`")
	f.add(cmd)
	return cmd
}

// typed asks for a name to be typed once more.
func (c *command) typed(name string) error {
	guard := &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("the trigger %q is marked as production", name), Hint: "type its name, or add --yes-production"}
	fmt.Fprintf(c.std.Err, "the trigger %q is marked as production; type its name to remove it: ", name)
	line, err := bufio.NewReader(c.std.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != name {
		return guard
	}
	return nil
}
