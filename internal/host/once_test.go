package host_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/landfast/landfast/internal/systemd/systemdtest"
)

func TestRunOnce(t *testing.T) {
	const unit = "landfast-web-migrate.service"
	w := newWorld(t)
	w.write(t, "run/systemd/system/other.service", "")
	before := tree(t, w.root)
	ran := ""
	w.units.Behave = func(_, text string) systemdtest.Behaviour {
		ran = text
		switch text {
		case "fails":
			return systemdtest.Behaviour{Oneshot: true, Exit: 4}
		case "hangs":
			return systemdtest.Behaviour{Hangs: true}
		}
		return systemdtest.Behaviour{Oneshot: true}
	}
	for _, text := range []string{"works", "fails", "works"} {
		// What a run left that was killed must not be what is run.
		w.write(t, "run/systemd/system/"+unit, "stale")
		st, err := w.host.RunOnce(t.Context(), unit, text)
		if err != nil {
			t.Fatal(err)
		}
		if ran != text {
			t.Errorf("it ran %q, want %q", ran, text)
		}
		if (st.Result != "success") != (text == "fails") || (st.ExitStatus == 4) != (text == "fails") {
			t.Errorf("%s: got %+v", text, st)
		}
		if d := cmp.Diff(before, tree(t, w.root)); d != "" {
			t.Errorf("%s: it left\n%s", text, d)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.units.Before = func(op string, _ ...string) error {
		if op == "start" {
			go cancel()
		}
		return nil
	}
	if _, err := w.host.RunOnce(ctx, unit, "hangs"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(before, tree(t, w.root)); d != "" {
		t.Errorf("cancelled: it left\n%s", d)
	}
	st, err := w.units.Status(t.Context(), unit)
	if err != nil || st.Load != "not-found" || st.Active != "inactive" {
		t.Errorf("got %+v, %v", st, err)
	}
}
