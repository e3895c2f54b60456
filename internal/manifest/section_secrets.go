package manifest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/landfast/landfast"
)

// secrets is [secrets].
type secrets struct {
	list []*secret
}

// secret is one secret of [secrets]: a table that says where it comes from.
type secret struct {
	name   string
	fields secretFields
}

// secretFields are the keys of such a table, of which the sources exclude each
// other.
type secretFields struct {
	file, ssm, vault, age, sops, encrypted text
	identity                               text
	env                                    boolean
}

const (
	secretPattern   = `^[A-Za-z_][A-Za-z0-9_.-]{0,99}$`
	vaultPattern    = `^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.~+@ -]+)+#[^#\s]+$`
	ssmPattern      = `^/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*(:[A-Za-z0-9_.-]+)?$`
	ssmPathPattern  = `^(/[A-Za-z0-9_.-]+)+/?$`
	sopsPattern     = `^[^/#][^#]*\.(yaml|yml|json|env)#[^#]+$`
	defaultIdentity = "/etc/landfast/age.key"
)

var (
	secretNames = regexp.MustCompile(secretPattern)
	vaultNames  = regexp.MustCompile(vaultPattern)
	ssmNames    = regexp.MustCompile(ssmPattern)
	ssmPaths    = regexp.MustCompile(ssmPathPattern)
	sopsNames   = regexp.MustCompile(sopsPattern)

	vaultField  = &form{label: "`MOUNT/PATH#FIELD`", pattern: vaultPattern, check: checkVault}
	ssmName     = &form{label: "parameter", pattern: ssmPattern, check: checkSSM}
	ssmPath     = &form{label: "path of parameters", pattern: ssmPathPattern, check: checkSSMPath}
	sopsValue   = &form{label: "`FILE#KEY`", pattern: sopsPattern, check: checkSOPS}
	releasePath = &form{label: "path in the release", pattern: `^[^/]`, check: checkInRelease}
)

func (s *secrets) keys() []key { return nil }

func (s *secrets) free(name string) (value, *flaw) {
	if !secretNames.MatchString(name) {
		return nil, &flaw{quote(name) + " cannot be the name of a secret", "letters, digits, _, - and ., a letter or _ first"}
	}
	v := &secret{name: name}
	s.list = append(s.list, v)
	return v, nil
}

func (s *secrets) freeValue() (v value, pattern string) { return &secret{}, secretPattern }

func (s *secrets) freeDoc() (doc, example string) {
	return "A secret and where it comes from. The app reads it from the file `$CREDENTIALS_DIRECTORY/NAME`.", `DATABASE_URL = { file = "/etc/landfast/secrets/${name}/database-url" }`
}

func (s *secret) label() string { return "table" }

func (s *secret) schema() *jsonschema.Schema { return sectionSchema(&s.fields) }

func (s *secret) decode(d *decoder, key string, n *node) {
	if n.kind == stringNode {
		d.at(n, key, "is a secret in plain text", `say where it comes from, such as { file = "/etc/landfast/secrets/web/`+s.name+`" }`)
		return
	}
	d.section(key, &s.fields, n)
	if n.kind != tableNode {
		return
	}
	if s.fields.env.on && !variableNames.MatchString(s.name) {
		d.at(n.get("env").value, key+".env", quote(s.name)+" cannot be the name of a variable", "letters, digits and _, no digit first")
	}
	if s.fields.env.on && s.fields.encrypted.src != nil {
		d.at(n.get("env").value, key+".env", "systemd alone can decrypt it, and gives it as a credential", "remove env, or take another source")
	}
	if s.fields.identity.given() && s.fields.age.src == nil && s.fields.sops.src == nil {
		d.at(n.get("identity").value, key+".identity", "is only for age and sops", "remove it")
	}
}

func (f *secretFields) choices() (keys []string, must bool) {
	return []string{"file", "ssm", "vault", "age", "sops", "encrypted"}, true
}

