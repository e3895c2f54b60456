package secret

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/landfast/landfast"
)

// vaultFile says where the server is and how to log in. Only root may read it.
const vaultFile = "/etc/landfast/vault.toml"

// vaultConfig is that file.
type vaultConfig struct {
	Address   string `toml:"address"`   // https://vault.example.org:8200
	Namespace string `toml:"namespace"` // of the enterprise edition, and of OpenBao
	CAFile    string `toml:"ca_file"`   // certificates to trust, besides those of the host
	Token     string `toml:"token"`
	TokenFile string `toml:"token_file"` // a file with the token, which an agent may renew
	RoleID    string `toml:"role_id"`    // with SecretID: AppRole
	SecretID  string `toml:"secret_id"`
	AppRole   string `toml:"approle_path"` // where AppRole is mounted; "": approle
}

// vault speaks the HTTP API of Vault and OpenBao: log in, find out what an engine is,
// read a secret of KV version 2. That is all that is needed, and a fifth of a
// megabyte less than a client library.
type vault struct {
	config vaultConfig
	client *http.Client
	token  string
	read   map[string]map[string]any // secrets already read
}

// vault gives one field of a secret: MOUNT/PATH#FIELD.
func (g *getter) vault(ctx context.Context, location string) ([]byte, error) {
	if g.server == nil {
		v, err := g.openVault(ctx)
		if err != nil {
			return nil, err
		}
		g.server = v
	}
	name, field, _ := strings.Cut(location, "#")
	data, err := g.server.secret(ctx, name)
	if err != nil {
		return nil, err
	}
	value, ok := data[field]
	if !ok {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "the secret has no field " + field, Hint: "`vault kv get " + name + "` shows its fields"}
	}
	if text, ok := value.(string); ok {
		return []byte(text), nil
	}
	return json.Marshal(value)
}

// openVault reads the configuration and logs in.
func (g *getter) openVault(ctx context.Context) (*vault, error) {
	text, err := g.private(vaultFile)
	if landfast.KindOf(err) == landfast.NotFound {
		return nil, &landfast.Error{
			Kind: landfast.Invalid, Msg: "there is no " + vaultFile,
			Hint: `write address = "https://..." and token_file, or role_id and secret_id, into it`,
		}
	}
	if err != nil {
		return nil, err
	}
	v := &vault{read: map[string]map[string]any{}}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&v.config); err != nil {
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: vaultFile, Err: position(err)}
	}
	if err := v.config.check(); err != nil {
		return nil, err
	}
	if err := v.connect(g); err != nil {
		return nil, err
	}
	return v, v.login(ctx, g)
}

// position says where in a file something is wrong, and nothing of what stands there.
func position(err error) error {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
		return fmt.Errorf("unknown key %s", strings.Join(strict.Errors[0].Key(), "."))
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, column := bad.Position()
		return fmt.Errorf("line %d, column %d cannot be understood", row, column)
	}
	return errors.New("it cannot be understood")
}

func (c *vaultConfig) check() error {
	wrong := func(msg, hint string) error {
		return &landfast.Error{Kind: landfast.Invalid, Msg: vaultFile + ": " + msg, Hint: hint}
	}
	u, err := url.Parse(c.Address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return wrong("address is not that of a server", `write "https://HOST:8200"`)
	}
	local := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return wrong("secrets would travel in the clear", "use https")
	}
	ways := 0
	for _, set := range []bool{c.Token != "", c.TokenFile != "", c.RoleID != "" && c.SecretID != ""} {
		if set {
			ways++
		}
	}
	if ways != 1 {
		return wrong("it needs one way to log in", "set token, or token_file, or role_id and secret_id")
	}
	return nil
}

// connect makes the client. It goes where the configuration says and nowhere else: a
// server that sends it away would get the token.
func (v *vault) connect(g *getter) error {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 20 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}
	if v.config.CAFile != "" {
		pem, err := g.sealed(v.config.CAFile)
		if err != nil {
			return err
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return &landfast.Error{Kind: landfast.Invalid, Msg: v.config.CAFile + " holds no certificate"}
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	v.client = &http.Client{
		Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

func (v *vault) login(ctx context.Context, g *getter) error {
	switch {
	case v.config.Token != "":
		v.token = v.config.Token
		return nil
	case v.config.TokenFile != "":
		text, err := g.file(v.config.TokenFile)
		v.token = strings.TrimSpace(string(text))
		return err
	}
	at := v.config.AppRole
	if at == "" {
		at = "approle"
	}
	body, err := json.Marshal(map[string]string{"role_id": v.config.RoleID, "secret_id": v.config.SecretID})
	if err != nil {
		return err
	}
	var answer struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		} `json:"auth"`
	}
	if err := v.ask(ctx, http.MethodPost, "auth/"+at+"/login", body, &answer); err != nil {
		return fmt.Errorf("log in to Vault with AppRole: %w", err)
	}
	if answer.Auth.ClientToken == "" {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "Vault gave no token for the AppRole"}
	}
	v.token = answer.Auth.ClientToken
	return nil
}

