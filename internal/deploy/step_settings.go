package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/landfast/landfast"
)

// Settings are the sets of secrets and configuration of one app that are kept on
// the machine, and the sources that fill them; see secret.Store and secret.Sources.
type Settings interface {
	// Get asks the sources, for the release whose directory is given (nil: none), and
	// keeps what they give as the set id. Used is the set that holds it: an older one
	// if nothing has changed since.
	Get(ctx context.Context, id string, release *os.Root) (used string, err error)
	// Covers reports whether the set id holds all that the app needs.
	Covers(id string) (bool, error)
	// Current is the set that counts; "": none. Use makes one count.
	Current() (string, error)
	Use(id string) error
	// Discard removes a set that does not count.
	Discard(id string) error
	// Note remembers the set that a release runs with, Forget forgets it, and Noted tells
	// it, if it is kept.
	Note(release, id string) error
	Forget(release string) error
	Noted(release string) (string, error)
	// Prune removes the sets of releases that are not kept.
	Prune(kept func(release string) bool) error
}

// openSettings opens the settings of an app. An app that has none, and an engine
// without, have sets that are empty.
func (e *Engine) openSettings(app *landfast.App, state *os.Root) (Settings, error) {
	if e.Settings == nil {
		return nil, nil //nolint:nilnil // there is nothing to keep
	}
	return e.Settings(app, state)
}

func hasSettings(r *run) bool { return isRunning(r) && r.settings != nil && r.app.HasSettings() }

// doSettings gets the secrets and the configuration, beside those that count. A
// rollback takes those that the release had, if they are kept. When a source does
// not answer, what is on the host is used: losing Vault stops no deployment.
func doSettings(ctx context.Context, r *run) error {
	if err := chooseSettings(ctx, r); err != nil {
		return err
	}
	return r.settings.Note(r.Deployment.To, r.set)
}

func chooseSettings(ctx context.Context, r *run) error {
	if !isDeploy(r) {
		set, err := r.settings.Noted(r.Deployment.To)
		if err != nil {
			return err
		}
		if set == "" {
			set = r.Before.Settings
		}
		if covered, err := r.settings.Covers(set); err != nil || covered {
			r.set = set
			return err
		}
	}
	release, err := r.releases.Open(r.Deployment.To)
	if err != nil {
		return err
	}
	defer release.Close()
	set, err := r.settings.Get(ctx, r.Deployment.ID, release)
	if err == nil || landfast.KindOf(err) != landfast.Unavailable || ctx.Err() != nil {
		r.set = set
		return err
	}
	covered, cerr := r.settings.Covers(r.Before.Settings)
	if cerr != nil || !covered {
		return errors.Join(err, cerr)
	}
	r.note(fmt.Sprintf("the secrets and configuration on this host are used as they are: %v", err))
	r.set = r.Before.Settings
	return nil
}

func undoSettings(_ context.Context, r *run) error {
	if r.settings == nil {
		return nil
	}
	if isDeploy(r) {
		if err := r.settings.Forget(r.Deployment.To); err != nil {
			return err
		}
	}
	return r.settings.Discard(r.Deployment.ID)
}

// doUseSettings makes them those that the app is started with.
func doUseSettings(_ context.Context, r *run) error { return r.settings.Use(r.set) }

func undoUseSettings(_ context.Context, r *run) error {
	if r.settings == nil {
		return nil
	}
	return r.settings.Use(r.Before.Settings)
}

// pruneSettings removes the sets of releases that are gone.
func (r *run) pruneSettings() error {
	if r.settings == nil || !isRunning(r) {
		return nil
	}
	var failed error
	err := r.settings.Prune(func(release string) bool {
		_, err := r.releases.Get(release)
		if err != nil && landfast.KindOf(err) != landfast.NotFound {
			failed = errors.Join(failed, err)
			return true
		}
		return err == nil
	})
	return errors.Join(err, failed)
}

// Refreshed is what RefreshSettings has done.
type Refreshed struct {
	Set     string // the set that counts now
	Changed bool   // it is another one than before
}

// RefreshSettings gets the secrets and the configuration of the release that is
// current anew, and makes them count for the next start of the app. Since what is outside
// has changed, former sets are removed: a later rollback keeps the new ones. Nothing
// is restarted.
func (e *Engine) RefreshSettings(ctx context.Context, app *landfast.App) (Refreshed, error) {
	var done Refreshed
	_, err := e.locked(ctx, app.Name, "secrets refresh", func() (landfast.Deployment, error) {
		var err error
		done, err = e.refresh(ctx, app)
		return landfast.Deployment{}, err
	})
	return done, err
}

func (e *Engine) refresh(ctx context.Context, app *landfast.App) (done Refreshed, err error) {
	state, err := e.State(app.Name)
	if err != nil {
		return done, err
	}
	defer state.Close()
	settings, err := e.openSettings(app, state)
	if err != nil {
		return done, err
	}
	releases, err := e.Releases(app)
	if err != nil {
		return done, err
	}
	current, err := releases.Current()
	if err != nil {
		return done, err
	}
	var release *os.Root
	if current != "" {
		if release, err = releases.Open(current); err != nil {
			return done, err
		}
		defer release.Close()
	}
	former, err := settings.Current()
	if err != nil {
		return done, err
	}
	id := landfast.DeploymentID(e.Now(), "refresh", former)
	if done.Set, err = settings.Get(ctx, id, release); err != nil {
		return done, err
	}
	done.Changed = done.Set != former
	if err := settings.Use(done.Set); err != nil {
		return done, err
	}
	if current != "" {
		if err := settings.Note(current, done.Set); err != nil {
			return done, err
		}
	}
	if !done.Changed {
		return done, nil
	}
	return done, settings.Prune(func(release string) bool { return release == current })
}
