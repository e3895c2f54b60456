package secret_test

import (
	"os"
	"strings"
	"testing"

	"github.com/landfast/landfast"
)

// The files in testdata/sops were encrypted by sops 3.13.3 for the key beside them,
// which is used for nothing else.
func TestSOPS(t *testing.T) {
	m := newMachine(t)
	read := func(name string) string {
		text, err := os.ReadFile("testdata/sops/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	m.write("etc/landfast/age.key", read("age.key"), 0o600)
	for _, name := range []string{"secrets.yaml", "secrets.json", "secrets.env"} {
		m.write("release/"+name, read(name), 0o644)
	}
	get := func(location string) (string, error) {
		return m.get(landfast.Secret{Kind: landfast.SecretSOPS, Location: location, Identity: "/etc/landfast/age.key"}, nil)
	}
	for location, want := range map[string]string{
		"secrets.yaml#database.url": "postgres://shop:hunter2@db/shop", "secrets.yaml#database.port": "5432",
		"secrets.yaml#database.tls": "true", "secrets.yaml#database.ratio": "0.5", "secrets.yaml#multi": "line one\nline two\n",
		"secrets.json#database.url": "postgres://shop:hunter2@db/shop", "secrets.json#database.tls": "false", "secrets.json#token": "hunter2",
		"secrets.env#DATABASE_URL": "postgres://shop:hunter2@db/shop", "secrets.env#TOKEN": "hunter2",
	} {
		if got, err := get(location); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", location, got, err, want)
		}
	}
	for location, says := range map[string]string{
		"secrets.yaml#database":           "is not encrypted",
		"secrets.yaml#list":               "is not encrypted",
		"secrets.yaml#public_unencrypted": "is not encrypted",
		"secrets.yaml#database.none":      "has no value database.none",
		"secrets.yaml#sops.mac":           "has no value sops.mac",
		"none.yaml#x":                     "no such file",
	} {
		_, err := get(location)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", location, err, says)
		}
	}
	// A value at another place, a changed one, one for somebody else.
	yaml := read("secrets.yaml")
	line := func(key string) string {
		_, rest, _ := strings.Cut(yaml, key+": ")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	for name, changed := range map[string]string{
		"moved":     strings.Replace(yaml, line("port"), line("url"), 1),
		"changed":   strings.Replace(yaml, "data:6dz1pQ==", "data:6dz1pA==", 1),
		"truncated": strings.Replace(yaml, "tag:zWiAvtP1AIvZqlgPv+WPJA==", "tag:zWiA", 1),
	} {
		m.write("release/secrets.yaml", changed, 0o644)
		_, err := get("secrets.yaml#database.port")
		if err == nil || !strings.Contains(err.Error(), "changed, or moved") {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.write("release/secrets.yaml", strings.Split(yaml, "sops:")[0], 0o644)
	_, err := get("secrets.yaml#database.port")
	refused(t, err, landfast.Invalid, "not encrypted for an age key")
	m.write("release/secrets.yaml", "token: [hunter2", 0o644)
	_, err = get("secrets.yaml#token")
	refused(t, err, landfast.Invalid, "not a file that sops has encrypted")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells what stands there: %v", err)
	}
}