// secret gives the newest version of a secret: all its fields. Where the engine is
// mounted and which version it has is asked as `vault kv get` does it.
func (v *vault) secret(ctx context.Context, name string) (map[string]any, error) {
	if data, ok := v.read[name]; ok {
		return data, nil
	}
	var mount struct {
		Data struct {
			Path    string            `json:"path"`
			Type    string            `json:"type"`
			Options map[string]string `json:"options"`
		} `json:"data"`
	}
	if err := v.ask(ctx, http.MethodGet, "sys/internal/ui/mounts/"+escaped(name), nil, &mount); err != nil {
		return nil, err
	}
	m := mount.Data
	if version := m.Options["version"]; m.Type != "kv" || version != "2" {
		what := fmt.Sprintf("%s is an engine of type %s", m.Path, m.Type)
		if m.Type == "kv" || m.Type == "generic" {
			what = m.Path + " is a KV engine of version 1"
		}
		return nil, &landfast.Error{Kind: landfast.Invalid, Msg: what + "; only KV version 2 is read", Hint: "`vault kv enable-versioning " + m.Path + "` makes it version 2"}
	}
	rest, ok := strings.CutPrefix(name, m.Path)
	if !ok {
		return nil, &landfast.Error{Kind: landfast.Unavailable, Msg: fmt.Sprintf("Vault says that %s is in %s", name, m.Path)}
	}
	var answer struct {
		Data struct {
			Data map[string]any `json:"data"`
		} `json:"data"`
	}
	err := v.ask(ctx, http.MethodGet, escaped(m.Path)+"data/"+escaped(rest), nil, &answer)
	if bare, ok := strings.CutPrefix(rest, "data/"); ok && landfast.KindOf(err) == landfast.NotFound {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "Vault has no such secret", Hint: "leave out data/, which only its API has: " + m.Path + bare}
	}
	if err != nil {
		return nil, err
	}
	v.read[name] = answer.Data.Data
	return answer.Data.Data, nil
}

func escaped(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// ask sends one request below /v1/ and reads the JSON it is answered with.
func (v *vault) ask(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(v.config.Address, "/")+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Vault-Request", "true")
	if v.token != "" {
		request.Header.Set("X-Vault-Token", v.token)
	}
	if v.config.Namespace != "" {
		request.Header.Set("X-Vault-Namespace", v.config.Namespace)
	}
	answer, err := v.client.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "cannot reach Vault at " + v.config.Address, Err: err, Hint: "try again later"}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "Vault broke off its answer", Err: err}
	}
	if answer.StatusCode != http.StatusOK {
		return v.refused(answer.StatusCode, text)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return &landfast.Error{Kind: landfast.Unavailable, Msg: "what answers at " + v.config.Address + " is not Vault"}
	}
	return nil
}

// refused makes an error of an answer that is not 200.
func (v *vault) refused(status int, text []byte) error {
	var said struct {
		Errors []string `json:"errors"`
	}
	_ = json.Unmarshal(text, &said) // what else it may be is of no use to people
	msg := fmt.Sprintf("Vault answered %d", status)
	if len(said.Errors) > 0 {
		msg += ": " + strings.TrimSpace(strings.Join(said.Errors, "; "))
	}
	switch {
	case status == http.StatusNotFound:
		return &landfast.Error{Kind: landfast.NotFound, Msg: "Vault has no such secret", Hint: "correct the path; a deleted version counts as none"}
	case status == http.StatusForbidden, status == http.StatusBadRequest:
		return &landfast.Error{Kind: landfast.Invalid, Msg: msg, Hint: "check the token or the AppRole in " + vaultFile + ", and its policy"}
	case status >= 300 && status < 400:
		return &landfast.Error{Kind: landfast.Invalid, Msg: msg + ", which sends us elsewhere", Hint: "name the active server in " + vaultFile}
	}
	return &landfast.Error{Kind: landfast.Unavailable, Msg: msg, Hint: "try again later"}
}
