package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cloud"
	"github.com/landfast/landfast/internal/secret"
)

// sources get the secrets and the configuration of apps of this machine.
func (m *machine) sources() *secret.Sources {
	return &secret.Sources{
		Root:  m.root,
		Cloud: func(ctx context.Context) (secret.Cloud, error) { return openCloud(ctx) },
	}
}

func openCloud(ctx context.Context) (secret.Cloud, error) {
	c, err := cloud.Open(ctx)
	if err != nil {
		return nil, err // and no *cloud.AWS that is nil
	}
	return c, nil
}

// settings are what is kept of them for an app, in its state directory.
func (m *machine) settings(app *landfast.App, state *os.Root) *secret.Settings {
	o := secret.StoreOptions{State: state, GID: func() (int, error) {
		_, gid, err := m.Owner(app.DeployUser, app.Group)
		return gid, err
	}}
	if app.Config != nil {
		o.Config = filepath.Join(m.root, app.Config.Dir)
	}
	return &secret.Settings{Store: secret.NewStore(o), Sources: m.sources(), App: app}
}

// openObject opens an object of S3, which a release may be.
func openObject(ctx context.Context, location string) (io.ReadCloser, int64, error) {
	c, err := cloud.Open(ctx)
	if err != nil {
		return nil, 0, err
	}
	return c.Object(ctx, location)
}

// hasSettings reports whether all settings of an app are on the machine.
func (m *machine) hasSettings(app *landfast.App) (bool, error) {
	state, err := m.OpenState(app.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return !app.HasSettings(), nil
	}
	if err != nil {
		return false, err
	}
	defer state.Close()
	settings := m.settings(app, state)
	current, err := settings.Current()
	if err != nil {
		return false, err
	}
	return settings.Covers(current)
}

// checkSettings looks whether an app could be started again.
func (m *machine) checkSettings(app *landfast.App, live bool) []finding {
	if !live || !app.HasSettings() {
		return nil
	}
	covered, err := m.hasSettings(app)
	switch {
	case err != nil:
		return []finding{{What: app.Name, Text: "its secrets: " + err.Error()}}
	case !covered:
		return []finding{{
			What: app.Name, Text: "secrets or configuration that its manifest names are not on this host, so it cannot be started again",
			Hint: "`landfast secrets refresh " + app.Name + "` gets them",
		}}
	}
	return nil
}

// needsSettings refuses to give an app that runs a unit whose secrets are not on the
// machine: it could not be started again.
func (m *machine) needsSettings(app *landfast.App, live bool) error {
	if !app.HasSettings() || !live {
		return nil
	}
	covered, err := m.hasSettings(app)
	if err != nil || covered {
		return err
	}
	return &landfast.Error{
		Kind: landfast.Conflict, Msg: "the manifest names secrets or configuration that are not on this host yet, and " + app.Name + " runs",
		Hint: "`landfast deploy` gets them with the next release; `landfast secrets refresh ./landfast.toml` gets them now",
	}
}
