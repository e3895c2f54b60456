package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/landfast/landfast"
)

// Values are the settings of an app at one time.
type Values struct {
	Credentials map[string][]byte // by name
	Environment []byte            // lines that systemd reads as an EnvironmentFile=; nil: no variables
	Files       map[string][]byte // configuration, by path with slashes; nil: none
}

// Cloud is what is asked of the cloud; see cloud.AWS.
type Cloud interface {
	// Parameter gives one parameter of Systems Manager, decrypted.
	Parameter(ctx context.Context, name string) (string, error)
	// Parameters gives all below a path, by their names.
	Parameters(ctx context.Context, path string) (map[string]string, error)
	// Files gives the objects below s3://BUCKET/PREFIX, by what is behind the prefix.
	Files(ctx context.Context, location string) (map[string][]byte, error)
}

// Sources gets settings. The zero value is not usable: Root must be set.
type Sources struct {
	Root  string // the root directory of the machine
	Cloud func(context.Context) (Cloud, error)
}

// maxCredential is the largest credential that systemd takes, and the most that
// all of a unit may have together (systemd.exec(5)).
const maxCredential = 1 << 20

// Get asks every source of app, and release, the directory of the release that the
// settings are for, for what lies in it; nil: there is none. All that is wrong is told
// in one error: of kind Invalid or NotFound where the manifest or the source has to
// be changed, of kind Unavailable where only a source did not answer.
func (s *Sources) Get(ctx context.Context, app *landfast.App, release *os.Root) (Values, error) {
	g := &getter{Sources: s, release: release}
	v := Values{Credentials: map[string][]byte{}}
	variables := map[string]string{}
	var wrong []error
	for _, path := range app.Parameters {
		found, err := g.parameters(ctx, path)
		wrong = append(wrong, err)
		for name, value := range found {
			variables[name] = value
		}
	}
	total := 0
	for _, one := range app.Secrets {
		value, err := g.get(ctx, one)
		if err == nil && len(value) == 0 {
			err = &landfast.Error{Kind: landfast.Invalid, Msg: "it is empty"}
		}
		if total += len(value); err == nil && total > maxCredential {
			err = &landfast.Error{Kind: landfast.Invalid, Msg: "the secrets are larger than 1 MiB together, which is what systemd takes"}
		}
		if err != nil {
			wrong = append(wrong, about(one, err))
			continue
		}
		v.Credentials[one.Name] = value
		if one.Env {
			variables[one.Name] = string(value)
		}
	}
	if app.HasVariables() {
		lines, err := environment(variables)
		wrong = append(wrong, err)
		v.Environment = lines
	}
	if app.Config != nil {
		files, err := g.files(ctx, app.Config.Location)
		wrong = append(wrong, err)
		v.Files = files
	}
	if err := join(wrong); err != nil {
		return Values{}, err
	}
	return v, nil
}

// about says which secret an error is about, and where it comes from.
func about(s landfast.Secret, err error) error {
	kind := landfast.KindOf(err)
	if kind == landfast.Internal {
		kind = landfast.Unavailable
	}
	e, ok := errors.AsType[*landfast.Error](err)
	hint := ""
	if ok {
		hint = e.Hint
		err = &landfast.Error{Msg: e.Msg, Err: e.Err}
	}
	if s.Kind == landfast.SecretFile && kind == landfast.NotFound {
		hint = "`landfast secrets set` writes it"
	}
	return &landfast.Error{Kind: kind, Msg: fmt.Sprintf("secret %s (%s %s)", s.Name, s.Kind, s.Location), Err: err, Hint: hint}
}

// join makes one error of several. What can be mended by waiting counts only when
// nothing else is wrong.
func join(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	kind := landfast.Unavailable
	for _, err := range errs {
		if k := landfast.KindOf(err); k != landfast.Unavailable {
			kind = k
			break
		}
	}
	return &landfast.Error{Kind: kind, Msg: fmt.Sprintf("%d settings cannot be had", len(errs)), Err: errors.Join(errs...)}
}

// getter is one Get: sources that are asked several times are opened once.
type getter struct {
	*Sources
	release *os.Root
	asked   Cloud
	server  *vault
}

func (g *getter) get(ctx context.Context, s landfast.Secret) ([]byte, error) {
	switch s.Kind {
	case landfast.SecretFile:
		return g.file(s.Location)
	case landfast.SecretEncrypted:
		return g.sealed(s.Location)
	case landfast.SecretSSM:
		c, err := g.cloud(ctx)
		if err != nil {
			return nil, err
		}
		value, err := c.Parameter(ctx, s.Location)
		return []byte(value), err
	case landfast.SecretVault:
		return g.vault(ctx, s.Location)
	case landfast.SecretAge:
		return g.age(s)
	case landfast.SecretSOPS:
		return g.sops(s)
	}
	return nil, &landfast.Error{Kind: landfast.Invalid, Msg: fmt.Sprintf("%q is not a kind of secret", s.Kind)}
}

func (g *getter) cloud(ctx context.Context) (Cloud, error) {
	if g.asked == nil {
		c, err := g.Cloud(ctx)
		if err != nil {
			return nil, err
		}
		g.asked = c
	}
	return g.asked, nil
}

func (g *getter) files(ctx context.Context, location string) (map[string][]byte, error) {
	c, err := g.cloud(ctx)
	if err != nil {
		return nil, err
	}
	files, err := c.Files(ctx, location)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, &landfast.Error{
			Kind: landfast.NotFound, Msg: "there are no files below " + location, Hint: "correct [config] s3",
		}
	}
	return files, checkNames(location, files)
}

// fromRelease reads a file of the release.
func (g *getter) fromRelease(name string) ([]byte, error) {
	if g.release == nil {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "there is no release to read it from yet", Hint: "deploy one: its secrets are read with it"}
	}
	text, err := readAtMost(g.release, name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &landfast.Error{Kind: landfast.NotFound, Msg: "the release has no such file", Hint: "correct the manifest, or what the release contains"}
	}
	return text, err
}
