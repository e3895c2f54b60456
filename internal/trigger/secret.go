package trigger

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/landfast/landfast/internal/hostconf"
)

// secret is one that a sender and this host share. It does not print.
type secret struct {
	text []byte // as the sender has it
	key  []byte // of Standard Webhooks: the decoded key; nil: it is not of that form
}

// String keeps a secret out of logs.
func (secret) String() string { return "(secret)" }

// GoString keeps it out of %#v, too.
func (secret) GoString() string { return "(secret)" }

// minSecret is the least length of a secret, in bytes.
const minSecret = 16

// standardPrefix begins secrets of Standard Webhooks (standardwebhooks.com).
const standardPrefix = "whsec_"

// knownSecrets are those that documentation and examples show. Case does not count.
func knownSecrets() []string {
	return []string{
		"it's a secret to everybody", "whsec_mfkq9r8gkyqrtwjupd8ilpzio2lalasw", "mfkq9r8gkyqrtwjupd8ilpzio2lalasw",
		"3gescfjlv2ugrwgpu#w1*waw*wa4nxggmpcfkbg3", "whsec_dgvzdhrlc3r0zxn0dgvzdhrlc3r0zxn0dgvzdhq=",
		"development-secret", "your-webhook-secret", "your_webhook_secret", "my-webhook-secret", "mywebhooksecret",
		"supersecretsecret", "super-secret-token", "webhook-secret-key", "replace-me-please", "changemechangeme",
		"change-me-please", "correct horse battery staple", "correcthorsebatterystaple", "thisisasecretkey", "this-is-a-secret",
		"passwordpassword", "secretsecretsecret", "1234567890123456", "0123456789abcdef", "abcdefghijklmnop", "abcdefghijklmnopqrstuvwxyz",
	}
}

// parseSecrets reads the secrets of a trigger, one on each line.
func parseSecrets(text []byte, p hostconf.Provider) ([]secret, error) {
	var all []secret
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		s, err := newSecret(string(line), p)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errors.New("its secret is empty")
	}
	if len(all) > 4 {
		return nil, errors.New("it has more than 4 secrets")
	}
	return all, nil
}

func newSecret(text string, p hostconf.Provider) (secret, error) {
	if strings.TrimSpace(text) != text {
		return secret{}, errors.New("its secret begins or ends with a space")
	}
	s := secret{text: []byte(text)}
	rest, standard := strings.CutPrefix(text, standardPrefix)
	if standard && (p == hostconf.GitLab || p == hostconf.Standard) || p == hostconf.Standard {
		key, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return secret{}, errors.New("its secret is not whsec_ and base64")
		}
		s.key = key
	}
	return s, weak(text, s.key)
}

// weak tells secrets that could be guessed.
func weak(text string, key []byte) error {
	material := []byte(text)
	if key != nil {
		material = key
	}
	distinct := map[byte]bool{}
	for _, b := range material {
		distinct[b] = true
	}
	switch {
	case len(material) < minSecret:
		return fmt.Errorf("its secret is shorter than %d bytes", minSecret)
	case slices.Contains(knownSecrets(), strings.ToLower(text)):
		return errors.New("its secret is one that documentation shows, so everybody knows it")
	case len(distinct) < 8:
		return errors.New("its secret has fewer than 8 different characters")
	}
	return nil
}

// sum is the HMAC of parts.
func sum(h func() hash.Hash, key []byte, parts ...[]byte) []byte {
	m := hmac.New(h, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// signed reports, in constant time for signatures of the right length, whether got
// is the HMAC of body by one of the secrets.
func signed(h func() hash.Hash, all []secret, got, body []byte) bool {
	ok := 0
	for _, s := range all {
		ok |= subtle.ConstantTimeCompare(sum(h, s.text, body), got)
	}
	return ok == 1
}

// same reports, in constant time whatever the lengths, whether got is one of the
// secrets.
func same(all []secret, got string) bool {
	ok, g := 0, sha256.Sum256([]byte(got))
	for _, s := range all {
		want := sha256.Sum256(s.text)
		ok |= subtle.ConstantTimeCompare(want[:], g[:])
	}
	return ok == 1
}

// hashOf is a hash by its name in the configuration.
func hashOf(name string) func() hash.Hash {
	switch name {
	case "sha512":
		return sha512.New
	case "sha384":
		return sha512.New384
	}
	return sha256.New
}

// decode reads a signature as it is written in a header.
func decode(encoding, text string) ([]byte, error) {
	if len(text) > 256 {
		return nil, errors.New("too long")
	}
	if encoding == "base64" {
		return base64.StdEncoding.Strict().DecodeString(text)
	}
	return hex.DecodeString(text)
}
