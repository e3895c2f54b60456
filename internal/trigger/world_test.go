package trigger_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/landfast/landfast/internal/hostconf"
	"github.com/landfast/landfast/internal/trigger"
)

// The secrets of the tests.
const (
	secretText = "6b1f0a9c5e3d7b28f4a1"
	otherText  = "9d2e7c4b1a8f6053e7c9"
)

var standardText = "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789-test-key-of-32-bytes!"))

// testNow is when the tests happen.
var testNow = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// newSet reads a configuration; secrets are by credential.
func newSet(t testing.TB, config string, secrets map[string]string, change ...func(*trigger.Options)) *trigger.Set {
	t.Helper()
	c, err := hostconf.Parse("listen.toml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	o := trigger.Options{
		Config: c,
		Now:    func() time.Time { return testNow },
		Secret: func(id string) ([]byte, error) {
			if s, ok := secrets[id]; ok {
				return []byte(s + "\n"), nil
			}
			return nil, fs.ErrNotExist
		},
	}
	for _, f := range change {
		f(&o)
	}
	set, err := trigger.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func mac(h func() hash.Hash, key, body string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(body))
	return m.Sum(nil)
}

func hex256(key, body string) string { return hex.EncodeToString(mac(hashOf256, key, body)) }

// sign adds the headers with which a provider signs.
func sign(t testing.TB, p hostconf.Provider, h http.Header, body string) {
	t.Helper()
	switch p {
	case hostconf.GitHub:
		h.Set("X-Hub-Signature-256", "sha256="+hex256(secretText, body))
	case hostconf.Bitbucket:
		h.Set("X-Hub-Signature", "sha256="+hex256(secretText, body))
	case hostconf.Gitea:
		h.Set("X-Gitea-Signature", hex256(secretText, body))
	case hostconf.Forgejo:
		h.Set("X-Forgejo-Signature", hex256(secretText, body))
	case hostconf.GitLab:
		h.Set("X-Gitlab-Token", secretText)
	case hostconf.Generic:
		h.Set("X-Signature", "v1="+base64.StdEncoding.EncodeToString(mac(sha512.New, secretText, body)))
	case hostconf.Standard:
		signed, err := trigger.Sign(standardText, "msg_1", testNow, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range signed {
			h[name] = v
		}
	}
}

// secretsFor are the secrets of the trigger "web" of a provider.
func secretsFor(p hostconf.Provider) map[string]string {
	if p == hostconf.Standard {
		return map[string]string{"web.secret": standardText, "other.secret": standardText}
	}
	return map[string]string{"web.secret": secretText, "other.secret": otherText}
}

// status is that of a refusal; 0 for none.
func status(t testing.TB, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	r, ok := errors.AsType[*trigger.Refusal](err)
	if !ok {
		t.Fatalf("%v is no Refusal", err)
	}
	return r.Status
}

func handle(set *trigger.Set, name string, h http.Header, body string) (trigger.Verdict, error) {
	return set.Handle(context.Background(), trigger.Request{Trigger: name, Header: h, Body: []byte(body)})
}

// headers reads lines of NAME: VALUE.
func headers(text string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	return h
}
