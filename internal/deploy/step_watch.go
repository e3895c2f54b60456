package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/landfast/landfast/internal/atomicfile"
	"github.com/landfast/landfast/internal/plan"
)

// watchFile holds the window in which a release is watched, below the app's state
// directory. It is there as long as the window is open.
const watchFile = "watch.json"

// Window is the time behind a commit in which a release that goes bad is rolled back.
type Window struct {
	Deployment string        `json:"deployment"` // that opened it
	Release    string        `json:"release"`    // that is watched
	From       string        `json:"from"`       // the release to go back to
	Opened     time.Time     `json:"opened"`
	Length     time.Duration `json:"length"`
	Restarts   int           `json:"restarts"` // how often systemd had restarted it by then
}

// Until is when the window closes.
func (w *Window) Until() time.Time { return w.Opened.Add(w.Length) }

// ReadWindow reads the window of an app from its state directory; nil: none is open.
func ReadWindow(state *os.Root) (*Window, error) {
	b, err := readRegular(state, watchFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none is open
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", watchFile, err)
	}
	w := &Window{}
	if err := json.Unmarshal(b, w); err != nil {
		return nil, fmt.Errorf("read %s: %w", watchFile, err)
	}
	return w, nil
}

// CloseWindow ends the window that a deployment opened, and leaves one of another alone.
func CloseWindow(state *os.Root, deployment string) error {
	w, err := ReadWindow(state)
	if err != nil || w == nil || w.Deployment != deployment {
		return err
	}
	return atomicfile.Remove(state, watchFile)
}

// isWatched: the release is to be watched, or the one before it is.
func isWatched(r *run) bool {
	if !isRunning(r) {
		return false
	}
	_, err := r.state.Lstat(watchFile)
	return r.app.Health.Watch > 0 || err == nil
}

// doWatch opens a window for a new release, and closes that of the one before. The
// unit that watches may be the one that is rolling back: it is started if it does not
// run, and never stopped.
func doWatch(ctx context.Context, r *run) error {
	length := r.app.Health.Watch
	if !isDeploy(r) || length == 0 || r.Deployment.From == "" {
		if length > 0 && isDeploy(r) {
			r.note("it is not watched: there is no release to go back to")
		}
		err := atomicfile.Remove(r.state, watchFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	st, err := r.engine.Units.Status(ctx, r.mainUnit())
	if err != nil {
		return err
	}
	text, err := json.Marshal(Window{
		Deployment: r.Deployment.ID, Release: r.Deployment.To, From: r.Deployment.From,
		Opened: r.engine.Now().UTC(), Length: length, Restarts: st.Restarts,
	})
	if err != nil {
		return err
	}
	if err := atomicfile.WriteFile(r.state, watchFile, text, atomicfile.Mode(0o640)); err != nil {
		return err
	}
	return r.engine.Units.Start(ctx, plan.WatchUnit(r.app))
}
