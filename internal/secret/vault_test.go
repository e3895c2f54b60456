package secret_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/landfast/landfast"
)

// standIn is a server built from the published HTTP API of Vault: KV version 2
// (data/ below the mount, data.data in the answer, 404 with data for a deleted
// version), AppRole, the mounts that `vault kv get` asks for, and {"errors": [...]}.
// No Vault or OpenBao server can be had where these tests run.
type standIn struct {
	t       *testing.T
	asked   []string // method and path of every request
	token   string   // the token that may read
	headers http.Header
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.Method+" "+r.URL.EscapedPath())
	s.headers = r.Header
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			s.t.Error(err)
		}
	}
	fails := func(status int, errors ...string) { answer(status, map[string]any{"errors": errors}) }
	type object = map[string]any
	if r.URL.Path == "/v1/auth/approle/login" {
		var in struct {
			RoleID   string `json:"role_id"`
			SecretID string `json:"secret_id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.RoleID != "role" || in.SecretID != "hunter2" {
			fails(400, "invalid role or secret ID")
			return
		}
		answer(200, object{"auth": object{"client_token": s.token, "lease_duration": 60}})
		return
	}
	if r.Header.Get("X-Vault-Token") != s.token {
		fails(403, "permission denied")
		return
	}
	mount := func(path, kind, version string) {
		answer(200, object{"data": object{"path": path, "type": kind, "options": object{"version": version}}})
	}
	switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
	case strings.HasPrefix(path, "sys/internal/ui/mounts/team/kv/"):
		mount("team/kv/", "kv", "2")
	case strings.HasPrefix(path, "sys/internal/ui/mounts/kv/"):
		mount("kv/", "kv", "2")
	case strings.HasPrefix(path, "sys/internal/ui/mounts/old/"):
		mount("old/", "kv", "1")
	case strings.HasPrefix(path, "sys/internal/ui/mounts/pki/"):
		mount("pki/", "pki", "")
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		fails(403, "preflight capability check returned 403, please ensure client's policies grant access to path \"none/\"")
	case path == "kv/data/web/production", path == "team/kv/data/web prod":
		answer(200, object{"data": object{
			"data":     object{"database_url": "postgres://x", "port": 5432, "deep": object{"er": true}},
			"metadata": object{"version": 3},
		}})
	case path == "kv/data/web/deleted":
		answer(404, object{"data": object{"data": nil, "metadata": object{"deletion_time": "2026-11-21T01:30:00Z"}}})
	case path == "kv/data/web/sealed":
		fails(503, "Vault is sealed")
	case path == "kv/data/web/standby":
		http.Redirect(w, r, "https://example.org/v1/"+path, http.StatusTemporaryRedirect)
	case path == "kv/data/web/html":
		fmt.Fprint(w, "<html>")
	default:
		fails(404)
	}
}

func TestVault(t *testing.T) {
	s := &standIn{t: t, token: "s.token"}
	server := httptest.NewServer(s)
	defer server.Close()
	m := newMachine(t)
	config := "address = \"" + server.URL + "\"\nnamespace = \"shop\"\ntoken = \"s.token\"\n"
	m.write("etc/landfast/vault.toml", config, 0o600)
	for location, want := range map[string]string{
		"kv/web/production#database_url": "postgres://x",
		"kv/web/production#port":         "5432",
		"kv/web/production#deep":         `{"er":true}`,
		"team/kv/web prod#database_url":  "postgres://x",
	} {
		got, err := m.get(landfast.Secret{Kind: landfast.SecretVault, Location: location}, nil)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", location, got, err, want)
		}
	}
	if got := s.headers.Get("X-Vault-Namespace"); got != "shop" {
		t.Errorf("namespace %q", got)
	}
	for _, c := range []struct {
		location string
		kind     landfast.Kind
		says     []string
	}{
		{"kv/web/production#nothing", landfast.NotFound, []string{"no field nothing"}},
		{"kv/web/missing#x", landfast.NotFound, []string{"no such secret"}},
		{"kv/data/web/production#port", landfast.NotFound, []string{"leave out data/", "kv/web/production"}},
		{"kv/web/deleted#x", landfast.NotFound, []string{"no such secret"}},
		{"old/web#x", landfast.Invalid, []string{"old/ is a KV engine of version 1", "enable-versioning"}},
		{"pki/web#x", landfast.Invalid, []string{"engine of type pki"}},
		{"none/web#x", landfast.Invalid, []string{"403", "policy"}},
		{"kv/web/sealed#x", landfast.Unavailable, []string{"Vault is sealed", "try again"}},
		{"kv/web/standby#x", landfast.Invalid, []string{"307", "active server"}},
		{"kv/web/html#x", landfast.Unavailable, []string{"is not Vault"}},
	} {
		_, err := m.get(landfast.Secret{Kind: landfast.SecretVault, Location: c.location}, nil)
		refused(t, err, c.kind, append(c.says, "secret NAME (vault "+c.location+")")...)
		if strings.Contains(err.Error(), "s.token") || strings.Contains(err.Error(), "postgres") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	server.Close()
	_, err := m.get(landfast.Secret{Kind: landfast.SecretVault, Location: "kv/web/production#port"}, nil)
	refused(t, err, landfast.Unavailable, "cannot reach Vault at "+server.URL)
}

func TestVaultLogsIn(t *testing.T) {
	s := &standIn{t: t, token: "s.token"}
	server := httptest.NewTLSServer(s)
	defer server.Close()
	m := newMachine(t)
	m.write("etc/ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 0o644)
	m.write("etc/landfast/token", "s.token\n", 0o600)
	port := "kv/web/production#port"
	address := "address = \"" + server.URL + "\"\n"
	for name, c := range map[string]struct {
		config string
		says   string // "": it works
	}{
		"AppRole":           {address + "ca_file = \"/etc/ca.pem\"\nrole_id = \"role\"\nsecret_id = \"hunter2\"", ""},
		"a file":            {address + "ca_file = \"/etc/ca.pem\"\ntoken_file = \"/etc/landfast/token\"", ""},
		"no such secret id": {address + "ca_file = \"/etc/ca.pem\"\nrole_id = \"role\"\nsecret_id = \"hunter3\"", "invalid role or secret ID"},
		"an unknown server": {address + "token = \"s.token\"", "certificate"},
		"no way":            {address, "one way to log in"},
		"two ways":          {address + "token = \"hunter2\"\ntoken_file = \"/x\"", "one way to log in"},
		"half a way":        {address + "role_id = \"role\"", "one way to log in"},
		"in the clear":      {"address = \"http://vault.example.org\"\ntoken = \"hunter2\"", "in the clear"},
		"no address":        {"token = \"hunter2\"", "address is not that of a server"},
		"a typo":            {address + "tokn = \"hunter2\"", "unknown key tokn"},
		"not TOML":          {address + "token = hunter2", "line 2"},
	} {
		m.write("etc/landfast/vault.toml", c.config, 0o600)
		got, err := m.get(landfast.Secret{Kind: landfast.SecretVault, Location: port}, nil)
		switch {
		case c.says == "" && (err != nil || got != "5432"):
			t.Errorf("%s: %q, %v", name, got, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		case err != nil && (strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "s.token")):
			t.Errorf("%s: the error tells a secret: %v", name, err)
		}
	}
	m.write("etc/landfast/vault.toml", address+"token = \"s.token\"", 0o644)
	_, err := m.get(landfast.Secret{Kind: landfast.SecretVault, Location: port}, nil)
	refused(t, err, landfast.Invalid, "chmod 600")
}
