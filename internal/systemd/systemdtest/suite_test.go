package systemdtest_test

import (
	"testing"

	"github.com/landfast/landfast/internal/lab"
	"github.com/landfast/landfast/internal/lab/labtest"
	"github.com/landfast/landfast/internal/systemd"
	"github.com/landfast/landfast/internal/systemd/systemdtest"
)

func TestFake(t *testing.T) {
	systemdtest.Suite(t, func(t *testing.T) systemdtest.Target {
		root := t.TempDir()
		fake := systemdtest.New(root)
		fake.Behave = systemdtest.Interpret
		return systemdtest.Target{Manager: fake, Root: root}
	})
}

func TestMachines(t *testing.T) {
	labtest.Require(t)
	for _, name := range labtest.Suites() {
		t.Run(name, func(t *testing.T) {
			systemdtest.Suite(t, func(t *testing.T) systemdtest.Target {
				m := labtest.Boot(t, lab.Options{Suite: name})
				bus, err := systemd.ConnectAddress(t.Context(), m.Bus())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := bus.Close(); err != nil {
						t.Error(err)
					}
				})
				return systemdtest.Target{Manager: bus, Root: m.Path("/")}
			})
		})
	}
}
