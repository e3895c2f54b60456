package plan

import (
	"path"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/unit"
)

// fetchedVariable names the directory of fetched configuration to the app.
const fetchedVariable = "FETCHED_DIR"

// credentials lets a process read the secrets. systemd copies them, as root, into
// a directory that this process alone sees; neither the unit nor the arguments
// hold one. What is a variable as well is in a file that systemd reads as root.
//
// A machine gets them passed on by systemd-nspawn, and no variables: that would be an
// argument.
func (b *builder) credentials(sec *unit.Section, of *landfast.Service) {
	at, machine := b.app.Paths.Settings, of.Kind == landfast.KindNspawn
	for _, s := range b.app.Secrets {
		if b.startsWithoutCredentials(of) {
			break
		}
		name := "LoadCredential"
		if s.Kind == landfast.SecretEncrypted {
			name = "LoadCredentialEncrypted"
		}
		if d, ok := unit.Lookup("Service", name); ok && !d.Known(b.version) {
			continue // checkSettings has said so where that is all there is
		}
		sec.Add(name, s.Name+":"+b.ok("secrets."+s.Name)(unit.Path(path.Join(at, "credentials", s.Name))))
	}
	if b.app.HasVariables() && !machine {
		sec.Add("EnvironmentFile", b.ok("secrets")(unit.EnvFile(path.Join(at, "environment"), false)))
	}
}

// startsWithoutCredentials reports whether a service must not have any: before
// systemd 252 its commands before the start got none, and failed at mounting what
// there was not (status 226, seen with 247).
func (b *builder) startsWithoutCredentials(s *landfast.Service) bool {
	e := b.app.Before
	// The unit of the environment command removes its old output first then.
	removes := e != nil && s.Unit == e.Unit && !b.has(248)
	return !b.has(252) && (removes || len(s.BeforeStart) > 0)
}

// fetched names the directory of fetched configuration.
func (b *builder) fetched(sec *unit.Section) {
	if c := b.app.Config; c != nil {
		sec.Add("Environment", b.assignment("config.dir", landfast.Var{Name: fetchedVariable, Value: c.Dir}))
	}
}

// checkSettings refuses secrets that could not reach the app.
func (b *builder) checkSettings() {
	for _, s := range b.app.Secrets {
		b.checkSecret(s)
	}
	for i := range b.app.Services {
		b.checkCredentials(&b.app.Services[i])
		if s := &b.app.Services[i]; s.Kind == landfast.KindNspawn && (b.app.HasVariables() || b.app.Config != nil) {
			b.failf(b.key(s, "kind"), "only credentials reach into a machine: variables (env.ssm, env = true) and config do not")
		}
	}
	if e := b.app.Before; e != nil && len(b.app.Secrets) > 0 && b.has(247) && !b.has(248) {
		b.notef("systemd %d cannot give credentials to the command of [environment]: it gets none", b.version)
	}
	if c := b.app.Config; c != nil {
		if err := unit.CheckPath(c.Dir); err != nil {
			b.failf("config.dir", "%q: %w", c.Dir, err)
		}
	}
}

// checkCredentials refuses a service that systemd could not start with credentials.
func (b *builder) checkCredentials(s *landfast.Service) {
	if !b.has(247) || !b.startsWithoutCredentials(s) {
		return
	}
	for _, one := range b.app.Secrets {
		if !one.Env {
			b.failf(b.key(s, "before_start"), "systemd %d starts nothing that has both credentials and a command before the start (known to work since 252): write env = true for the secret %s, or leave before_start out", b.version, one.Name)
			return
		}
	}
	if len(b.app.Secrets) > 0 {
		b.notef("systemd %d starts nothing that has both credentials and a command before the start: the secrets of %s are variables alone", b.version, s.Unit)
	}
}

// checkSecret refuses a secret that this systemd cannot hand over.
func (b *builder) checkSecret(s landfast.Secret) {
	key := "secrets." + s.Name
	switch {
	case !credentialNames.MatchString(s.Name):
		b.failf(key, "%q cannot be the name of a credential", s.Name)
	case s.Kind == landfast.SecretEncrypted && !b.has(250):
		b.failf(key, "systemd %d does not know encrypted credentials (since 250): take another source", b.version)
	case !b.has(247) && !s.Env:
		b.failf(key, "systemd %d does not know credentials (since 247): write env = true to have it as a variable", b.version)
	case !b.has(247):
		b.notef("systemd %d does not know credentials (since 247): %s is a variable alone", b.version, s.Name)
	}
}
