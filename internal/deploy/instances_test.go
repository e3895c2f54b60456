package deploy_test

import (
	"slices"
	"strings"
	"testing"
)

// TestDeploymentOfManyUnits looks at which units run and start at boot, and what
// was started: never what a timer starts.
func TestDeploymentOfManyUnits(t *testing.T) {
	w := newWorld(t)
	w.must(w.deploy(withMore, "1", "good"))
	w.active("web-worker@1.service", "active", "enabled")
	w.active("web-worker@2.service", "active", "enabled")
	w.active("web-tick.timer", "active", "enabled")
	w.active("web-worker-restart.path", "active", "enabled")
	w.must(w.deploy(withLess, "2", "good"))
	w.active("web-worker@1.service", "active", "enabled")
	w.active("web-worker@2.service", "inactive", "disabled")
	w.active("web-tick.timer", "inactive", "")
	calls := w.units.Calls()
	for _, c := range calls {
		if strings.Contains(c, "start web-tick.service") || strings.Contains(c, "start web-worker-restart.service") {
			t.Errorf("a deployment did: %s", c)
		}
	}
	if n := len(slices.DeleteFunc(calls, func(c string) bool { return c != "start web-environment.service" })); n != 2 {
		t.Errorf("the command before the services ran %d times in two deployments", n)
	}
}

// active compares how a unit is; FileState only when the unit is known.
func (w *world) active(unit, active, file string) {
	w.t.Helper()
	st, err := w.units.Status(w.t.Context(), unit)
	if err != nil {
		w.t.Fatal(err)
	}
	if st.Active != active || st.FileState != file {
		w.t.Errorf("%s is %s and %q, want %s and %q", unit, st.Active, st.FileState, active, file)
	}
}