func (f *secretFields) keys() []key {
	return []key{
		{
			name: "file", value: f.file.as(absPath), example: `"/etc/landfast/secrets/web/database-url"`,
			doc: "A file of the host that only root may read. `landfast secrets set` writes it.",
		},
		{
			name: "ssm", value: f.ssm.as(ssmName), example: `"/web/production/database-url"`,
			doc: "A parameter of AWS Systems Manager, decrypted; with `:VERSION` or `:LABEL` behind it, that version.",
		},
		{
			name: "vault", value: f.vault.as(vaultField), example: `"kv/web/production#database_url"`,
			doc: "A field of a secret of Vault or OpenBao, KV version 2. `/etc/landfast/vault.toml` says where the server is and how to log in.",
		},
		{
			name: "age", value: f.age.as(releasePath), example: `"secrets/database-url.age"`,
			doc: "A file of the release, encrypted with age for the key of the host.",
		},
		{
			name: "sops", value: f.sops.as(sopsValue), example: `"secrets.yaml#database.url"`,
			doc: "A value of a YAML, JSON or .env file of the release, encrypted by sops for an age key of the host. Behind the `#` are the keys that lead to it, with dots.",
		},
		{
			name: "identity", value: f.identity.as(absPath), def: quote(defaultIdentity), example: `"/etc/landfast/web.key"`,
			doc: "`age`, `sops`: the file with the private key, as age-keygen writes it. Only root may read it.",
		},
		{
			name: "encrypted", directive: "LoadCredentialEncrypted", value: f.encrypted.as(absPath), example: `"/etc/credstore.encrypted/database-url"`,
			doc: "A file of the host, encrypted with `systemd-creds encrypt --name=NAME`. Only systemd decrypts it, with the key of the host or its TPM. systemd 250 and newer.",
		},
		{
			name: "env", value: &f.env, note: "false", example: `true`,
			doc: "Whether it is also a variable of that name, for apps that read nothing else. A variable is seen by every process that the app starts, and by what prints the environment.",
		},
	}
}

func (s *secrets) build() []landfast.Secret {
	var built []landfast.Secret
	for _, one := range s.list {
		f := &one.fields
		b := landfast.Secret{Name: one.name, Env: f.env.on}
		for _, from := range []struct {
			kind landfast.SecretKind
			text *text
		}{
			{landfast.SecretFile, &f.file},
			{landfast.SecretSSM, &f.ssm},
			{landfast.SecretVault, &f.vault},
			{landfast.SecretAge, &f.age},
			{landfast.SecretSOPS, &f.sops},
			{landfast.SecretEncrypted, &f.encrypted},
		} {
			if from.text.src != nil {
				b.Kind, b.Location = from.kind, from.text.value
			}
		}
		if b.Kind == landfast.SecretAge || b.Kind == landfast.SecretSOPS {
			b.Identity = f.identity.value
		}
		built = append(built, b)
	}
	return built
}

func checkVault(s string) (string, *flaw) {
	if !vaultNames.MatchString(s) || slices.Contains(strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '#' }), "..") {
		return "", &flaw{quote(s) + " is not a field of a secret", `write "MOUNT/PATH#FIELD", such as "kv/web/production#database_url"`}
	}
	return s, nil
}

func checkSSM(s string) (string, *flaw) {
	if !ssmNames.MatchString(s) {
		return "", &flaw{quote(s) + " is not the name of a parameter", `write a name such as "/web/production/database-url"`}
	}
	return s, nil
}

func checkSSMPath(s string) (string, *flaw) {
	if !ssmPaths.MatchString(s) {
		return "", &flaw{quote(s) + " is not a path of parameters", `write a path such as "/web/production"`}
	}
	return s, nil
}

func checkSOPS(s string) (string, *flaw) {
	file, _, _ := strings.Cut(s, "#")
	if _, bad := checkInRelease(file); bad != nil || !sopsNames.MatchString(s) {
		return "", &flaw{quote(s) + " is not a value in a file of the release", `write "FILE#KEY", such as "secrets.yaml#database.url"; the file ends in .yaml, .json or .env`}
	}
	return s, nil
}

// checkInRelease takes a path below the release.
func checkInRelease(s string) (string, *flaw) {
	if s == "" || path.IsAbs(s) || path.Clean(s) == "." || slices.Contains(strings.Split(s, "/"), "..") {
		return "", &flaw{quote(s) + " is not a path in the release", `write one such as "secrets/database-url.age"`}
	}
	return path.Clean(s), nil
}
