package hostconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/landfast/landfast"
)

// SecretsDir holds the secrets of triggers and reports: root 0700, files 0600.
const SecretsDir = "/etc/landfast/secrets"

// Credential is a secret as a unit gets it: LoadCredential=ID:Path.
type Credential struct{ ID, Path string }

func credential(id string) Credential { return Credential{id, filepath.Join(SecretsDir, id)} }

// Secret is the credential of the trigger: NAME.secret. It is a text of one or more
// lines, each a secret that is taken, so that one can be changed without a gap.
// Triggers of sns have none: their messages are signed with the sender's key.
func (t *Trigger) Secret() (c Credential, needed bool) {
	return credential(t.Name + ".secret"), t.Provider != SNS
}

// Secret is the credential of the report: NAME.report. It holds the token of a
// forge's API, the secret that a webhook is signed with, or the address of a
// Slack-compatible webhook.
func (r *Report) Secret() (c Credential, needed bool) {
	return credential(r.Name + ".report"), r.Provider != "command"
}

// TLSKey is the credential that holds the key of the listener's certificate.
const TLSKey = "tls.key"

// ListenCredentials are what the unit of the listener has to load.
func (c *Config) ListenCredentials() []Credential {
	var all []Credential
	for i := range c.Triggers {
		if s, needed := c.Triggers[i].Secret(); needed {
			all = append(all, s)
		}
	}
	if c.Listen.Key.Value != "" {
		all = append(all, Credential{TLSKey, c.Listen.Key.Value})
	}
	return all
}

// WorkerCredentials are what the unit of the worker of app has to load: the secrets
// of those who are told about it.
func (c *Config) WorkerCredentials(app string) []Credential {
	var all []Credential
	for i := range c.Reports {
		if s, needed := c.Reports[i].Secret(); needed && Allows(c.Reports[i].Apps, app) {
			all = append(all, s)
		}
	}
	return all
}

// ReadSecret reads the credential id: from $CREDENTIALS_DIRECTORY in a unit, and
// from the files below root when the operator runs the program.
func ReadSecret(root, id string) ([]byte, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		dir = filepath.Join(root, SecretsDir)
	}
	text, err := os.ReadFile(filepath.Join(dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: fmt.Sprintf("the secret %s is missing", filepath.Join(SecretsDir, id)),
			Hint: "`landfast trigger add` makes one",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret %s: %w", id, err)
	}
	return text, nil
}
