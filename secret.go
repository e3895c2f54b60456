package landfast

import "path"

// SecretKind is where a secret comes from.
type SecretKind string

// The kinds of secret.
const (
	SecretFile      SecretKind = "file"      // a file of the host that root alone may read
	SecretSSM       SecretKind = "ssm"       // a parameter of AWS Systems Manager
	SecretVault     SecretKind = "vault"     // one field of a secret of Vault or OpenBao, KV version 2
	SecretAge       SecretKind = "age"       // a file of the release, encrypted with age
	SecretSOPS      SecretKind = "sops"      // one value of a file of the release, encrypted with sops for age
	SecretEncrypted SecretKind = "encrypted" // a credential of systemd-creds(1), which systemd alone decrypts
)

// Secret is a value that the services get as a credential of systemd
// (systemd.exec(5), LoadCredential=): a file called Name in the directory that
// $CREDENTIALS_DIRECTORY names.
type Secret struct {
	Name string
	Kind SecretKind
	// Location is a path (file, encrypted), a path in the release (age), the name
	// of a parameter (ssm), MOUNT/PATH#FIELD (vault) or PATH#KEY in the release (sops).
	Location string
	Identity string // age, sops: the file with the private key
	Env      bool   // it is a variable of that name, too
}

// RemoteConfig is a directory of configuration files that comes from elsewhere.
type RemoteConfig struct {
	Location string // s3://BUCKET/PREFIX
	Dir      string // a link to the set of files that counts: /etc/web/fetched
}

// Sets is the directory beside Dir in which each set of files has its own, below sets,
// and each release that runs as a unit of its own a link to one, below releases.
func (c *RemoteConfig) Sets() string {
	return path.Join(path.Dir(c.Dir), "."+path.Base(c.Dir))
}

// HasSettings reports whether the app has secrets, parameters or configuration
// that come from elsewhere.
func (a *App) HasSettings() bool {
	return len(a.Secrets) > 0 || len(a.Parameters) > 0 || a.Config != nil
}

// HasVariables reports whether some of them are variables of the environment.
func (a *App) HasVariables() bool {
	for _, s := range a.Secrets {
		if s.Env {
			return true
		}
	}
	return len(a.Parameters) > 0
}

// WithSettings gives a copy of the app that reads the set of settings called id
// instead of the one that counts: for commands that run before the change.
func (a *App) WithSettings(id string) *App { return a.withSettings("sets/" + id) }

// withSettings gives a copy of the app that reads a set by another name than that of the
// one that counts: sets/ID, or releases/ID for the one of a release.
func (a *App) withSettings(name string) *App {
	b := a.move(a.Paths.Settings, path.Join(path.Dir(a.Paths.Settings), name))
	if c := a.Config; c != nil {
		dir := path.Join(c.Sets(), name)
		b = b.move(c.Dir, dir)
		b.Config = &RemoteConfig{Location: c.Location, Dir: dir}
	}
	return b
}
