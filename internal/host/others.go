package host

import (
	"path"
	"strings"

	"github.com/landfast/landfast/internal/manifest"
	"github.com/landfast/landfast/internal/plan"
)

// observeOthers tells which directories the other apps of the host have. A manifest
// that cannot be read any more, as one of a newer version, claims nothing.
func (h *Host) observeOthers(p *plan.Plan, o *plan.Observed) error {
	o.Others = map[string]string{}
	entries, err := h.list(appsDir)
	if err != nil {
		return err
	}
	for _, name := range entries {
		app, ok := strings.CutSuffix(path.Base(name), ".toml")
		if !ok || app == p.App || isTemp(name) {
			continue
		}
		text, err := h.head(name, maxFile)
		if err != nil {
			return err
		}
		if plan.MarkOf(text) != app {
			continue
		}
		other, err := manifest.Parse(name, []byte(plan.Unmarked(text)))
		if err != nil {
			continue
		}
		built, err := plan.Build(other, plan.Facts{})
		if err != nil {
			continue
		}
		for _, d := range built.Dirs {
			if !plan.SharedDir(d.Path) {
				o.Others[d.Path] = app
			}
		}
	}
	return nil
}
